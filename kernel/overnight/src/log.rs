//! Log files of the processes that have no terminal.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::env;

/// Writes this process's log to `path`; where that cannot be opened, there is none.
pub(crate) fn to_file(path: &Path) {
    let Ok(file) = OpenOptions::new().create(true).append(true).open(path) else { return };
    let filter = env::var(env::LOG).and_then(|text| EnvFilter::try_new(text).ok());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new("info")))
        .with_ansi(false)
        // On a full disk the complaint about an unwritten line would go to standard error, which is a file
        // on the same disk: that panics, and the panic's hook waits for the log's lock for ever.
        .log_internal_errors(false)
        .with_writer(Mutex::new(file))
        .finish();
    // A second one in the same process is a test's.
    let _ = tracing::subscriber::set_global_default(subscriber);
    // A panic is told to the client; its place belongs here, and not on the terminal of the server.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}
