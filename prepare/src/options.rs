//! The command line of `prepare`.

use std::path::PathBuf;

use prepare::Profile;
use prepare::corpus::{DEFAULT_DATASET, VAL_SHARD};
use prepare::shards::{LEAST_VOCAB, MOST_VOCAB};

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
Makes the data folder of the bundled lab: text, a tokenizer, and token shards with a manifest.

Usage: cargo run --release -p prepare -- [OPTIONS]

  --data DIR       Where to write [default: data]
  --text DIR       Use the .md, .txt, .rs and .parquet files of this folder; Parquet with a
                   column `text`, the last of two or more files is what is judged on
                   [default: the documentation of crates in the cargo registry]
  --hub [DATASET]  Use Parquet files of a dataset of the Hugging Face hub, named as those of
                   karpathy/climbmix-400b-shuffle, the default; this and Parquet need
                   `cargo run --release -p prepare --features hub -- --hub`.
                   HF_ENDPOINT names a mirror of the hub, HF_TOKEN a token of yours
  --shards N       With --hub: files to learn from, 1 to 6542 [default: 10];
                   shard_06542.parquet is what is judged on
  --cache DIR      With --hub: where files are kept [default: ~/.cache/autoresearch/data]
  --profile NAME   cpu: 256 tokens of context, 1024 kinds, at most 65,536 scored
                   gpu: 2048 tokens of context, 8192 kinds, at most 20,971,520 scored
                   [default: what the data folder has, else cpu]
  --vocab N        Kinds of tokens, 260 to 65536 [default: the profile's]
  --force          Write everything again, also over data from another text
  --help           Print this
";

/// Files to learn from: karpathy's `--num-shards`.
const DEFAULT_SHARDS: usize = 10;

/// What to download.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HubOptions {
    pub(crate) dataset: String,
    pub(crate) shards: usize,
    pub(crate) cache: Option<PathBuf>,
}

/// The command line, read.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) data: PathBuf,
    pub(crate) text: Option<PathBuf>,
    pub(crate) hub: Option<HubOptions>,
    pub(crate) profile: Option<Profile>,
    pub(crate) vocab: Option<usize>,
    pub(crate) force: bool,
}

/// `None`: help was asked for.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut arguments = arguments.peekable();
    let mut options = Options {
        data: PathBuf::from("data"),
        text: None,
        hub: None,
        profile: None,
        vocab: None,
        force: false,
    };
    let (mut dataset, mut shards, mut cache) = (None, None, None);
    while let Some(argument) = arguments.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = || inline.clone().or_else(|| arguments.next()).ok_or(format!("{name} needs a value"));
        match name {
            "--data" => options.data = PathBuf::from(value()?),
            "--text" => options.text = Some(PathBuf::from(value()?)),
            "--hub" => {
                let named = inline.or_else(|| arguments.next_if(|next| !next.starts_with('-')));
                dataset = Some(named.unwrap_or_else(|| DEFAULT_DATASET.to_owned()));
            }
            "--shards" => shards = Some(number(name, &value()?, 1, VAL_SHARD)?),
            "--cache" => cache = Some(PathBuf::from(value()?)),
            "--profile" => {
                let value = value()?;
                let profile = Profile::named(&value).ok_or(format!("--profile: `{value}` is not cpu or gpu"));
                options.profile = Some(profile?);
            }
            "--vocab" => options.vocab = Some(number(name, &value()?, LEAST_VOCAB, MOST_VOCAB)?),
            "--force" => options.force = true,
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("unknown option `{argument}`")),
        }
    }
    options.hub = hub(dataset, shards, cache)?;
    if options.hub.is_some() && options.text.is_some() {
        return Err("--hub and --text are two sources: give one".to_owned());
    }
    Ok(Some(options))
}

fn hub(
    dataset: Option<String>,
    shards: Option<usize>,
    cache: Option<PathBuf>,
) -> Result<Option<HubOptions>, String> {
    match dataset {
        Some(_) if !cfg!(feature = "hub") => Err(
            "--hub: this build cannot download; run `cargo run --release -p prepare --features hub -- --hub`"
                .to_owned(),
        ),
        Some(dataset) => Ok(Some(HubOptions { dataset, shards: shards.unwrap_or(DEFAULT_SHARDS), cache })),
        None if shards.is_some() => Err("--shards needs --hub".to_owned()),
        None if cache.is_some() => Err("--cache needs --hub".to_owned()),
        None => Ok(None),
    }
}

fn number(name: &str, value: &str, least: usize, most: usize) -> Result<usize, String> {
    value
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or(format!("{name}: `{value}` is not a number from {least} to {most}"))
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
        let options = parsed("--data=d --text notes --vocab 512 --profile gpu --force").unwrap().unwrap();
        assert_eq!(options.data, PathBuf::from("d"));
        assert_eq!(options.text, Some(PathBuf::from("notes")));
        assert_eq!((options.vocab, options.profile, options.force), (Some(512), Some(Profile::GPU), true));
        assert!(parsed("--help").unwrap().is_none());
    }

    #[test]
    fn wrong_options_are_named() {
        for (arguments, message) in [
            ("--vocab 12", "--vocab: `12` is not a number from 260 to 65536"),
            ("--profile tpu", "--profile: `tpu` is not cpu or gpu"),
            ("--text", "--text needs a value"),
            ("--shards 3", "--shards needs --hub"),
            ("--cache d", "--cache needs --hub"),
            ("--what", "unknown option `--what`"),
        ] {
            assert_eq!(parsed(arguments).err().unwrap(), message);
        }
    }

    #[cfg(feature = "hub")]
    #[test]
    fn a_dataset_may_be_named() {
        let hub = |arguments| parsed(arguments).unwrap().unwrap().hub.unwrap();
        let default = HubOptions { dataset: DEFAULT_DATASET.to_owned(), shards: 10, cache: None };
        assert_eq!(hub("--hub"), default);
        assert_eq!(hub("--hub --force"), default);
        let mine = HubOptions { dataset: "me/mine".to_owned(), shards: 2, cache: Some(PathBuf::from("c")) };
        assert_eq!(hub("--hub me/mine --shards 2 --cache c"), mine);
        assert_eq!(hub("--cache c --shards=2 --hub=me/mine"), mine);
        assert!(parsed("--hub --text notes").is_err());
        assert!(parsed("--hub --shards 6543").is_err());
    }

    #[cfg(not(feature = "hub"))]
    #[test]
    fn a_build_without_the_hub_says_how_to_get_it() {
        assert!(parsed("--hub").unwrap_err().contains("--features hub -- --hub"));
    }

    #[test]
    fn help_says_what_the_profiles_are() {
        let thousands = |number: usize| {
            let digits = number.to_string();
            let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
            groups.join(",")
        };
        for profile in [Profile::CPU, Profile::GPU] {
            let Profile { sequence, vocabulary, evaluation_tokens } = profile;
            let scored = thousands(evaluation_tokens);
            let line = format!("{sequence} tokens of context, {vocabulary} kinds, at most {scored} scored");
            assert!(USAGE.contains(&line), "{line}");
        }
    }
}
