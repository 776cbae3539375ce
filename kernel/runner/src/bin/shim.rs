//! The smallest program that a runner can be given, so that the runner's tests stand alone:
//!
//! - `overnight-shim shim DIR` runs a run folder, as the product's own executable does;
//! - `overnight-shim serve ROOT STATE CACHE RUNTIME [OPTIONS]` is a runner that can be killed, for a
//!   loop with the options given as JSON, or one that goes on with the loop that was cut off.

use std::path::Path;
use std::process::ExitCode;

use runner::{Begin, Paths, Serve, Variables};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["shim", folder] => ExitCode::from(u8::try_from(runner::shim::run(Path::new(folder))).unwrap_or(1)),
        ["serve", root, state, cache, runtime, options @ ..] => {
            let begin = options
                .first()
                .and_then(|text| serde_json::from_str(text).ok())
                .map_or(Begin::Resume, Begin::Start);
            serve(root, [state, cache, runtime], begin)
        }
        _ => ExitCode::from(2),
    }
}

fn serve(root: &str, [state, cache, runtime]: [&str; 3], begin: Begin) -> ExitCode {
    let Ok(program) = std::env::current_exe() else { return ExitCode::FAILURE };
    let paths = Paths { state: state.into(), cache: cache.into(), runtime: runtime.into(), program };
    let settings = Serve { idle: std::time::Duration::ZERO, grace: lab::Seconds(0.5) };
    let work = settings.serve(Path::new(root), paths, begin, Variables(std::env::vars().collect()));
    match tokio::runtime::Runtime::new().map(|runtime| runtime.block_on(work)) {
        Ok(Ok(end)) => ExitCode::from(end.code()),
        Ok(Err(error)) => ExitCode::from(error.code()),
        Err(_) => ExitCode::FAILURE,
    }
}
