//! The download on the screen.

use std::cell::RefCell;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use prepare::PrepareError;
use prepare::corpus::Origin;
use prepare::hub::{DEFAULT_ENDPOINT, Event, Hub};

use crate::options::HubOptions;

/// Downloads the files that the cache lacks, a bar for each where somebody watches.
pub(crate) fn download(options: &HubOptions, say: &dyn Fn(&str)) -> Result<Origin, PrepareError> {
    let hub = Hub {
        endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()),
        token: variable("HF_TOKEN"),
        dataset: options.dataset.clone(),
        shards: options.shards,
        cache: options.cache.clone().unwrap_or_else(default_cache),
    };
    let bar: RefCell<Option<ProgressBar>> = RefCell::default();
    let files = hub.download(&|event| match event {
        Event::Bytes { file, bytes, size } => {
            let mut bar = bar.borrow_mut();
            let bar = bar.get_or_insert_with(|| new_bar(file, size));
            bar.set_position(bytes);
        }
        Event::Again { file, reason, pause } => {
            let line = format!("{file}: {reason}; again in {:.0} s", pause.as_secs_f64());
            match bar.borrow().as_ref() {
                Some(bar) => bar.suspend(|| say(&line)),
                None => say(&line),
            }
        }
        Event::Whole { file } => {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
            say(&format!("{file} downloaded"));
        }
    })?;
    Ok(Origin::Hub { dataset: hub.dataset, files })
}

fn new_bar(file: &str, size: Option<u64>) -> ProgressBar {
    let bar = size.map_or_else(ProgressBar::no_length, ProgressBar::new).with_message(file.to_owned());
    let template = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Variables that the hub's own programs read; an empty one is none.
fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?.trim().to_owned();
    (!value.is_empty()).then_some(value)
}

/// Where karpathy's `prepare.py` has its files.
fn default_cache() -> PathBuf {
    std::env::home_dir().unwrap_or_default().join(".cache").join("autoresearch").join("data")
}
