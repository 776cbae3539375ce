//! The report of a line of research: a document that stands alone, made from its ledger at one commit.
//!
//! A [`Report`] is worked out and written in one of three forms ([`Form`]). Each carries a stamp: the commit, and every
//! figure as it was worked out. [`Reading`] takes a written report apart again and compares it with one that was made
//! anew.

mod asked;
mod check;
mod constants;
mod document;
mod failures;
mod html;
mod kept;
mod markdown;
mod means;
mod notebook;
mod people;
mod sections;
mod stamp;

use std::sync::Arc;

use jiff::{Timestamp, tz::Offset};
use lab::{CommitId, Entry, Experiment, ExperimentId, Peers, Status, Tag};
use serde::{Deserialize, Serialize};

pub use check::{Checked, Compared, Verdict};
pub(crate) use failures::patterns;
pub use stamp::{Reading, Stamp, Unreadable};

use crate::{
    Metric,
    chart::{self, Chart, Ground},
    standing,
};
use document::Block;

/// What a report is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A notebook that this kernel runs again.
    Notebook,
    /// One HTML file without scripts.
    Html,
    /// Markdown as GitHub draws it, its picture beside it.
    Markdown,
}

impl Form {
    /// How the names of its files end.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Notebook => "ipynb",
            Self::Html => "html",
            Self::Markdown => "md",
        }
    }

    /// The form of a file by its name.
    pub fn of(path: &std::path::Path) -> Option<Self> {
        let ends = path.extension()?.to_str()?.to_ascii_lowercase();
        [Self::Notebook, Self::Html, Self::Markdown].into_iter().find(|form| form.extension() == ends)
    }
}

/// What a report is made from: what the ledger says at one commit, and how it is to be told.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it is to be written as: Markdown is kept short enough for a pull request.
    pub form: Form,
    /// What the lab is called.
    pub lab: String,
    /// The line of research.
    pub tag: Tag,
    /// The ledger's commit; `None` where it has none yet.
    pub commit: Option<CommitId>,
    /// The clone whose experiments are told; those of others are only counted.
    pub writer: String,
    /// Every experiment at that commit, in any order.
    pub experiments: Vec<Experiment>,
    /// Every event at that commit, in the order of time.
    pub events: Vec<Arc<Entry>>,
    /// The program that the last experiment ran under, as it was written.
    pub program: Option<String>,
    /// What experiments set constants to.
    pub settings: Vec<Setting>,
    /// The other lines of research of the lab, each at a commit.
    pub others: Vec<Other>,
    /// When the report is made.
    pub made: Timestamp,
    /// Where all of its times are.
    pub offset: Offset,
    /// The version of the program that makes it.
    pub version: String,
}

/// What an experiment set a constant to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The experiment.
    pub experiment: ExperimentId,
    /// The constant: its name, with its file where several files have constants.
    pub name: String,
    /// Its value, as it is written.
    pub setting: String,
}

/// Another line of research.
#[derive(Clone, Debug)]
pub struct Other {
    /// Its name.
    pub tag: Tag,
    /// The commit that it was looked at.
    pub commit: CommitId,
    /// Its experiments at that commit, those of other clones first.
    pub experiments: Vec<Experiment>,
}

/// A report that is worked out.
#[derive(Debug)]
pub struct Report {
    source: Source,
    blocks: Vec<Block>,
    chart: Chart,
    picture: Vec<u8>,
}

/// A report as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The document.
    pub text: String,
    /// The picture that belongs beside it, by its name.
    pub picture: Option<(String, Vec<u8>)>,
}

/// The experiments of one clone, and what is known of all of them.
struct View<'a> {
    source: &'a Source,
    /// Those of the clone, in the order of their numbers.
    own: &'a [Experiment],
    peers: Peers,
    metric: &'a Metric,
    decimals: usize,
    standing: standing::Standing<'a>,
}

/// What one commit changed of another, as a unified diff; `None` where it cannot be told.
pub type Diffs<'a> = dyn Fn(&CommitId, &CommitId) -> Option<String> + 'a;

impl Report {
    /// What it says, without its picture and its stamp: for a model to read.
    pub fn words(&self) -> String {
        self.pages().text
    }

    fn pages(&self) -> markdown::Pages {
        let mut pages = markdown::Pages::default();
        for block in &self.blocks {
            pages.block(block);
        }
        pages
    }

    /// Works a report out.
    pub fn of(mut source: Source, diffs: &Diffs<'_>) -> Self {
        source.lab = crate::text::one_line(&source.lab);
        source.experiments.sort_by_key(|e| (e.record.started, e.record.number, e.record.id));
        let mut own: Vec<Experiment> =
            source.experiments.iter().filter(|e| e.record.writer == source.writer).cloned().collect();
        own.sort_by_key(|e| (e.record.number, e.record.id));
        let program = source.program.as_deref().and_then(|text| lab::Lab::parse(text).ok());
        let unit = program.as_ref().and_then(|lab| lab.unit.clone());
        let metric = match own.last() {
            Some(last) => Metric { unit, ..Metric::of(last) },
            None => program.as_ref().map_or_else(
                || Metric { name: "metric".to_owned(), direction: lab::Direction::default(), unit: None },
                Metric::from,
            ),
        };
        let chart = chart::progress(&own, &metric);
        let picture = chart.png(Ground::Paper).unwrap_or_default();
        let records = source.experiments.iter().map(|e| e.record.as_ref());
        let view = View {
            source: &source,
            peers: Peers::of(records, Some(&source.writer)),
            metric: &metric,
            decimals: standing::decimals(&own),
            standing: standing::Standing::of(&own),
            own: &own,
        };
        let blocks = sections::document(&view, program.as_ref(), diffs);
        Self { source, blocks, chart, picture }
    }

    /// The same with what a model wrote of it, which no check looks at.
    #[must_use]
    pub fn with_summary(mut self, by: &str, text: &str) -> Self {
        let at = self.blocks.iter().position(|block| matches!(block, Block::Section(_)));
        let summary = Block::Summary { by: by.to_owned(), text: text.to_owned() };
        self.blocks.insert(at.unwrap_or(self.blocks.len()), summary);
        self
    }

    /// How many experiments it tells of.
    pub fn experiments(&self) -> usize {
        self.source.experiments.iter().filter(|e| e.record.writer == self.source.writer).count()
    }

    /// The document. `picture` is what Markdown's picture is called; without a name it has none.
    pub fn write(&self, picture: Option<&str>) -> Written {
        match self.source.form {
            Form::Html => Written { text: html::write(self), picture: None },
            Form::Notebook => Written { text: notebook::write(self), picture: None },
            Form::Markdown => Written {
                text: markdown::write(self, picture),
                picture: picture
                    .filter(|_| self.has_picture())
                    .map(|name| (name.to_owned(), self.picture.clone())),
            },
        }
    }

    fn has_picture(&self) -> bool {
        self.blocks.contains(&Block::Progress)
    }

    /// What the report is called: `val_bpb 1.0230 → 0.9932 (−2.9%)`.
    pub fn title(&self) -> String {
        let title = self.blocks.iter().find_map(|block| match block {
            Block::Title(line) => Some(markdown::plain(line)),
            _ => None,
        });
        title.unwrap_or_default()
    }

    /// The figures by what they are, in the order in which they stand.
    pub fn figures(&self) -> Vec<(&str, &str)> {
        document::figures(&self.blocks).map(|figure| (figure.id.as_str(), figure.text.as_str())).collect()
    }
}

impl View<'_> {
    /// The number as people write it.
    fn label(&self, experiment: &Experiment) -> String {
        self.peers.label(&experiment.record)
    }

    /// Whether it has to be short: a pull request's description has 65,536 characters.
    fn short(&self) -> bool {
        self.source.form == Form::Markdown
    }

    /// What the experiment is called in the ids of figures.
    fn id(&self, experiment: &Experiment) -> String {
        self.label(experiment).replace('/', ".")
    }

    fn experiment(&self, id: ExperimentId) -> Option<&Experiment> {
        self.source.experiments.iter().find(|e| e.record.id == id)
    }

    fn tried(&self) -> usize {
        self.own.iter().filter(|e| !e.record.baseline).count()
    }

    fn with_status(&self, status: Status) -> usize {
        self.own.iter().filter(|e| e.record.status == status && !e.record.baseline).count()
    }

    fn time(&self, at: Timestamp) -> String {
        self.source.offset.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string()
    }
}
