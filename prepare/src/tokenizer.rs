//! A byte-level BPE tokenizer like the one of karpathy's `prepare.py`, trained by Hugging Face's
//! `tokenizers`.

use std::sync::Mutex;

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer, decoders};

use crate::error::PrepareError;

/// karpathy's `SPLIT_PATTERN`: no token reaches across these pieces of text.
const SPLIT_PATTERN: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";

/// karpathy's `SPECIAL_TOKENS`, the last ids of the vocabulary; the first is BOS.
const SPECIAL_TOKENS: [&str; 4] = ["<|reserved_0|>", "<|reserved_1|>", "<|reserved_2|>", "<|reserved_3|>"];

/// One token for each byte, and the special ones.
pub const LEAST_VOCAB: usize = 256 + SPECIAL_TOKENS.len();

/// The most that a `u16` can name.
pub const MOST_VOCAB: usize = 1 << 16;

/// Characters to learn from. karpathy's `text_iterator` reads 1e9; the merges of a small vocabulary
/// hardly change after a quarter of it, and a laptop need not wait for the rest.
const TRAINING_CHARACTERS: usize = 250_000_000;

/// Characters of one document to learn from: karpathy's `doc_cap`.
const DOCUMENT_CHARACTERS: usize = 10_000;

/// A trained tokenizer.
pub(crate) struct Bpe {
    tokenizer: Tokenizer,
    token_bytes: Vec<u8>,
    bos: u16,
}

impl Bpe {
    /// Learns at most `vocabulary` tokens from the beginning of `batches`.
    pub(crate) fn train(
        batches: impl Iterator<Item = Result<Vec<String>, PrepareError>> + Send,
        vocabulary: usize,
    ) -> Result<Self, PrepareError> {
        let pattern = SplitPattern::Regex(SPLIT_PATTERN.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(tokenizer_error)?;
        let byte_level = ByteLevel::new(false, false, false);
        let mut tokenizer = Tokenizer::new(BPE::default());
        tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::Sequence(Sequence::new(vec![
            PreTokenizerWrapper::Split(split),
            PreTokenizerWrapper::ByteLevel(byte_level),
        ]))));
        tokenizer.with_decoder(Some(decoders::DecoderWrapper::ByteLevel(byte_level)));
        let trainer = BpeTrainer::builder()
            .vocab_size(vocabulary - SPECIAL_TOKENS.len())
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            // What `token_bytes` can say in one byte.
            .max_token_length(Some(usize::from(u8::MAX)))
            .build();

        // The trainer takes text, not results.
        let failure = Mutex::new(None);
        let sample = sample(batches.map_while(|batch| {
            batch.map_err(|error| failure.lock().map(|mut failure| *failure = Some(error))).ok()
        }));
        tokenizer.train(&mut TrainerWrapper::from(trainer), sample).map_err(tokenizer_error)?;
        if let Ok(Some(error)) = failure.into_inner() {
            return Err(error);
        }

        let text_tokens = tokenizer.get_vocab_size(true);
        let special = SPECIAL_TOKENS.map(|token| AddedToken::from(token, true));
        tokenizer.add_special_tokens(special).map_err(tokenizer_error)?;
        // A document that spells a special token means its characters.
        tokenizer.set_encode_special_tokens(true);
        let mut token_bytes =
            (0..text_tokens).map(|id| bytes_of(&tokenizer, id)).collect::<Result<Vec<u8>, _>>()?;
        token_bytes.extend([0; SPECIAL_TOKENS.len()]);
        Ok(Self { tokenizer, token_bytes, bos: text_tokens as u16 })
    }

    /// The id of BOS.
    pub(crate) fn bos(&self) -> u16 {
        self.bos
    }

    /// How many bytes of text each token stands for, 0 for special tokens.
    ///
    /// karpathy's table is the length of `enc.decode([id])` in UTF-8, which counts 3 bytes (U+FFFD) for
    /// each part of a character that a token cuts. These are the bytes that the token really stands for,
    /// so that the bytes of a document are those of its tokens, whatever its language.
    pub(crate) fn token_bytes(&self) -> &[u8] {
        &self.token_bytes
    }

    /// The tokenizer in the format of Hugging Face's `tokenizers`.
    pub(crate) fn json(&self) -> Result<String, PrepareError> {
        self.tokenizer.to_string(false).map_err(tokenizer_error)
    }

    /// The tokens of each document, after BOS.
    pub(crate) fn encode(&self, documents: &[String]) -> Result<Vec<Vec<u16>>, PrepareError> {
        let inputs: Vec<&str> = documents.iter().map(String::as_str).collect();
        let encodings = self.tokenizer.encode_batch_fast(inputs, false).map_err(tokenizer_error)?;
        let with_bos = |(encoding, document): (&tokenizers::Encoding, &String)| {
            let ids = encoding.get_ids().iter().map(|&id| id as u16);
            let tokens: Vec<u16> = std::iter::once(self.bos).chain(ids).collect();
            // Bits per byte means nothing if the tokens are not exactly the text.
            let covered: usize =
                tokens.iter().map(|&token| usize::from(self.token_bytes[usize::from(token)])).sum();
            let bytes = document.len();
            if covered == bytes {
                Ok(tokens)
            } else {
                Err(PrepareError::Tokenizer(format!("its tokens cover {covered} of {bytes} bytes")))
            }
        };
        encodings.iter().zip(documents).map(with_bos).collect()
    }
}

/// The documents to learn from, cropped.
fn sample(batches: impl Iterator<Item = Vec<String>> + Send) -> impl Iterator<Item = String> + Send {
    batches.flatten().scan(0, |characters, mut document| {
        if *characters >= TRAINING_CHARACTERS {
            return None;
        }
        if let Some((end, _)) = document.char_indices().nth(DOCUMENT_CHARACTERS) {
            document.truncate(end);
        }
        *characters += document.chars().count();
        Some(document)
    })
}

/// In byte-level BPE, one character of a token is one byte.
fn bytes_of(tokenizer: &Tokenizer, id: usize) -> Result<u8, PrepareError> {
    let token = tokenizer
        .id_to_token(id as u32)
        .ok_or_else(|| PrepareError::Tokenizer(format!("it has no token {id}")))?;
    u8::try_from(token.chars().count())
        .map_err(|_| PrepareError::Tokenizer(format!("token {id} is longer than 255 bytes")))
}

fn tokenizer_error(error: impl std::fmt::Display) -> PrepareError {
    PrepareError::Tokenizer(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn trained() -> Bpe {
        let text = (0..400).map(|n| format!("The year {} isn't the year {n}. Größe, 你好!\n", 1900 + n));
        Bpe::train(std::iter::once(Ok(text.collect())), 300).unwrap()
    }

    #[test]
    fn special_tokens_are_the_last_and_weigh_nothing() {
        let bpe = trained();
        let ids: Vec<_> = SPECIAL_TOKENS.iter().map(|token| bpe.tokenizer.token_to_id(token)).collect();
        assert_eq!(ids, [Some(296), Some(297), Some(298), Some(299)]);
        assert_eq!((bpe.bos(), bpe.token_bytes().len()), (296, 300));
        assert_eq!(bpe.token_bytes()[296..], [0; 4]);
        assert!(bpe.token_bytes()[..296].iter().all(|&bytes| bytes > 0));
    }

    #[test]
    fn every_text_begins_with_bos_and_comes_back() {
        let bpe = trained();
        let texts =
            ["", "Hello world! Numbers: 123. Unicode: 你好", "<|reserved_0|> is spelt", "\r\n\t 🦀  "];
        let texts = texts.map(str::to_owned);
        for (tokens, text) in bpe.encode(&texts).unwrap().iter().zip(&texts) {
            assert_eq!(tokens.iter().filter(|&&token| token >= 296).count(), 1, "{text}");
            assert_eq!(tokens[0], bpe.bos());
            let ids: Vec<u32> = tokens.iter().map(|&token| u32::from(token)).collect();
            assert_eq!(&bpe.tokenizer.decode(&ids, true).unwrap(), text);
        }
    }

    #[test]
    fn text_is_split_as_the_pattern_says() {
        let bpe = trained();
        let tokens = bpe.encode(&["year 1901 isn't".to_owned()]).unwrap().remove(0);
        let tokens: Vec<_> =
            tokens.iter().filter_map(|&token| bpe.tokenizer.id_to_token(token.into())).collect();
        // Numbers in twos, and 't of its own.
        for piece in ["19", "01"] {
            assert!(tokens.iter().all(|token| !token.contains("190")), "{tokens:?}");
            assert!(tokens.concat().contains(piece), "{tokens:?}");
        }
        assert!(tokens.contains(&"'t".to_owned()), "{tokens:?}");
    }

    #[test]
    fn documents_are_cropped_and_a_failure_is_reported() {
        let long = "é".repeat(DOCUMENT_CHARACTERS + 5);
        let taken: Vec<String> = sample(std::iter::once(vec![long, "b".to_owned()])).collect();
        assert_eq!(taken[0].chars().count(), DOCUMENT_CHARACTERS);
        assert_eq!(taken[1], "b");
        let error = Bpe::train(std::iter::once(Err(PrepareError::Zero("it"))), 300).err().unwrap();
        assert_eq!(error.to_string(), "it must be at least 1");
    }
}
