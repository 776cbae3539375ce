//! evcxr itself: one context, made at the first cell, and what its answers mean.

use std::env;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use evcxr::{CommandContext, Error, EvalContext, EvalContextOutputs, EvalOutputs};

use super::Replies;
use super::output::{Ending, Output, value};
use crate::diagnostic::compile_error;
use crate::message::{Bundle, CellError, Completion, Completions, Outcome, StreamName};
use crate::{hook, source, tap};

pub(super) struct Session {
    replies: Arc<Replies>,
    output: Output,
    context: Option<CommandContext>,
}

impl Session {
    pub(super) fn new(replies: Arc<Replies>, output: Output) -> Self {
        Self { replies, output, context: None }
    }

    /// Compiles and runs a cell; all that it wrote is sent when this returns.
    pub(super) fn execute(&mut self, id: u64, code: &str) -> Outcome {
        match self.try_execute(id, code) {
            Ok(()) => Outcome::Ok,
            Err(error) => Outcome::Error(error),
        }
    }

    fn try_execute(&mut self, id: u64, code: &str) -> Result<(), CellError> {
        if self.context.is_none() {
            let context = start(&self.output, &self.replies);
            // evcxr runs a first cell of its own, whose output is nobody's.
            self.output.drain().map_err(|error| internal(&error.to_string()))?;
            self.context = Some(context.map_err(|error| not_started(&error))?);
        }
        let Some(context) = &mut self.context else {
            return Err(internal("it has not started"));
        };
        self.replies.begin(id);
        let code_to_run = source::with_flush(code);
        let result = catch_unwind(AssertUnwindSafe(|| context.execute(&code_to_run)));
        let ending = self.output.drain().map_err(|error| internal(&error.to_string()))?;
        let result = result.map_err(|panic| internal(panic_text(&*panic)))?;
        let outputs = result.map_err(|error| cell_error(code, &error, &ending))?;
        self.replies.display(bundle(outputs));
        let source = || context.last_source().unwrap_or_default();
        if let Some(message) = ending.panic {
            return Err(panic_error(&message, code, &source()));
        }
        match ending.returned {
            Some(message) => Err(returned_error(&message)),
            None => Ok(()),
        }
    }

    /// What could stand at `cursor`, a byte offset; nothing where evcxr has not started yet.
    pub(super) fn complete(&mut self, code: &str, cursor: usize) -> Completions {
        let Some(context) = &mut self.context else {
            return Completions::default();
        };
        if !code.is_char_boundary(cursor) {
            return Completions::default();
        }
        let found = catch_unwind(AssertUnwindSafe(|| context.completions(code, cursor)));
        let Ok(Ok(found)) = found else {
            return Completions::default();
        };
        let matches = found
            .completions
            .into_iter()
            .map(|one| Completion { text: one.code, kind: one.kind.to_owned() })
            .collect();
        Completions { start: found.start_offset, end: found.end_offset, matches }
    }
}

/// Starts evcxr with the tap between it and the user's process.
fn start(output: &Output, replies: &Arc<Replies>) -> Result<CommandContext, Error> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(hook::TAP).env(tap::OUTPUT, output.path());
    if let Some(backtrace) = env::var_os("RUST_BACKTRACE") {
        command.env(tap::BACKTRACE, backtrace);
    }
    // Cells are linked against the toolchain's shared std, which the loader does not find by itself.
    if let Some(libraries) = library_path() {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    let (context, outputs) = EvalContext::with_subprocess_command(command)?;
    forward(outputs, replies);
    Ok(CommandContext::with_eval_context(context))
}

/// Where the loader looks for shared libraries: the toolchain's own first, then as it was.
fn library_path() -> Option<OsString> {
    let printed = Command::new("rustc").args(["--print", "target-libdir"]).output().ok()?;
    let toolchain = PathBuf::from(String::from_utf8(printed.stdout).ok()?.trim());
    let before = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    env::join_paths(std::iter::once(toolchain).chain(env::split_paths(&before))).ok()
}

/// The tap leaves nothing for evcxr to pass on but its own last words. The channels are read all
/// the same, since evcxr waits until they are empty.
fn forward(outputs: EvalContextOutputs, replies: &Arc<Replies>) {
    for (name, lines) in [(StreamName::Stdout, outputs.stdout), (StreamName::Stderr, outputs.stderr)] {
        let replies = Arc::clone(replies);
        thread::spawn(move || {
            for line in lines {
                replies.stream(name, line + "\n");
            }
        });
    }
}

/// What evcxr's own commands (`:vars`, `:help`, …) answer.
fn bundle(outputs: EvalOutputs) -> Bundle {
    let mut forms: Vec<(String, String)> = outputs.content_by_mime_type.into_iter().collect();
    forms.retain(|(_, content)| !content.is_empty());
    forms.sort();
    forms.into_iter().map(|(mime, content)| (mime.clone(), value(&mime, content))).collect()
}

fn not_started(error: &Error) -> CellError {
    let text = error.to_string();
    if text.contains("Cannot find `") || text.contains("Failed to run rustc") {
        return CellError::new(
            "NoRustToolchain",
            "Rust cells need the Rust toolchain, and there is no cargo or rustc on the PATH",
            "Install it from https://rustup.rs and restart the kernel. Magics (`%loop`, `%experiments`, `%%sql`, …) work without it.",
        );
    }
    if let Error::CompilationErrors(errors) = error {
        return compile_error("", errors);
    }
    CellError::new(
        "WorkerError",
        text.lines().next().unwrap_or("evcxr does not start").to_owned(),
        &format!("{text}\nIf the linker is missing, install a C compiler (Debian: `apt install gcc`)."),
    )
}

fn cell_error(code: &str, error: &Error, ending: &Ending) -> CellError {
    match error {
        Error::CompilationErrors(errors) => compile_error(code, errors),
        Error::TypeRedefinedVariablesLost(names) => CellError::new(
            "VariablesLost",
            format!("a type was defined anew, so these variables are lost: {}", names.join(", ")),
            "",
        ),
        Error::Message(message) => {
            let first = message.lines().next().unwrap_or_default();
            let rest = message.lines().skip(1).collect::<Vec<_>>().join("\n");
            CellError::new("CompileError", first, &rest)
        }
        Error::SubprocessTerminated(_) => {
            let status = ending.ended.as_deref().unwrap_or("its process is gone");
            let memory = if status.contains("SIGKILL") { "Perhaps memory ran out.\n" } else { "" };
            CellError::new(
                "ProcessEnded",
                format!("the cell's process ended ({status})"),
                &format!("{memory}Variables are lost; the next cell starts afresh."),
            )
        }
    }
}

fn internal(what: &str) -> CellError {
    CellError::new(
        "WorkerError",
        format!("evcxr failed: {what}"),
        "Run the cell again; if it happens again, `:clear` starts afresh, without variables.",
    )
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
}

fn returned_error(message: &str) -> CellError {
    let last = message.lines().rfind(|line| !line.trim().is_empty());
    CellError::new(
        "Error",
        last.unwrap_or("`?` met an error").to_owned(),
        "The cell ended at a `?`. Variables that it was to define are not there.",
    )
}

/// `stderr` is what Rust prints: `thread 'main' (7) panicked at src/lib.rs:3:1:`, the message, notes.
fn panic_error(stderr: &str, code: &str, source: &str) -> CellError {
    let text = stderr.trim();
    let (head, body) = text.split_once('\n').unwrap_or((text, ""));
    let end = ["\nnote: run with", "\nstack backtrace:"]
        .iter()
        .filter_map(|note| body.find(note))
        .min()
        .unwrap_or(body.len());
    let (message, notes) = body.split_at(end);
    let mut evalue = message.trim_end().to_owned();
    if evalue.is_empty() {
        "the cell panicked".clone_into(&mut evalue);
    }
    let mut more = match cell_line(head, code, source) {
        Some(line) => {
            let text = code.lines().nth(line - 1).unwrap_or_default();
            format!(" --> cell:{line}\n{line} | {text}\n")
        }
        // A line of evcxr's own file would tell nobody anything.
        None if head.contains("src/lib.rs:") => String::new(),
        None => {
            let place = head.split("panicked at ").last().unwrap_or(head);
            format!(" --> {}\n", place.trim_end_matches(':'))
        }
    };
    if notes.contains("stack backtrace:") {
        more.push_str(notes.trim());
        more.push('\n');
    }
    more.push_str("Variables of earlier cells are kept.");
    CellError::new("panic", evalue, &more)
}

/// The cell's line where it panicked: evcxr compiles the cell's statements unchanged, each on a line
/// of its own, further down.
fn cell_line(head: &str, code: &str, source: &str) -> Option<usize> {
    let place = head.split("src/lib.rs:").nth(1)?;
    let number: usize = place.split(':').next()?.parse().ok()?;
    let compiled = source.lines().nth(number.checked_sub(1)?)?.trim();
    if compiled.is_empty() {
        return None;
    }
    let mut same = code.lines().enumerate().filter(|(_, line)| line.contains(compiled));
    let (index, _) = same.next()?;
    same.next().is_none().then_some(index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(error: &CellError) -> String {
        error.traceback.join("\n").replace("\u{1b}[1;31m", "").replace("\u{1b}[0m", "")
    }

    #[test]
    fn a_panic_names_the_cells_line() {
        let stderr = "\nthread 'main' (7) panicked at src/lib.rs:4:9:\nindex out of bounds\nnote: run with `RUST_BACKTRACE=1`\n";
        let error = panic_error(
            stderr,
            "let v = vec![1];\nlet w = 1; v[3];",
            "fn f() {\n{\nlet v = vec![1];\nv[3];\n}}",
        );
        assert_eq!((error.ename.as_str(), error.evalue.as_str()), ("panic", "index out of bounds"));
        insta::assert_snapshot!(shown(&error), @r"
        panic: index out of bounds
         --> cell:2
        2 | let w = 1; v[3];
        Variables of earlier cells are kept.
        ");
    }

    #[test]
    fn a_panic_elsewhere_names_the_place() {
        let error = panic_error("thread 'main' panicked at /x/core/cell.rs:4:9:\nno\n", "", "");
        insta::assert_snapshot!(shown(&error), @r"
        panic: no
         --> /x/core/cell.rs:4:9
        Variables of earlier cells are kept.
        ");
    }

    #[test]
    fn a_missing_toolchain_says_where_to_get_one() {
        let error = not_started(&Error::Message("Cannot find `rustc` binary".into()));
        assert_eq!(error.ename, "NoRustToolchain");
        assert!(shown(&error).contains("https://rustup.rs"));
    }

    #[test]
    fn a_process_that_ended_is_told_with_its_signal() {
        let ending = Ending { ended: Some("signal: 6 (SIGABRT)".into()), ..Ending::default() };
        let error = cell_error("", &Error::SubprocessTerminated("gone".into()), &ending);
        assert_eq!(error.evalue, "the cell's process ended (signal: 6 (SIGABRT))");
    }
}
