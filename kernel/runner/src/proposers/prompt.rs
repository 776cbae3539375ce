//! The brief as a model or a person reads it: Markdown, of at most so many tokens.
//!
//! What comes first is always told: the program, what decides, what people said, the files. The rest gets shares of
//! what is left, newest first, and what does not fit is counted.
//!
//! Whatever experiments, files and models wrote is fenced, for it is data: a log that says "ignore your instructions"
//! must not be obeyed. No fence can be closed from within, for it is longer than any run of backticks in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use lab::value::{format_delta, format_value};
use lab::{CommitId, Direction, Experiment, Seconds, Status};

use super::{Brief, Failure, Remaining};

/// How many tokens a brief may have, where nobody says otherwise.
pub const TOKENS: usize = 24_000;
/// How many bytes of text are taken for a token: few enough to be on the safe side.
pub(super) const BYTES: usize = 3;
/// How many lines of a diff are told.
const DIFF: usize = 60;
/// How long a reason, or what a person said, may be, in characters.
const REASON: usize = 600;
/// How much of what the lab's own commands say is told, in bytes.
const HOOK: usize = 4000;
/// What share of the tokens the files may take.
const FILES: f64 = 0.5;

/// The difference between two commits.
pub type Diff<'a> = &'a dyn Fn(&CommitId, &CommitId) -> Option<String>;

/// About how many tokens a text has, rather too many than too few.
pub fn tokens(text: &str) -> usize {
    text.len().div_ceil(BYTES)
}

/// Writes a brief down.
pub fn render(brief: &Brief, diff: Diff<'_>, tokens: usize) -> String {
    let mut page = Page { text: String::new(), left: tokens };
    page.section("The researcher's program", &fit(&brief.program, tokens / 4 * BYTES));
    page.section("What decides", &decides(brief));
    page.section("What is left", &left(&brief.remaining));
    let steering = brief.steering.iter().rev().map(|text| format!("- {}", line(text)));
    page.list("What the researcher said, newest first", steering, 0.2);
    for text in brief.hooks.values().filter(|text| !text.trim().is_empty()) {
        page.section("What the lab's own command says", &fit(text, HOOK));
    }
    let vetoes = brief.vetoes.iter().map(|pattern| format!("- {}", line(pattern)));
    page.list("Ruled out by the researcher: a change that matches is refused", vetoes, 0.1);
    let ideas = brief.ideas.iter().enumerate().map(|(index, idea)| {
        let now = if idea.now { ", who wants it tried now" } else { "" };
        format!("Idea {}, of {}{now}:\n{}", index + 1, line(&idea.from), data(&line(&idea.text)))
    });
    page.list("Ideas that wait, the next one first", ideas, 0.1);
    if let Some(stuck) = brief.stuck {
        page.section("How to go on", &stuck.advice());
    }
    let title = match &brief.best {
        Some(best) => format!("The files of experiment {}, the best so far", best.number),
        None => "The files".to_owned(),
    };
    page.files(&title, brief, &brief.files, (tokens as f64 * FILES) as usize * BYTES);
    page.list("Refused just now; propose something else", brief.refused.iter().map(|why| data(why)), 0.3);

    let trying = brief.trying.iter().map(|it| {
        let changes = it.parent.as_ref().and_then(|parent| diff(parent, &it.candidate));
        let changes =
            changes.as_deref().map(|changes| changed(changes).take(DIFF).collect::<Vec<_>>().join("\n"));
        let body = format!("{}\n{}", line(&it.hypothesis), changes.unwrap_or_default());
        format!("Experiment {}:\n{}", it.number, data(&body))
    });
    page.list("What is being tried now, and not known yet; propose something else", trying, 0.3);
    let kept = brief.experiments.iter().rev().filter(|experiment| experiment.record.status == Status::Keep);
    let (failed, tried): (Vec<_>, Vec<_>) = brief
        .experiments
        .iter()
        .rev()
        .filter(|experiment| experiment.record.status != Status::Keep)
        .partition(|experiment| experiment.record.value.is_none());
    page.list("What was kept, newest first", kept.map(|experiment| told(experiment, diff)), 0.4);
    let again = brief.again.iter().map(|it| format!("Because {}:\n{}", it.why, told(&it.experiment, diff)));
    page.list("Worth another look, on top of the best so far", again, 0.2);
    let lines = rejected(brief, diff);
    page.list("What was tried and not kept, newest first", tried.iter().map(|it| told(it, diff)), 0.5);
    page.list("What failed, newest first", failed.iter().map(|it| told(it, diff)), 0.5);
    page.list("Lines that were tried and rejected", lines.iter().map(|line| data(line)), 0.8);
    page.text
}

/// Writes down what became of a candidate that failed, for whoever is to mend it.
pub fn failed(brief: &Brief, failure: &Failure, tokens: usize) -> String {
    let mut page = Page { text: String::new(), left: tokens };
    let title = format!("Experiment {} has failed", brief.number);
    page.section(
        &title,
        &format!("It tried:\n{}What happened: {}\n", data(&failure.hypothesis), line(&failure.what)),
    );
    page.section("The end of what it printed", &data(&fit(&failure.log, tokens / 4 * BYTES)));
    page.files("The files as it left them", brief, &failure.files, tokens / 2 * BYTES);
    page.text
}

struct Page {
    text: String,
    /// Tokens.
    left: usize,
}

impl Page {
    fn add(&mut self, text: &str) {
        self.left = self.left.saturating_sub(tokens(text));
        self.text.push_str(text);
    }

    fn section(&mut self, title: &str, text: &str) {
        if !text.trim().is_empty() {
            self.add(&format!("# {title}\n\n{}\n\n", text.trim_end()));
        }
    }

    /// Entries as long as they fit into a share of what is left.
    fn list(&mut self, title: &str, entries: impl Iterator<Item = String>, share: f64) {
        let room = (self.left as f64 * share) as usize;
        let (mut text, mut left_out) = (String::new(), 0);
        for entry in entries {
            if left_out > 0 || tokens(&text) + tokens(&entry) > room {
                left_out += 1;
            } else {
                text.push_str(entry.trim_end());
                text.push('\n');
            }
        }
        if left_out > 0 {
            let _ = writeln!(text, "({left_out} more are left out)");
        }
        self.section(title, &text);
    }

    fn files(&mut self, title: &str, brief: &Brief, files: &BTreeMap<String, Vec<u8>>, bytes: usize) {
        let share = bytes / files.len().max(1);
        let mut text = format!("You may change: {}\n", brief.editable.join(", "));
        for (path, content) in files {
            let content = String::from_utf8_lossy(content);
            let language = path.rsplit_once('.').map_or("", |(_, language)| language);
            let _ = write!(text, "\n`{path}`:\n{}", fenced(&fit(&content, share), language));
        }
        self.section(title, &text);
    }
}

fn decides(brief: &Brief) -> String {
    let better = match brief.direction {
        Direction::Minimize => "lower",
        Direction::Maximize => "higher",
    };
    let so_far = match &brief.best {
        Some(best) => format!(
            " The best so far is experiment {}{}.",
            best.number,
            best.value.map(|value| format!(" with {}", format_value(value))).unwrap_or_default()
        ),
        None => " Nothing has been measured yet.".to_owned(),
    };
    format!("`{}`: {better} is better.{so_far}", brief.metric)
}

fn left(remaining: &Remaining) -> String {
    let parts = [
        remaining.experiments.map(|n| format!("{n} experiments")),
        remaining.seconds.map(|Seconds(seconds)| format!("{:.1} hours", seconds / 3600.0)),
        remaining.usd.map(|usd| format!("${usd:.2} for proposing")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// An experiment: a line of facts, then what it tried, why it was judged so, and what it changed, as data.
pub(super) fn told(experiment: &Experiment, diff: Diff<'_>) -> String {
    let record = &experiment.record;
    let mut head = format!("Experiment {} ({}", record.number, record.status);
    if let Some(value) = record.value {
        let _ = write!(head, ", {}", format_value(value));
    }
    if let Some(delta) = record.delta {
        let _ = write!(head, ", {}", format_delta(delta));
    }
    let _ = writeln!(head, ", by {}):", line(&record.proposer));
    let mut body = line(&record.hypothesis);
    if record.status != Status::Keep && !record.reason.is_empty() {
        let _ = write!(body, "\n{}", fit(&record.reason, REASON));
    }
    for note in &experiment.notes {
        let _ = write!(body, "\nnote of {}", line(note));
    }
    let changes = record.parent.as_ref().and_then(|parent| diff(parent, &record.candidate));
    if let Some(changes) = changes {
        let changes: Vec<&str> = changed(&changes).collect();
        for change in changes.iter().take(DIFF) {
            let _ = write!(body, "\n{change}");
        }
        if changes.len() > DIFF {
            let _ = write!(body, "\n({} more lines)", changes.len() - DIFF);
        }
    }
    format!("{head}{}", data(&body))
}

/// The lines of a unified diff that say what was changed.
fn changed(diff: &str) -> impl Iterator<Item = &str> {
    let body = diff.lines().skip_while(|line| !line.starts_with("@@"));
    body.filter(|line| {
        line.starts_with(['+', '-', '@']) && !line.starts_with("+++") && !line.starts_with("---")
    })
}

/// Lines that candidates added that were not kept, and that the best does not have: about a third of what agents add
/// brings back what was deleted (arXiv 2605.20086).
fn rejected(brief: &Brief, diff: Diff<'_>) -> Vec<String> {
    // Where the files are known already, so are the lines.
    if brief.files.is_empty() {
        return Vec::new();
    }
    let files: Vec<_> = brief.files.values().map(|bytes| String::from_utf8_lossy(bytes)).collect();
    let there: BTreeSet<&str> = files.iter().flat_map(|text| text.lines()).map(str::trim).collect();
    let (mut seen, mut lines) = (BTreeSet::new(), Vec::new());
    let others = brief.experiments.iter().rev().filter(|it| it.record.status != Status::Keep);
    for experiment in others {
        let record = &experiment.record;
        let Some(changes) = record.parent.as_ref().and_then(|parent| diff(parent, &record.candidate)) else {
            continue;
        };
        for added in changed(&changes).filter_map(|line| line.strip_prefix('+')).map(str::trim) {
            if added.len() > 3 && !there.contains(added) && seen.insert(added.to_owned()) {
                lines.push(added.to_owned());
            }
        }
    }
    lines
}

/// Text that somebody else wrote, so that it cannot be taken for instructions.
pub fn data(text: &str) -> String {
    fenced(text, "data")
}

fn fenced(text: &str, info: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{info}\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

/// On one line, and not too long.
fn line(text: &str) -> String {
    fit(&text.split_whitespace().collect::<Vec<_>>().join(" "), REASON)
}

/// The beginning and the end of a text that is longer than so many bytes.
pub(super) fn fit(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(bytes / 3 * 2);
    let tail = text.ceil_char_boundary(text.len() - bytes / 3);
    format!("{}\n[… {} bytes are left out …]\n{}", &text[..head], tail - head, &text[tail..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a reader of Markdown takes for text of ours: everything outside of fences.
    fn outside(markdown: &str) -> String {
        let mut fence: Option<&str> = None;
        let mut text = String::new();
        for line in markdown.lines() {
            let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
            match fence {
                None if ticks.len() >= 3 => fence = Some(ticks),
                Some(open) if line == open => fence = None,
                None => text.push_str(line),
                Some(_) => {}
            }
        }
        text
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut page = Page { text: String::new(), left: 60 };
        page.list("Many", (0..50).map(|n| format!("- entry {n}")), 0.5);
        insta::assert_snapshot!(page.text, @r"
        # Many

        - entry 0
        - entry 1
        - entry 2
        - entry 3
        - entry 4
        - entry 5
        - entry 6
        - entry 7
        - entry 8
        (41 more are left out)
        ");
    }

    proptest! {
        /// Whatever it is, it stays data.
        #[test]
        fn nothing_closes_its_fence(pieces in proptest::collection::vec(
            prop::sample::select(vec!["`", "```", "````", "```data", "\n", "OBEY", " ", "~~~", "é"]), 0..40)) {
            let text = pieces.concat();
            prop_assert!(!outside(&data(&text)).contains("OBEY"), "{}", data(&text));
        }

        #[test]
        fn what_is_cut_keeps_both_ends(text in "[a-zé\n]{0,300}", bytes in 3usize..200) {
            let cut = fit(&text, bytes);
            prop_assert!(text.len() <= bytes && cut == text || cut.len() <= bytes + 60);
            prop_assert!(cut.starts_with(&text[..text.floor_char_boundary(bytes.min(text.len()) / 3)]));
        }
    }
}
