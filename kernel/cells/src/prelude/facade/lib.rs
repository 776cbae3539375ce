//! What Rust cells have in scope.

extern crate overnight_prelude;

pub use overnight_prelude::*;
