//! Asking the person at the notebook.

use std::io::Write;

use crate::{Error, Result};

/// Asks for a line of text.
pub fn input(prompt: &str) -> Result<String> {
    ask("EVCXR_INPUT_REQUEST", prompt)
}

/// Asks for a line of text that is not shown as it is typed.
pub fn password(prompt: &str) -> Result<String> {
    ask("EVCXR_INPUT_REQUEST_PASSWORD", prompt)
}

/// evcxr reads the question from standard output, up to a colon, and writes the answer to standard input.
fn ask(command: &str, prompt: &str) -> Result<String> {
    let prompt = prompt.trim_end().trim_end_matches(':').replace(['\n', ':'], " ");
    let mut out = std::io::stdout().lock();
    writeln!(out, "{command}:{prompt}")?;
    out.flush()?;
    drop(out);
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line)? == 0 {
        return Err(Error::new("nobody is there to answer"));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
