//! What a cell holds: magics, shell commands, questions, and Rust.
//!
//! Magic lines come first; from the first other line on, the cell is Rust. A `%%name` on the first
//! line takes the whole cell as its body.

/// One part of a cell, in the order in which the parts are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// `%loop start --hours 8`, without its `%`.
    Magic(String),
    /// `%%sql --rows 5` and the lines below it.
    Body { line: String, body: String },
    /// `!ls`, without its `!`.
    Shell(String),
    /// `%loop?` or `?loop`: the name that is asked about.
    Help(String),
    /// `%time …` or `%%time`: what is timed.
    Timed(Vec<Part>),
    /// Everything else.
    Rust(String),
}

/// Takes a cell apart.
pub(crate) fn parse(code: &str) -> Vec<Part> {
    let start = code.trim_start();
    if let Some(rest) = start.strip_prefix("%%") {
        let (line, body) = rest.split_once('\n').unwrap_or((rest, ""));
        if line.trim() == "time" {
            return vec![Part::Timed(parse(body))];
        }
        return vec![Part::Body { line: line.trim().to_owned(), body: body.to_owned() }];
    }
    let mut parts = Vec::new();
    let mut offset = 0;
    let mut lines = code.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let Some(part) = magic_line(line.trim()) else { break };
        offset += line.len();
        let mut part = part;
        if let Some(Part::Magic(text) | Part::Shell(text)) = &mut part {
            while text.ends_with('\\') {
                text.pop();
                let Some(next) = lines.next() else { break };
                offset += next.len();
                text.push_str(next.trim());
            }
        }
        parts.extend(part.map(timed));
    }
    let rest = &code[offset..];
    if !rest.trim().is_empty() {
        parts.push(Part::Rust(rest.to_owned()));
    }
    parts
}

/// Whether a cell needs the compiler.
pub(crate) fn holds_rust(code: &str) -> bool {
    fn any(parts: &[Part]) -> bool {
        parts.iter().any(|part| match part {
            Part::Rust(_) => true,
            Part::Timed(parts) => any(parts),
            _ => false,
        })
    }
    any(&parse(code))
}

/// Takes apart what `%time` is to time.
fn timed(part: Part) -> Part {
    match part {
        Part::Magic(text) => match text.strip_prefix("time ").map(str::trim_start) {
            Some(code) if !code.starts_with('-') => Part::Timed(parse(code)),
            _ => Part::Magic(text),
        },
        part => part,
    }
}

/// What a line is that may come before Rust: `None` where Rust begins, `Some(None)` for a blank line or a comment.
#[allow(
    clippy::option_option,
    reason = "two questions: does the cell's head go on, and is there anything to run"
)]
fn magic_line(line: &str) -> Option<Option<Part>> {
    let name = |text: &str| {
        let text = text.trim().trim_start_matches('%');
        (!text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_- ".contains(c)))
            .then(|| Part::Help(text.to_owned()))
    };
    if line.is_empty() || line.starts_with("//") || line.starts_with("# ") {
        return Some(None);
    }
    if let Some(asked) = line.strip_prefix('?').and_then(name) {
        return Some(Some(asked));
    }
    if line.starts_with('%')
        // A question to the agent ends so too.
        && !line.starts_with("%ask ")
        && let Some(asked) = line.strip_suffix('?').and_then(name)
    {
        return Some(Some(asked));
    }
    if let Some(magic) = line.strip_prefix('%') {
        return Some(Some(Part::Magic(magic.trim().to_owned())));
    }
    line.strip_prefix('!').map(|shell| Some(Part::Shell(shell.trim().to_owned())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn magics_come_first_and_the_rest_is_rust() {
        let code = "// tonight\n%loop start --hours 8\n\n!ls \\\n  -l\nlet x = 1;\n%not a magic\n";
        assert_eq!(
            parse(code),
            [
                Part::Magic("loop start --hours 8".into()),
                Part::Shell("ls -l".into()),
                Part::Rust("let x = 1;\n%not a magic\n".into()),
            ]
        );
    }

    #[test]
    fn a_cell_magic_takes_the_whole_cell() {
        let parts = parse("\n%%sql --rows 5\nSELECT 1\n%x\n");
        assert_eq!(parts, [Part::Body { line: "sql --rows 5".into(), body: "SELECT 1\n%x\n".into() }]);
    }

    #[test]
    fn a_question_names_what_it_asks_about() {
        for code in ["%loop start?", "?loop start", "?%loop start"] {
            assert_eq!(parse(code), [Part::Help("loop start".into())], "{code}");
        }
        assert_eq!(parse("%ask what helped?"), [Part::Magic("ask what helped?".into())]);
        assert_eq!(parse("a?"), [Part::Rust("a?".into())], "Rust's own question mark");
    }

    #[test]
    fn what_is_timed_is_taken_apart_too() {
        let magic = || Part::Magic("best".into());
        assert_eq!(parse("%time %best"), [Part::Timed(vec![magic()])]);
        assert_eq!(parse("%time f(\"a b\")"), [Part::Timed(vec![Part::Rust("f(\"a b\")".into())])]);
        assert_eq!(parse("%%time\n%best\n1 + 1"), [Part::Timed(vec![magic(), Part::Rust("1 + 1".into())])]);
        assert_eq!(parse("%time --help"), [Part::Magic("time --help".into())]);
    }

    #[test]
    fn a_cell_of_magics_needs_no_compiler() {
        assert!(!holds_rust("%loop start\n!ls\n// and no more"));
        assert!(!holds_rust("%%sql\nSELECT 1"));
        assert!(holds_rust("%best\n1 + 1") && holds_rust("%%time\n1 + 1"));
    }

    #[test]
    fn attributes_are_rust() {
        assert_eq!(parse("#[derive(Debug)]\nstruct A;"), [Part::Rust("#[derive(Debug)]\nstruct A;".into())]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart(code in any::<String>()) {
            parse(&code);
        }
    }
}
