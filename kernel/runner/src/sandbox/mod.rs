//! The sandbox of builds and runs: what a candidate may read, write and do, and how this machine holds it to that.
//!
//! A [`Policy`] is made by the executor ([`Ground::policy`]) and travels in `job.json`; the shim enforces it on the
//! command that it starts ([`Cage`]). Landlock and seccomp do it without any privilege, as root in a container and as
//! an ordinary user; bubblewrap takes Landlock's place where the kernel has none. What the machine at hand cannot
//! enforce is said by [`report`], and what was denied to a run that failed by [`denials`].

mod bubblewrap;
mod cage;
pub mod denials;
mod gather;
mod landlock;
mod policy;
pub mod report;
mod seccomp;
mod tools;
mod warden;

/// Where processes are files.
const PROC: &str = "/proc";

pub(crate) use cage::{Arrival, Cage};
pub use gather::Ground;
pub use policy::{Locked, Policy, Rule, Way};
pub use report::Facts;
