//! One file per group of commands.

pub(crate) mod account;
pub(crate) mod genesis;
pub(crate) mod key;
mod lines;
mod secret;
pub(crate) mod statetest;
pub(crate) mod tx;

use std::{error::Error, process::ExitCode};

/// What a command ends with: an exit code, or an error to show.
pub(crate) type Outcome = Result<ExitCode, Box<dyn Error>>;
