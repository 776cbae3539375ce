//! What the live view is drawn from, read again only where it has changed.

use std::time::Duration;

use frames::Frames;
use lab::status::{Best, LoopStatus};
use lab::{CommitId, Experiment, Record, Tag};
use ledger::Ledger;
use runner::{Client, Paths, Request, Response, RunnerError};
use view::{Bundle, Metric};

use crate::failure::Failure;
use crate::service;
use crate::session::Session;

/// How often a runner that dies while it is asked is followed by another.
const ATTEMPTS: usize = 5;
/// How long a dead runner's socket may take to be gone.
const PAUSE: Duration = Duration::from_millis(50);

/// A lab that is being watched.
pub(super) struct Watcher {
    frames: Frames,
    paths: Paths,
    session: Session,
    seen: Option<Seen>,
}

/// What the ledger said when it was last read.
struct Seen {
    tag: Tag,
    tip: Option<CommitId>,
    experiments: Vec<Experiment>,
    best: Vec<(f64, f64)>,
    curve: String,
}

impl Watcher {
    pub(super) fn open(session: &Session) -> Result<Self, Failure> {
        let ledger = session.ledger()?;
        let paths = session.paths(&ledger)?;
        let frames = Frames::new(ledger, &paths.cache);
        Ok(Self { frames, paths, session: session.clone(), seen: None })
    }

    pub(super) fn ledger(&self) -> &Ledger {
        self.frames.ledger()
    }

    /// A connection to the runner; where none runs, one is begun that outlives this process.
    pub(super) async fn runner(&mut self) -> Result<Client, Failure> {
        if let Some(client) = self.client().await? {
            return Ok(client);
        }
        let root = self.ledger().root().to_owned();
        service::begin(&root, &self.paths, &self.session.env).await
    }

    /// A connection to the runner, if one runs.
    pub(super) async fn client(&mut self) -> Result<Option<Client>, Failure> {
        Ok(Client::connect(&self.paths).await?)
    }

    /// Asks the runner for what changes nothing when it is asked twice. One that dies while it is asked is
    /// followed by another.
    pub(super) async fn insist(&mut self, request: &Request) -> Result<Response, Failure> {
        for _ in 0..ATTEMPTS {
            match self.runner().await?.request(request).await {
                Err(RunnerError::Protocol(_)) => tokio::time::sleep(PAUSE).await,
                answer => return Ok(answer?),
            }
        }
        Ok(self.runner().await?.request(request).await?)
    }

    /// What the loop does, or how the last one ended.
    pub(super) async fn status(&mut self) -> Result<LoopStatus, Failure> {
        if let Some(mut client) = self.client().await?
            && let Ok(status) = ask(&mut client).await
        {
            return Ok(status);
        }
        let mut status = runner::status::without_runner(&self.paths)?;
        status.best = lab::experiment::best(&self.own(&status.tag)?)
            .and_then(|best| Some(Best { number: best.record.number, value: best.record.value? }));
        Ok(status)
    }

    /// The live view.
    pub(super) fn draw(&mut self, status: &LoopStatus) -> Result<Bundle, Failure> {
        let tip = self.ledger().tip(&status.tag)?;
        let fresh = self.seen.take().filter(|seen| seen.tag == status.tag && seen.tip == tip);
        let seen = match fresh {
            Some(seen) => seen,
            None => self.read(&status.tag, tip)?,
        };
        let (name, current) = frames::curve(&self.frames.running(&status.tag)?, None)?;
        let curve = (!current.is_empty()).then(|| {
            let best = if name == seen.curve { seen.best.clone() } else { Vec::new() };
            let experiment =
                status.slots.iter().find(|slot| slot.phase == "running").and_then(|slot| slot.experiment);
            view::Curve { name, experiment, current, best }
        });
        let metric = self.metric(&seen.experiments)?;
        let drawn = view::live(&view::Live {
            status,
            experiments: &seen.experiments,
            metric: &metric,
            curve,
            now: jiff::Zoned::now(),
        });
        self.seen = Some(seen);
        Ok(drawn)
    }

    /// What was run here: a loop is about nothing else.
    fn own(&self, tag: &Tag) -> Result<Vec<Experiment>, Failure> {
        let writer = self.ledger().writer()?;
        let experiments = self.ledger().experiments(tag)?;
        Ok(experiments.into_iter().filter(|experiment| experiment.record.writer == writer).collect())
    }

    fn read(&self, tag: &Tag, tip: Option<CommitId>) -> Result<Seen, Failure> {
        let experiments = self.own(tag)?;
        let (curve, best) = match lab::experiment::best(&experiments) {
            Some(best) => {
                let Record { id, number, .. } = *best.record;
                frames::curve(&frames::recorded(self.ledger(), tag, id, number)?, None)?
            }
            None => Default::default(),
        };
        Ok(Seen { tag: tag.clone(), tip, experiments, best, curve })
    }

    fn metric(&self, experiments: &[Experiment]) -> Result<Metric, Failure> {
        if let Some(last) = experiments.last() {
            return Ok(Metric::of(last));
        }
        let lab = self.session.lab(self.ledger())?;
        Ok(Metric { name: lab.metric.to_string(), direction: lab.direction, unit: lab.unit })
    }
}

/// What the runner says that it does.
async fn ask(client: &mut Client) -> Result<LoopStatus, Failure> {
    match client.request(&Request::Status).await? {
        Response::Status { status } => Ok(status),
        other => Err(Failure::new(format!("the runner answered {other:?} to a question for its status"))),
    }
}
