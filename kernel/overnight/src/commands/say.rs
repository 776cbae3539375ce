//! What a person says to the proposer: steering, vetoes, hypotheses; and the plan, which shows what comes of them.

use lab::status::LoopStatus;
use lab::{Event, IdeaPlace, Tag};
use runner::proposers::{Brief, Vetoes};
use runner::{Request, Response, RunnerError};
use serde_json::json;

use super::watcher::Watcher;
use crate::failure::{ExitCode, Failure};
use crate::grammar::TagArgs;
use crate::grammar::say::{HypothesisArgs, PlanArgs, PlanChange, SteerArgs, VetoArgs};
use crate::session::Session;
use crate::sink::Sink;

/// `loop steer`.
pub(super) async fn steer(args: &SteerArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let event = Event::Steered { text: args.text.join(" "), cell: session.cell };
    let mut talk = Talk::open(session, &args.tag).await?;
    talk.say(event, "told; the next proposal knows it", sink).await
}

/// `hypothesis`.
pub(super) async fn hypothesis(
    args: &HypothesisArgs,
    session: &Session,
    sink: &dyn Sink,
) -> Result<(), Failure> {
    let text = args.text.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    let event = Event::Idea { text, proposer: None, now: args.now, cell: session.cell };
    let done =
        if args.now { "noted: it is the next to be tried" } else { "noted; `plan` shows when it comes" };
    Talk::open(session, &args.tag).await?.say(event, done, sink).await
}

/// `loop veto`.
pub(super) async fn veto(args: &VetoArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let mut talk = Talk::open(session, &args.tag).await?;
    let what = args.what.join(" ");
    let (pattern, number) = match what.trim_start_matches('#').parse::<u64>() {
        Ok(number) => (format!("^{}$", regex::escape(&talk.hypothesis(number)?)), Some(number)),
        Err(_) => (what, None),
    };
    Vetoes::check(&pattern).map_err(|error| {
        Failure::new(format!("the pattern cannot be read: {error}"))
            .hint("put a backslash before characters such as ( [ * that are meant as they stand")
            .code(ExitCode::Usage)
    })?;
    let done = if args.lift { "allowed again" } else { "ruled out; what matches is refused from now on" };
    let event = Event::Vetoed { pattern, number, lifted: args.lift, cell: session.cell };
    talk.say(event, done, sink).await
}

/// `plan`.
pub(super) async fn plan(args: &PlanArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let mut talk = Talk::open(session, &args.tag).await?;
    if let Some(change) = args.change {
        let (number, to) = match change {
            PlanChange::First { idea } => (idea, IdeaPlace::First),
            PlanChange::Strike { idea } => (idea, IdeaPlace::Struck),
        };
        let ideas = talk.brief(session)?.ideas;
        let idea = number.checked_sub(1).and_then(|index| ideas.get(index)).ok_or_else(|| {
            Failure::new(format!("there is no idea {number} in the plan")).hint(match ideas.len() {
                0 => "it has none; `hypothesis TEXT` adds one".to_owned(),
                last => format!("it has ideas 1 to {last}; `plan` shows them"),
            })
        })?;
        let event = Event::IdeaMoved { text: idea.text.clone(), to, experiment: None };
        talk.tell(event).await?;
    }
    let brief = talk.brief(session)?;
    let json = json!({
        "schema": lab::SCHEMA, "slots": talk.status.slots, "queued": talk.status.queued, "ahead": talk.status.ahead,
        "ideas": brief.ideas, "vetoes": brief.vetoes, "steering": brief.steering, "stuck": brief.stuck,
    });
    let plan = view::Plan {
        status: &talk.status,
        ideas: &brief.ideas,
        vetoes: &brief.vetoes,
        advice: brief.stuck.map(runner::proposers::Stuck::advice),
    };
    sink.show(view::plan(&plan).with(view::bundle::JSON, json));
    Ok(())
}

/// Writes down an event that is said to the proposer of `tag`.
pub(super) async fn tell(session: &Session, tag: &Tag, event: Event) -> Result<(), Failure> {
    let tag = TagArgs { tag: Some(tag.clone()) };
    Talk::open(session, &tag).await?.tell(event).await.map(|_| ())
}

/// A line of research that somebody talks about, and its runner where one is there.
struct Talk {
    watcher: Watcher,
    tag: Tag,
    status: LoopStatus,
}

impl Talk {
    async fn open(session: &Session, tag: &TagArgs) -> Result<Self, Failure> {
        let mut watcher = Watcher::open(session)?;
        let tag = session.tag(watcher.ledger(), tag.tag.as_ref())?;
        let status = watcher.status().await?;
        Ok(Self { watcher, tag, status })
    }

    fn brief(&self, session: &Session) -> Result<Brief, Failure> {
        let ledger = self.watcher.ledger();
        Ok(Brief::of(ledger, &session.lab(ledger)?, &self.tag)?)
    }

    /// What an experiment tries or tried.
    fn hypothesis(&self, number: u64) -> Result<String, Failure> {
        let slots = self.status.slots.iter().filter(|slot| slot.experiment == Some(number));
        let queued = self.status.queued.iter().filter(|queued| queued.experiment == number);
        let live = slots
            .filter_map(|slot| slot.hypothesis.clone())
            .chain(queued.map(|queued| queued.hypothesis.clone()))
            .next();
        if let Some(hypothesis) = live {
            return Ok(hypothesis);
        }
        let experiments = self.watcher.ledger().experiments(&self.tag)?;
        let found = experiments.into_iter().find(|it| it.record.number == number);
        found.map(|it| it.record.hypothesis.clone()).ok_or_else(|| {
            Failure::new(format!("there is no experiment {number} whose hypothesis is known"))
                .hint("`plan` shows what is on its way, `experiments` what was tried")
        })
    }

    /// Writes an event down: through the runner where it is about this line of research, so that it acts on it at
    /// once. Returns what the person should know.
    async fn tell(&mut self, event: Event) -> Result<Vec<String>, Failure> {
        if self.status.tag == self.tag
            && let Some(mut client) = self.watcher.client().await?
        {
            match client.request(&Request::Say { event: event.clone() }).await {
                Ok(Response::Done { notes }) => return Ok(notes),
                Ok(_) => return Ok(Vec::new()),
                Err(RunnerError::Ending) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let ledger = self.watcher.ledger();
        ledger.append_event(&runner::journal::entry(&ledger.author(), &self.tag, event))?;
        Ok(Vec::new())
    }

    async fn say(&mut self, event: Event, done: &str, sink: &dyn Sink) -> Result<(), Failure> {
        let notes = self.tell(event).await?;
        let said: Vec<&str> = std::iter::once(done).chain(notes.iter().map(String::as_str)).collect();
        sink.show(view::plain(&said.join("\n")));
        Ok(())
    }
}
