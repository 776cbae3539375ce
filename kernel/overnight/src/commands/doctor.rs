//! `doctor`: what is ready here, what is missing, and what to do about it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;
use view::Bundle;

use super::data::Missing;
use crate::env;
use crate::failure::Failure;
use crate::session::Session;
use crate::sink::Sink;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ready,
    /// Something that works without it.
    Missing,
    /// The loop cannot run.
    Broken,
}

/// Shows the checks; fails if the loop cannot run.
pub(super) fn run(session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let checks = checks(session);
    sink.show(shown(&checks));
    match checks.iter().filter(|check| check.state == State::Broken).count() {
        0 => Ok(()),
        1 => Err(Failure::new("one thing keeps the loop from running: see above")),
        many => Err(Failure::new(format!("{many} things keep the loop from running: see above"))),
    }
}

fn checks(session: &Session) -> Vec<Check> {
    let mut checks = vec![tool("git", State::Broken, "the ledger and the worktrees need it: install git")];
    match session.ledger() {
        Ok(ledger) => {
            checks.push(ready("repository", ledger.root().display().to_string()));
            match session.lab(&ledger) {
                Ok(lab) => {
                    let defaults =
                        if lab.declared { "" } else { " (no front matter: the karpathy defaults)" };
                    let found = format!("{} in {}{defaults}", lab.metric, lab.editable.join(", "));
                    checks.push(ready("program.md", found));
                    checks.push(sandbox(runner::Facts::probe(), lab.sandbox, lab.network));
                    checks.push(command("run", &lab.run, ledger.root()));
                    checks.extend(lab.build.as_deref().map(|build| command("build", build, ledger.root())));
                    checks.extend(data(session));
                    checks.extend(
                        lab.inputs
                            .iter()
                            .map(|input| self::input(input, ledger.root(), lab.setup.as_deref())),
                    );
                }
                Err(failure) => checks.push(broken("program.md", failure)),
            }
        }
        Err(failure) => checks.push(broken("repository", failure)),
    }
    checks.push(tool("cargo", State::Missing, "Rust cells need it, magics do not: https://rustup.rs"));
    checks.extend(prelude());
    checks.push(tool("python3", State::Missing, "`overnight lab` needs it for JupyterLab"));
    checks.push(gpu());
    checks.extend(outlive(session));
    checks
}

/// What holds runs to what they may do.
fn sandbox(facts: runner::Facts, on: bool, network: bool) -> Check {
    if !on {
        let hint = Some(
            "runs can read and write whatever you can; take `sandbox: off` out of program.md".to_owned(),
        );
        return Check {
            what: "sandbox",
            state: State::Missing,
            found: "off, as program.md says".to_owned(),
            hint,
        };
    }
    let weaker: Vec<String> = facts
        .weaker()
        .iter()
        .map(|what| format!("a run could {what}"))
        .chain(facts.stricter().iter().map(|what| (*what).to_owned()))
        .collect();
    let found = format!("{}, {}", facts.means(), if network { "with network" } else { "no network" });
    let state = if weaker.is_empty() { State::Ready } else { State::Missing };
    let hint = (!weaker.is_empty()).then(|| format!("not enforced by this kernel: {}", weaker.join("; ")));
    Check { what: "sandbox", state, found, hint }
}

/// What Rust cells have in scope; nothing to say where there is no toolchain.
fn prelude() -> Option<Check> {
    use cells::prelude::State as Built;
    let prelude = cells::Prelude::find(&crate::session::cache_home().ok()?).ok()?;
    let found = match prelude.state() {
        Built::Ready => return Some(ready("rust cells", "polars is built".to_owned())),
        Built::Building { done, total } => format!("polars is being built: {done} of {total}"),
        Built::Missing => "polars is not built yet".to_owned(),
    };
    let hint = Some("the first Rust cell waits for it; `overnight prelude` builds it now".to_owned());
    Some(Check { what: "rust cells", state: State::Missing, found, hint })
}

fn ready(what: &'static str, found: String) -> Check {
    Check { what, state: State::Ready, found, hint: None }
}

fn broken(what: &'static str, failure: Failure) -> Check {
    Check { what, state: State::Broken, found: failure.message, hint: failure.hint }
}

fn tool(name: &'static str, absent: State, hint: &str) -> Check {
    match on_path(name) {
        Some(path) => ready(name, path.display().to_string()),
        None => {
            Check { what: name, state: absent, found: "not found".to_owned(), hint: Some(hint.to_owned()) }
        }
    }
}

/// The program that a command of the lab begins with.
fn command(what: &'static str, command: &str, root: &Path) -> Check {
    let program =
        shell_words::split(command).ok().and_then(|words| words.into_iter().next()).unwrap_or_default();
    let found = if program.contains('/') { Some(root.join(&program)) } else { on_path(&program) };
    match found {
        // A path is most often what `build` makes, so that it need not be there yet.
        Some(_) => ready(what, command.to_owned()),
        None => Check {
            what,
            state: State::Broken,
            found: format!("`{command}`: {program} is not on the path"),
            hint: Some(if program == "uv" {
                "install uv (https://docs.astral.sh/uv), or set `run:` in program.md".to_owned()
            } else {
                format!("install {program}, or set `{what}:` in program.md")
            }),
        },
    }
}

/// What karpathy's `prepare.py` downloads, where it has not.
fn data(session: &Session) -> Option<Check> {
    let missing = Missing::of(session).ok()??;
    Some(broken("data", missing.failure()))
}

fn input(input: &str, root: &Path, setup: Option<&str>) -> Check {
    if root.join(input).exists() {
        return ready("input", input.to_owned());
    }
    let hint = match setup {
        Some(setup) => format!("`loop start` makes it by the lab's setup: {setup}"),
        None => "make it, or take it out of `inputs:` in program.md".to_owned(),
    };
    let state = if setup.is_some() { State::Missing } else { State::Broken };
    Check { what: "input", state, found: format!("{input} is not there"), hint: Some(hint) }
}

fn gpu() -> Check {
    match on_path("nvidia-smi") {
        Some(path) => ready("GPU", path.display().to_string()),
        None => Check {
            what: "GPU",
            state: State::Missing,
            found: "none found; runs use the CPU".to_owned(),
            hint: None,
        },
    }
}

/// What a night may not outlive here.
fn outlive(session: &Session) -> Vec<Check> {
    let places = session.ledger().and_then(|ledger| {
        let paths = session.paths(&ledger)?;
        Ok((
            runner::outlive::remembered(&paths),
            runner::outlive::Places { repository: paths.state, cache: paths.cache },
        ))
    });
    let Ok((growth, places)) = places else { return Vec::new() };
    let mut facts = runner::outlive::probe(&runner::Variables(env::all()), &places);
    facts.growth = growth;
    let found = runner::outlive::findings(&facts, jiff::Timestamp::now(), None);
    if found.is_empty() {
        return vec![ready("a night", "nothing is known here that would end it".to_owned())];
    }
    let check = |finding: runner::outlive::Finding| Check {
        what: "a night",
        state: State::Missing,
        found: finding.text,
        hint: finding.mend,
    };
    found.into_iter().map(check).collect()
}

/// Where a program is, as the shell would find it.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn shown(checks: &[Check]) -> Bundle {
    let mut lines = Vec::new();
    for check in checks {
        let mark = match check.state {
            State::Ready => "ok ",
            State::Missing => "-  ",
            State::Broken => "NO ",
        };
        lines.push(format!("{mark} {:<11} {}", check.what, check.found));
        lines.extend(check.hint.iter().map(|hint| format!("                {hint}")));
    }
    view::plain(&lines.join("\n")).with("application/json", json!({"schema": lab::SCHEMA, "checks": checks}))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_missing_program_is_named_with_what_to_do() {
        let check = command("run", "surely-not-there --fast", Path::new("/"));
        assert_eq!(check.state, State::Broken);
        insta::assert_snapshot!(shown(&[check, ready("git", "/usr/bin/git".into())]).text(), @r"
        NO  run         `surely-not-there --fast`: surely-not-there is not on the path
                        install surely-not-there, or set `run:` in program.md
        ok  git         /usr/bin/git
        ");
    }

    #[test]
    fn a_sandbox_says_what_it_lacks() {
        let facts =
            |landlock, seccomp| runner::Facts { landlock, seccomp, warden: seccomp, bubblewrap: false };
        let checks = [
            sandbox(facts(7, true), true, false),
            sandbox(facts(1, true), true, true),
            sandbox(facts(0, false), true, false),
            sandbox(facts(7, true), false, false),
        ];
        insta::assert_snapshot!(shown(&checks).text(), @r##"
        ok  sandbox     Landlock 7 and seccomp, no network
        -   sandbox     Landlock 1 and seccomp, with network
                        not enforced by this kernel: a run could empty files that it can name, though not write into them; a run could signal every process of yours; a run cannot rename or link files from one folder to another
        -   sandbox     nothing, no network
                        not enforced by this kernel: a run could read and write every file that you can, keys among them; a run could signal every process of yours; a run could use the network
        -   sandbox     off, as program.md says
                        runs can read and write whatever you can; take `sandbox: off` out of program.md
        "##);
    }

    #[test]
    fn an_input_that_setup_makes_does_not_stop_the_loop() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(input("data/", folder.path(), Some("make data")).state, State::Missing);
        assert_eq!(input("data/", folder.path(), None).state, State::Broken);
        std::fs::create_dir(folder.path().join("data")).unwrap();
        assert_eq!(input("data/", folder.path(), None).state, State::Ready);
    }
}
