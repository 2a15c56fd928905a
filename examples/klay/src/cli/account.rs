//! `klay account`.

use super::Outcome;

/// Commands of this group.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Account {}

impl Account {
    pub(crate) fn run(self) -> Outcome {
        match self {}
    }
}
