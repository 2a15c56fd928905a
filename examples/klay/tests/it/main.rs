//! Every test of the crate in one program, which is linked once.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod commands;
mod import;
mod lab;
mod statetest;
