//! What each command does, one file per group. A command shows its answer on a [`Sink`] and returns.

pub(crate) mod ask;
mod brief;
mod constants;
mod data;
mod decide;
mod doctor;
mod exchange;
mod files;
mod fsck;
mod gc;
mod look;
pub(crate) mod loops;
mod morning;
mod person;
pub(crate) mod plot;
mod program;
mod rehearse;
mod report;
mod say;
mod space;
mod watcher;
mod whole;

use crate::failure::Failure;
use crate::grammar::{Command, LoopCommand};
use crate::session::Session;
use crate::sink::Sink;

/// Runs a command. Dropping the future ends what it waits for, never the loop.
pub(crate) async fn run(command: Command, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    match command {
        Command::Loop(LoopCommand::Start(args)) => loops::start(&args, session, sink).await,
        Command::Loop(command) => loops::run(command, session, sink).await,
        Command::Run(args) => person::run(&args, session, sink).await,
        Command::Hypothesis(args) => say::hypothesis(&args, session, sink).await,
        Command::Plan(args) => say::plan(&args, session, sink).await,
        Command::Ask(args) => ask::run(&args, session, sink).await,
        Command::Share(args) => exchange::share(args, session, sink).await,
        Command::Merge(args) => exchange::merge(args, session, sink).await,
        Command::Report(args) => report::run(&args, session, sink).await,
        Command::Morning(args) => morning::run(&args, session, sink).await,
        // The rest reads and writes files alone.
        command => tokio::task::block_in_place(|| local(&command, session, sink)),
    }
}

fn local(command: &Command, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    match command {
        Command::Experiments(args) => look::experiments(args, session, sink),
        Command::Experiment(args) => look::experiment(&args.which, &args.tag, session, sink),
        Command::Best(tag) => look::experiment(&crate::grammar::Which::Best, tag, session, sink),
        Command::Metrics(args) => look::metrics(args, session, sink),
        Command::Log(args) => look::log(args, session, sink),
        Command::Diff(args) => look::diff(args, session, sink),
        Command::Sql(args) => look::sql(args, session, sink),
        Command::Plot(args) => plot::run(args, session, sink),
        Command::Keep(args) => decide::over(args, lab::Status::Keep, session, sink),
        Command::Discard(args) => decide::over(args, lab::Status::Discard, session, sink),
        Command::Note(args) => decide::note(args, session, sink),
        Command::Branch(args) => decide::branch(args, session, sink),
        Command::Program => program::show(session, sink),
        Command::Brief(args) => brief::run(args, session, sink),
        Command::New(args) => program::new(args, session, sink),
        Command::Export(args) => files::export(args, session, sink),
        Command::Import(args) => files::import(args, session, sink),
        Command::Doctor => doctor::run(session, sink),
        Command::Fsck(args) => fsck::run(args, session, sink),
        Command::Gc(args) => gc::run(args, session, sink),
        Command::Loop(_)
        | Command::Run(_)
        | Command::Ask(_)
        | Command::Hypothesis(_)
        | Command::Plan(_)
        | Command::Report(_)
        | Command::Morning(_)
        | Command::Share(_)
        | Command::Merge(_) => Err(Failure::new("this command is not a local one")),
    }
}
