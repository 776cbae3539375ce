//! The answer on its sink, as it comes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lab::Cost;
use lab::value::format_value;
use models::Piece;
use serde_json::json;
use view::{Answer, Bundle, Part, Proposed, Step};

use crate::sink::Sink;

/// An answer that is being given. Whatever ends it, an interrupt too, what was said is shown with its cost.
pub(super) struct Page<'a> {
    sink: &'a dyn Sink,
    /// It is shown once, as JSON, and not while it grows.
    json: bool,
    /// Who answers.
    model: String,
    /// Whether it is known what tokens cost.
    priced: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answer: Answer,
    cost: Cost,
    /// Something that is not drawn yet.
    fresh: bool,
    /// Where the turn began, for it may begin again.
    turn: usize,
    /// Whether it came to its end, and what is to be said of that.
    end: Option<String>,
}

impl<'a> Page<'a> {
    pub(super) fn new(sink: &'a dyn Sink, json: bool, model: String, priced: bool) -> Self {
        let page = Self { sink, json, model, priced, state: Mutex::default() };
        page.turn();
        page
    }

    /// A turn of the model begins.
    pub(super) fn turn(&self) {
        let mut state = self.state();
        state.turn = state.answer.parts.len();
        state.answer.now = Some(format!("{} thinks …", self.model));
        state.fresh = true;
    }

    /// Hears a piece of the turn.
    pub(super) fn hear(&self, piece: Piece<'_>) {
        let mut state = self.state();
        let turn = state.turn;
        match piece {
            Piece::Text(text) => {
                state.answer.say(text);
                state.answer.now = None;
            }
            Piece::Again(error) => {
                state.answer.parts.truncate(turn);
                state.answer.now = Some(format!("{}: {error}; it is asked again …", self.model));
            }
        }
        state.fresh = true;
    }

    /// Adds what a turn cost.
    pub(super) fn pay(&self, cost: Cost) {
        self.state().cost += cost;
    }

    /// A step begins.
    pub(super) fn step(&self, tool: &str, asked: String) {
        let step = Step { tool: tool.to_owned(), asked, found: None };
        let mut state = self.state();
        state.answer.parts.push(Part::Step(step));
        state.answer.now = None;
        state.fresh = true;
        drop(state);
        self.draw();
    }

    /// The step that was begun last has come to this.
    pub(super) fn found(&self, found: Result<String, String>) {
        let mut state = self.state();
        if let Some(Part::Step(step)) = state.answer.parts.last_mut() {
            step.found = Some(found);
        }
        state.fresh = true;
    }

    /// Proposes a cell, in place of an earlier one.
    pub(super) fn propose(&self, cell: Proposed) {
        self.state().answer.cell = Some(cell);
    }

    /// The answer is complete, or the model says no more; `note` is what to know of that.
    pub(super) fn end(&self, note: &str) {
        self.state().end = Some(note.to_owned());
    }

    /// The cell that is proposed.
    pub(super) fn proposed(&self) -> Option<String> {
        self.state().answer.cell.as_ref().map(|cell| cell.code.clone())
    }

    /// What was said so far.
    pub(super) fn said(&self) -> String {
        self.state().answer.said()
    }

    /// Shows what is new.
    pub(super) fn draw(&self) {
        let mut state = self.state();
        if std::mem::take(&mut state.fresh) && !self.json {
            self.sink.grow("ask", state.answer.bundle());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `anthropic:claude-opus-5, 2,000 tokens read, 400 written, $0.0200`.
    fn foot(&self, state: &State) -> String {
        let Cost { usd, input_tokens, output_tokens } = state.cost;
        let mut foot = vec![self.model.clone()];
        if input_tokens + output_tokens > 0 {
            let count = |tokens: u64| format_value(tokens as f64);
            foot.push(format!("{} tokens read, {} written", count(input_tokens), count(output_tokens)));
            foot.push(if self.priced {
                format!("${usd:.4}")
            } else {
                "at a price that is not known".to_owned()
            });
        }
        let note = state.end.clone().unwrap_or_else(|| "ended before it was done".to_owned());
        foot.extend(Some(note).filter(|note| !note.is_empty()));
        foot.join(", ")
    }

    fn told(&self, state: &State) -> Bundle {
        let step = |part: &Part| match part {
            Part::Said(_) => None,
            Part::Step(Step { tool, asked, found }) => Some(json!({
                "tool": tool,
                "asked": asked,
                "found": found.as_ref().and_then(|found| found.as_ref().ok()),
                "failed": found.as_ref().and_then(|found| found.as_ref().err()),
            })),
        };
        let steps: Vec<_> = state.answer.parts.iter().filter_map(step).collect();
        state.answer.bundle().with(
            view::bundle::JSON,
            json!({
                "schema": lab::SCHEMA,
                "agent": self.model,
                "answer": state.answer.said(),
                "steps": steps,
                "cell": state.answer.cell.as_ref().map(|cell| &cell.code),
                "cost": state.cost,
            }),
        )
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        let mut state = self.state();
        state.answer.foot = Some(self.foot(&state));
        if !self.json {
            self.sink.grow("ask", state.answer.bundle());
        } else if state.end.is_some() {
            self.sink.show(self.told(&state));
        }
    }
}
