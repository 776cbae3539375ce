//! From text to a data folder: split, tokenizer, token shards, manifest.
//!
//! The manifest is written last and each file is renamed into place, so that an interrupted run leaves
//! either the old data, or data that the manifest disowns and the next run writes again.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::json;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{Tokenizer, decoders, pre_tokenizers};

use crate::corpus::Origin;
use crate::error::PrepareError;
use crate::manifest::{FileRecord, MANIFEST, Manifest, SCHEMA, Source, Split, sha256};

/// Raised whenever the same text would give other tokens.
const RECIPE: u32 = 1;

/// One piece of the text in so many is for validation, spread evenly over it.
const VAL_EVERY: usize = 24;

/// Tokens in a shard.
const SHARD_TOKENS: usize = 1 << 20;

/// Less text than this cannot be split in a useful way.
const LEAST_TEXT_BYTES: usize = 64 * 1024;

/// Number of tokens unless the caller wants another; the least is [`LEAST_VOCAB`].
pub const DEFAULT_VOCAB: usize = 1024;

/// One token for each byte.
pub const LEAST_VOCAB: usize = 256;

/// The most that a `u16` can name.
pub const MOST_VOCAB: usize = 1 << 16;

/// Whether anything had to be done.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The folder holds what was asked for already; every hash was checked.
    UpToDate(Manifest),
    /// The folder was written.
    Written(Manifest),
}

/// Makes `folder` hold the tokens of `origin`'s text.
///
/// `say` gets a line for each step. With `force` everything is written again.
pub fn prepare(
    origin: &Origin,
    folder: &Path,
    vocab_size: usize,
    force: bool,
    say: &mut dyn FnMut(&str),
) -> Result<Outcome, PrepareError> {
    let source = origin.source()?;
    let recipe = recipe(&source, vocab_size);
    if !force
        && let Ok(manifest) = Manifest::read(folder)
        && manifest.recipe == recipe
        && manifest.files().all(|file| file.read(folder).is_ok())
    {
        return Ok(Outcome::UpToDate(manifest));
    }

    let corpus = origin.read()?;
    let bytes: usize = corpus.pieces.iter().map(String::len).sum();
    if bytes < LEAST_TEXT_BYTES {
        return Err(PrepareError::TooLittleText {
            found: bytes,
            needed: LEAST_TEXT_BYTES,
            origin: describe(&source),
        });
    }
    say(&format!(
        "{:.2} MB of text from {} ({:.2} MB before repeated paragraphs were dropped)",
        megabytes(bytes),
        describe(&source),
        megabytes(corpus.bytes_read),
    ));
    // From the middle of each group, so that few pieces suffice for some of each split.
    let is_val = |index: usize| index % VAL_EVERY == VAL_EVERY / 2;
    let (val, train): (Vec<_>, Vec<_>) =
        corpus.pieces.into_iter().enumerate().partition(|(index, _)| is_val(*index));
    let strip = |pieces: Vec<(usize, String)>| -> Vec<String> {
        pieces.into_iter().map(|(_, piece)| piece).collect()
    };
    let (train, val) = (strip(train), strip(val));

    let tokenizer = train_tokenizer(&train, vocab_size)?;
    let vocab_size = tokenizer.get_vocab_size(true);
    let token_bytes = token_bytes(&tokenizer, vocab_size)?;
    say(&format!("a byte-level BPE tokenizer of {vocab_size} tokens"));

    let train_tokens = encode(&tokenizer, &train, &token_bytes)?;
    let val_tokens = encode(&tokenizer, &val, &token_bytes)?;
    let (unigram_bpb, byte_bpb) = baselines(&train_tokens, &val_tokens, &token_bytes, &train, &val);

    fs::create_dir_all(folder).map_err(PrepareError::write(folder))?;
    let json = tokenizer.to_string(false).map_err(tokenizer_error)?;
    let manifest = Manifest {
        schema: SCHEMA,
        recipe,
        source,
        vocab_size,
        tokenizer: write(folder, "tokenizer.json", json.as_bytes())?,
        token_bytes: write(folder, "token_bytes.bin", &token_bytes)?,
        train: write_split(folder, "train", &train_tokens, &train)?,
        val: write_split(folder, "val", &val_tokens, &val)?,
        unigram_bpb,
        byte_bpb,
        other: serde_json::Map::new(),
    };
    let mut text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
    text.push('\n');
    write(folder, MANIFEST, text.as_bytes())?;
    Ok(Outcome::Written(manifest))
}

fn recipe(source: &Source, vocab_size: usize) -> String {
    // The name of a folder does not change its text.
    let text = match source {
        Source::Registry { crates } => json!(crates),
        Source::Folder { sha256, .. } => json!(sha256),
    };
    let recipe = json!({
        "recipe": RECIPE,
        "vocab_size": vocab_size,
        "val_every": VAL_EVERY,
        "shard_tokens": SHARD_TOKENS,
        "text": text,
    });
    sha256(recipe.to_string().as_bytes())
}

/// A few words for people.
pub fn describe(source: &Source) -> String {
    match source {
        Source::Registry { crates } => {
            format!("the documentation of {} crates", crates.len())
        }
        Source::Folder { path, .. } => format!("the folder `{path}`"),
    }
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn tokenizer_error(error: impl std::fmt::Display) -> PrepareError {
    PrepareError::Tokenizer(error.to_string())
}

/// Byte-level BPE: every text can be encoded, and each token stands for at least one byte.
fn train_tokenizer(pieces: &[String], vocab_size: usize) -> Result<Tokenizer, PrepareError> {
    let byte_level = ByteLevel::new(false, false, true);
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(pre_tokenizers::PreTokenizerWrapper::ByteLevel(byte_level)));
    tokenizer.with_decoder(Some(decoders::DecoderWrapper::ByteLevel(byte_level)));
    let trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer.train(&mut TrainerWrapper::from(trainer), pieces.iter()).map_err(tokenizer_error)?;
    Ok(tokenizer)
}

/// The length in bytes of what each token stands for: in byte-level BPE, one character is one byte.
fn token_bytes(tokenizer: &Tokenizer, vocab_size: usize) -> Result<Vec<u8>, PrepareError> {
    (0..vocab_size)
        .map(|id| {
            let token = tokenizer
                .id_to_token(id as u32)
                .ok_or_else(|| PrepareError::Tokenizer(format!("it has no token {id}")))?;
            u8::try_from(token.chars().count())
                .map_err(|_| PrepareError::Tokenizer(format!("token {id} is longer than 255 bytes")))
        })
        .collect()
}

fn encode(tokenizer: &Tokenizer, pieces: &[String], token_bytes: &[u8]) -> Result<Vec<u16>, PrepareError> {
    let inputs: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let encodings = tokenizer.encode_batch_fast(inputs, false).map_err(tokenizer_error)?;
    let tokens: Vec<u16> =
        encodings.iter().flat_map(tokenizers::Encoding::get_ids).map(|&id| id as u16).collect();
    // Bits per byte means nothing if the tokens are not exactly the text.
    let covered: usize = tokens.iter().map(|&token| usize::from(token_bytes[usize::from(token)])).sum();
    let bytes: usize = pieces.iter().map(String::len).sum();
    if covered == bytes {
        Ok(tokens)
    } else {
        Err(PrepareError::Tokenizer(format!("its tokens cover {covered} of {bytes} bytes")))
    }
}

/// Bits per byte on `val` of models that know only frequencies in `train`: of tokens, and of bytes.
fn baselines(
    train: &[u16],
    val: &[u16],
    token_bytes: &[u8],
    train_text: &[String],
    val_text: &[String],
) -> (f64, f64) {
    let bytes = val_text.iter().map(String::len).sum::<usize>() as f64;
    let by_token = cross_entropy_bits(train.iter().copied(), val.iter().copied(), token_bytes.len());
    let each =
        |text: &[String]| text.iter().flat_map(|piece| piece.bytes()).map(u16::from).collect::<Vec<_>>();
    let by_byte = cross_entropy_bits(each(train_text).into_iter(), each(val_text).into_iter(), 256);
    (by_token / bytes, by_byte / bytes)
}

/// Total bits of `val` under the frequencies of `train`, each symbol counted once more than it occurs.
fn cross_entropy_bits(
    train: impl ExactSizeIterator<Item = u16>,
    val: impl Iterator<Item = u16>,
    symbols: usize,
) -> f64 {
    let total = (train.len() + symbols) as f64;
    let mut counts: HashMap<u16, f64> = HashMap::new();
    for symbol in train {
        *counts.entry(symbol).or_insert(1.0) += 1.0;
    }
    val.map(|symbol| -(counts.get(&symbol).copied().unwrap_or(1.0) / total).log2()).sum()
}

fn write_split(folder: &Path, name: &str, tokens: &[u16], text: &[String]) -> Result<Split, PrepareError> {
    let shards = tokens
        .chunks(SHARD_TOKENS)
        .enumerate()
        .map(|(index, tokens)| {
            let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
            write(folder, &format!("{name}-{index:03}.bin"), &bytes)
        })
        .collect::<Result<_, _>>()?;
    Ok(Split { tokens: tokens.len(), bytes: text.iter().map(String::len).sum(), shards })
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<FileRecord, PrepareError> {
    let path = folder.join(name);
    let partial = folder.join(format!(".{name}.{}", std::process::id()));
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, &path))
        .map_err(PrepareError::write(&path))?;
    Ok(FileRecord { file: name.to_owned(), bytes: bytes.len() as u64, sha256: sha256(bytes) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Dataset;

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
        prepare(&Origin::Folder(text.to_path_buf()), data, 300, false, &mut |_| {}).unwrap()
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
    fn the_same_text_gives_the_same_bytes() {
        let (text, one) = folders();
        let two = tempfile::tempdir().unwrap();
        make(text.path(), one.path());
        make(text.path(), two.path());
        for file in Manifest::read(one.path()).unwrap().files() {
            file.read(two.path()).unwrap();
        }
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
        let mut batches = dataset.train_batches(1, 1, 0).unwrap();
        for _ in 0..manifest.train.tokens - 1 {
            counts[batches.next_batch().inputs[0] as usize] += 1.0;
        }
        let total: f64 = counts.iter().sum();
        let result = dataset
            .evaluate_bpb(4, 32, |batch| {
                let nats = |&target: &i32| -(counts[target as usize] / total).ln() as f32;
                batch.targets.iter().map(nats).collect()
            })
            .unwrap();
        assert!((result.bpb - manifest.unigram_bpb).abs() < 0.01, "{result:?}");
        assert!(manifest.unigram_bpb < manifest.byte_bpb);
    }

    #[test]
    fn too_little_text_is_refused() {
        let text = tempfile::tempdir().unwrap();
        fs::write(text.path().join("a.md"), "a few words").unwrap();
        let data = tempfile::tempdir().unwrap();
        let origin = Origin::Folder(text.path().to_path_buf());
        let error = prepare(&origin, data.path(), 300, false, &mut |_| {}).unwrap_err();
        assert!(error.to_string().starts_with("13 bytes of text in the folder"), "{error}");
    }
}
