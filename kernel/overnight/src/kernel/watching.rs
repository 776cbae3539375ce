//! The live views of a kernel: one task for each lab, however many cells show it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Leaves a lab to `view`, which somebody else keeps up to date while what this gives is held: other views say where it
    /// is. Unless it is [finished](Held::finish), `view` is one of them afterwards.
    pub(super) fn hold(&self, state: PathBuf, session: Session, view: Arc<Notebook>) -> Held<'_> {
        let labs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let others = labs.get(&state).map(|views| std::mem::take(&mut views.shown().all));
        for other in others.into_iter().flatten() {
            view.replace(&other, "live", view::plain(&format!("the live view goes on in [{}]", view.cell())));
        }
        Held { watching: self, view: Some((state, session, view)) }
    }

    /// Keeps what `view` shows up to date until the loop ends.
    pub(super) fn join(&self, state: PathBuf, session: Session, view: Arc<Notebook>) {
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

/// A view that is kept up to date by whoever holds this.
pub(super) struct Held<'a> {
    watching: &'a Watching,
    view: Option<(PathBuf, Session, Arc<Notebook>)>,
}

impl Held<'_> {
    /// It is in its last state.
    pub(super) fn finish(mut self) {
        self.view = None;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some((state, session, view)) = self.view.take() {
            self.watching.join(state, session, view);
        }
    }
}

/// What shows one lab.
#[derive(Clone, Default)]
struct Views(Arc<Mutex<Shown>>);

#[derive(Default)]
struct Shown {
    all: Vec<Arc<Notebook>>,
    /// How many there have been.
    joined: u64,
    /// Whether a task keeps them up to date.
    watched: bool,
}

impl Views {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
