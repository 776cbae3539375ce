//! What is the same in every training run, whatever the model: how long it may train and on what, and the
//! lines that the loop reads.
//!
//! ```no_run
//! fn train(run: &harness::Run, data: &prepare::Dataset) -> Result<harness::Summary, String> {
//!     let mut steps = run.steps(2048, 6e6);
//!     while let Some(now) = steps.next() {
//!         let loss = 1.0 - now.progress as f32; // one step of training
//!         steps.done(loss, 1.0, 1)?;
//!     }
//!     Ok(steps.summary(1.5, 1_000_000, 4))
//! }
//! fn main() -> std::process::ExitCode {
//!     harness::main(train)
//! }
//! ```
//!
//! | setting | | default |
//! |---|---|---|
//! | `OVERNIGHT_BUDGET_SECONDS` | time to train; building, starting and evaluating are not counted | 300 |
//! | `OVERNIGHT_SEED` | of weights and of the data's order | 42 |
//! | `OVERNIGHT_DEVICE` | `cpu`, `cuda`, `wgpu` | the GPU that it was built for, else `cpu` |
//! | `OVERNIGHT_STEPS` | ends after so many steps, whatever the time; on the processor to the last bit the same each time | none |
//! | `RAYON_NUM_THREADS` | threads on the processor | one a core |
#![allow(clippy::print_stdout, reason = "the lines that it prints are its interface")]

#[cfg(any(feature = "cuda", feature = "wgpu", test))]
mod card;
mod machine;
mod memory;
mod settings;
mod steps;
mod summary;

use std::process::ExitCode;

pub use machine::Machine;
pub use settings::Run;
pub use steps::{Now, Steps};
pub use summary::Summary;

/// Trains on the folder `data` as the environment says, and prints the summary or `FAIL:` and why.
pub fn main(train: impl FnOnce(&Run, &prepare::Dataset) -> Result<Summary, String>) -> ExitCode {
    memory::keep();
    let result = Run::from_environment().and_then(|run| {
        let data = prepare::Dataset::open("data").map_err(|error| explain(&error))?;
        train(&run, &data)
    });
    match result {
        Ok(summary) => {
            print!("{summary}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("FAIL: {message}");
            ExitCode::FAILURE
        }
    }
}

/// An error of the data as one line.
pub fn explain(error: &prepare::PrepareError) -> String {
    format!("{error}; {}", error.hint())
}
