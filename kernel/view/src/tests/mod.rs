//! What people see, whole, on ledgers of every size and kind.
#![allow(clippy::unwrap_used)]

mod answers;
mod charts;
mod hostile;
mod live;
mod pictures;
mod morning;
mod plan;
mod report;
mod space;
mod support;
mod tables;
