//! `prepare`: makes `data/`, which every experiment reads and none changes.

#[cfg(feature = "hub")]
mod bar;
mod options;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use prepare::corpus::Origin;
use prepare::shards::{Outcome, describe};
use prepare::{Dataset, Manifest, PrepareError, Profile, Source};

use options::{Options, USAGE, parse};

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            say(USAGE.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            complain(&format!("error: {message}\n\n{}", USAGE.trim_end()));
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error}\nhint: {}", error.hint()));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), PrepareError> {
    let begin = Instant::now();
    let folder = &options.data;
    // Text of the researcher's choice is not replaced because a lab's set-up runs this without options.
    let keeps = !options.force && options.text.is_none() && options.hub.is_none();
    let old = match Manifest::read(folder) {
        Ok(manifest) => Some(manifest),
        Err(error) if keeps && !matches!(error, PrepareError::NotPrepared(_)) => return Err(error),
        Err(_) => None,
    };
    let there = old.as_ref().map(|manifest| manifest.profile);
    let mut profile = options.profile.or(there).unwrap_or(Profile::CPU);
    profile.vocabulary = options.vocab.unwrap_or(profile.vocabulary);
    if let Some(manifest) = old.filter(|it| keeps && !matches!(it.source, Source::Registry { .. })) {
        let text = describe(&manifest.source);
        if profile != manifest.profile {
            return Err(PrepareError::OtherText { folder: folder.clone(), text });
        }
        Dataset::open(folder)?;
        say(&format!("`{}` holds {text}; kept (--force replaces it)", folder.display()));
        return Ok(());
    }
    let step = |line: &str| say(&format!("[{:5.1} s] {line}", begin.elapsed().as_secs_f64()));
    let origin = origin(options, &step)?;
    let outcome = prepare::shards::prepare(&origin, folder, profile, options.force, &mut |line| step(line))?;
    let (verb, manifest) = match &outcome {
        Outcome::UpToDate(manifest) => ("is up to date", manifest),
        Outcome::Written(manifest) => ("written", manifest),
    };
    say(&format!(
        "`{}` {verb}: {} tokens to learn from, {} to be judged on; knowing token frequencies alone \
         scores {:.3} bits per byte",
        folder.display(),
        manifest.train.tokens,
        manifest.val.tokens,
        manifest.unigram_bpb,
    ));
    say(&format!("done in {:.3} s", begin.elapsed().as_secs_f64()));
    Ok(())
}

#[cfg_attr(
    not(feature = "hub"),
    expect(unused_variables, clippy::unnecessary_wraps, reason = "nothing to download")
)]
fn origin(options: &Options, step: &dyn Fn(&str)) -> Result<Origin, PrepareError> {
    #[cfg(feature = "hub")]
    if let Some(hub) = &options.hub {
        return bar::download(hub, step);
    }
    Ok(match &options.text {
        Some(text) => Origin::Folder(text.clone()),
        None => Origin::Registry { cargo_home: cargo_home() },
    })
}

/// Where cargo keeps crates: it tells programs that it runs, and has a default.
fn cargo_home() -> PathBuf {
    std::env::var_os("CARGO_HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default()
}

/// Nobody may be reading any more, which is no failure.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What `prepare` does for a command line.
    fn prepared(data: &std::path::Path, words: &[&str]) -> Result<(), PrepareError> {
        let words = words.iter().map(|word| (*word).to_owned());
        let data = ["--data".to_owned(), data.display().to_string()];
        run(&parse(data.into_iter().chain(words)).unwrap().unwrap())
    }

    #[test]
    fn text_of_the_researcher_s_choice_is_not_replaced_unasked() {
        let (text, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let lines: String =
            (0..4000).map(|n| format!("Sentence {n} says {}.\n\n", n * 7919 % 4001)).collect();
        std::fs::write(text.path().join("book.txt"), lines).unwrap();
        let data = data.path();
        prepared(data, &["--text", text.path().to_str().unwrap(), "--vocab", "300"]).unwrap();
        let manifest = std::fs::read(data.join("manifest.json")).unwrap();
        let untouched = || assert_eq!(std::fs::read(data.join("manifest.json")).unwrap(), manifest);

        prepared(data, &[]).unwrap();
        untouched();
        let other = prepared(data, &["--profile", "gpu"]).unwrap_err();
        assert!(matches!(other, PrepareError::OtherText { .. }), "{other}");
        untouched();
        std::fs::write(data.join("val-000.bin"), [1]).unwrap();
        let damaged = prepared(data, &[]).unwrap_err();
        assert!(matches!(damaged, PrepareError::Damaged { .. }), "{damaged}");
        untouched();

        std::fs::write(data.join("manifest.json"), "{}").unwrap();
        let bad = prepared(data, &[]).unwrap_err();
        assert!(matches!(bad, PrepareError::BadManifest { .. }), "{bad}");
        assert_eq!(std::fs::read(data.join("manifest.json")).unwrap(), b"{}");
        prepared(data, &["--text", text.path().to_str().unwrap(), "--vocab", "300"]).unwrap();
        untouched();
    }
}
