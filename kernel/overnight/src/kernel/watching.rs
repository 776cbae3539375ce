//! The live views of a kernel: one task for each lab, however many cells show it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use view::Bundle;

use super::notebook::Notebook;
use crate::commands::loops;
use crate::session::Session;
use crate::sink::Sink;

/// So many views of a lab are kept up to date, the newest: cells that were run again have lost their old ones.
const VIEWS: usize = 4;

/// The views of each lab, by where its state is.
#[derive(Default)]
pub(super) struct Watching(Mutex<HashMap<PathBuf, Views>>);

impl Watching {
    /// The cell that shows a lab's loop now, if one does.
    pub(super) fn cell(&self, state: &Path) -> Option<u32> {
        self.views(state)?.shown().all.last().map(Notebook::cell)
    }

    /// Waits until the views of a lab are in their last state.
    pub(super) async fn ended(&self, state: &Path) {
        let Some(views) = self.views(state) else { return };
        loop {
            let over = views.over.notified();
            if !views.shown().watched {
                return;
            }
            over.await;
        }
    }

    fn views(&self, state: &Path) -> Option<Views> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(state).cloned()
    }

    /// Keeps what `view` shows up to date until the loop ends.
    pub(super) fn join(&self, state: PathBuf, session: Session, view: Notebook) {
        let mut labs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let views = labs.entry(state).or_default().clone();
        let alone = {
            let mut shown = views.shown();
            shown.all.push(view);
            shown.joined += 1;
            if shown.all.len() > VIEWS {
                shown.all.remove(0);
            }
            !std::mem::replace(&mut shown.watched, true)
        };
        if alone {
            tokio::spawn(views.watch(session));
        }
    }
}

/// What shows one lab.
#[derive(Clone, Default)]
struct Views {
    shown: Arc<Mutex<Shown>>,
    /// Told when nothing keeps them up to date any more.
    over: Arc<Notify>,
}

#[derive(Default)]
struct Shown {
    all: Vec<Notebook>,
    /// How many there have been.
    joined: u64,
    /// Whether a task keeps them up to date.
    watched: bool,
}

impl Views {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn watch(self, session: Session) {
        loop {
            let joined = self.shown().joined;
            if let Err(failure) = loops::watch(&session, &self).await {
                self.line(&failure.to_string());
            }
            let mut shown = self.shown();
            // One that came while the loop was ending may be of the next loop.
            if shown.joined == joined {
                shown.all.clear();
                shown.watched = false;
                self.over.notify_waiters();
                return;
            }
        }
    }
}

impl Sink for Views {
    fn show(&self, bundle: Bundle) {
        for view in &self.shown().all {
            view.show(bundle.clone());
        }
    }

    fn update(&self, name: &str, bundle: Bundle) {
        for view in &self.shown().all {
            view.update(name, bundle.clone());
        }
    }

    fn line(&self, text: &str) {
        if let Some(view) = self.shown().all.last() {
            view.line(text);
        }
    }
}
