//! A program with some of its settings replaced, so that a rehearsal fits into minutes.

use lab::Lab;

/// `program` with these settings in its front matter, where that can be read then; else as it is.
pub(super) fn with(program: &str, settings: &[(&str, String)]) -> String {
    let written = write(program, settings);
    if Lab::parse(&written).is_ok() { written } else { program.to_owned() }
}

fn write(program: &str, settings: &[(&str, String)]) -> String {
    let text = program.trim_start_matches('\u{feff}');
    let set: String = settings.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let mut lines = text.split_inclusive('\n');
    let is_fence = |line: &str| line.trim_end() == "---";
    if !lines.clone().next().is_some_and(is_fence) {
        return format!("---\n{set}---\n{text}");
    }
    let mut written = lines.next().unwrap_or_default().to_owned() + &set;
    let mut dropped = false;
    let mut inside = true;
    for line in lines {
        if inside {
            if is_fence(line) {
                inside = false;
            } else if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
                // A setting's further lines are indented, or begin with a dash.
                dropped = settings.iter().any(|(name, _)| line.split(':').next() == Some(*name));
            }
            if inside && dropped {
                continue;
            }
        }
        written.push_str(line);
    }
    written
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lab::{AtBudget, Seconds};

    use super::*;

    #[test]
    fn settings_are_replaced_and_the_rest_stays() {
        let program =
            "---\nrun: ./bench\ntimeout: 9m\nmetric: score\nideas:\n- one\n- two\n---\nBe bold.\n---\n";
        let lab = Lab::parse(&with(
            program,
            &[
                ("timeout", "90s".to_owned()),
                ("at_budget", "stop".to_owned()),
                ("budget", "45s".to_owned()),
                ("ideas", "[]".to_owned()),
            ],
        ))
        .unwrap();
        assert_eq!((lab.timeout, lab.at_budget), (Seconds(90.0), AtBudget::Stop));
        assert_eq!((lab.run.as_str(), lab.metric.as_str()), ("./bench", "score"));
        assert_eq!((lab.instructions.as_str(), lab.ideas.len()), ("Be bold.\n---", 0));
    }

    #[test]
    fn a_program_without_front_matter_gets_some() {
        let lab = Lab::parse(&with("Be bold.", &[("at_budget", "stop".to_owned())])).unwrap();
        assert_eq!(
            lab,
            Lab {
                declared: true,
                at_budget: AtBudget::Stop,
                instructions: "Be bold.".to_owned(),
                ..Lab::default()
            }
        );
    }

    #[test]
    fn what_cannot_be_replaced_stays_as_it_is() {
        let program = "---\n{run: ./bench}\n---\n";
        assert_eq!(with(program, &[("timeout", "90s".to_owned())]), program);
    }
}
