//! Answers in a notebook cell.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use jupyter::{DisplayId, Io, Payload};
use view::Bundle;

use crate::sink::Sink;

/// A cell's output as a [`Sink`]; it may outlive the cell.
pub(crate) struct Notebook {
    io: Io,
    json: bool,
    /// The display of each name, and a hash of what it shows.
    displays: Mutex<HashMap<String, (DisplayId, u64)>>,
    /// The cell that is to stand below.
    proposed: Mutex<Option<String>>,
}

impl Notebook {
    /// The output of the cell that `io` belongs to; with `json`, only JSON beside the text.
    pub(crate) fn new(io: Io, json: bool) -> Self {
        Self { io, json, displays: Mutex::default(), proposed: Mutex::default() }
    }

    /// The number of its cell, as in `[3]`.
    pub(crate) fn cell(&self) -> u32 {
        self.io.execution_count()
    }

    /// Shows `bundle` in place of what `other` shows under a name. This cell says so: clients without a page hear nothing of
    /// a cell that has ended.
    pub(crate) fn replace(&self, other: &Self, name: &str, bundle: Bundle) {
        let displays = other.displays.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((id, _)) = displays.get(name) {
            self.io.update_display(id, other.mime(bundle));
        }
    }

    /// What the client is asked to do when the cell has ended.
    pub(crate) fn payloads(self) -> Vec<Payload> {
        let proposed = self.proposed.into_inner().unwrap_or_else(PoisonError::into_inner);
        proposed.map(|text| Payload::SetNextInput { text, replace: false }).into_iter().collect()
    }

    fn mime(&self, bundle: Bundle) -> jupyter::MimeBundle {
        let json = self.json.then(|| bundle.json());
        let mut mime = bundle.into_map();
        mime.remove(view::bundle::JSON);
        if let Some(json) = json {
            mime.retain(|name, _| name == view::bundle::TEXT);
            mime.insert(view::bundle::JSON.to_owned(), json);
        }
        mime
    }
}

impl Sink for Notebook {
    fn show(&self, bundle: Bundle) {
        self.io.display(self.mime(bundle), None);
    }

    fn update(&self, name: &str, bundle: Bundle) {
        let mime = self.mime(bundle);
        let mut displays = self.displays.lock().unwrap_or_else(PoisonError::into_inner);
        let now = hash(&mime);
        match displays.get_mut(name) {
            Some((_, shown)) if *shown == now => {}
            Some((id, shown)) => {
                self.io.update_display(id, mime);
                *shown = now;
            }
            None => {
                let id = DisplayId::new();
                self.io.display(mime, Some(&id));
                displays.insert(name.to_owned(), (id, now));
            }
        }
    }

    fn propose(&self, code: &str) {
        *self.proposed.lock().unwrap_or_else(PoisonError::into_inner) = Some(code.to_owned());
    }

    fn line(&self, text: &str) {
        self.io.stdout(&format!("{text}\n"));
    }
}

/// Tells apart what a display shows now from what it is to show.
fn hash(mime: &jupyter::MimeBundle) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, value) in mime {
        name.hash(&mut hasher);
        match value.as_str() {
            Some(text) => text.hash(&mut hasher),
            None => value.to_string().hash(&mut hasher),
        }
    }
    hasher.finish()
}
