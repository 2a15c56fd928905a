//! JSON-RPC over HTTP and WebSocket.
//!
//! ```text
//! server   ports and connections        engine    one message in, one answer out
//! http     which requests are answered  table     the list of methods
//! ws       reader and writer            decode    parameters
//! envelope ids, batches, odd input      shapes    blocks, receipts, transactions as JSON
//! methods  what the methods do          filters, subscriptions
//! pages    what is served to a plain GET
//! ```
//!
//! [`Engine`] and [`Table`] know nothing of chains: an embedder can add methods, replace ours, or serve only some
//! namespaces. What clients see follows chapter 80 of the specification: texts and codes of errors are those of the
//! reference client.

mod connection;
pub mod decode;
mod engine;
mod envelope;
mod error;
mod filters;
mod http;
mod keyring;
mod limits;
mod methods;
mod pages;
mod remade;
mod server;
mod services;
pub mod shapes;
mod subscriptions;
mod syntax;
mod table;
mod ws;

pub use connection::{CloseReason, Connection, Feed, Session, Topics};
pub use engine::{Answer, Engine};
pub use error::RpcError;
pub use limits::Limits;
pub use methods::{table, with_chain_files, with_peers};
pub use pages::{Page, Pages};
pub use server::{Server, ServerConfig};
pub use services::Services;
pub use subscriptions::NodeTopics;
pub use table::{Handler, Method, Namespace, Run, Submit, Table};
