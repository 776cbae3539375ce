//! evcxr itself: one context, made at the first cell, and what its answers mean.

use std::cell::RefCell;
use std::env;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;

use evcxr::{CommandContext, Error, EvalCallbacks, EvalContext, EvalContextOutputs, EvalOutputs};

use super::output::{Ending, Output, value};
use super::{Replies, interrupt};
use crate::diagnostic::compile_error;
use crate::message::{Bundle, CellError, Completion, Completions, Outcome, StreamName};
use crate::source::Prepared;
use crate::{hook, oom, source, tap};

/// Has the user's process listen to interrupts, from now on: to none that came before.
const LISTEN: &str = "overnight::interrupt::listen();";
/// What a first cell would be like: evcxr learns that cells use `?`, rust-analyzer and rustc read what they need.
const FIRST: &str = r#"{ df!("a" => [0i64])?.lazy().select([col("a").sum()]).collect()?; }"#;
/// What a first completion would be like.
const COMPLETED: &str = "DataFrame::empty().lazy().";

pub(super) struct Session {
    replies: Arc<Replies>,
    output: Output,
    /// What the person has typed, each after a question.
    answers: Receiver<Option<String>>,
    context: Option<CommandContext>,
    /// What the last `:fmt` and `:types` said.
    format: Format,
    /// What the system had killed for want of memory when the cell began.
    oom_before: Option<u64>,
    /// The user's process does not listen to interrupts, being a new one, or has heard one that came too late.
    deaf: bool,
}

/// How values are written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Format {
    pretty: bool,
    types: bool,
}

impl Session {
    pub(super) fn new(replies: Arc<Replies>, output: Output, answers: Receiver<Option<String>>) -> Self {
        Self {
            replies,
            output,
            answers,
            context: None,
            format: Format::default(),
            oom_before: None,
            deaf: false,
        }
    }

    /// Compiles and runs a cell; all that it wrote is sent when this returns.
    pub(super) fn execute(&mut self, id: u64, code: &str) -> Outcome {
        interrupt::begin();
        self.oom_before = oom::kills();
        match self.try_execute(id, code) {
            Ok(()) => Outcome::Ok,
            Err(error) if interrupt::came() => Outcome::Interrupted(error),
            Err(error) => Outcome::Error(error),
        }
    }

    /// The variables that the next cell has.
    pub(super) fn variables(&self) -> Vec<String> {
        let Some(context) = &self.context else { return Vec::new() };
        let mut names: Vec<String> = context.variables_and_types().map(|(name, _)| name.to_owned()).collect();
        names.sort();
        names
    }

    /// Starts evcxr, and lets it read what the first cell would have to wait for.
    pub(super) fn warm(&mut self) {
        // What goes wrong is told by the first cell, which meets it again.
        if self.start().is_ok()
            && has_prelude()
            && let Some(context) = &mut self.context
        {
            let _ = catch_unwind(AssertUnwindSafe(|| context.execute(FIRST)));
            let _ = self.output.drain();
            self.complete(COMPLETED, COMPLETED.len());
        }
    }

    fn start(&mut self) -> Result<(), CellError> {
        if self.context.is_some() {
            return Ok(());
        }
        let context = start(&self.output, &self.replies);
        // evcxr runs a first cell of its own, whose output is nobody's.
        self.output.drain().map_err(|error| internal(&error.to_string()))?;
        self.context = Some(context.map_err(|error| not_started(&error))?);
        Ok(())
    }

    fn try_execute(&mut self, id: u64, code: &str) -> Result<(), CellError> {
        self.start()?;
        if interrupt::came() {
            return Err(internal("it was interrupted"));
        }
        let Some(context) = &mut self.context else {
            return Err(internal("it has not started"));
        };
        self.replies.begin(id);
        self.deaf |= interrupt::take_signalled();
        if self.deaf && has_prelude() {
            let _ = catch_unwind(AssertUnwindSafe(|| context.execute(LISTEN)));
            self.output.drain().map_err(|error| internal(&error.to_string()))?;
        }
        self.deaf = false;
        let prepared = Prepared::new(code, has_prelude());
        let (answers, replies) = (&self.answers, &self.replies);
        let output = RefCell::new(&mut self.output);
        let mut callbacks = EvalCallbacks {
            input_reader: &|request| {
                // What was printed before the question is shown before it.
                let _ = output.borrow_mut().drain();
                replies.ask(request.prompt, request.is_password);
                answers.recv().ok().flatten().unwrap_or_default()
            },
        };
        let run = || context.execute_with_callbacks(&prepared.code, &mut callbacks);
        let result = catch_unwind(AssertUnwindSafe(run));
        let ending = self.output.drain().map_err(|error| internal(&error.to_string()))?;
        let result = result.map_err(|panic| internal(panic_text(&*panic)))?;
        self.deaf = matches!(result, Err(Error::SubprocessTerminated(_)));
        let outputs =
            result.map_err(|error| cell_error(code, &prepared, &error, &ending, self.oom_before))?;
        self.replies.display(bundle(outputs));
        if let Some(message) = ending.panic {
            let source = context.last_source().unwrap_or_default();
            return Err(panic_error(&message, code, &prepared, &source));
        }
        if let Some(message) = ending.returned {
            return Err(returned_error(&message));
        }
        if code.lines().any(|line| line.trim_end() == ":clear") {
            let result = bring_prelude(context);
            let ending = self.output.drain().map_err(|error| internal(&error.to_string()))?;
            result.map_err(|error| cell_error(code, &prepared, &error, &ending, self.oom_before))?;
            self.format = Format::default();
        }
        self.follow_format(code)
    }

    /// `:fmt` and `:types` are evcxr's, and values are written by the prelude: tells it.
    fn follow_format(&mut self, code: &str) -> Result<(), CellError> {
        let mut format = self.format;
        for line in code.lines().map(str::trim) {
            match line.split_once(' ').unwrap_or((line, "")) {
                (":fmt", how) => format.pretty = how.contains('#'),
                (":types", _) => format.types = !format.types,
                _ => {}
            }
        }
        let Some(context) = self.context.as_mut().filter(|_| format != self.format && has_prelude()) else {
            return Ok(());
        };
        self.format = format;
        let set = format!("overnight::set_format({}, {});", format.pretty, format.types);
        let result = context.execute(&set);
        let ending = self.output.drain().map_err(|error| internal(&error.to_string()))?;
        result
            .map(drop)
            .map_err(|error| cell_error(&set, &Prepared::new(&set, false), &error, &ending, self.oom_before))
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

    /// The documentation of the path or method call that ends at `cursor`, a byte offset, as Markdown.
    pub(super) fn inspect(&mut self, code: &str, cursor: usize) -> Option<String> {
        let context = self.context.as_mut()?;
        let path = source::path_at(code, cursor)?;
        let found = catch_unwind(AssertUnwindSafe(|| context.execute(&format!(":doc {path}")))).ok()?.ok()?;
        let text = ["text/markdown", "text/html", "text/plain"].iter().find_map(|mime| found.get(mime))?;
        (!text.contains("No documentation found")).then(|| text.to_owned())
    }
}

/// Whether cells have a prelude.
fn has_prelude() -> bool {
    env::var_os(super::PRELUDE).is_some()
}

/// Starts evcxr with the tap between it and the user's process, and gives it the prelude.
fn start(output: &Output, replies: &Arc<Replies>) -> Result<CommandContext, Error> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(hook::TAP).env(tap::OUTPUT, output.path());
    if let Some(backtrace) = env::var_os("RUST_BACKTRACE") {
        command.env(tap::BACKTRACE, backtrace);
    }
    // Cells are linked against the toolchain's shared std and the prelude. evcxr moves what rustc made, and the way
    // that rustc wrote into it leads nowhere then.
    if let Some(libraries) = library_path() {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    let (context, outputs) = EvalContext::with_subprocess_command(command)?;
    forward(outputs, replies);
    let mut context = CommandContext::with_eval_context(context);
    bring_prelude(&mut context)?;
    Ok(context)
}

/// Gives evcxr the prelude, if there is one: also after `:clear`, which takes it away.
fn bring_prelude(context: &mut CommandContext) -> Result<(), Error> {
    let Some(prelude) = env::var_os(super::PRELUDE).map(PathBuf::from) else { return Ok(()) };
    // At 1, rustc takes polars' generic functions from where they are compiled already; at 2, a join takes 15 s.
    // The linker must be the one that the prelude was built with; mold changes nothing of that.
    let linker = if is_on_path("mold") { "mold" } else { "system" };
    let code = format!(
        ":linker {linker}\n:opt 1\n:dep overnight = {{ path = {prelude:?} }}\nuse overnight::prelude::*;\n{LISTEN}"
    );
    context.execute(&code).map(drop)
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Where the loader looks for shared libraries: the toolchain's own first, the prelude's, then as it was.
fn library_path() -> Option<OsString> {
    let printed = Command::new("rustc").args(["--print", "target-libdir"]).output().ok()?;
    let toolchain = PathBuf::from(String::from_utf8(printed.stdout).ok()?.trim());
    let before = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let prelude = env::var_os(super::PRELUDE).map(PathBuf::from);
    let prelude = prelude.and_then(|folder| Some(folder.parent()?.join("lib")));
    env::join_paths([toolchain].into_iter().chain(prelude).chain(env::split_paths(&before))).ok()
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
        return compile_error("", &Prepared::new("", false), errors);
    }
    CellError::new(
        "WorkerError",
        text.lines().next().unwrap_or("evcxr does not start").to_owned(),
        &format!("{text}\nIf the linker is missing, install a C compiler (Debian: `apt install gcc`)."),
    )
}

fn cell_error(
    code: &str,
    prepared: &Prepared,
    error: &Error,
    ending: &Ending,
    oom_before: Option<u64>,
) -> CellError {
    match error {
        Error::CompilationErrors(errors) => compile_error(code, prepared, errors),
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
            let memory = oom::verdict(status, oom_before, oom::kills());
            CellError::new(
                "ProcessEnded",
                format!("the cell's process ended ({status})"),
                format!("{memory}\nVariables are lost; the next cell starts afresh.").trim_start(),
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
fn panic_error(stderr: &str, code: &str, prepared: &Prepared, source: &str) -> CellError {
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
    let mut more = match cell_line(head, &prepared.code, source) {
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
            &Prepared::new("let v = vec![1];\nlet w = 1; v[3];", true),
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
        let error = panic_error(
            "thread 'main' panicked at /x/core/cell.rs:4:9:\nno\n",
            "",
            &Prepared::new("", true),
            "",
        );
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
        let error = cell_error(
            "",
            &Prepared::new("", true),
            &Error::SubprocessTerminated("gone".into()),
            &ending,
            None,
        );
        assert_eq!(error.evalue, "the cell's process ended (signal: 6 (SIGABRT))");
    }
}
