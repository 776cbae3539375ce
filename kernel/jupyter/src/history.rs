//! The cells that were run, of this session and of earlier ones, for clients that ask for what was typed.
//!
//! An `SQLite` database, in a file that all kernels of a user share, or in memory where there is none. Its
//! two tables are those of `IPython`'s history, so that the same tools read it.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use serde_json::{Value, json};

use crate::requests::HistoryRequest;

const SCHEMA: &str = "
    PRAGMA busy_timeout = 2000;
    -- A cell lost to a power cut is not worth waiting for the disk after every other.
    PRAGMA synchronous = OFF;
    CREATE TABLE IF NOT EXISTS sessions (session INTEGER PRIMARY KEY AUTOINCREMENT, start TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS history (
        session INTEGER NOT NULL, line INTEGER NOT NULL, source TEXT NOT NULL, output TEXT,
        PRIMARY KEY (session, line)
    );
";

/// Cells that asked to be stored.
pub(crate) struct History {
    database: Connection,
    /// This session's number, once it has stored a cell.
    session: Option<i64>,
}

impl History {
    /// Opens the history in `file`; one that cannot be used is replaced by memory, which is logged.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, rusqlite::Error> {
        if let Some(path) = file {
            match Connection::open(path).and_then(ready) {
                Ok(history) => return Ok(history),
                Err(error) => tracing::warn!(%error, ?path, "the history of earlier sessions cannot be used"),
            }
        }
        Connection::open_in_memory().and_then(ready)
    }

    /// Remembers a cell, its number and the text of its result if it had one.
    pub(crate) fn append(&mut self, line: u32, input: &str, output: Option<&str>) {
        if let Err(error) = self.try_append(line, input, output) {
            tracing::warn!(%error, "a cell could not be stored in the history");
        }
    }

    fn try_append(&mut self, line: u32, input: &str, output: Option<&str>) -> Result<(), rusqlite::Error> {
        let session = match self.session {
            Some(session) => session,
            None => {
                let now = jiff::Timestamp::now().to_string();
                self.database.execute("INSERT INTO sessions (start) VALUES (?)", [now])?;
                *self.session.insert(self.database.last_insert_rowid())
            }
        };
        self.database.execute(
            "INSERT OR REPLACE INTO history (session, line, source, output) VALUES (?, ?, ?, ?)",
            params![session, line, input, output],
        )?;
        Ok(())
    }

    /// What was typed in this session, oldest first, each with its number.
    pub(crate) fn inputs(&self) -> Vec<(u32, String)> {
        let found = self
            .database
            .prepare("SELECT line, source FROM history WHERE session = ? ORDER BY line")
            .and_then(|mut query| {
                query.query_map([self.session], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            });
        found.unwrap_or_else(|error| {
            tracing::warn!(%error, "the history cannot be read");
            Vec::new()
        })
    }

    /// The `history` field of a reply: a list of `[session, line, input]`, or with output
    /// `[session, line, [input, output]]`.
    pub(crate) fn answer(&self, request: &HistoryRequest) -> Value {
        self.try_answer(request).unwrap_or_else(|error| {
            tracing::warn!(%error, "the history cannot be read");
            json!([])
        })
    }

    fn try_answer(&self, request: &HistoryRequest) -> Result<Value, rusqlite::Error> {
        match request {
            HistoryRequest::Tail { output, n } => self.select(
                *output,
                "SELECT * FROM history ORDER BY session DESC, line DESC LIMIT :n",
                named_params! { ":n": limit(*n) },
            ),
            HistoryRequest::Range { output, session, start, stop } => {
                let session = if *session > 0 { *session } else { self.number()? + session };
                self.select(
                    *output,
                    "SELECT * FROM history WHERE session = :session AND line >= :start AND line < :stop
                     ORDER BY line DESC",
                    named_params! {
                        ":session": session, ":start": start.unwrap_or(0), ":stop": stop.unwrap_or(i64::MAX),
                    },
                )
            }
            HistoryRequest::Search { output, pattern, n, unique } => self.select(
                *output,
                if *unique {
                    // Of each text the last: SQLite takes the other columns from the row that has the maximum.
                    "SELECT session, line, source, output FROM (
                         SELECT *, max(session * 1000000 + line) AS latest FROM history
                         WHERE source GLOB :pattern GROUP BY source
                     ) ORDER BY latest DESC LIMIT :n"
                } else {
                    "SELECT * FROM history WHERE source GLOB :pattern
                     ORDER BY session DESC, line DESC LIMIT :n"
                },
                named_params! { ":pattern": pattern.as_deref().unwrap_or("*"), ":n": limit(*n) },
            ),
        }
    }

    /// The number of this session, or what it would be if it stored a cell now.
    fn number(&self) -> Result<i64, rusqlite::Error> {
        if let Some(session) = self.session {
            return Ok(session);
        }
        let last: Option<Option<i64>> =
            self.database.query_row("SELECT max(session) FROM sessions", [], |row| row.get(0)).optional()?;
        Ok(last.flatten().unwrap_or(0) + 1)
    }

    /// The rows of a query that gives the latest first, as the protocol has them: oldest first.
    fn select(
        &self,
        output: bool,
        query: &str,
        parameters: &[(&str, &dyn rusqlite::ToSql)],
    ) -> Result<Value, rusqlite::Error> {
        let row = |row: &Row<'_>| {
            let (session, line): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (source, result): (String, Option<String>) = (row.get(2)?, row.get(3)?);
            Ok(if output { json!([session, line, [source, result]]) } else { json!([session, line, source]) })
        };
        let mut query = self.database.prepare(query)?;
        let mut rows = query.query_map(parameters, row)?.collect::<Result<Vec<_>, _>>()?;
        rows.reverse();
        Ok(Value::Array(rows))
    }
}

fn ready(database: Connection) -> Result<History, rusqlite::Error> {
    database.execute_batch(SCHEMA)?;
    Ok(History { database, session: None })
}

/// `SQLite` takes a negative limit for none.
fn limit(n: Option<usize>) -> i64 {
    n.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn history(file: Option<&Path>) -> History {
        let mut history = History::open(file).unwrap();
        history.append(1, "let x = 1;", None);
        history.append(2, "x", Some("1"));
        history.append(3, "let y = 2;", None);
        history.append(4, "x", Some("1"));
        history
    }

    fn ask(history: &History, request: Value) -> String {
        history.answer(&serde_json::from_value(request).unwrap()).to_string()
    }

    #[test]
    fn tail_gives_the_last_in_order() {
        insta::assert_snapshot!(ask(&history(None), json!({"hist_access_type": "tail", "n": 2, "output": true, "raw": true})), @r#"[[1,3,["let y = 2;",null]],[1,4,["x","1"]]]"#);
    }

    #[test]
    fn range_is_half_open() {
        insta::assert_snapshot!(ask(&history(None), json!({"hist_access_type": "range", "session": 0, "start": 2, "stop": 4})), @r#"[[1,2,"x"],[1,3,"let y = 2;"]]"#);
        insta::assert_snapshot!(ask(&history(None), json!({"hist_access_type": "range", "session": -1, "start": 0, "stop": 4})), @"[]");
    }

    #[test]
    fn search_takes_globs_and_drops_repeats_when_asked() {
        let history = history(None);
        insta::assert_snapshot!(ask(&history, json!({"hist_access_type": "search", "pattern": "let ?*;"})), @r#"[[1,1,"let x = 1;"],[1,3,"let y = 2;"]]"#);
        insta::assert_snapshot!(ask(&history, json!({"hist_access_type": "search", "pattern": "*x", "unique": true})), @r#"[[1,4,"x"]]"#);
        insta::assert_snapshot!(ask(&history, json!({"hist_access_type": "search", "pattern": "z*"})), @"[]");
    }

    #[test]
    fn sessions_are_kept_in_a_file_that_kernels_share() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.sqlite");
        let first = history(Some(&file));
        let second = History::open(Some(&file)).unwrap();
        let before = json!({"hist_access_type": "range", "session": -1, "start": 1, "stop": 2});
        insta::assert_snapshot!(ask(&second, before), @r#"[[1,1,"let x = 1;"]]"#);
        let mut second = history(Some(&file));
        second.append(5, "🌙", None);
        insta::assert_snapshot!(ask(&first, json!({"hist_access_type": "tail", "n": 2})), @r#"[[2,4,"x"],[2,5,"🌙"]]"#);
        assert_eq!(first.inputs().len(), 4);
        assert_eq!(second.inputs().last(), Some(&(5, "🌙".to_owned())));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_replaced_by_memory() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.sqlite");
        std::fs::write(&file, "no database at all, but long enough to be taken for the header of one")
            .unwrap();
        for bad in [file.as_path(), Path::new("/nowhere/history.sqlite")] {
            let mut history = History::open(Some(bad)).unwrap();
            history.append(1, "1", None);
            assert_eq!(history.inputs().len(), 1);
        }
    }
}
