//! What an embedder's parts have to keep to, as tests to be called: one function for each part, which names the rule that
//! was broken.
//!
//! | Part | Function |
//! |---|---|
//! | [`Committees`](crate::types::Committees) | [`committees`] |
//! | [`Disk`](crate::wal::Disk) | [`disk`] |
//! | an engine, by its [`Lab`](crate::sim::Lab) | [`engine`] |
//! | [`App`](crate::host::App) (feature `runtime` too) | `app` |
//! | [`Transport`](crate::host::Transport) (feature `runtime` too) | `transport` |
//!
//! ```
//! use klay_consensus::{istanbul::Klaytn, sim::value::{LabValue, Turns}, suite};
//!
//! suite::committees::<Klaytn<LabValue>>(&Turns::new(7), 1..=20, 10)?;
//! # Ok::<_, suite::Broken>(())
//! ```
//!
//! Source: chapter 50, section 6.5.

#[cfg(feature = "runtime")]
mod app;
mod committees;
mod disk;
mod engine;
#[cfg(feature = "runtime")]
mod transport;

#[cfg(feature = "runtime")]
pub use app::app;
pub use committees::committees;
pub use disk::disk;
pub use engine::engine;
#[cfg(feature = "runtime")]
pub use transport::transport;

/// A rule that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {what}")]
pub struct Broken {
    /// Its id: of the suite's own documentation, or an invariant of [the lab](crate::sim).
    pub rule: &'static str,
    /// What happened instead.
    pub what: String,
}

/// Whether every rule was kept.
pub type Outcome = Result<(), Broken>;

fn broken(rule: &'static str, what: impl Into<String>) -> Broken {
    Broken { rule, what: what.into() }
}

fn keeps(rule: &'static str, is_kept: bool, what: impl FnOnce() -> String) -> Outcome {
    if is_kept { Ok(()) } else { Err(broken(rule, what())) }
}
