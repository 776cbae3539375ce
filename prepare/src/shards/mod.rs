//! From text to a data folder: split, tokenizer, token shards, manifest.
//!
//! The manifest is written last and each file is renamed into place, so that an interrupted run leaves
//! either the old data, or data that the manifest disowns and the next run writes again.

mod baselines;
mod writer;

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::corpus::{Corpus, LONGEST, Origin, Part, VAL_EVERY};
use crate::error::PrepareError;
use crate::manifest::{MANIFEST, Manifest, SCHEMA, Source, Split};
use crate::profile::Profile;
use crate::tokenizer::Bpe;
use baselines::{Counts, baselines};
use writer::{SHARD_TOKENS, ShardWriter, write};

pub use crate::tokenizer::{LEAST_VOCAB, MOST_VOCAB};

/// Raised whenever the same text would give other tokens.
const RECIPE: u32 = 2;

/// Less text than this cannot be split in a useful way.
const LEAST_TEXT_BYTES: usize = 64 * 1024;

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
    profile: Profile,
    force: bool,
    say: &mut dyn FnMut(&str),
) -> Result<Outcome, PrepareError> {
    let source = origin.source()?;
    let recipe = recipe(&source, profile);
    if !force
        && let Ok(manifest) = Manifest::read(folder)
        && manifest.recipe == recipe
        && manifest.files().all(|file| file.read(folder).is_ok())
    {
        return Ok(Outcome::UpToDate(manifest));
    }

    let corpus = origin.read(profile)?;
    if let Some(bytes) = corpus.bytes_in_memory() {
        if bytes < LEAST_TEXT_BYTES {
            let (found, needed) = (bytes, LEAST_TEXT_BYTES);
            return Err(PrepareError::TooLittleText { found, needed, origin: describe(&source) });
        }
        say(&format!(
            "{:.2} MB of text from {} ({:.2} MB before repeated paragraphs were dropped)",
            megabytes(bytes),
            describe(&source),
            megabytes(corpus.bytes_read()),
        ));
    }
    let bpe = Bpe::train(corpus.batches(Part::Train), profile.vocabulary)?;
    let vocab_size = bpe.token_bytes().len();
    say(&format!("a byte-level BPE tokenizer of {vocab_size} tokens"));

    for part in [Part::Train, Part::Val] {
        fills_a_row(&corpus, part, &bpe, profile.sequence)?;
    }
    fs::create_dir_all(folder).map_err(PrepareError::write(folder))?;
    let (train, train_counts) = write_split(folder, &corpus, Part::Train, &bpe, say)?;
    let (val, val_counts) = write_split(folder, &corpus, Part::Val, &bpe, say)?;
    let (unigram_bpb, byte_bpb) = baselines(&train_counts, &val_counts, bpe.token_bytes());
    let manifest = Manifest {
        schema: SCHEMA,
        recipe,
        source,
        profile,
        vocab_size,
        bos: bpe.bos(),
        tokenizer: write(folder, "tokenizer.json", bpe.json()?.as_bytes())?,
        token_bytes: write(folder, "token_bytes.bin", bpe.token_bytes())?,
        train,
        val,
        unigram_bpb,
        byte_bpb,
        other: serde_json::Map::new(),
    };
    let path = folder.join(MANIFEST);
    let mut text =
        serde_json::to_string_pretty(&manifest).map_err(|error| PrepareError::write(&path)(error.into()))?;
    text.push('\n');
    write(folder, MANIFEST, text.as_bytes())?;
    remove_others(folder, &manifest);
    Ok(Outcome::Written(manifest))
}

/// Whether a part of the corpus has the tokens of a row, of which each but the last predicts the next.
fn fills_a_row(corpus: &Corpus, part: Part, bpe: &Bpe, sequence: usize) -> Result<(), PrepareError> {
    let mut tokens = 0;
    for documents in corpus.batches(part) {
        tokens += bpe.encode(&documents?)?.iter().map(Vec::len).sum::<usize>();
        if tokens > sequence {
            return Ok(());
        }
    }
    Err(PrepareError::TooShort { split: part.name(), tokens, sequence })
}

/// Tokenizes one part of the corpus, a batch of documents in memory at a time.
fn write_split(
    folder: &Path,
    corpus: &Corpus,
    part: Part,
    bpe: &Bpe,
    say: &mut dyn FnMut(&str),
) -> Result<(Split, Counts), PrepareError> {
    let mut writer = ShardWriter::new(folder, part.name());
    let mut counts = Counts::new(bpe.token_bytes().len());
    for documents in corpus.batches(part) {
        let documents = documents?;
        for (tokens, text) in bpe.encode(&documents)?.iter().zip(&documents) {
            counts.add(tokens, text);
            if writer.add(tokens, text.len())? {
                say(&format!("{}: {:.0} million tokens", part.name(), megabytes(writer.tokens())));
            }
        }
    }
    Ok((writer.finish()?, counts))
}

/// Shards of earlier data, and parts of what was cut off; one that cannot be removed only takes space.
fn remove_others(folder: &Path, manifest: &Manifest) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = writer::partial_of(&name).unwrap_or(&name);
        let is_shard = [Part::Train, Part::Val].iter().any(|part| {
            name.strip_prefix(part.name())
                .and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".bin"))
                .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        });
        let wanted = manifest.files().any(|file| entry.file_name() == file.file.as_str());
        if is_shard && !wanted {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn recipe(source: &Source, profile: Profile) -> String {
    // The name of a folder or a dataset does not change its text.
    let text = match source {
        Source::Registry { crates } => json!(crates),
        Source::Folder { sha256, .. } => json!({ "sha256": sha256, "longest": LONGEST }),
        Source::Hub { files, .. } => json!(files),
    };
    let recipe = json!({
        "recipe": RECIPE,
        "profile": profile,
        "val_every": VAL_EVERY,
        "shard_tokens": SHARD_TOKENS,
        "text": text,
    });
    crate::manifest::sha256(recipe.to_string().as_bytes())
}

/// A few words for people.
pub fn describe(source: &Source) -> String {
    match source {
        Source::Registry { crates } => {
            format!("the documentation of {} crates", crates.len())
        }
        Source::Folder { path, .. } => format!("the folder `{path}`"),
        Source::Hub { dataset, files } => format!("{} files of the dataset `{dataset}`", files.len()),
    }
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests;
