//! `ask --local`: the standard questions, answered by queries.

use frames::Frames;
use lab::value::format_value;
use lab::{Direction, Experiment, Status, Tag};
use serde_json::{Map, Value, json};
use view::Finding;

use super::questions::{QUESTIONS, Question};
use crate::commands::constants;
use crate::failure::{ExitCode, Failure};
use crate::grammar::TagArgs;
use crate::session::Session;
use crate::sink::Sink;

/// Rows of each answer that are shown.
const ROWS: usize = 10;
/// What stands below the answers.
const FOOT: &str = "`ask --local crashed` answers one alone; `sql` goes on with any of the queries";

/// Answers the questions that `text` is about, or all.
pub(super) fn run(text: &str, tag: &TagArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let chosen = choose(text)?;
    let ledger = session.ledger()?;
    let tag = session.tag(&ledger, tag.tag.as_ref())?;
    let mut frames = session.frames(ledger)?;
    let experiments = frames.list(&tag)?;
    if experiments.is_empty() {
        sink.show(view::plain(&format!(
            "the ledger `{tag}` has no experiments yet: `loop start` begins with a baseline"
        )));
        return Ok(());
    }
    if chosen.iter().any(|question| question.query.contains(constants::TABLE)) {
        constants::lend(&mut frames, session, &tag)?;
    }
    let known = known(&experiments);
    let mut findings = Vec::new();
    let mut answers = Vec::new();
    for question in chosen {
        let (finding, rows) = find(question, &known, &mut frames, &tag)?;
        answers.push(
            json!({"question": finding.question, "answer": finding.said, "query": finding.query, "rows": rows}),
        );
        findings.push(finding);
    }
    let json = json!({"schema": lab::SCHEMA, "answers": answers});
    sink.show(view::findings(&findings, FOOT).with(view::bundle::JSON, json));
    Ok(())
}

/// The questions that have one of their words in `text`; all where it is empty.
fn choose(text: &str) -> Result<Vec<&'static Question>, Failure> {
    let text = text.to_lowercase();
    let asked: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_about = |question: &&Question| {
        asked.iter().any(|asked| question.words.iter().any(|word| asked.starts_with(word)))
    };
    let chosen: Vec<_> = QUESTIONS.iter().filter(|question| asked.is_empty() || is_about(question)).collect();
    if chosen.is_empty() {
        let known: Vec<String> =
            QUESTIONS.iter().map(|question| format!("{} ({})", question.asks, question.words[0])).collect();
        return Err(Failure::new(format!("none of the standard questions is about `{text}`"))
            .hint(known.join("\n      "))
            .code(ExitCode::Usage));
    }
    Ok(chosen)
}

/// What queries and answers are told besides their own rows.
fn known(experiments: &[Experiment]) -> Map<String, Value> {
    let records = || experiments.iter().map(|experiment| &experiment.record);
    let last = records().next_back();
    let minimize = last.is_none_or(|last| last.direction == Direction::Minimize);
    let (gain, loss) = if minimize { ("-delta", "delta") } else { ("delta", "-delta") };
    let number = last.map_or(0, |last| last.number);
    let kept = records().rfind(|record| record.status == Status::Keep).map_or(0, |record| record.number);
    let known = json!({"gain": gain, "loss": loss, "half": number / 2, "since": number - kept});
    known.as_object().cloned().unwrap_or_default()
}

/// The answer to a question, and its rows.
fn find(
    question: &Question,
    known: &Map<String, Value>,
    frames: &mut Frames,
    tag: &Tag,
) -> Result<(Finding, Value), Failure> {
    let query = fill(question.query, known);
    let frame = frames.sql(tag, &query)?;
    let rows = frames::rows_json(&frame);
    let mut told = known.clone();
    told.insert("rows".to_owned(), frame.height().into());
    let first = rows.get(0).and_then(Value::as_object).cloned();
    let said = match &first {
        Some(first) => {
            told.extend(first.clone());
            fill(question.said, &told)
        }
        None => question.none.to_owned(),
    };
    let table = first.map(|_| view::table(&frame, ROWS));
    Ok((Finding { question: question.asks.to_owned(), said, query, table }, rows))
}

/// `template` with each name in braces replaced by what is known of it.
fn fill(template: &str, known: &Map<String, Value>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, name, after)) = next(rest) {
        out.push_str(before);
        match known.get(name) {
            Some(Value::String(text)) => out.push_str(text),
            Some(Value::Number(number)) if number.is_f64() => {
                out.push_str(&format_value(number.as_f64().unwrap_or(f64::NAN)));
            }
            Some(value) => out.push_str(&value.to_string()),
            None => out.push('?'),
        }
        rest = after;
    }
    out + rest
}

/// What stands before the first name in braces, the name, and what stands after it.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn questions_are_found_by_their_words() {
        let asks = |text: &str| choose(text).unwrap().iter().map(|q| q.asks).collect::<Vec<_>>();
        assert_eq!(asks("").len(), QUESTIONS.len());
        assert_eq!(asks("What crashed?"), ["What crashed or took too long, and why?"]);
        assert_eq!(asks("helped, and who"), ["What helped most?", "Who gained what, and for how much?"]);
        let none = choose("the weather").err().unwrap();
        assert!(none.message.contains("the weather") && none.hint.unwrap().contains("(crash)"));
    }

    #[test]
    fn every_question_is_found_by_its_own_words() {
        for question in &QUESTIONS {
            assert!(
                choose(question.asks).unwrap().iter().any(|found| found.asks == question.asks),
                "{}",
                question.asks
            );
        }
    }

    #[test]
    fn what_a_row_says_is_not_a_template() {
        let known = json!({"hypothesis": "{gain} {", "gain": 0.5, "number": 3});
        let known = known.as_object().unwrap();
        assert_eq!(
            fill("Experiment {number} ({gain}): {hypothesis}", known),
            "Experiment 3 (0.500000): {gain} {"
        );
        assert_eq!(fill("{nothing} }{", known), "? }{");
    }
}
