//! The colours of code, by the grammars that the search for constants reads files with.

use std::ops::Range;
use std::sync::OnceLock;

use tree_sitter::{Parser, Query, QueryCursor, StreamingIterator};

/// What a piece of code is, as far as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Comment,
    Keyword,
    Text,
    Number,
}

impl Ink {
    /// Colours that can be read on white and on black.
    pub(super) fn style(self) -> &'static str {
        match self {
            Self::Comment => "opacity:0.7;font-style:italic",
            Self::Keyword => "color:#8e5ee6",
            Self::Text => "color:#0b80a8",
            Self::Number => "color:#b3661a",
        }
    }

    /// Of the name that a grammar's query gives it.
    fn named(name: &str) -> Option<Self> {
        match name.split('.').next()? {
            "comment" => Some(Self::Comment),
            "keyword" | "conditional" | "repeat" | "include" => Some(Self::Keyword),
            "string" | "escape" | "character" => Some(Self::Text),
            "number" | "float" | "boolean" => Some(Self::Number),
            // Not a constant's name, which stands out by its letters.
            "constant" if name == "constant.builtin" => Some(Self::Number),
            _ => None,
        }
    }
}

/// A language whose grammar is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Rust,
    Toml,
    Yaml,
}

impl Language {
    /// By the ending of a file's name.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path.rsplit_once('.')?.1.trim_end() {
            "py" => Some(Self::Python),
            "rs" => Some(Self::Rust),
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }

    fn grammar(self) -> tree_sitter::Language {
        match self {
            Self::Python => tree_sitter_python::LANGUAGE.into(),
            Self::Rust => tree_sitter_rust::LANGUAGE.into(),
            Self::Toml => tree_sitter_toml_ng::LANGUAGE.into(),
            Self::Yaml => tree_sitter_yaml::LANGUAGE.into(),
        }
    }

    /// What finds the pieces, made once.
    fn query(self) -> Option<&'static Query> {
        static QUERIES: [OnceLock<Option<Query>>; 4] = [const { OnceLock::new() }; 4];
        let text = match self {
            Self::Python => tree_sitter_python::HIGHLIGHTS_QUERY,
            Self::Rust => tree_sitter_rust::HIGHLIGHTS_QUERY,
            Self::Toml => tree_sitter_toml_ng::HIGHLIGHTS_QUERY,
            Self::Yaml => tree_sitter_yaml::HIGHLIGHTS_QUERY,
        };
        QUERIES[self as usize].get_or_init(|| Query::new(&self.grammar(), text).ok()).as_ref()
    }

    /// The pieces of a source that have a colour, in order and apart from each other. A source that is a part of a file
    /// is read as far as it can be.
    pub(super) fn inks(self, source: &str) -> Vec<(Range<usize>, Ink)> {
        self.try_inks(source).unwrap_or_default()
    }

    fn try_inks(self, source: &str) -> Option<Vec<(Range<usize>, Ink)>> {
        let query = self.query()?;
        let mut parser = Parser::new();
        parser.set_language(&self.grammar()).ok()?;
        let tree = parser.parse(source, None)?;
        let mut cursor = QueryCursor::new();
        let mut matches = cursor.matches(query, tree.root_node(), source.as_bytes());
        let mut found: Vec<(Range<usize>, Option<Ink>)> = Vec::new();
        while let Some(one) = matches.next() {
            for capture in one.captures() {
                let name = query.capture_names()[capture.index as usize];
                found.push((capture.node.byte_range(), Ink::named(name)));
            }
        }
        // What is within something else is later, and so is seen.
        found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut bytes: Vec<Option<Ink>> = vec![None; source.len()];
        for (range, ink) in found {
            if let Some(ink) = ink {
                bytes[range].fill(Some(ink));
            }
        }
        let mut inks: Vec<(Range<usize>, Ink)> = Vec::new();
        for (at, ink) in bytes.into_iter().enumerate() {
            match (ink, inks.last_mut()) {
                (Some(ink), Some((range, last))) if *last == ink && range.end == at => range.end = at + 1,
                (Some(ink), _) => inks.push((at..at + 1, ink)),
                (None, _) => {}
            }
        }
        Some(inks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(language: Language, source: &str) -> Vec<(&str, Ink)> {
        language.inks(source).into_iter().map(|(range, ink)| (&source[range], ink)).collect()
    }

    #[test]
    fn every_grammar_has_its_colours() {
        let python = seen(Language::Python, "    if x: # why\n        LR = 0.04\n        name = \"é\"\n");
        assert!(
            python.contains(&("if", Ink::Keyword)) && python.contains(&("# why", Ink::Comment)),
            "{python:?}"
        );
        assert!(
            python.contains(&("0.04", Ink::Number)) && python.contains(&("\"é\"", Ink::Text)),
            "{python:?}"
        );
        let rust = seen(Language::Rust, "const DEPTH: usize = 8; // deep\n}\n");
        assert!(
            rust.contains(&("const", Ink::Keyword)) && rust.contains(&("// deep", Ink::Comment)),
            "{rust:?}"
        );
        assert!(seen(Language::Toml, "lr = 0.1 # x\n").contains(&("# x", Ink::Comment)));
        assert!(seen(Language::Yaml, "lr: 0.1 # x\n").contains(&("# x", Ink::Comment)));
    }
}
