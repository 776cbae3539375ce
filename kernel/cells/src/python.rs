//! A cell that looks like Python gets a hint rather than forty lines of rustc.

/// What to tell someone whose cell looks like Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The line that looks like Python, counted from 1.
    pub line: usize,
    /// One line of advice.
    pub text: String,
}

/// Whether a cell that failed to compile was perhaps meant as Python.
///
/// ```
/// let hint = cells::looks_like_python("import polars as pl\n").unwrap();
/// assert_eq!(hint.line, 1);
/// assert!(cells::looks_like_python("use std::fmt;\nprintln!(\"{}\", 1);").is_none());
/// ```
pub fn looks_like_python(code: &str) -> Option<Hint> {
    code.lines().enumerate().find_map(|(index, line)| {
        let advice = advice(line)?;
        Some(Hint {
            line: index + 1,
            text: format!("Line {} looks like Python, and this is a Rust cell: {advice}", index + 1),
        })
    })
}

fn advice(line: &str) -> Option<&'static str> {
    let text = line.trim();
    if text.ends_with(';') || text.starts_with("//") {
        return None;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let block = text.ends_with(':');
    match words.as_slice() {
        ["import", name, ..] if is_path(name.trim_end_matches(',')) => {
            Some("crates are brought in by `:dep name`, names by `use`.")
        }
        ["from", module, "import", ..] if is_path(module) => {
            Some("crates are brought in by `:dep name`, names by `use`.")
        }
        ["def" | "async", ..] if block && text.contains("def ") => {
            Some("a function is `fn name(argument: Type) -> Type { … }`.")
        }
        ["class", ..] if block => Some("types are `struct` and `enum`."),
        ["if" | "elif" | "else" | "else:" | "for" | "while" | "try:" | "with", ..] if block => {
            Some("blocks stand in braces.")
        }
        _ if is_call(text, "print") => Some("printing is `println!(\"{}\", value)`."),
        _ => None,
    }
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
}

/// `name(…)` as a whole line: Rust's is a macro, and a Rust statement would end in `;`.
fn is_call(text: &str, name: &str) -> bool {
    text.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('(') && rest.ends_with(')'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn python_is_told_from_rust() {
        for python in [
            "import numpy",
            "import numpy as np",
            "from os import path",
            "x = 1\nprint(x)",
            "print (x)",
            "def f(x):\n    return x",
            "class A:\n    pass",
            "for i in range(3):\n    print(i)",
            "if x:\n  y",
            "async def f():\n  pass",
        ] {
            assert!(looks_like_python(python).is_some(), "{python}");
        }
        for rust in [
            "1 + 1",
            "use std::fs;",
            "println!(\"a\")",
            "print!(\"a\")",
            "fn print(x: i32) {}\nprint(3);",
            "match x {\n    1 => 2,\n    _ => 3,\n}",
            "// import x",
            "let import = 3; import",
            "for i in 0..3 {\n}",
            "",
        ] {
            assert_eq!(looks_like_python(rust), None, "{rust}");
        }
    }

    #[test]
    fn the_hint_names_the_line() {
        let hint = looks_like_python("x = 3\nprint(x)").unwrap();
        insta::assert_snapshot!(hint.text, @r#"Line 2 looks like Python, and this is a Rust cell: printing is `println!("{}", value)`."#);
    }
}
