//! What a model answers: a hypothesis, what it expects, ideas for later, and a change.
//!
//! The answer is Markdown, so that every model can write it and a person can read it. Lines outside of code blocks
//! that begin with a word and a colon say what is meant; each code block is what becomes of the file that the last
//! `FILE:` line named. A block is applied strictly or not at all: what is wrong with it is said in words that the
//! model gets back.

use std::collections::BTreeMap;

use ledger::Edit;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use crate::proposers::words::{Words, bare, split};

/// The longest answer that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// A constant's name, and the text of its value.
pub(crate) type Setting = (String, String);

/// A model's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    /// What it says beside the change.
    pub(super) words: Words,
    /// The values that constants are to have, by name.
    settings: Vec<Setting>,
    /// What becomes of files, in the order given.
    changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq)]
struct Change {
    /// The file; where there is but one, it need not be named.
    path: Option<String>,
    how: How,
}

#[derive(Clone, Debug, PartialEq)]
enum How {
    /// The whole new text.
    Whole(String),
    /// Parts to find, and what comes in their place.
    Replace(Vec<(String, String)>),
    /// A unified diff.
    Diff(String),
}

/// Makes edits of values for constants, or says what is wrong with them.
pub(crate) type Set<'a> = &'a (dyn Fn(&[Setting]) -> Result<Vec<Edit>, String> + Send + Sync);

/// What an answer comes to.
#[derive(Debug, PartialEq)]
pub(super) struct Applied {
    /// The edits of editable files.
    pub(super) edits: Vec<Edit>,
    /// Files that it would have changed and may not.
    pub(super) dropped: Vec<String>,
}

impl Applied {
    /// What a person should know of what was left out.
    pub(super) fn note(&self) -> Option<String> {
        (!self.dropped.is_empty())
            .then(|| format!("changes outside the editable files were dropped: {}", self.dropped.join(", ")))
    }

    /// Why nothing came of it.
    pub(super) fn nothing(&self) -> String {
        self.note().unwrap_or_else(|| "it changes nothing".to_owned())
    }
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// Says what is missing or cannot be understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("the answer has {} bytes; at most {LONGEST} are read", text.len()));
        }
        let mut answer = Self::default();
        let (mut path, mut end) = (None, 0);
        let mut block: Option<(String, String)> = None;
        for (event, range) in Parser::new(text).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    answer.read_lines(&text[end..range.start.max(end)], &mut path);
                    let info = match kind {
                        CodeBlockKind::Fenced(info) => info.to_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    block = Some((info, String::new()));
                    end = range.end;
                }
                Event::Text(part) => {
                    if let Some((_, content)) = &mut block {
                        content.push_str(&part);
                    }
                }
                Event::End(TagEnd::CodeBlock) => {
                    let Some((info, content)) = block.take() else { continue };
                    // Many put every line that they were asked for into a block.
                    if content.lines().all(|line| line.is_empty() || setting(line).is_some()) {
                        answer.read_lines(&content, &mut path);
                    } else {
                        answer.changes.push(Change { path: path.clone(), how: How::read(&info, content)? });
                    }
                }
                _ => {}
            }
        }
        answer.read_lines(&text[end.min(text.len())..], &mut path);
        if answer.words.hypothesis.is_empty() {
            return Err("there is no line that begins with `HYPOTHESIS:`".to_owned());
        }
        if answer.changes.is_empty() && answer.settings.is_empty() {
            return Err(
                "there is no code block with a change: a whole file, search/replace blocks, or a unified diff"
                    .to_owned(),
            );
        }
        Ok(answer)
    }

    /// Takes in the lines between two code blocks.
    fn read_lines(&mut self, text: &str, path: &mut Option<String>) {
        for line in text.lines().map(bare) {
            if let Some(setting) = setting(line) {
                self.settings.push(setting);
                continue;
            }
            let Some((word, rest)) = split(line) else { continue };
            match word.as_str() {
                "FILE" => *path = Some(rest.trim_matches('`').to_owned()),
                word => self.words.hear(word, rest),
            }
        }
    }

    /// Applies the changes to `files`, the parent's editable ones; `may_change` says which paths are. `set` makes edits
    /// of values for constants, where whoever asked takes them.
    ///
    /// # Errors
    /// Says which change does not fit, and where.
    pub(super) fn apply(
        &self,
        files: &BTreeMap<String, Vec<u8>>,
        may_change: &dyn Fn(&str) -> bool,
        set: Option<Set<'_>>,
    ) -> Result<Applied, String> {
        if let Some(set) = set
            && !self.settings.is_empty()
        {
            if !self.changes.is_empty() {
                return Err("it has `SET` lines and code blocks: answer with one of them".to_owned());
            }
            return Ok(Applied { edits: set(&self.settings)?, dropped: Vec::new() });
        }
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        let mut dropped = Vec::new();
        for change in &self.changes {
            let path = match &change.path {
                Some(path) => path.clone(),
                None => only(files)?,
            };
            if !may_change(&path) {
                dropped.push(path);
                continue;
            }
            let before = match texts.get(&path) {
                Some(text) => Some(text.clone()),
                None => files.get(&path).map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            };
            let after = change.how.apply(before.as_deref(), &path)?;
            texts.insert(path, after);
        }
        let edits = texts
            .into_iter()
            .map(|(path, text)| Edit { path, content: Some(text.into_bytes()) })
            .filter(|edit| edit.content.as_ref() != files.get(&edit.path))
            .collect();
        Ok(Applied { edits, dropped })
    }
}

/// Reads `SET NAME = VALUE`.
fn setting(line: &str) -> Option<Setting> {
    let (name, value) = line.trim().trim_matches('`').strip_prefix("SET ")?.split_once('=')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

fn only(files: &BTreeMap<String, Vec<u8>>) -> Result<String, String> {
    match files.keys().collect::<Vec<_>>()[..] {
        [path] => Ok(path.clone()),
        _ => Err(format!(
            "a `FILE:` line has to say which file a block is about: {}",
            files.keys().cloned().collect::<Vec<_>>().join(", ")
        )),
    }
}

const SEARCH: &str = "<<<<<<<";
const DIVIDE: &str = "=======";
const REPLACE: &str = ">>>>>>>";

impl How {
    fn read(info: &str, content: String) -> Result<Self, String> {
        let language = info.split_whitespace().next().unwrap_or_default();
        if content.lines().any(|line| line.starts_with(SEARCH)) {
            return blocks(&content).map(Self::Replace);
        }
        if matches!(language, "diff" | "patch") || content.lines().any(|line| line.starts_with("@@ -")) {
            return Ok(Self::Diff(content));
        }
        Ok(Self::Whole(content))
    }

    fn apply(&self, before: Option<&str>, path: &str) -> Result<String, String> {
        let there = || before.ok_or_else(|| format!("{path} does not exist yet: give its whole text"));
        match self {
            Self::Whole(text) => Ok(text.clone()),
            Self::Replace(blocks) => {
                let mut text = there()?.to_owned();
                for (index, (search, replace)) in blocks.iter().enumerate() {
                    text = replace_once(&text, search, replace)
                        .map_err(|why| format!("block {} of {path}: {why}", index + 1))?;
                }
                Ok(text)
            }
            Self::Diff(diff) => {
                let patch = diffy::Patch::from_str(diff)
                    .map_err(|error| format!("the diff of {path} cannot be read: {error}"))?;
                diffy::apply(there()?, &patch)
                    .map_err(|error| format!("the diff does not fit {path}: {error}"))
            }
        }
    }
}

/// The search/replace blocks of a code block.
fn blocks(content: &str) -> Result<Vec<(String, String)>, String> {
    let mut blocks = Vec::new();
    let (mut search, mut replace): (Option<String>, Option<String>) = (None, None);
    for line in content.split_inclusive('\n') {
        match (&mut search, &mut replace) {
            (None, _) if line.starts_with(SEARCH) => search = Some(String::new()),
            (None, _) if line.trim().is_empty() => {}
            (None, _) => {
                return Err(format!("`{}` stands outside of search/replace blocks", line.trim_end()));
            }
            (Some(_), None) if line.starts_with(DIVIDE) => replace = Some(String::new()),
            (Some(search), None) => search.push_str(line),
            (Some(_), Some(_)) if line.starts_with(REPLACE) => {
                blocks.extend(search.take().zip(replace.take()));
            }
            (Some(_), Some(replace)) => replace.push_str(line),
        }
    }
    if search.is_some() {
        return Err(format!("search/replace block {} has no end (`>>>>>>> REPLACE`)", blocks.len() + 1));
    }
    Ok(blocks)
}

/// `text` with the one place where `search` stands replaced.
fn replace_once(text: &str, search: &str, replace: &str) -> Result<String, String> {
    if search.trim().is_empty() {
        return Err("its search part is empty".to_owned());
    }
    // A last line of the file need not end with a line break.
    let (search, replace) = if text.contains(search) {
        (search, replace)
    } else {
        (search.trim_end_matches('\n'), replace.trim_end_matches('\n'))
    };
    match text.matches(search).count() {
        1 => Ok(text.replacen(search, replace, 1)),
        0 => {
            let missing = search.lines().find(|line| !text.lines().any(|other| other == *line));
            let why = match missing {
                Some(line) => format!("the file has no line `{line}`"),
                None => "its lines do not follow each other so in the file".to_owned(),
            };
            Err(format!("its search part does not occur: {why}"))
        }
        count => Err(format!("its search part occurs {count} times; add lines until it is the only one")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn files() -> BTreeMap<String, Vec<u8>> {
        BTreeMap::from([("train.py".to_owned(), b"LR = 0.1\nDEPTH = 8\n\ndef main():\n    pass\n".to_vec())])
    }

    /// What becomes of `train.py`, or what is said.
    fn applied(text: &str) -> Result<String, String> {
        let applied = Answer::parse(text)?.apply(&files(), &|path| path == "train.py", None)?;
        Ok(applied
            .edits
            .into_iter()
            .map(|edit| format!("{}: {}", edit.path, String::from_utf8(edit.content.unwrap()).unwrap()))
            .chain(applied.dropped.into_iter().map(|path| format!("dropped {path}\n")))
            .collect())
    }

    #[test]
    fn blocks_a_diff_and_a_whole_file() {
        let head = "I looked at the log.\n\n**HYPOTHESIS:** a lower rate is steadier\nEXPECTED: -0.01\n\nFILE: train.py\n";
        let blocks = "```python\n<<<<<<< SEARCH\nLR = 0.1\n=======\nLR = 0.05\n>>>>>>> REPLACE\n```\n";
        let diff = "```diff\n--- a/train.py\n+++ b/train.py\n@@ -1,3 +1,3 @@\n-LR = 0.1\n+LR = 0.05\n DEPTH = 8\n \n```\n";
        let whole = "````\nLR = 0.05\nDEPTH = 8\n\ndef main():\n    pass\n````\n";
        for change in [blocks, diff, whole] {
            let text = applied(&format!("{head}{change}IDEA: try more warmup\n")).unwrap();
            assert_eq!(text, "train.py: LR = 0.05\nDEPTH = 8\n\ndef main():\n    pass\n", "{change}");
        }
        let answer = Answer::parse(&format!("{head}{blocks}\n- IDEA: try more warmup\n")).unwrap();
        assert_eq!(answer.words.hypothesis, "a lower rate is steadier");
        assert_eq!(answer.words.expected.as_deref(), Some("-0.01"));
        assert_eq!(answer.words.ideas, ["try more warmup"]);
    }

    #[test]
    fn one_file_need_not_be_named_and_a_locked_one_is_dropped() {
        let text = "HYPOTHESIS: x\n```\nLR = 1\n```\nFILE: `prepare.py`\n```\nprint('val_bpb: 0')\n```\n";
        assert_eq!(applied(text).unwrap(), "train.py: LR = 1\ndropped prepare.py\n");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let say = |change: &str| applied(&format!("HYPOTHESIS: x\n```\n{change}```\n")).unwrap_err();
        let block = |search: &str| format!("<<<<<<< SEARCH\n{search}=======\n>>>>>>> REPLACE\n");
        let said = [
            applied("just words").unwrap_err(),
            applied("HYPOTHESIS: x, and no change").unwrap_err(),
            say(&block("LR = 0.2\n")),
            say(&block("DEPTH = 8\nLR = 0.1\n")),
            say(&block("a\n")),
            say(&block("")),
            say("<<<<<<< SEARCH\nLR = 0.1\n=======\n"),
            say("@@ -1,1 +1,1 @@\n-LR = 7\n+LR = 8\n"),
            say("@@ -1,9 +1,1 @@\n-LR = 7\n"),
        ];
        insta::assert_snapshot!(said.join("\n"), @r"
        there is no line that begins with `HYPOTHESIS:`
        there is no code block with a change: a whole file, search/replace blocks, or a unified diff
        block 1 of train.py: its search part does not occur: the file has no line `LR = 0.2`
        block 1 of train.py: its search part does not occur: its lines do not follow each other so in the file
        block 1 of train.py: its search part occurs 2 times; add lines until it is the only one
        block 1 of train.py: its search part is empty
        search/replace block 1 has no end (`>>>>>>> REPLACE`)
        the diff does not fit train.py: error applying hunk #1
        the diff of train.py cannot be read: error parsing patch at byte 0: hunk header does not match hunk
        ");
    }

    #[test]
    fn values_are_set_in_lines_or_in_a_block_of_them() {
        let told = |settings: &[Setting]| Err(format!("{settings:?}"));
        let set = |text: &str| {
            let answer = Answer::parse(&format!("HYPOTHESIS: x\n{text}\n")).unwrap();
            answer.apply(&files(), &|_| true, Some(&told)).unwrap_err()
        };
        let both = r#"[("LR", "0.02"), ("KIND", "a = b")]"#;
        assert_eq!(set("SET LR = 0.02\n- `SET KIND = a = b`"), both);
        assert_eq!(set("```\nSET LR = 0.02\n\nSET KIND = a = b\n```"), both);
        let mixed = "SET LR = 0.02\n```\nLR = 1\n```";
        assert_eq!(set(mixed), "it has `SET` lines and code blocks: answer with one of them");
        assert_eq!(applied("HYPOTHESIS: x\nSET LR = 0.02").unwrap(), "", "nobody takes them");
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer_or_is_refused(text in "(?s).{0,400}") {
            let _ = applied(&text);
        }

        /// Whatever a model writes between the words that mean something.
        #[test]
        fn any_pieces_are_an_answer_or_are_refused(pieces in proptest::collection::vec(
            prop::sample::select(vec![
                "HYPOTHESIS: x", "SET LR = 0.1", "FILE: train.py", "FILE: ../x", "```", "````", "```diff", "<<<<<<< SEARCH", "=======",
                ">>>>>>> REPLACE", "LR = 0.1", "@@ -1,2 +1,2 @@", "-LR = 0.1", "+LR = 9", " DEPTH = 8", "", "é",
            ]), 0..24)) {
            if let Ok(text) = applied(&pieces.join("\n")) {
                prop_assert!(!text.contains("../x: "), "{}", text);
            }
        }
    }
}
