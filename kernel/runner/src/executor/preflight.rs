//! Whether a lab's commands can start at all, asked before anything runs.

use lab::Lab;

use crate::RunnerError;
use crate::environment::Variables;

/// Words that `sh` knows by itself.
const BUILTIN: [&str; 28] = [
    ".", ":", "[", "alias", "bg", "break", "case", "cd", "command", "continue", "echo", "eval", "exec",
    "exit", "export", "false", "for", "if", "printf", "read", "set", "test", "time", "trap", "true",
    "ulimit", "until", "while",
];

/// Checks that the program that each command starts with is there.
///
/// # Errors
/// [`RunnerError::NoProgram`] names the setting and the program.
pub fn preflight(lab: &Lab, variables: &Variables) -> Result<(), RunnerError> {
    let commands = [("run", Some(&lab.run)), ("build", lab.build.as_ref()), ("setup", lab.setup.as_ref())];
    for (field, command) in commands {
        let Some(program) = command.and_then(|command| first_word(command)) else { continue };
        if variables.find(&program).is_none() {
            return Err(RunnerError::NoProgram { field, program });
        }
    }
    Ok(())
}

/// The bare program that a command starts with; `None` where it is a path or something of the shell's.
pub(super) fn first_word(command: &str) -> Option<String> {
    let words = shell_words::split(command).ok()?;
    let word = words.into_iter().find(|word| !is_assignment(word))?;
    let bare = word.chars().all(|c| c.is_ascii_alphanumeric() || "_-.+".contains(c));
    (bare && !BUILTIN.contains(&word.as_str())).then_some(word)
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::first_word;

    #[test]
    fn the_word_that_must_be_on_path() {
        let cases = [
            ("uv run train.py", Some("uv")),
            ("A=1 B='x y' python3 -m train", Some("python3")),
            ("target/release/train", None),
            ("./bench | tail -1", None),
            ("cd train && cargo run", None),
            ("$PYTHON train.py", None),
            ("(exit 1)", None),
            ("", None),
        ];
        for (command, expected) in cases {
            assert_eq!(first_word(command).as_deref(), expected, "{command}");
        }
    }
}
