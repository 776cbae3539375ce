//! One line of output: a row, a part of the summary, or log.

use super::{counter::Counter, is_name, object, pairs::Pairs};

/// Names of a step in an object.
const STEPS: [&str; 4] = ["step", "global_step", "iter", "iteration"];

/// What a line says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Line {
    pub(super) kind: Kind,
    /// The step that it names.
    pub(super) step: Option<u64>,
    /// Its values by name, in their order.
    pub(super) values: Vec<(String, f64)>,
}

/// What a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Kind {
    /// Nothing to be read.
    #[default]
    Log,
    /// Values of one step.
    Row,
    /// Several values without a step: a row, or a part of the summary where its block has begun.
    Several,
    /// A value that was printed once.
    Summary,
    /// The line `---`: the summary block follows.
    Rule,
}

/// Reads a line without its end and without escape sequences.
pub(super) fn read(line: &str) -> Line {
    let line = line.trim();
    if line == "---" {
        return Line { kind: Kind::Rule, ..Line::default() };
    }
    // Without a digit nothing is a metric but `nan` and `inf`.
    if !line.bytes().any(|byte| byte.is_ascii_digit() || matches!(byte, b'n' | b'N')) {
        return Line::default();
    }
    if line.starts_with('{') && line.ends_with('}') {
        return object::read(line).map(of_object).unwrap_or_default();
    }
    if let Some(rest) = line.strip_prefix("METRIC ") {
        return of_metric(rest);
    }
    let piped = line.contains(['|', '│']);
    let counted = Counter::find(line).is_some();
    if piped || counted { of_steps(line, counted) } else { of_prose(line) }
}

fn of_metric(text: &str) -> Line {
    let mut pairs = Pairs::lenient();
    if pairs.read(text) {
        Line { kind: Kind::Summary, step: None, values: pairs.values }
    } else {
        Line::default()
    }
}

fn of_object(mut values: Vec<(String, f64)>) -> Line {
    let at =
        values.iter().position(|(name, value)| STEPS.contains(&name.as_str()) && whole(*value).is_some());
    let step = at.and_then(|at| whole(values.remove(at).1));
    let values = named(values);
    let kind = match (step, values.len()) {
        (_, 0) => Kind::Log,
        (Some(_), _) => Kind::Row,
        (None, 1) => Kind::Summary,
        (None, _) if values.iter().any(|(name, _)| name == "epoch") => Kind::Row,
        (None, _) => Kind::Several,
    };
    Line { kind, step, values }
}

/// Those that have a metric's name, or one with spaces.
pub(super) fn named(mut values: Vec<(String, f64)>) -> Vec<(String, f64)> {
    for (name, _) in &mut values {
        if name.contains(' ') {
            *name = name.replace(' ', "_");
        }
    }
    values.retain(|(name, _)| is_name(name));
    values
}

fn whole(value: f64) -> Option<u64> {
    (value.fract() == 0.0 && (0.0..9e15).contains(&value)).then_some(value as u64)
}

/// Reads a line whose form says that it reports: what cannot be read of it is passed over.
fn of_steps(line: &str, counted: bool) -> Line {
    let mut pairs = if counted { Pairs::lenient() } else { Pairs::piped() };
    let mut step = None;
    let mut epochs = 0;
    for (segment, _) in Segments(line) {
        let mut rest = segment;
        while let Some(counter) = Counter::find(rest) {
            Pairs::strict().read_into(&mut pairs.values, counter.before);
            if counter.is_epoch {
                pairs.values.push(("epoch".to_owned(), counter.value));
                epochs += 1;
            } else {
                step = step.or(whole(counter.value));
            }
            rest = counter.rest;
        }
        pairs.read(rest);
    }
    let only_epochs = step.is_none() && pairs.values.len() == epochs;
    let kind = match pairs.values.is_empty() || only_epochs {
        true => Kind::Log,
        false if counted => Kind::Row,
        false => Kind::Several,
    };
    Line { kind, step, values: pairs.values }
}

/// Reads any other line: from its first pair to its end it must be pairs, since prose has numbers too.
/// What a logger puts in front, such as `12:30:45 - INFO - `, is passed over.
fn of_prose(line: &str) -> Line {
    let mut pairs = Pairs::strict();
    for (segment, joint) in Segments(line) {
        let first = pairs.values.is_empty();
        if !pairs.read(segment) && !(first && (pairs.read_end(segment) || joint == Joint::Dash)) {
            return Line::default();
        }
    }
    let kind = match pairs.values.len() {
        0 => Kind::Log,
        1 => Kind::Summary,
        _ if Segments(line).count() > 1 => Kind::Several,
        _ => Kind::Summary,
    };
    Line { kind, step: None, values: pairs.values }
}

/// The parts of a line, each with what follows it.
struct Segments<'a>(&'a str);

#[derive(Clone, Copy, PartialEq)]
enum Joint {
    /// `|`, `, ` or a tab.
    Mark,
    /// ` - `.
    Dash,
    /// The line's end.
    End,
}

impl<'a> Iterator for Segments<'a> {
    type Item = (&'a str, Joint);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.0.is_empty() {
                return None;
            }
            let bytes = self.0.as_bytes();
            let space = |at: usize| bytes.get(at).is_none_or(u8::is_ascii_whitespace);
            let found = self.0.char_indices().find_map(|(at, c)| match c {
                '|' | '│' | '\t' => Some((at, c.len_utf8(), Joint::Mark)),
                ',' if space(at + 1) => Some((at, 1, Joint::Mark)),
                '-' if at > 0 && space(at - 1) && space(at + 1) => Some((at, 1, Joint::Dash)),
                _ => None,
            });
            let (at, length, joint) = found.unwrap_or((self.0.len(), 0, Joint::End));
            let segment = self.0[..at].trim();
            self.0 = &self.0[at + length..];
            if !segment.is_empty() {
                return Some((segment, joint));
            }
        }
    }
}
