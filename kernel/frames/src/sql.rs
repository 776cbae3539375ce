//! SQL over the tables, and errors that say what to write instead.

use std::collections::BTreeSet;

use polars::{
    prelude::{DataFrame, IntoLazy, PolarsError},
    sql::SQLContext,
};

use crate::FramesError;

/// The tables that a query can name.
pub const TABLES: [&str; 4] = ["experiments", "metrics", "runs", "events"];

/// The tables that a query names; a word inside a string or a comment may be among them, which costs only time.
pub(crate) fn named(query: &str) -> Vec<&'static str> {
    let lower = query.to_lowercase();
    let words: BTreeSet<&str> = lower.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    TABLES.into_iter().filter(|table| words.contains(table)).collect()
}

/// Runs one query over the tables that it names.
pub(crate) fn run(query: &str, tables: Vec<(&'static str, DataFrame)>) -> Result<DataFrame, FramesError> {
    let mut columns: BTreeSet<String> = BTreeSet::new();
    let mut context = SQLContext::new();
    for (name, frame) in tables {
        columns.extend(frame.get_column_names().into_iter().map(ToString::to_string));
        context.register(name, frame.lazy());
    }
    let query = query.trim().trim_end_matches(';');
    if query.is_empty() {
        let hint = "for example SELECT * FROM experiments WHERE status = 'keep' ORDER BY value".to_owned();
        return Err(FramesError::Sql { message: "the query is empty".to_owned(), hint });
    }
    context
        .execute(query)
        .and_then(polars::prelude::LazyFrame::collect)
        .map_err(|error| explain(&error, &columns))
}

fn explain(error: &PolarsError, columns: &BTreeSet<String>) -> FramesError {
    let whole = error.to_string();
    // The first line says it; polars adds all columns, and the plan that it had made so far.
    let message =
        whole.lines().next().unwrap_or_default().split("; valid columns").next().unwrap_or_default();
    let message = message.trim_start_matches("sql parser error: ").trim_start_matches("not found: ");
    let message = message.trim_end_matches(':').to_owned();
    let lower = message.to_lowercase();
    let hint = if lower.contains("relation") {
        let tables = format!("the tables are {}", TABLES.join(", "));
        let known = TABLES.map(str::to_owned).into();
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
    FramesError::Sql { message, hint }
}

/// What stands in quotes, else the last word: the name that polars could not find.
fn quoted(message: &str) -> Option<String> {
    let inside = message.split(['"', '\'', '`']).nth(1).filter(|name| !name.is_empty());
    inside.or_else(|| message.split_whitespace().next_back()).map(str::to_owned)
}

/// The name that takes the fewest edits, if they are few.
fn nearest<'a>(wanted: &str, names: &'a BTreeSet<String>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let distance = |name: &str| edits(&wanted, &name.to_lowercase());
    let near = names.iter().min_by_key(|name| distance(name))?;
    (distance(near) <= wanted.chars().count() / 3 + 1).then_some(near)
}

fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = change.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_tables_that_are_named() {
        assert_eq!(
            named("SELECT * FROM Experiments e JOIN runs r ON e.number = r.experiment"),
            ["experiments", "runs"]
        );
        assert_eq!(named("SELECT 1"), Vec::<&str>::new());
        assert_eq!(named("select * from metrics_old"), Vec::<&str>::new());
    }

    #[test]
    fn finds_the_nearest_name() {
        let names = BTreeSet::from(["val_bpb".to_owned(), "status".to_owned()]);
        assert_eq!(nearest("val_bbp", &names), Some("val_bpb"));
        assert_eq!(nearest("Status", &names), Some("status"));
        assert_eq!(nearest("learning_rate", &names), None);
    }
}
