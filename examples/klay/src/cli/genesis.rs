//! `klay genesis`.

use super::Outcome;

/// Commands of this group.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Genesis {}

impl Genesis {
    pub(crate) fn run(self) -> Outcome {
        match self {}
    }
}
