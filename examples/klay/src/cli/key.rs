//! `klay key`.

use super::Outcome;

/// Commands of this group.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Key {}

impl Key {
    pub(crate) fn run(self) -> Outcome {
        match self {}
    }
}
