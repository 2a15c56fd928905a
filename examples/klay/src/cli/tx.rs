//! `klay tx`.

use super::Outcome;

/// Commands of this group.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Tx {}

impl Tx {
    pub(crate) fn run(self) -> Outcome {
        match self {}
    }
}
