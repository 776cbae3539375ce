//! What a rehearsal has shown so far, as lines that grow.

use serde::Serialize;
use serde_json::json;
use view::{Bundle, Rehearsal, Tried, Went};

use super::forecast::Forecast;
use crate::failure::Failure;
use crate::sink::Sink;

/// One thing that was tried.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    name: &'static str,
    state: &'static str,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

/// The lines so far.
pub(super) struct Report<'a> {
    sink: &'a dyn Sink,
    /// Whether only the end is shown, as JSON.
    json: bool,
    steps: Vec<Step>,
    name: &'static str,
    shown: String,
}

impl<'a> Report<'a> {
    pub(super) fn new(sink: &'a dyn Sink, json: bool) -> Self {
        Self { sink, json, steps: Vec::new(), name: "program", shown: String::new() }
    }

    /// Says what is tried next.
    pub(super) fn begin(&mut self, name: &'static str) {
        self.name = name;
        self.now(name);
    }

    /// Says how far it is.
    pub(super) fn now(&mut self, words: &str) {
        if !self.json && self.shown != words {
            words.clone_into(&mut self.shown);
            self.sink.grow("rehearsal", self.draw(Some(words), None));
        }
    }

    /// It went well.
    pub(super) fn ok(&mut self, found: impl Into<String>) {
        self.tell("ok", found.into(), None);
    }

    /// The night goes on with it, but a person should know.
    pub(super) fn note(&mut self, found: impl Into<String>, mend: impl Into<String>) {
        self.tell("note", found.into(), Some(mend.into()).filter(|mend| !mend.is_empty()));
    }

    /// It would end or spoil the night.
    pub(super) fn problem(&mut self, found: impl Into<String>, mend: Option<String>) {
        self.tell("problem", found.into(), mend);
    }

    fn tell(&mut self, state: &'static str, found: String, mend: Option<String>) {
        self.steps.push(Step { name: self.name, state, found, mend });
        if !self.json {
            self.shown.clear();
            self.sink.grow("rehearsal", self.draw(None, None));
        }
    }

    /// How many things would spoil the night.
    fn problems(&self) -> usize {
        self.steps.iter().filter(|step| step.state == "problem").count()
    }

    /// Shows how it ended: the forecast, where it came so far.
    pub(super) fn end(mut self, end: Result<(Forecast, String), Failure>) -> Result<(), Failure> {
        let (forecast, words, failure) = match end {
            Ok((forecast, words)) => {
                let failure = match self.problems() {
                    0 => None,
                    1 => Some(Failure::new("one thing would spoil the night: see above")),
                    many => Some(Failure::new(format!("{many} things would spoil the night: see above"))),
                };
                (Some(forecast), words, failure)
            }
            Err(failure) => {
                let name = self.name;
                self.tell("problem", failure.message.clone(), failure.hint.clone());
                let told =
                    Failure::new(format!("the rehearsal ended at `{name}`: see above")).code(failure.code);
                (None, "The night cannot begin like this.".to_owned(), Some(told))
            }
        };
        let drawn = self.draw(None, Some(&words));
        if self.json {
            let answer = json!({
                "schema": lab::SCHEMA,
                "steps": self.steps,
                "forecast": forecast,
                "words": words,
                "problem": failure.as_ref().map(|failure| failure.message.clone()),
            });
            self.sink.show(drawn.with(view::bundle::JSON, answer));
        } else {
            self.sink.grow("rehearsal", drawn);
        }
        failure.map_or(Ok(()), Err)
    }

    fn draw(&self, now: Option<&str>, end: Option<&str>) -> Bundle {
        let tried: Vec<Tried<'_>> = self.steps.iter().map(Step::tried).collect();
        view::rehearsal(&Rehearsal { tried: &tried, now, end })
    }
}

impl Step {
    fn tried(&self) -> Tried<'_> {
        let went = match self.state {
            "ok" => Went::Well,
            "note" => Went::Note,
            _ => Went::Badly,
        };
        Tried { name: self.name, went, found: &self.found, mend: self.mend.as_deref() }
    }
}
