//! Networks of several nodes.

mod config;
pub(crate) mod init;
mod logs;
pub(crate) mod network;
pub(crate) mod node;
mod plan;
pub(crate) mod status;
