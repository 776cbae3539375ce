//! The shim's loop: read, wait, and end the run when it is time.

use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use lab::Seconds;
use lab::metrics::Reader;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::group::Group;
use super::locked::Before;
use super::log::Log;
use super::meter::{GLANCE, Meter};
use super::rows::Rows;
use super::telemetry::Telemetry;
use super::written::Written;
use super::{End, Job, process, tree};

/// Bytes kept of each end of the log.
const LOG: usize = 4 << 20;
/// How often the tree is looked at while it is being ended.
const TICK: Duration = Duration::from_millis(10);
/// How long SIGKILL is repeated; what hangs in the kernel longer is left to it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often samples of the GPU are taken in.
const SAMPLES: Duration = Duration::from_millis(500);

/// Where a run stands.
enum Phase {
    /// The command runs.
    On,
    /// It was asked to end; SIGKILL follows at the given moment.
    Asked(Instant),
    /// It is being killed; given up at the given moment.
    Killed(Instant),
}

/// What the command printed, on its way to the files.
struct Output<'a> {
    pipe: Option<PipeReader>,
    buffer: Vec<u8>,
    log: Log,
    rows: Rows,
    reader: Reader,
    written: Option<Written<'a>>,
    metrics: bool,
    telemetry: Telemetry,
    /// The step that the run has come to.
    step: u64,
    start: Instant,
    problem: Option<String>,
}

/// Starts the job and stays until nothing of it is left.
pub(super) fn watch(job: &Job, folder: &Path) -> io::Result<End> {
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        mask.add(signal);
    }
    mask.thread_block()?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let log = Log::create(&folder.join("log"), LOG)?;
    let rows = Rows::create(&folder.join("metrics.jsonl"))?;

    let before = job.sandbox.as_ref().and_then(|policy| policy.locked.as_ref());
    let before = before.and_then(|locked| Before::look(locked, &job.folder, !job.metrics));
    let run = folder.file_name().unwrap_or_default().to_string_lossy();
    let group = job.sandbox.as_ref().and_then(|policy| Group::new(&run, &policy.limits));
    let held = group.as_ref().is_some_and(|group| group.memory);
    let meter = job.sandbox.as_ref().map(|policy| Meter::new(policy, held));

    let written = job.written.as_ref().map(|file| Written::begin(&job.folder, file));
    let start = Instant::now();
    let (child, pipe) = process::start(job, group.as_ref())?;
    if job.sandbox.is_some() {
        process::hurry();
    }
    let main = Pid::from_raw(child.id() as i32);
    let output = Output {
        pipe: Some(pipe),
        buffer: vec![0; 256 << 10],
        log,
        rows,
        written,
        reader: job.metric.as_ref().map_or_else(Reader::new, |metric| Reader::watching(metric)),
        metrics: job.metrics,
        telemetry: Telemetry::start(job.gpu.as_ref(), start),
        step: 0,
        start,
        problem: None,
    };
    let mut end = follow(job, main, &signals, output, meter, group.as_ref())?;
    end.changed = before.map(|before| before.changed()).unwrap_or_default();
    if !job.metrics && end.exit == "0" && !end.changed.is_empty() {
        "changed".clone_into(&mut end.exit);
    }
    Ok(end)
}

fn follow(
    job: &Job,
    main: Pid,
    signals: &SignalFd,
    mut output: Output<'_>,
    mut meter: Option<Meter>,
    group: Option<&Group>,
) -> io::Result<End> {
    let start = output.start;
    let timeout = after(start, job.timeout);
    let stop_at = job.stop_at.map(|at| after(start, at));
    let mut phase = Phase::On;
    let mut exit: Option<String> = None;
    let mut ended: Option<Instant> = None;
    let mut note = None;
    loop {
        let now = Instant::now();
        let wait = match phase {
            Phase::On => {
                let until = timeout.min(stop_at.unwrap_or(timeout)).saturating_duration_since(now);
                if meter.is_some() { until.min(GLANCE) } else { until }
            }
            Phase::Asked(_) | Phase::Killed(_) => TICK,
        };
        output.wait(signals, wait)?;
        output.drain()?;
        let asked_to_stop = read_signals(signals);
        if let Some(how) = tree::reap(main) {
            ended.get_or_insert_with(Instant::now);
            exit.get_or_insert(how);
            // What comes after this is of what it has left behind, and no result of its own.
            output.drain()?;
            output.metrics = false;
        }
        let now = Instant::now();
        match phase {
            Phase::On => {
                let why = if ended.is_some() {
                    None
                } else if asked_to_stop {
                    Some("stopped")
                } else if now >= timeout {
                    Some("timeout")
                } else if stop_at.is_some_and(|at| now >= at) {
                    Some("budget")
                } else if let Some(beyond) = meter.as_mut().and_then(|meter| meter.exceeded(now, group)) {
                    note = Some(beyond);
                    Some("limit")
                } else {
                    continue;
                };
                if let Some(why) = why {
                    exit = Some(why.to_owned());
                }
                output.telemetry.stop();
                if why == Some("limit") {
                    // It is not asked: it takes more every moment.
                    kill(group);
                    phase = Phase::Killed(now + PATIENCE);
                    continue;
                }
                // After the command's own end: what it left behind.
                if tree::signal(Signal::SIGTERM) == 0 {
                    break;
                }
                phase = Phase::Asked(after(now, job.grace));
            }
            Phase::Asked(until) => {
                if tree::alive() == 0 {
                    break;
                }
                if now >= until || (asked_to_stop && exit.as_deref() == Some("stopped")) {
                    kill(group);
                    phase = Phase::Killed(now + PATIENCE);
                }
            }
            Phase::Killed(until) => {
                if !kill(group) {
                    break;
                }
                if now >= until {
                    let left = tree::alive();
                    note.get_or_insert_with(|| {
                        format!("{left} processes of the run could not be killed: they hang in the kernel")
                    });
                    break;
                }
            }
        }
    }
    tree::reap(main);
    output.drain()?;
    let seconds = ended.unwrap_or_else(Instant::now).duration_since(start);
    output.finish(exit.unwrap_or_else(|| "lost".to_owned()), seconds, note)
}

/// Kills all that is left of the run. Whether there was anything.
fn kill(group: Option<&Group>) -> bool {
    if let Some(group) = group {
        // All at once, those being forked too; to look for each would take longer than they take to fork.
        group.kill();
        return !group.is_empty() || tree::signal(Signal::SIGKILL) > 0;
    }
    if tree::alive() == 0 {
        return false;
    }
    tree::freeze();
    tree::signal(Signal::SIGKILL) > 0
}

/// `start + seconds`, or a year later where that is beyond what a clock can say.
fn after(start: Instant, seconds: Seconds) -> Instant {
    let year = Duration::from_secs(365 * 24 * 3600);
    start + seconds.duration().min(year)
}

/// Takes the signals that have come. Whether one of them asks the run to end.
fn read_signals(signals: &SignalFd) -> bool {
    let mut stop = false;
    while let Ok(Some(info)) = signals.read_signal() {
        stop |= info.ssi_signo != Signal::SIGCHLD as u32;
    }
    stop
}

impl Output<'_> {
    /// Waits until something is printed, a signal comes, or `wait` is over.
    fn wait(&self, signals: &SignalFd, wait: Duration) -> io::Result<()> {
        let wait = if self.telemetry.is_on() { wait.min(SAMPLES) } else { wait };
        let mut files = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if let Some(pipe) = &self.pipe {
            files.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
        }
        // Rounded up: poll counts milliseconds, and waiting 0 ms for the last fraction would spin.
        let milliseconds = i32::try_from(wait.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
        match poll(&mut files, PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Reads what is there now, at most a few megabytes, so that a timeout is seen in time.
    fn drain(&mut self) -> io::Result<()> {
        let samples = self.telemetry.rows(self.step);
        if let Err(e) = self.rows.push(&samples) {
            self.problem.get_or_insert_with(|| format!("not all of its output could be written: {e}"));
        }
        for _ in 0..16 {
            let Some(pipe) = &mut self.pipe else { return Ok(()) };
            match pipe.read(&mut self.buffer) {
                Ok(0) => self.pipe = None,
                Ok(read) => {
                    let bytes = &self.buffer[..read];
                    let mut written = self.log.push(bytes);
                    if self.metrics {
                        self.reader.push(bytes, Seconds(self.start.elapsed().as_secs_f64()));
                        let rows = self.reader.take_rows();
                        self.step = rows.last().map_or(self.step, |row| row.step);
                        written = written.and(self.rows.push(&rows));
                    }
                    // A full disk is no reason to end a run: what it prints is still read.
                    if let Err(e) = written {
                        self.problem
                            .get_or_insert_with(|| format!("not all of its output could be written: {e}"));
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn finish(mut self, exit: String, seconds: Duration, note: Option<String>) -> io::Result<End> {
        let printed = self.log.printed();
        let mut written = self.log.finish();
        if matches!(exit.as_str(), "stopped" | "timeout" | "budget") {
            self.reader.cut();
        } else {
            self.reader.end();
        }
        if let Some(Err(problem)) = self.written.take().map(|written| written.read(&mut self.reader))
            && matches!(exit.as_str(), "0" | "budget")
        {
            self.problem.get_or_insert(problem);
        }
        let last = self.reader.last().clone();
        let mut metrics = self.reader.finish();
        // What the run itself says goes before.
        for (name, value) in self.telemetry.summary() {
            metrics.summary.entry(name).or_insert(value);
        }
        written = written.and(self.rows.push(&metrics.rows));
        if let Err(e) = written {
            self.problem.get_or_insert_with(|| format!("not all of its output could be written: {e}"));
        }
        Ok(End {
            schema: lab::SCHEMA,
            exit,
            seconds: Seconds(seconds.as_secs_f64()),
            summary: metrics.summary,
            last,
            printed,
            rows: self.rows.seen(),
            changed: Vec::new(),
            note: note.or(self.problem),
        })
    }
}
