//! What the live view is drawn from, read again only where it has changed.

use std::time::{Duration, Instant};

use frames::Frames;
use lab::status::{Best, LoopState, LoopStatus};
use lab::{CommitId, Experiment, ExperimentId, Seconds, Tag};
use ledger::Ledger;
use runner::{Client, Paths, Request, Response, RunnerError};
use view::{Bundle, Metric};

use super::look::metric_of;
use crate::failure::Failure;
use crate::service;
use crate::session::Session;

/// How often a runner that dies while it is asked is followed by another.
const ATTEMPTS: usize = 5;
/// How long a dead runner's socket may take to be gone.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a picture stays as it is at least.
const PICTURE: Duration = Duration::from_secs(2);
/// How often what only goes on is drawn at first, and at last.
const BRISK: Duration = Duration::from_secs(1);
const CALM: Duration = Duration::from_secs(10);
/// How often a view is drawn in which only the time changes.
const CLOCK: Duration = Duration::from_secs(60);

/// A lab that is being watched.
pub(super) struct Watcher {
    frames: Frames,
    paths: Paths,
    session: Session,
    /// Whether what it shows is kept by a notebook.
    in_notebook: bool,
    begun: Instant,
    seen: Option<Seen>,
    shown: Option<Shown>,
    curves: Vec<view::Curve>,
    pictures: view::Pictures,
    /// Whether the picture of the night is older than what was seen.
    behind: bool,
    night: Work,
    live: Work,
    /// The status that a log was told last, and how many experiments.
    told: Option<LoopStatus>,
    logged: Option<usize>,
}

/// What the ledger said when it was last read.
struct Seen {
    tag: Tag,
    tip: Option<CommitId>,
    experiments: Vec<Experiment>,
    metric: Metric,
    /// The best experiment's id and number, and its curve.
    best_is: Option<(ExperimentId, u64)>,
    best: Vec<(f64, f64)>,
    curve: String,
}

/// What was shown last.
struct Shown {
    status: LoopStatus,
    still: LoopStatus,
    tip: Option<CommitId>,
    at: Instant,
    /// Whether it says that it may not be of the present.
    troubled: bool,
}

/// Work that may take a hundredth of the time, and no more: a run beside it needs the rest.
#[derive(Default)]
struct Work {
    next: Option<Instant>,
}

impl Work {
    fn is_due(&self) -> bool {
        self.next.is_none_or(|next| Instant::now() >= next)
    }

    fn took(&mut self, time: Duration) {
        self.next = Some(Instant::now() + PICTURE.max(time * 100));
    }

    fn take(&mut self, work: impl FnOnce()) {
        let began = Instant::now();
        work();
        self.took(began.elapsed());
    }
}

impl Watcher {
    pub(super) fn open(session: &Session) -> Result<Self, Failure> {
        let ledger = session.ledger()?;
        let paths = session.paths(&ledger)?;
        let frames = Frames::new(ledger, &paths.cache);
        Ok(Self {
            frames,
            paths,
            session: session.clone(),
            in_notebook: session.cell.is_some(),
            begun: Instant::now(),
            seen: None,
            shown: None,
            curves: Vec::new(),
            pictures: view::Pictures::default(),
            behind: true,
            night: Work::default(),
            live: Work::default(),
            told: None,
            logged: None,
        })
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

    /// Asks the runner, or the next one where it has just ended.
    pub(super) async fn request(&mut self, request: &Request) -> Result<Response, Failure> {
        loop {
            match self.runner().await?.request(request).await {
                Err(RunnerError::Ending) => {}
                answer => return Ok(answer?),
            }
        }
    }

    /// Asks the runner for what changes nothing when it is asked twice. One that dies while it is asked is
    /// followed by another.
    pub(super) async fn insist(&mut self, request: &Request) -> Result<Response, Failure> {
        for _ in 0..ATTEMPTS {
            match self.runner().await?.request(request).await {
                Err(RunnerError::Ending) => {}
                Err(RunnerError::Protocol(_)) => tokio::time::sleep(PAUSE).await,
                answer => return Ok(answer?),
            }
        }
        self.request(request).await
    }

    /// Whether a runner holds the lab, whether it answers or not.
    pub(super) fn is_held(&self) -> bool {
        Client::holder(&self.paths).is_some()
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

    /// The live view as it is now.
    pub(super) fn draw(&mut self, status: &LoopStatus, width: usize) -> Result<Bundle, Failure> {
        let tip = self.ledger().tip(&status.tag)?;
        self.look(status, tip, true)?;
        Ok(self.drawn(status, None, width))
    }

    /// The live view where it has changed since it was last drawn: at once where something has happened, now and then
    /// where something only goes on.
    pub(super) fn changed(&mut self, status: &LoopStatus, width: usize) -> Result<Option<Bundle>, Failure> {
        let tip = self.ledger().tip(&status.tag)?;
        let still = still(status);
        let idle = status.state == LoopState::Idle;
        if let Some(shown) = &self.shown {
            let since = shown.at.elapsed();
            let happened = shown.still != still || shown.tip != tip || shown.troubled;
            let goes_on = !status.ahead.is_empty() || status.slots.iter().any(|slot| slot.phase != "idle");
            let due = since >= self.pace() && (goes_on || self.behind) || since >= CLOCK && !idle;
            if !happened && !due {
                return Ok(None);
            }
        }
        self.look(status, tip.clone(), idle)?;
        self.shown = Some(Shown { status: status.clone(), still, tip, at: Instant::now(), troubled: false });
        Ok(Some(self.drawn(status, None, width)))
    }

    /// The last view, with what keeps it from being of the present; none where there was none.
    pub(super) fn troubled(&mut self, failure: &Failure, width: usize) -> Option<Bundle> {
        let status = {
            let shown = self.shown.as_mut()?;
            shown.troubled = true;
            shown.status.clone()
        };
        Some(self.drawn(&status, Some(&failure.to_string()), width))
    }

    /// What a log should have: a line for each judgement, and for each state and problem, since it was last asked.
    pub(super) fn news(&mut self, status: &LoopStatus) -> Result<Vec<String>, Failure> {
        let now = jiff::Zoned::now();
        let tip = self.ledger().tip(&status.tag)?;
        self.remember(&status.tag, tip)?;
        let mut lines = Vec::new();
        if let Some(seen) = &self.seen {
            let all = &seen.experiments;
            let told = self.logged.replace(all.len()).unwrap_or(all.len());
            let new = all.iter().skip(told);
            lines.extend(new.map(|experiment| view::judged(experiment, all, &seen.metric, &now)));
        }
        lines.extend(view::state(self.told.as_ref(), status, &now));
        self.told = Some(status.clone());
        Ok(lines)
    }

    /// How long what only goes on is not drawn again. Who has just asked looks closely; what is watched all night is
    /// kept by a server, each view of it, until a browser comes back.
    fn pace(&self) -> Duration {
        if !self.in_notebook {
            return BRISK;
        }
        (self.begun.elapsed() / 300).clamp(BRISK, CALM)
    }

    fn drawn(&self, status: &LoopStatus, trouble: Option<&str>, width: usize) -> Bundle {
        let none = Metric { name: String::new(), direction: lab::Direction::Minimize, unit: None };
        let (experiments, metric) =
            self.seen.as_ref().map_or((&[][..], &none), |seen| (&seen.experiments[..], &seen.metric));
        view::live(&view::Live {
            status,
            experiments,
            metric,
            curves: &self.curves,
            pictures: &self.pictures,
            trouble,
            now: jiff::Zoned::now(),
            width,
        })
    }

    /// Reads what is new, and draws the pictures where they are due; with `whole`, all of it.
    fn look(&mut self, status: &LoopStatus, tip: Option<CommitId>, whole: bool) -> Result<(), Failure> {
        let fresh = self.remember(&status.tag, tip)?;
        self.behind |= fresh;
        if self.behind && (whole || self.night.is_due()) {
            let Some(seen) = &self.seen else { return Ok(()) };
            self.night.take(|| self.pictures.draw_night(&seen.experiments, &seen.metric));
            self.behind = false;
        }
        let running = status.slots.iter().filter(|slot| slot.phase == "running").count();
        if running == 0 {
            self.curves.clear();
        } else if whole || self.live.is_due() {
            let began = Instant::now();
            // A curve that cannot be read is no reason to show nothing.
            let curves = self.read_curves(&status.tag).unwrap_or_else(|error| {
                tracing::debug!(%error, "no curves");
                Vec::new()
            });
            if curves != self.curves {
                self.pictures.draw_curves(&curves);
                self.curves = curves;
            }
            self.live.took(began.elapsed());
        }
        Ok(())
    }

    fn read_curves(&mut self, tag: &Tag) -> Result<Vec<view::Curve>, Failure> {
        let running = self.frames.curves_running(tag)?;
        let (name, best) = self.seen.as_ref().map(|seen| (seen.curve.as_str(), &seen.best)).unzip();
        let curve = |run: frames::RunningCurve| view::Curve {
            slot: run.slot,
            best: best.filter(|_| name == Some(run.name.as_str())).cloned().unwrap_or_default(),
            name: run.name,
            experiment: run.number,
            current: run.points,
        };
        Ok(running.into_iter().filter(|run| !run.points.is_empty()).map(curve).collect())
    }

    /// What was run here: a loop is about nothing else.
    fn own(&self, tag: &Tag) -> Result<Vec<Experiment>, Failure> {
        let writer = self.ledger().writer()?;
        let known = self.ledger().known(tag)?.experiments;
        Ok(known.iter().filter(|experiment| experiment.record.writer == writer).cloned().collect())
    }

    /// Reads the ledger where it is not as it was; whether it was not.
    fn remember(&mut self, tag: &Tag, tip: Option<CommitId>) -> Result<bool, Failure> {
        if self.seen.as_ref().is_some_and(|seen| seen.tag == *tag && seen.tip == tip) {
            return Ok(false);
        }
        let experiments = self.own(tag)?;
        let best = lab::experiment::best(&experiments).map(|best| (best.record.id, best.record.number));
        let known = self.seen.take().filter(|seen| seen.best_is == best);
        let (curve, points) = match (known, best) {
            (Some(known), _) => (known.curve, known.best),
            // A spoilt file must not take the view away.
            (None, Some((id, number))) => frames::recorded(self.ledger(), tag, id, number)
                .and_then(|metrics| frames::curve(&metrics, None))
                .unwrap_or_default(),
            (None, None) => Default::default(),
        };
        let metric = metric_of(experiments.last(), &self.session, self.ledger())?;
        self.seen =
            Some(Seen { tag: tag.clone(), tip, experiments, metric, best_is: best, best: points, curve });
        Ok(true)
    }
}

/// A status without what changes while nothing happens.
fn still(status: &LoopStatus) -> LoopStatus {
    let mut still = status.clone();
    for slot in &mut still.slots {
        slot.elapsed = Seconds(0.0);
        slot.last.clear();
    }
    for ahead in &mut still.ahead {
        ahead.elapsed = Seconds(0.0);
    }
    still
}

/// What the runner says that it does.
async fn ask(client: &mut Client) -> Result<LoopStatus, Failure> {
    match client.request(&Request::Status).await? {
        Response::Status { status } => Ok(status),
        other => Err(Failure::new(format!("the runner answered {other:?} to a question for its status"))),
    }
}
