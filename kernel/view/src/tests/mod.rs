//! What people see, whole, on ledgers of every size and kind.
#![allow(clippy::unwrap_used)]

mod answers;
mod charts;
mod checked;
mod hostile;
mod live;
mod morning;
mod pictures;
mod plan;
mod progress;
mod report;
mod space;
mod support;
mod tables;
