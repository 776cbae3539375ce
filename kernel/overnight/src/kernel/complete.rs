//! Completion and help of magics, from the grammar itself.

use std::any::TypeId;

use clap::{Command, ValueHint};
use jupyter::{Completeness, Completion};

use super::cell::{self, Part};
use super::grammar;
use crate::grammar::{Subject, Which};
use crate::session::Session;

/// The names that only cells have, beside the grammar's.
const CELL_MAGICS: [(&str, &str); 6] = [
    ("%%sql", "Query experiments, runs, metrics and events; the query is the cell's body"),
    ("%%ask", "Ask the research agent; the question is the cell's body"),
    ("%%bash", "Run the cell's body with bash"),
    ("%%sh", "Run the cell's body with sh"),
    ("%%time", "Run the cell's body and say how long it took"),
    ("%%writefile", "Write the cell's body to a file"),
];
/// How alike two names must be for one to be meant by the other.
const ALIKE: f64 = 0.7;

/// What `%lsmagic` shows.
pub(super) fn list() -> String {
    let grammar = grammar();
    let mut lines: Vec<(String, String)> = Vec::new();
    for command in visible(&grammar) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        lines.push((format!("%{}", command.get_name()), about));
        for sub in visible(command).filter(|_| command.get_name() == "loop") {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            lines.push((format!("%{} {}", command.get_name(), sub.get_name()), about));
        }
    }
    lines.extend(CELL_MAGICS.map(|(name, about)| (name.to_owned(), about.to_owned())));
    lines.push(("!command".to_owned(), "Run a shell command".to_owned()));
    lines.extend(EVCXR_COMMANDS.map(|(name, about)| (name.to_owned(), about.to_owned())));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = lines.iter().map(|(name, about)| format!("{name:width$}  {about}")).collect();
    lines.join("\n")
}

/// What evcxr takes at the beginning of a line of a Rust cell; `:help` has all of it.
const EVCXR_COMMANDS: [(&str, &str); 11] = [
    (":dep", "Rust cells: add a crate, `:dep rand = \"0.9\"`"),
    (":vars", "Rust cells: the variables and their types"),
    (":type", "Rust cells: the type of a variable"),
    (":clear", "Rust cells: forget all variables, functions and crates"),
    (":opt", "Rust cells: the level of optimization, `:opt 0` to `:opt 3`"),
    (":fmt", "Rust cells: how values are written, `:fmt {:#?}`"),
    (":types", "Rust cells: write the types of values, or stop that"),
    (":timing", "Rust cells: say how long compiling and running took, or stop that"),
    (":explain", "Rust cells: rustc's explanation of the last error"),
    (":doc", "Rust cells: the documentation of what is named"),
    (":help", "Rust cells: all commands of this kind"),
];

/// What a person who asked for a cell magic that is not there may have meant.
pub(super) fn nearest_cell_magic(name: &str) -> String {
    let wanted = format!("%%{name}");
    let alike = CELL_MAGICS.map(|(magic, _)| (strsim::jaro_winkler(&wanted, magic), magic));
    match alike.into_iter().filter(|(alike, _)| *alike > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, magic)) => format!("did you mean {magic}?"),
        None => format!("there are {}", CELL_MAGICS.map(|(magic, _)| magic).join(", ")),
    }
}

/// The help of a magic, such as `loop start`.
pub(super) fn help(name: &str) -> Option<String> {
    let grammar = grammar();
    let mut command = &grammar;
    for word in name.split_whitespace() {
        command = command.find_subcommand(word)?;
    }
    (command.get_name() != grammar.get_name())
        .then(|| as_typed(&command.clone().render_long_help().to_string()))
}

/// A text of the grammar with magics as a person types them: the grammar's own name stands apart.
pub(super) fn as_typed(text: &str) -> String {
    text.replace("Usage: % ", "Usage: %")
}

/// The help of the magic that the cursor is on.
pub(super) fn inspect(code: &str, cursor_chars: usize) -> Option<String> {
    let line = line_at(code, cursor_chars)?.0;
    let words: Vec<&str> =
        line.trim_start().strip_prefix('%')?.trim_start_matches('%').split_whitespace().collect();
    (1..=words.len()).rev().find_map(|count| help(&words[..count].join(" ")))
}

/// What could be typed in a magic at the cursor; `None` where the cursor is not in a magic.
pub(super) fn magic(code: &str, cursor_chars: usize, session: &Session) -> Option<Completion> {
    let (_, before) = line_at(code, cursor_chars)?;
    let magic = before.trim_start();
    if !magic.starts_with('%') {
        return None;
    }
    let word = magic.rsplit(char::is_whitespace).next().unwrap_or("");
    let start = cursor_chars - word.chars().count();
    let matches = if word.len() == magic.len() {
        names(word)
    } else {
        let words: Vec<&str> = magic.trim_start_matches('%').split_whitespace().collect();
        let typed = if word.is_empty() { &words[..] } else { &words[..words.len() - 1] };
        arguments(typed, word, session)
    };
    Some(Completion::typed(matches, start, cursor_chars))
}

/// The line that the cursor is in, and the part of it before the cursor. A line below other than magic
/// lines belongs to Rust or to a cell magic's body.
fn line_at(code: &str, cursor_chars: usize) -> Option<(&str, &str)> {
    let cursor = code.char_indices().nth(cursor_chars).map_or(code.len(), |(index, _)| index);
    let start = code[..cursor].rfind('\n').map_or(0, |newline| newline + 1);
    let end = code[cursor..].find('\n').map_or(code.len(), |newline| cursor + newline);
    let is_head =
        cell::parse(&code[..start]).iter().all(|part| !matches!(part, Part::Rust(_) | Part::Body { .. }));
    is_head.then(|| (&code[start..end], &code[start..cursor]))
}

/// The magics that begin with `word`.
fn names(word: &str) -> Vec<(String, String)> {
    let grammar = grammar();
    let lines = visible(&grammar).map(|command| format!("%{}", command.get_name()));
    lines
        .chain(CELL_MAGICS.iter().map(|(name, _)| (*name).to_owned()))
        .filter(|name| name.starts_with(word))
        .map(|name| (name, "magic".to_owned()))
        .collect()
}

/// What can follow the words `typed` and begins with `word`.
fn arguments(typed: &[&str], word: &str, session: &Session) -> Vec<(String, String)> {
    let grammar = grammar();
    let mut command = &grammar;
    for name in typed {
        command = command.find_subcommand(name).unwrap_or(command);
    }
    let last = typed.last().copied().unwrap_or("");
    let valued = command.get_arguments().find(|arg| {
        let long = arg.get_long().is_some_and(|long| last == format!("--{long}"));
        let short = arg.get_short().is_some_and(|short| last == format!("-{short}"));
        (long || short) && arg.get_action().takes_values()
    });
    // `--sort=value` is one word, of which the part after the sign is completed.
    if let Some((option, begun)) = word.split_once('=')
        && let Some(arg) = command
            .get_arguments()
            .find(|arg| arg.get_long().is_some_and(|long| option == format!("--{long}")))
    {
        let values = values(arg, begun, session).into_iter();
        return values.map(|(text, kind)| (format!("{option}={text}"), kind)).collect();
    }
    if let Some(arg) = valued {
        return values(arg, word, session);
    }
    let mut found: Vec<(String, String)> =
        visible(command).map(|sub| (sub.get_name().to_owned(), "magic".to_owned())).collect();
    let options = command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(clap::Arg::get_long);
    found.extend(options.map(|long| (format!("--{long}"), "option".to_owned())));
    found.retain(|(text, _)| text.starts_with(word) && !typed.contains(&text.as_str()));
    if !word.starts_with('-') {
        found.extend(command.get_positionals().flat_map(|arg| values(arg, word, session)));
        found.dedup();
    }
    found
}

/// What an argument can be that begins with `word`: its listed values, experiments, files.
fn values(arg: &clap::Arg, word: &str, session: &Session) -> Vec<(String, String)> {
    let kind = |text: String, kind: &str| (text, kind.to_owned());
    let mut found: Vec<(String, String)> =
        arg.get_possible_values().iter().map(|value| kind(value.get_name().to_owned(), "value")).collect();
    let typed = arg.get_value_parser().type_id();
    if typed == TypeId::of::<Which>() || typed == TypeId::of::<Subject>() {
        found.extend(["best", "latest", "running"].map(|name| kind(name.to_owned(), "value")));
        found.extend(session.names().into_iter().map(|name| kind(name, "experiment")));
    }
    found.retain(|(text, _)| text.starts_with(word));
    match arg.get_value_hint() {
        ValueHint::AnyPath | ValueHint::FilePath => found.extend(paths(word, session, true)),
        ValueHint::DirPath => found.extend(paths(word, session, false)),
        _ => {}
    }
    found
}

/// The files and folders whose path begins with `word`.
fn paths(word: &str, session: &Session, files: bool) -> Vec<(String, String)> {
    let (folder, name) =
        word.rsplit_once('/').map_or(("", word), |(_, name)| word.split_at(word.len() - name.len()));
    let Ok(entries) = std::fs::read_dir(session.folder.join(folder)) else { return Vec::new() };
    let mut found: Vec<(String, String)> = entries
        .flatten()
        .filter_map(|entry| {
            let text = entry.file_name().into_string().ok()?;
            // Hidden ones only where their dot is typed.
            if !text.starts_with(name) || (text.starts_with('.') && name.is_empty()) {
                return None;
            }
            let path = shell_words::quote(&format!("{folder}{text}")).into_owned();
            match entry.path().is_dir() {
                true => Some((format!("{path}/"), "folder".to_owned())),
                false => files.then(|| (path, "file".to_owned())),
            }
        })
        .collect();
    found.sort();
    found
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

/// Whether a console should run the code or ask for another line.
pub(super) fn completeness(code: &str) -> Completeness {
    let more = |indent: usize| Completeness::Incomplete { indent: " ".repeat(indent) };
    match cell::parse(code).last() {
        // A body ends with an empty line.
        Some(Part::Body { .. }) if !code.ends_with("\n\n") => more(0),
        Some(Part::Rust(rust)) => match cells::is_complete(rust) {
            cells::Completeness::Complete => Completeness::Complete,
            cells::Completeness::Incomplete { indent } => more(indent),
            cells::Completeness::Invalid => Completeness::Invalid,
        },
        _ if code.trim_end().ends_with('\\') => more(0),
        _ => Completeness::Complete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src").into(), false)
    }

    fn texts(code: &str) -> Vec<String> {
        magic(code, code.chars().count(), &session()).map(|completion| completion.matches).unwrap_or_default()
    }

    #[test]
    fn names_options_and_values_are_completed() {
        assert_eq!(texts("%exp"), ["%experiments", "%experiment", "%export"]);
        assert_eq!(texts("%loop sta"), ["start", "status"]);
        assert_eq!(texts("%loop start --ho"), ["--hours"]);
        assert_eq!(texts("%experiments --sort v"), ["value"]);
        assert_eq!(texts("%experiments --sort=v"), ["--sort=value"]);
        assert_eq!(texts("%plot pro"), ["progress"]);
        assert_eq!(texts("%diff be"), ["best"]);
        assert_eq!(texts("%export termi"), ["terminal.rs"]);
        assert_eq!(texts("%export ker"), ["kernel/"]);
        assert_eq!(texts("%load kernel/cel"), ["kernel/cell.rs"]);
        assert_eq!(texts("%cd k"), ["kernel/"]);
        assert_eq!(texts("let a = 1;\n%loo"), Vec::<String>::new());
    }

    #[test]
    fn offsets_are_code_points() {
        let code = "!echo 🌙\n%loop sta";
        let completion = magic(code, code.chars().count(), &session());
        assert_eq!(completion.map(|found| (found.start, found.end)), Some((14, 17)));
    }

    #[test]
    fn help_is_that_of_the_longest_name() {
        assert!(inspect("%loop start --hours 8", 8).is_some_and(|help| help.contains("--experiments")));
        assert!(inspect("%nope", 3).is_none());
        assert!(list().contains("%loop start"));
    }
}
