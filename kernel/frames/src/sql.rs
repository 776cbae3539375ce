//! SQL over the tables, and errors that say what to write instead.

use std::collections::BTreeSet;

use polars::{
    prelude::{DataFrame, IntoLazy, PolarsError},
    sql::SQLContext,
};

use crate::FramesError;

/// The tables that a query can name.
pub const TABLES: [&str; 4] = ["experiments", "metrics", "runs", "events"];

/// Those of the tables that a query names; a word inside a string or a comment may be among them, which costs only
/// time.
pub(crate) fn named<'a>(query: &str, tables: &[&'a str]) -> Vec<&'a str> {
    let lower = query.to_lowercase();
    let words: BTreeSet<&str> = lower.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    tables.iter().copied().filter(|table| words.contains(table.to_lowercase().as_str())).collect()
}

/// Runs one query over the tables that it names.
/// `known` are the tables that there are.
pub(crate) fn run(
    query: &str,
    tables: Vec<(String, DataFrame)>,
    known: &[&str],
) -> Result<DataFrame, FramesError> {
    let mut columns: BTreeSet<String> = BTreeSet::new();
    let mut context = SQLContext::new();
    for (name, frame) in tables {
        columns.extend(frame.get_column_names().into_iter().map(ToString::to_string));
        context.register(&name, frame.lazy());
    }
    let query = query.trim_end().trim_end_matches(';');
    if query.trim().is_empty() {
        let hint = "for example SELECT * FROM experiments WHERE status = 'keep' ORDER BY value".to_owned();
        return Err(FramesError::Sql { message: "the query is empty".to_owned(), hint });
    }
    context
        .execute(query)
        .and_then(polars::prelude::LazyFrame::collect)
        .map_err(|error| explain(query, &error, &columns, known))
}

fn explain(query: &str, error: &PolarsError, columns: &BTreeSet<String>, known: &[&str]) -> FramesError {
    let whole = error.to_string();
    // The first line says it; polars adds all columns, and the plan that it had made so far.
    let message =
        whole.lines().next().unwrap_or_default().split("; valid columns").next().unwrap_or_default();
    let message = message.trim_start_matches("sql parser error: ").trim_start_matches("not found: ");
    let message = message.trim_end_matches(':').to_owned();
    let lower = message.to_lowercase();
    let hint = if lower.contains("relation") {
        let tables = format!("the tables are {}", known.join(", "));
        let known = known.iter().map(|name| (*name).to_owned()).collect();
        match quoted(&message).and_then(|wanted| nearest(&wanted, &known).map(str::to_owned)) {
            Some(near) => format!("did you mean `{near}`? {tables}"),
            None => tables,
        }
    } else if matches!(error, PolarsError::ColumnNotFound(_)) || lower.contains("find column") {
        let wanted = quoted(&message).unwrap_or_default();
        match nearest(&wanted, columns) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the columns are {}", columns.iter().cloned().collect::<Vec<_>>().join(", ")),
        }
    } else {
        String::new()
    };
    let message = match place(query, whole.lines().next().unwrap_or_default(), &message) {
        Some((line, column)) => {
            format!("{}\n{}", message_without_place(&message), pointer(query, line, column))
        }
        None => message,
    };
    FramesError::Sql { message, hint }
}

/// Where in the query it is, both from 1: where the parser says so, else where the name stands that is unknown.
fn place(query: &str, whole: &str, message: &str) -> Option<(usize, usize)> {
    if let Some((line, column)) = stated(whole) {
        return Some((line, column));
    }
    let name = quoted(message)?.to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let lower = query.to_lowercase();
    let at = lower.match_indices(&name).map(|(at, _)| at).find(|at| {
        let (before, after) = (&lower[..*at], &lower[at + name.len()..]);
        !before.ends_with(is_word) && !after.starts_with(is_word)
    })?;
    let before = lower.get(..at)?;
    let line = before.matches('\n').count() + 1;
    Some((line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1))
}

/// `… at Line: 1, Column: 15`, as the parser ends its messages.
fn stated(message: &str) -> Option<(usize, usize)> {
    let (line, column) = message.rsplit_once("Line: ")?.1.split_once(", Column: ")?;
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    Some((digits(line)?, digits(column)?))
}

fn message_without_place(message: &str) -> &str {
    message.split(" at Line:").next().unwrap_or(message)
}

/// The line of the query with a mark below the place.
fn pointer(query: &str, line: usize, column: usize) -> String {
    let text = query.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let margin = " ".repeat(line.to_string().len());
    format!("{line} | {text}\n{margin} | {}^", " ".repeat(column.saturating_sub(1)))
}

/// What stands in quotes, else the last word: the name that polars could not find.
fn quoted(message: &str) -> Option<String> {
    let inside = message.split(['"', '\'', '`']).nth(1).filter(|name| !name.is_empty());
    inside.or_else(|| message.split_whitespace().next_back()).map(str::to_owned)
}

/// The name that takes the fewest edits, if they are few.
fn nearest<'a>(wanted: &str, names: &'a BTreeSet<String>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let distance = |name: &str| strsim::levenshtein(&wanted, &name.to_lowercase());
    let near = names.iter().min_by_key(|name| distance(name))?;
    (distance(near) <= wanted.chars().count() / 3 + 1).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_tables_that_are_named() {
        assert_eq!(
            named("SELECT * FROM Experiments e JOIN runs r ON e.number = r.experiment", &TABLES),
            ["experiments", "runs"]
        );
        assert_eq!(named("SELECT 1", &TABLES), Vec::<&str>::new());
        assert_eq!(named("select * from metrics_old", &TABLES), Vec::<&str>::new());
        assert_eq!(named("select * from worst", &["metrics", "Worst"]), ["Worst"]);
    }

    #[test]
    fn an_error_points_at_its_place() {
        for (query, message, expected) in [
            ("SELECT a\nFORM b", "Expected: end, found: FORM at Line: 2, Column: 1", Some((2, 1))),
            ("SELECT é, valeu FROM e", "unable to find column \"valeu\"", Some((1, 11))),
            ("SELECT avalue, value", "unable to find column \"value\"", Some((1, 16))),
            ("SELECT 1", "something else", None),
        ] {
            assert_eq!(place(query, message, message), expected, "{query}");
        }
        assert_eq!(pointer("SELECT a\nFROM b", 2, 6), "2 | FROM b\n  |      ^");
    }

    #[test]
    fn finds_the_nearest_name() {
        let names = BTreeSet::from(["val_bpb".to_owned(), "status".to_owned()]);
        assert_eq!(nearest("val_bbp", &names), Some("val_bpb"));
        assert_eq!(nearest("Status", &names), Some("status"));
        assert_eq!(nearest("learning_rate", &names), None);
    }
}
