//! `program` and `new`: show a lab's program, or write one.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use crate::failure::{ExitCode, Failure};
use crate::grammar::NewArgs;
use crate::session::Session;
use crate::sink::Sink;

/// Shows the settings that the program gives, and its instructions.
pub(super) fn show(session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let lab = session.lab(&ledger)?;
    let settings = [
        ("editable", lab.editable.join(", ")),
        ("setup", lab.setup.clone().unwrap_or_default()),
        ("build", lab.build.clone().unwrap_or_default()),
        ("run", lab.run.clone()),
        ("metric", format!("{} ({})", lab.metric, lab.direction)),
        ("budget", lab.budget.to_string()),
        ("timeout", lab.timeout.to_string()),
        ("inputs", lab.inputs.join(", ")),
        ("caches", lab.caches.join(", ")),
    ];
    let mut text = String::new();
    let mut markdown = String::from("| setting | value |\n|---|---|\n");
    for (name, value) in settings.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<9} {value}");
        let _ = writeln!(markdown, "| {name} | `{value}` |");
    }
    let instructions = lab.instructions.trim();
    let bundle = view::plain(&format!("{text}\n{instructions}"))
        .with("text/markdown", format!("{markdown}\n{instructions}"))
        .with("application/json", json!({"schema": lab::SCHEMA, "lab": lab}));
    sink.show(bundle);
    Ok(())
}

/// Writes a `program.md` into the repository.
pub(super) fn new(args: &NewArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let path = ledger.root().join("program.md");
    if path.exists() {
        return Err(Failure::new(format!("there is a program already: {}", path.display()))
            .hint("edit it; `program` shows what it says"));
    }
    let editable = args.editable.clone().or_else(|| guess(ledger.root())).ok_or_else(|| {
        Failure::new("which file may the loop change?")
            .hint("name it: new --editable FILE")
            .code(ExitCode::Usage)
    })?;
    if !ledger.root().join(&editable).is_file() {
        return Err(Failure::new(format!("there is no file {editable} in {}", ledger.root().display())));
    }
    let run = args.run.clone().unwrap_or_else(|| command_for(&editable));
    let metric = args.metric.as_deref().unwrap_or("val_bpb");
    let direction = if args.maximize { "maximize" } else { "minimize" };
    let text = format!(
        "---\neditable: {}\nrun: {}\nmetric: {}\ndirection: {direction}\nbudget: 5m\ntimeout: 10m\n---\n\
         # Program\n\nImprove `{metric}` ({direction}) by changing `{editable}` alone.\n\n\
         Try one idea at a time. Simpler is better: a change that gains nothing and removes code is welcome.\n",
        yaml(&editable),
        yaml(&run),
        yaml(metric),
    );
    // What was written must be what a loop will accept.
    lab::Lab::parse(&text)?;
    std::fs::write(&path, text).map_err(|error| Failure::io("write", &path, &error))?;
    sink.show(view::plain(&format!(
        "{} is written: read it, commit it, then `loop start`.\nThe run must print `{metric}: <number>`.",
        path.display()
    )));
    Ok(())
}

/// A file that labs usually have.
fn guess(root: &Path) -> Option<String> {
    ["train.py", "train/src/main.rs", "src/main.rs", "main.py"]
        .into_iter()
        .find(|file| root.join(file).is_file())
        .map(str::to_owned)
}

/// How a file of this kind is usually run.
fn command_for(editable: &str) -> String {
    match Path::new(editable).extension().and_then(|ext| ext.to_str()) {
        Some("rs") => "cargo run --release".to_owned(),
        Some("py") => format!("python3 {editable}"),
        _ => format!("./{editable}"),
    }
}

/// A string as YAML (JSON strings are YAML strings).
fn yaml(text: &str) -> String {
    json!(text).to_string()
}
