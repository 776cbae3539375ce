//! Finding the constants of a file whose value is a literal.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::OnceLock;

use tree_sitter::{Language as Grammar, Node, Parser, Query, QueryCursor, StreamingIterator, Tree};

use super::{Domain, Literal, Value};

/// A language whose constants are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `const NAME: T = literal;`
    Rust,
    /// `NAME = literal` at the top level, the fields of dataclasses, the defaults of argparse.
    Python,
    /// `name = literal`, with the names of its tables before it: `optimizer.rate`.
    Toml,
    /// `name: literal`, with the names above it before it.
    Yaml,
}

impl Language {
    /// The language of a file, by its name.
    pub fn of(path: &str) -> Option<Self> {
        match path.rsplit_once('.')?.1 {
            "rs" => Some(Self::Rust),
            "py" => Some(Self::Python),
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }

    /// The syntax of a text.
    pub(in crate::proposers) fn tree(self, text: &str) -> Option<Tree> {
        let mut parser = Parser::new();
        parser.set_language(&self.grammar()).ok()?;
        parser.parse(text, None)
    }

    fn grammar(self) -> Grammar {
        match self {
            Self::Rust => tree_sitter_rust::LANGUAGE.into(),
            Self::Python => tree_sitter_python::LANGUAGE.into(),
            Self::Toml => tree_sitter_toml_ng::LANGUAGE.into(),
            Self::Yaml => tree_sitter_yaml::LANGUAGE.into(),
        }
    }

    /// What finds its constants; made once, which takes longer than reading a file.
    fn query(self) -> Option<&'static Query> {
        static MADE: [OnceLock<Option<Query>>; 4] = [const { OnceLock::new() }; 4];
        let make = || Query::new(&self.grammar(), self.patterns()).ok();
        MADE[self as usize].get_or_init(make).as_ref()
    }

    fn patterns(self) -> &'static str {
        match self {
            Self::Rust => include_str!("queries/rust.scm"),
            Self::Python => include_str!("queries/python.scm"),
            Self::Toml => include_str!("queries/toml.scm"),
            Self::Yaml => include_str!("queries/yaml.scm"),
        }
    }
}

/// A constant of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its name.
    pub name: String,
    /// Its value, as it is written.
    pub literal: Literal,
    /// Where the value stands in the file, in bytes.
    pub span: Range<usize>,
    /// The line on which it stands, from 1.
    pub line: usize,
    /// What it may become.
    pub domain: Domain,
    /// What says so.
    pub origin: Origin,
}

/// What says what a constant may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing: it is guessed from its value and name.
    Guess,
    /// The comment on its line, or the help of its option.
    Comment,
    /// The code: the choices of an option.
    Code,
    /// The program.
    Program,
}

impl Constant {
    /// Says what it may become, in the words of a comment. Whether the words say anything.
    #[must_use]
    pub fn declare(&mut self, words: &str) -> bool {
        let Some(domain) = Domain::declared(&self.literal, words) else { return false };
        (self.domain, self.origin) = (domain, Origin::Program);
        true
    }
}

/// Parts of a name that say that changing the constant would change what is measured, and not the work.
const FIXED: [&str; 6] = ["SEED", "BUDGET", "TIMEOUT", "VERSION", "EVAL", "FLOPS"];

/// The words of a name.
pub(super) fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split(['_', '.', '-'])
}

/// A name and its value, as a query finds them.
struct Found<'t> {
    name: String,
    value: Node<'t>,
    /// The dataclass whose field it is.
    class: Option<&'t str>,
    /// What the code itself allows.
    choices: Vec<Value>,
    /// What is said of it where there is no comment.
    help: &'t str,
}

impl Found<'_> {
    fn constant(self, text: &str, comment: Option<&str>) -> Option<Constant> {
        let words = comment.unwrap_or(self.help);
        let source = &text[self.value.byte_range()];
        let literal = Literal::parse(source).or_else(|| Literal::bare(source, words))?;
        let upper = self.name.to_uppercase();
        let (domain, origin) = if self.choices.len() > 1 {
            (Domain::Choice(self.choices), Origin::Code)
        } else if let Some(declared) = Domain::declared(&literal, words) {
            (declared, Origin::Comment)
        } else if parts(&upper).any(|part| FIXED.contains(&part)) {
            (Domain::fixed(&literal), Origin::Guess)
        } else {
            (Domain::guess(&upper, &literal), Origin::Guess)
        };
        let start = self.value.start_byte();
        let (span, line) = (start..start + literal.source.len(), self.value.start_position().row + 1);
        Some(Constant { name: self.name, literal, span, line, domain, origin })
    }
}

/// The constants of a file, in their order.
pub fn constants(text: &str, language: Language) -> Vec<Constant> {
    let Some((tree, query)) = language.tree(text).zip(language.query()) else { return Vec::new() };

    let (mut found, mut comments, mut given) = (Vec::new(), HashMap::new(), HashSet::new());
    let mut cursor = QueryCursor::new();
    let mut matches = cursor.matches(query, tree.root_node(), text.as_bytes());
    while let Some(matched) = matches.next() {
        let node = |wanted: &str| {
            let named = |index: u32| query.capture_names()[index as usize] == wanted;
            matched.captures().iter().find(|capture| named(capture.index)).map(|capture| capture.node)
        };
        let says = |node: Node<'_>| &text[node.byte_range()];
        if let Some(comment) = node("comment") {
            comments.insert(comment.start_position().row, comment);
        } else if let (Some(class), Some(field)) = (node("made"), node("given")) {
            given.insert((says(class), says(field)));
        } else if let Some(arguments) = node("arguments") {
            found.extend(option(arguments, text));
        } else if let (Some(name), Some(value)) = (node("name"), node("value")) {
            let (name, class) = (path(name, text), node("class").map(says));
            found.push(Found { name, value, class, choices: Vec::new(), help: "" });
        }
    }
    // What a constructor is given is not asked of the field.
    found.retain(|one| one.class.is_none_or(|class| !given.contains(&(class, one.name.as_str()))));
    found.sort_by_key(|one| one.value.start_byte());
    let mut constants: Vec<Constant> = Vec::new();
    for one in found {
        let comment = comments.get(&one.value.end_position().row);
        let comment = comment.filter(|comment| comment.start_byte() >= one.value.end_byte());
        let comment = comment.map(|comment| text[comment.byte_range()].trim_start_matches(['/', '#']).trim());
        if let Some(constant) = one.constant(text, comment) {
            // A name that is bound twice would be changed in one place only.
            constants.retain(|earlier| earlier.name != constant.name);
            constants.push(constant);
        }
    }
    constants
}

/// A name with those of the tables that it is in, `optimizer.rate`.
fn path(name: Node<'_>, text: &str) -> String {
    let mut parts = vec![&text[name.byte_range()]];
    let mut inside = name.parent().and_then(|pair| pair.parent());
    while let Some(node) = inside {
        if matches!(
            node.kind(),
            "table" | "table_array_element" | "pair" | "block_mapping_pair" | "flow_pair"
        ) && let Some(name) = node.named_child(0)
        {
            parts.push(&text[name.byte_range()]);
        }
        inside = node.parent();
    }
    parts.reverse();
    parts.join(".")
}

/// `add_argument("--name", default=literal, choices=[…], help="…")`.
fn option<'t>(arguments: Node<'t>, text: &'t str) -> Option<Found<'t>> {
    let mut cursor = arguments.walk();
    let (mut flag, mut named): (&str, HashMap<&str, Node<'t>>) = ("", HashMap::new());
    for argument in arguments.named_children(&mut cursor) {
        if argument.kind() == "keyword_argument" {
            let (name, value) =
                (argument.child_by_field_name("name")?, argument.child_by_field_name("value")?);
            named.insert(&text[name.byte_range()], value);
        } else if argument.kind() == "string" {
            let name = unquoted(argument, text);
            // The long form says more: `-l`, `--learning-rate`.
            if flag.is_empty() || name.starts_with("--") {
                flag = name;
            }
        }
    }
    let said = |name: &str| named.get(name).map(|node| unquoted(*node, text));
    let name = said("dest").unwrap_or(flag).trim_start_matches('-').replace('-', "_");
    let choices = named.get("choices").into_iter().flat_map(|list| {
        let mut cursor = list.walk();
        let values: Vec<_> = list.named_children(&mut cursor).collect();
        values.into_iter().filter_map(|value| Literal::parse(&text[value.byte_range()])).map(|it| it.value)
    });
    Some(Found {
        name,
        value: *named.get("default")?,
        class: None,
        choices: choices.collect(),
        help: said("help").unwrap_or_default(),
    })
}

fn unquoted<'t>(string: Node<'_>, text: &'t str) -> &'t str {
    text[string.byte_range()].trim_matches(['"', '\''])
}
