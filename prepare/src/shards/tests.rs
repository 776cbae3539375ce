#![allow(clippy::unwrap_used)]
use super::*;
use crate::Dataset;

const PROFILE: Profile = Profile { sequence: 64, vocabulary: 300, evaluation_tokens: 1 << 20 };

/// A folder of about 130 kB of text that does not repeat, and an empty one for the data.
fn folders() -> (tempfile::TempDir, tempfile::TempDir) {
    let text = tempfile::tempdir().unwrap();
    for file in 0..8 {
        let paragraphs: Vec<String> = (0..300)
            .map(|n| format!("Paragraph {n} of file {file} says that {} is not {n}.\n\n", n * file + 1))
            .collect();
        fs::write(text.path().join(format!("{file}.md")), paragraphs.concat()).unwrap();
    }
    fs::write(text.path().join("ignored.png"), [0u8; 10]).unwrap();
    (text, tempfile::tempdir().unwrap())
}

fn make(text: &Path, data: &Path) -> Outcome {
    prepare(&Origin::Folder(text.to_path_buf()), data, PROFILE, false, &mut |_| {}).unwrap()
}

#[test]
fn the_second_time_nothing_is_done_unless_something_changed() {
    let (text, data) = folders();
    let Outcome::Written(first) = make(text.path(), data.path()) else {
        panic!("nothing was there");
    };
    let Outcome::UpToDate(second) = make(text.path(), data.path()) else {
        panic!("it was there");
    };
    assert_eq!(first, second);

    fs::write(data.path().join("val-000.bin"), [1, 0]).unwrap();
    let Outcome::Written(mended) = make(text.path(), data.path()) else {
        panic!("a file was damaged");
    };
    assert_eq!(first, mended);

    fs::write(text.path().join("more.txt"), "One more paragraph, longer than forty bytes.").unwrap();
    let Outcome::Written(changed) = make(text.path(), data.path()) else {
        panic!("the text changed");
    };
    assert_ne!(first.recipe, changed.recipe);
}

#[test]
fn what_does_not_fill_a_row_is_refused_before_anything_is_written() {
    let (text, data) = folders();
    let Outcome::Written(first) = make(text.path(), data.path()) else { panic!("nothing was there") };
    let long = Profile { sequence: 40_000, ..PROFILE };
    let origin = Origin::Folder(text.path().to_path_buf());
    let error = prepare(&origin, data.path(), long, false, &mut |_| {}).unwrap_err();
    assert!(matches!(error, PrepareError::TooShort { split: "val", .. }), "{error}");
    assert_eq!(Dataset::open(data.path()).unwrap().manifest(), &first);
}

#[test]
fn the_same_text_gives_the_same_bytes() {
    let (text, one) = folders();
    let two = tempfile::tempdir().unwrap();
    make(text.path(), one.path());
    make(text.path(), two.path());
    for file in Manifest::read(one.path()).unwrap().files() {
        file.read(two.path()).unwrap();
    }
    fs::write(two.path().join("val-007.bin"), [0, 0]).unwrap();
    fs::write(two.path().join("val-mine.bin"), [0, 0]).unwrap();
    prepare(&Origin::Folder(text.path().to_path_buf()), two.path(), PROFILE, true, &mut |_| {}).unwrap();
    assert!(!two.path().join("val-007.bin").exists(), "a shard of earlier data");
    fs::remove_file(two.path().join("val-mine.bin")).unwrap();
    let names = |folder: &Path| fs::read_dir(folder).unwrap().count();
    assert_eq!(names(one.path()), 5, "no partial file is left");
    assert_eq!(names(two.path()), 5);
}

#[test]
fn a_unigram_model_scores_what_the_manifest_says() {
    let (text, data) = folders();
    make(text.path(), data.path());
    let dataset = Dataset::open(data.path()).unwrap();
    let manifest = dataset.manifest();
    let mut counts = vec![1.0f64; dataset.vocab_size()];
    for shard in &manifest.train.shards {
        for pair in shard.read(data.path()).unwrap().as_chunks::<2>().0 {
            counts[usize::from(u16::from_le_bytes(*pair))] += 1.0;
        }
    }
    let total: f64 = counts.iter().sum();
    let result = dataset
        .evaluate_bpb(4, |batch| {
            let nats = |&target: &i32| -(counts[target as usize] / total).ln() as f32;
            batch.targets.iter().map(nats).collect()
        })
        .unwrap();
    // The rows leave out what was cropped.
    assert!((result.bpb - manifest.unigram_bpb).abs() < 0.05, "{result:?}");
    assert!(manifest.unigram_bpb < manifest.byte_bpb);
}

#[test]
fn too_little_text_is_refused() {
    let text = tempfile::tempdir().unwrap();
    fs::write(text.path().join("a.md"), "a few words").unwrap();
    let data = tempfile::tempdir().unwrap();
    let origin = Origin::Folder(text.path().to_path_buf());
    let error = prepare(&origin, data.path(), PROFILE, false, &mut |_| {}).unwrap_err();
    assert!(error.to_string().starts_with("13 bytes of text in the folder"), "{error}");
}

/// Texts from files of karpathy's kind: read one after another, the last file judged on.
#[cfg(feature = "hub")]
#[test]
fn parquet_files_become_documents() {
    use crate::corpus::write_parquet;

    let (files, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let texts = |file: usize| (0..700).map(|n| format!("Text {n} of file {file} is {}.", n * file)).collect();
    let paths: Vec<_> = [0, 1, 6542]
        .iter()
        .map(|&file| {
            let path = files.path().join(format!("shard_{file:05}.parquet"));
            let texts: Vec<String> = texts(file);
            write_parquet(&path, &texts);
            path
        })
        .collect();
    let origin = Origin::Hub { dataset: "me/mine".to_owned(), files: paths };
    let Outcome::Written(manifest) = prepare(&origin, data.path(), PROFILE, false, &mut |_| {}).unwrap()
    else {
        panic!("nothing was there");
    };
    let bytes = |file| texts(file).iter().map(String::len).sum::<usize>();
    assert_eq!((manifest.train.bytes, manifest.val.bytes), (bytes(0) + bytes(1), bytes(6542)));
    let again = prepare(&origin, data.path(), PROFILE, false, &mut |_| {}).unwrap();
    assert!(matches!(again, Outcome::UpToDate(_)));

    let dataset = Dataset::open(data.path()).unwrap();
    let result = dataset.evaluate_bpb(8, |batch| vec![1.0; batch.targets.len()]).unwrap();
    assert!(result.tokens > manifest.val.tokens * 3 / 4, "{result:?}");
    let batch = dataset.train_batches(8, 1).unwrap().next_batch();
    assert!(batch.inputs.chunks(64).all(|row| row[0] == i32::from(manifest.bos)));
}
