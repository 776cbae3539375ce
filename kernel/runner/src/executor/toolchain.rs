//! Which compilers and interpreters a lab's commands start, by their own words.

use std::path::Path;
use std::process::{Command, Stdio};

use lab::Lab;

use super::preflight::first_word;
use crate::Variables;

/// Programs whose version a value may depend on, and that can be asked for it; what is not listed might
/// do anything when it is started. `cargo` is asked for its compiler.
const KNOWN: [(&str, &str); 8] = [
    ("cargo", "rustc"),
    ("rustc", "rustc"),
    ("python", "python"),
    ("python3", "python3"),
    ("uv", "uv"),
    ("node", "node"),
    ("julia", "julia"),
    ("gcc", "gcc"),
];

/// The first line of `--version` of what `build` and `run` start, such as `rustc 1.95.0 (… 2026-04-14)`;
/// `None` where nothing is known of them.
pub fn toolchain(root: &Path, lab: &Lab, variables: &Variables) -> Option<String> {
    let mut found: Vec<String> = Vec::new();
    for command in [lab.build.as_ref(), Some(&lab.run)].into_iter().flatten() {
        let version = first_word(command).and_then(|word| {
            let (_, program) = KNOWN.iter().find(|(name, _)| *name == word)?;
            version(root, program, variables)
        });
        found.extend(version.filter(|version| !found.contains(version)));
    }
    (!found.is_empty()).then(|| found.join(", "))
}

fn version(root: &Path, program: &str, variables: &Variables) -> Option<String> {
    let answer = Command::new(variables.find(program)?)
        .arg("--version")
        .current_dir(root)
        .env_clear()
        .envs(variables.allowed())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let line = text.lines().next()?.trim();
    (answer.status.success() && !line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn only_known_programs_are_asked_and_each_once() {
        let variables = Variables(BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap())]));
        let asked = |build: &str, run: &str| {
            let lab = Lab::parse(&format!("---\nbuild: {build}\nrun: {run}\n---\n")).unwrap();
            toolchain(Path::new("/"), &lab, &variables)
        };
        let rustc = asked("cargo build", "cargo run").unwrap();
        assert!(rustc.starts_with("rustc 1.") && !rustc.contains(','), "{rustc}");
        assert_eq!(asked("make", "./run.sh"), None);
    }
}
