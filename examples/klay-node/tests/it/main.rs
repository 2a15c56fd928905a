//! Every test of the crate in one program, which is linked once.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;
mod councils;
mod flips;
mod import;
mod node;
mod pool_vectors;
mod refusals;
mod rpc_admin;
mod rpc_chains;
mod rpc_docs;
mod rpc_errors;
mod rpc_methods;
mod rpc_shapes;
mod rpc_traces;
mod swap_engine;
mod wire;
mod workload;
