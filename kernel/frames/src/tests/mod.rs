//! The tables of a real ledger, and of a run in progress.
#![allow(clippy::unwrap_used)]

mod live;
mod support;
mod tables;
