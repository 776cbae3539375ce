//! Settings as YAML gives them, each with its place, and their reading into types.

use std::{collections::BTreeMap, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, MessageFormatter as _, Spanned, UserMessageFormatter};

use super::SETTINGS;
use crate::{
    LabError, Limits, Seconds,
    error::Place,
    settings::{parse_bytes, parse_seconds},
};

/// A setting that exists, and what the front matter says of it.
pub(super) struct Field<'a> {
    pub(super) name: &'static str,
    program: &'a str,
    value: Node,
    /// The value's bytes in the program.
    bytes: Range<usize>,
}

/// A YAML value of any type.
#[derive(Debug)]
enum Node {
    Nothing,
    Switch(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Settings(Vec<(String, Node)>),
}

/// Reads the YAML at `bytes` of `program`.
pub(super) fn read(program: &str, bytes: Range<usize>) -> Result<Vec<Field<'_>>, LabError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let top: Option<Top> = serde_saphyr::from_str_with_options(&program[bytes.clone()], options)
        .map_err(|error| syntax(program, &bytes, &error))?;
    let mut fields = Vec::new();
    for (key, value) in top.map_or_else(Vec::new, |top| top.0) {
        let name = SETTINGS.iter().find(|name| **name == key.value).ok_or_else(|| LabError::Unknown {
            at: Box::new(Place::new(program, within(program, &bytes, key.referenced))),
            nearest: nearest(&key.value),
            field: key.value.clone(),
        })?;
        fields.push(Field {
            name,
            program,
            bytes: within(program, &bytes, value.referenced),
            value: value.value,
        });
    }
    Ok(fields)
}

fn syntax(program: &str, yaml: &Range<usize>, error: &serde_saphyr::Error) -> LabError {
    let (problem, hint) = match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
            (format!("`{key}` is set twice"), "keep one of them")
        }
        serde_saphyr::Error::Unexpected { .. } => {
            ("expected settings".to_owned(), "write them as `name: value`, one a line")
        }
        error => {
            let problem = UserMessageFormatter.format_message(error).into_owned();
            (problem, "quote a value that begins with `*`, `&`, `!` or `{`, or that holds `: ` or ` #`")
        }
    };
    let place = error.location().map_or(yaml.end..yaml.end, |location| within(program, yaml, location));
    LabError::Syntax { at: Box::new(Place::new(program, place)), problem, hint }
}

/// The bytes of the program at `location` of the YAML, which is at `yaml` of the program.
fn within(program: &str, yaml: &Range<usize>, location: Location) -> Range<usize> {
    let span = location.span();
    let (start, length) = match (span.byte_offset(), span.byte_len()) {
        (Some(start), Some(length)) => (start as usize, length as usize),
        // Where the scanner stops it knows line and column only.
        _ => (offset(&program[yaml.clone()], location.line(), location.column()), 0),
    };
    let start = yaml.start + start;
    start.min(yaml.end)..(start + length).min(yaml.end)
}

/// The byte of `text` at a line and column, each from 1.
fn offset(text: &str, line: u64, column: u64) -> usize {
    let mut lines = text.split_inclusive('\n');
    let above: usize = lines.by_ref().take(line.saturating_sub(1) as usize).map(str::len).sum();
    let line = lines.next().unwrap_or_default();
    let column = column.saturating_sub(1) as usize;
    above + line.char_indices().nth(column).map_or(line.trim_end().len(), |(at, _)| at)
}

/// The setting that `name` was probably meant to be.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('-', "_");
    SETTINGS
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&name, known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

impl Field<'_> {
    /// Where the value stands.
    pub(super) fn place(&self) -> Place {
        Place::new(self.program, self.bytes.clone())
    }

    pub(super) fn text(&self) -> Result<String, LabError> {
        match &self.value {
            Node::Text(text) => Ok(text.trim().to_owned()),
            _ => Err(self.wrong("text")),
        }
    }

    pub(super) fn paths(&self) -> Result<Vec<String>, LabError> {
        self.texts("a path or a list of paths")
    }

    /// One text or a list of them.
    pub(super) fn texts(&self, expected: &str) -> Result<Vec<String>, LabError> {
        let one = |node: &Node| match node {
            Node::Text(text) => Ok(text.trim().to_owned()),
            _ => Err(self.wrong_node(expected, node)),
        };
        match &self.value {
            Node::List(items) => items.iter().map(one).collect(),
            value => Ok(vec![one(value)?]),
        }
    }

    /// Names, each with words; a list says that it is one of these.
    pub(super) fn words(&self) -> Result<BTreeMap<String, String>, LabError> {
        let expected = "names with what each may become: `fixed`, `one of: 4, 6, 8`, `1e-4..1e-1 log`";
        let Node::Settings(settings) = &self.value else { return Err(self.wrong(expected)) };
        let words = |node: &Node| match node {
            Node::Text(text) => Ok(text.trim().to_owned()),
            Node::List(items) => {
                let items: Result<Vec<String>, _> = items
                    .iter()
                    .map(|item| match item {
                        Node::Number(number) => Ok(number.to_string()),
                        Node::Switch(switch) => Ok(switch.to_string()),
                        Node::Text(text) => Ok(text.trim().to_owned()),
                        node => Err(self.wrong_node(expected, node)),
                    })
                    .collect();
                Ok(format!("one of: {}", items?.join(", ")))
            }
            node => Err(self.wrong_node(expected, node)),
        };
        settings.iter().map(|(name, node)| Ok((name.clone(), words(node)?))).collect()
    }

    /// Texts by some of these names.
    pub(super) fn named<T: Copy + Ord>(&self, names: &[(&str, T)]) -> Result<BTreeMap<T, String>, LabError> {
        let words: Vec<String> = names.iter().map(|(word, _)| format!("`{word}`")).collect();
        let expected = format!("a text for {}", words.join(", for "));
        let Node::Settings(settings) = &self.value else { return Err(self.wrong(&expected)) };
        let named = |(name, node): &(String, Node)| {
            let known = names.iter().find(|(word, _)| word == name);
            match (known, node) {
                (Some((_, key)), Node::Text(text)) if !text.trim().is_empty() => {
                    Ok((*key, text.trim().to_owned()))
                }
                (Some(_), node) => Err(self.wrong_node(&expected, node)),
                (None, _) => Err(self.wrong_node(&expected, &Node::Text(name.clone()))),
            }
        };
        settings.iter().map(named).collect()
    }

    pub(super) fn seconds(&self) -> Result<Seconds, LabError> {
        let expected = "a length of time such as `20s`, `5m`, `1h30m`";
        match &self.value {
            Node::Number(seconds) if seconds.is_finite() && *seconds >= 0.0 => Ok(Seconds(*seconds)),
            Node::Text(text) => parse_seconds(text).map_err(|_| self.wrong(expected)),
            _ => Err(self.wrong(expected)),
        }
    }

    pub(super) fn count(&self) -> Result<u32, LabError> {
        match self.value {
            Node::Number(n) if n.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&n) => Ok(n as u32),
            _ => Err(self.wrong("a whole number")),
        }
    }

    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, LabError> {
        let text = if let Node::Text(text) = &self.value { text.trim() } else { "" };
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let choices: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.wrong(&choices.join(" or "))
        })
    }

    /// A yes or a no.
    pub(super) fn switch(&self) -> Result<bool, LabError> {
        let Node::Switch(switch) = self.value else { return Err(self.wrong("`true` or `false`")) };
        Ok(switch)
    }

    /// `on` or `off`, in any of YAML's words for them.
    pub(super) fn on_or_off(&self) -> Result<bool, LabError> {
        match &self.value {
            Node::Switch(switch) => Ok(*switch),
            Node::Text(text) if text == "on" => Ok(true),
            Node::Text(text) if text == "off" => Ok(false),
            _ => Err(self.wrong("`on` or `off`")),
        }
    }

    /// Limits by name; one that is not said has its default.
    pub(super) fn limits(&self) -> Result<Limits, LabError> {
        let expected = "`memory` and `disk` with sizes such as `32GB`, `processes` with a whole number";
        let Node::Settings(settings) = &self.value else { return Err(self.wrong(expected)) };
        let mut limits = Limits::default();
        for (name, node) in settings {
            let wrong = || self.wrong_node(expected, node);
            let bytes = || match node {
                Node::Number(n) if n.fract() == 0.0 && (0.0..9e18).contains(n) => Ok(*n as u64),
                Node::Text(text) => parse_bytes(text).map_err(|_| wrong()),
                _ => Err(wrong()),
            };
            match (name.as_str(), node) {
                ("memory", _) => limits.memory = Some(bytes()?),
                ("disk", _) => limits.disk = bytes()?,
                ("processes", Node::Number(n))
                    if n.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(n) =>
                {
                    limits.processes = *n as u32;
                }
                ("processes", _) => return Err(wrong()),
                _ => return Err(self.wrong_node(expected, &Node::Text(name.clone()))),
            }
        }
        Ok(limits)
    }

    fn wrong(&self, expected: &str) -> LabError {
        self.wrong_node(expected, &self.value)
    }

    fn wrong_node(&self, expected: &str, found: &Node) -> LabError {
        LabError::Value {
            at: Box::new(self.place()),
            field: self.name,
            expected: expected.to_owned(),
            found: found.to_string(),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Switch(switch) => write!(f, "`{switch}`"),
            Self::Number(number) => write!(f, "the number {number}"),
            Self::Text(text) => write!(f, "`{text}`"),
            Self::List(_) => f.write_str("a list"),
            Self::Settings(_) => f.write_str("settings of its own"),
        }
    }
}

/// The top of the front matter: its settings in their order.
struct Top(Vec<(Spanned<String>, Spanned<Node>)>);

impl<'de> Deserialize<'de> for Top {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Settings;

        impl<'de> Visitor<'de> for Settings {
            type Value = Top;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("settings, one `name: value` a line")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Top, A::Error> {
                let mut settings = Vec::new();
                while let Some(setting) = map.next_entry()? {
                    settings.push(setting);
                }
                Ok(Top(settings))
            }
        }

        from.deserialize_map(Settings)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Nothing)
            }

            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Nothing)
            }

            fn visit_bool<E>(self, switch: bool) -> Result<Node, E> {
                Ok(Node::Switch(switch))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
                Ok(Node::Number(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
                Ok(Node::Number(number as f64))
            }

            fn visit_i128<E>(self, number: i128) -> Result<Node, E> {
                Ok(Node::Number(number as f64))
            }

            fn visit_u128<E>(self, number: u128) -> Result<Node, E> {
                Ok(Node::Number(number as f64))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
                Ok(Node::Number(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node, E> {
                if text.contains('\0') {
                    return Err(E::custom("a value cannot hold a NUL character"));
                }
                Ok(Node::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut settings = Vec::new();
                while let Some(setting) = map.next_entry()? {
                    settings.push(setting);
                }
                Ok(Node::Settings(settings))
            }
        }

        from.deserialize_any(Any)
    }
}
