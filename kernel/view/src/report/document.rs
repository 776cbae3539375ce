//! What a report says, before it is written as Markdown, as HTML or as a notebook.

use crate::text::one_line;

/// A piece of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Span {
    /// Words.
    Text(String),
    /// A name or a command, letter by letter.
    Code(String),
    /// Something that a check recomputes.
    Figure(Figure),
}

/// Something that a check recomputes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    /// What it is: `headline.best`, `kept.17.value`.
    pub(super) id: String,
    /// What it says.
    pub(super) text: String,
}

/// A line: no line ends in it.
pub(super) type Line = Vec<Span>;

/// Which side of its column a cell keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A part of a report, from its beginning to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    /// The title.
    Title(Line),
    /// The title of a section.
    Section(&'static str),
    /// A paragraph.
    Words(Line),
    /// A paragraph of less weight.
    Note(Line),
    /// The few figures that a slide would have: what each is, and itself.
    Cards(Vec<(&'static str, Line)>),
    /// Points, each a line.
    List(Vec<Line>),
    /// Cells under heads.
    Table { heads: Vec<(String, Side)>, rows: Vec<Vec<Line>> },
    /// Text as it is, such as a program.
    Verbatim(String),
    /// Commands to type.
    Commands(Vec<String>),
    /// The chart of all experiments.
    Progress,
    /// What a kept experiment changed.
    Change(Change),
    /// What a model wrote, and its name: never checked.
    Summary { by: String, text: String },
}

/// What a kept experiment changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// What stands above it.
    pub(super) title: Line,
    /// The unified diff, cut where it is long.
    pub(super) unified: String,
    /// What was cut, and how to see it whole.
    pub(super) note: Option<Line>,
    /// The command that shows it: `diff 17 --tag main`.
    pub(super) command: String,
}

/// Words.
pub(super) fn text(words: impl Into<String>) -> Span {
    Span::Text(words.into())
}

/// Words from outside, on one line.
pub(super) fn quoted(words: &str, width: usize) -> Span {
    Span::Text(crate::text::clip(&one_line(words), width))
}

/// A name or a command.
pub(super) fn code(words: impl Into<String>) -> Span {
    Span::Code(words.into())
}

/// Something that a check recomputes.
pub(super) fn figure(id: impl Into<String>, words: impl Into<String>) -> Span {
    Span::Figure(Figure { id: one_line(&id.into()), text: words.into() })
}

impl Block {
    /// Every line in it, in order.
    fn lines(&self) -> Vec<&Line> {
        match self {
            Self::Title(line) | Self::Words(line) | Self::Note(line) => vec![line],
            Self::Cards(cards) => cards.iter().map(|(_, line)| line).collect(),
            Self::List(lines) => lines.iter().collect(),
            Self::Table { rows, .. } => rows.iter().flatten().collect(),
            Self::Change(change) => [&change.title].into_iter().chain(&change.note).collect(),
            Self::Section(_)
            | Self::Verbatim(_)
            | Self::Commands(_)
            | Self::Progress
            | Self::Summary { .. } => Vec::new(),
        }
    }
}

/// The figures of a document, in order.
pub(super) fn figures(blocks: &[Block]) -> impl Iterator<Item = &Figure> {
    blocks.iter().flat_map(Block::lines).flatten().filter_map(|span| match span {
        Span::Figure(figure) => Some(figure),
        _ => None,
    })
}
