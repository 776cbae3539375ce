//! Messages of the ledger's commits: the experiment, for people who read `git log`.

use std::fmt::Write as _;

use lab::{Entry, Event, Record};

/// Longest first line, in characters.
const SUBJECT: usize = 100;

/// The message of an experiment's commit.
///
/// ```text
/// exp 17 keep val_bpb 0.9932 (-0.0021): halve the batch
///
/// Experiment: 01890a5d-ac96-774b-bcce-b302099a8057
/// Candidate: 9fceb02d0ae598e95dc970b74767f19372d61af8
/// Proposer: search
/// Status: keep
/// ```
pub(crate) fn of_record(record: &Record) -> String {
    let mut subject = format!("exp {} {}", record.number, record.status);
    if let Some(value) = record.value {
        let _ = write!(subject, " {} {}", record.metric, number(value));
        if let Some(delta) = record.delta {
            let sign = if delta < 0.0 { "" } else { "+" };
            let _ = write!(subject, " ({sign}{})", number(delta));
        }
    }
    let _ = write!(subject, ": {}", one_line(&record.hypothesis));
    format!(
        "{}\n\nExperiment: {}\nCandidate: {}\nProposer: {}\nStatus: {}\n",
        cut(&one_line(&subject)),
        record.id,
        record.candidate,
        cut(&one_line(&record.proposer)),
        record.status,
    )
}

/// The message of an event's commit.
pub(crate) fn of_event(entry: &Entry) -> String {
    let said = match &entry.event {
        Event::Noted { text, .. }
        | Event::Steered { text, .. }
        | Event::Idea { text, .. }
        | Event::IdeaMoved { text, .. }
        | Event::Hooked { text, .. } => text.clone(),
        Event::Vetoed { pattern, .. } => pattern.clone(),
        Event::Stuck { after, .. } => format!("{after} experiments in a row were not kept"),
        Event::Overridden { status, reason, .. } => format!("{status}: {reason}"),
        Event::Claimed { claim, .. } => claim.to_string(),
        Event::LoopStarted { proposer, .. } => proposer.clone(),
        Event::LoopEnded { reason, .. } => reason.clone(),
        _ => String::new(),
    };
    let mut subject = format!("{} by {}", entry.event.name().replace('_', " "), one_line(&entry.author));
    if !said.trim().is_empty() {
        let _ = write!(subject, ": {}", one_line(&said));
    }
    let mut message = format!("{}\n\nEvent: {}\n", cut(&subject), entry.id);
    if let Some(experiment) = entry.event.experiment() {
        let _ = writeln!(message, "Experiment: {experiment}");
    }
    message
}

/// Six significant digits at most, without trailing zeros.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e9).contains(&size) {
        return format!("{value:.4e}");
    }
    let before = if size < 1.0 { 0 } else { size.log10().floor() as usize + 1 };
    let text = format!("{value:.*}", 6_usize.saturating_sub(before));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The text without line ends and other control characters, so that it cannot pass for a trailer.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The text's beginning, where it is too long for a line.
fn cut(text: &str) -> String {
    if text.chars().count() <= SUBJECT {
        return text.to_owned();
    }
    let kept: String = text.chars().take(SUBJECT - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_six_significant_digits() {
        let shown: Vec<_> = [0.9932, -0.0021, 0.0, 45060.2, 1.0 / 3.0, 1_234_567.0, 2.5e-9, f64::INFINITY]
            .map(number)
            .to_vec();
        insta::assert_snapshot!(shown.join(" "), @"0.9932 -0.0021 0 45060.2 0.333333 1234567 2.5000e-9 inf");
    }

    #[test]
    fn a_text_cannot_pass_for_a_trailer() {
        assert_eq!(one_line("halve\n\nStatus: keep\r\0\u{85}x"), "halve Status: keep x");
        assert_eq!(cut(&"é".repeat(200)).chars().count(), SUBJECT);
    }
}
