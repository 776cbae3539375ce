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
    let old = Manifest::read(folder).ok().filter(|_| !options.force);
    // Text of the researcher's choice is not replaced because a lab's set-up runs this without options.
    if options.text.is_none()
        && options.hub.is_none()
        && let Some(manifest) = &old
        && !matches!(manifest.source, Source::Registry { .. })
    {
        Dataset::open(folder)?;
        let source = describe(&manifest.source);
        say(&format!("`{}` holds {source}; kept (--force replaces it)", folder.display()));
        return Ok(());
    }
    let mut profile = options.profile.or(old.map(|manifest| manifest.profile)).unwrap_or(Profile::CPU);
    profile.vocabulary = options.vocab.unwrap_or(profile.vocabulary);
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
