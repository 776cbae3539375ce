//! `prepare`: makes `data/`, which every experiment reads and none changes.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use prepare::corpus::Origin;
use prepare::shards::{DEFAULT_VOCAB, LEAST_VOCAB, MOST_VOCAB, Outcome, describe};
use prepare::{Dataset, Manifest, PrepareError, Source};

const USAGE: &str = "\
Makes the data folder of the bundled lab: text, a tokenizer, and token shards with a manifest.

Usage: cargo run --release -p prepare -- [OPTIONS]

  --data DIR   Where to write [default: data]
  --text DIR   Use the .md, .txt and .rs files of this folder
               [default: the documentation of crates in the cargo registry]
  --vocab N    Number of tokens, 256 to 65536 [default: 1024]
  --force      Write everything again, also over data from another text
  --help       Print this
";

struct Options {
    data: PathBuf,
    text: Option<PathBuf>,
    vocab: usize,
    force: bool,
}

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
    // A researcher's own text is not replaced because a lab's set-up runs this without `--text`.
    if options.text.is_none()
        && !options.force
        && let Ok(manifest) = Manifest::read(folder)
        && matches!(manifest.source, Source::Folder { .. })
    {
        Dataset::open(folder)?;
        let source = describe(&manifest.source);
        say(&format!("`{}` holds {source}; kept (--force replaces it)", folder.display()));
        return Ok(());
    }
    let origin = match &options.text {
        Some(text) => Origin::Folder(text.clone()),
        None => Origin::Registry { cargo_home: cargo_home() },
    };
    let outcome = prepare::shards::prepare(&origin, folder, options.vocab, options.force, &mut |line| {
        say(&format!("[{:5.1} s] {line}", begin.elapsed().as_secs_f64()));
    })?;
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

/// `None`: help was asked for.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options { data: PathBuf::from("data"), text: None, vocab: DEFAULT_VOCAB, force: false };
    while let Some(argument) = arguments.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = || inline.clone().or_else(|| arguments.next()).ok_or(format!("{name} needs a value"));
        match name {
            "--data" => options.data = PathBuf::from(value()?),
            "--text" => options.text = Some(PathBuf::from(value()?)),
            "--vocab" => {
                let value = value()?;
                options.vocab = value
                    .parse()
                    .ok()
                    .filter(|vocab| (LEAST_VOCAB..=MOST_VOCAB).contains(vocab))
                    .ok_or(format!("--vocab: `{value}` is not a number from 256 to 65536"))?;
            }
            "--force" => options.force = true,
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("unknown option `{argument}`")),
        }
    }
    Ok(Some(options))
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

    fn parsed(arguments: &str) -> Result<Option<Options>, String> {
        parse(arguments.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read() {
        let options = parsed("--data=d --text notes --vocab 512 --force").unwrap().unwrap();
        assert_eq!(options.data, PathBuf::from("d"));
        assert_eq!(options.text, Some(PathBuf::from("notes")));
        assert_eq!((options.vocab, options.force), (512, true));
        assert!(parsed("--help").unwrap().is_none());
    }

    #[test]
    fn wrong_options_are_named() {
        for (arguments, message) in [
            ("--vocab 12", "--vocab: `12` is not a number from 256 to 65536"),
            ("--text", "--text needs a value"),
            ("--what", "unknown option `--what`"),
        ] {
            assert_eq!(parsed(arguments).err().unwrap(), message);
        }
    }
}
