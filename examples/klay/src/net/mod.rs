//! Networks of several nodes.

pub(crate) mod config;
mod held;
pub(crate) mod init;
pub(crate) mod network;
pub(crate) mod node;
mod plan;
pub(crate) mod status;
