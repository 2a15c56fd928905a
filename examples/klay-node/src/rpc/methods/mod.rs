//! What the methods do, a file per family. Each file adds its rows to the table.

mod accounts;
mod admin;
mod blobs;
mod blocks;
mod calls;
mod cast;
mod chain;
mod config;
mod defaults;
mod dump;
mod evidence;
mod fees;
mod governance;
mod kni;
pub(super) mod logs;
mod personal;
mod pool;
mod raw;
mod registry;
mod revert;
mod rewards;
mod sign;
mod stored;
pub(super) mod supply;
mod trace;
mod transactions;
mod votes;
mod wallet;

use std::sync::Arc;

use super::{Namespace, Services, Table};
use crate::network::Network;

/// Both flavours.
const BOTH: [Namespace; 2] = [Namespace::Kaia, Namespace::Eth];
/// kaia_ and klay_ alone.
const KAIA: [Namespace; 1] = [Namespace::Kaia];
/// eth_ alone.
const ETH: [Namespace; 1] = [Namespace::Eth];

/// Every method that a node serves to everybody. See [`with_chain_files`] for others.
pub fn table(services: &Arc<Services>) -> Table {
    let mut table = Table::default();
    admin::add(&mut table, services);
    chain::add(&mut table, services);
    config::add(&mut table, services);
    blocks::add(&mut table, services);
    transactions::add(&mut table, services);
    accounts::add(&mut table, services);
    calls::add(&mut table, services);
    blobs::add(&mut table, services);
    dump::add(&mut table, services);
    evidence::add(&mut table, services);
    fees::add(&mut table, services);
    governance::add(&mut table, services);
    cast::add(&mut table, services);
    votes::add(&mut table, services);
    rewards::add(&mut table, services);
    supply::add(&mut table, services);
    registry::add(&mut table, services);
    stored::add(&mut table, services);
    logs::add(&mut table, services);
    personal::add(&mut table, services);
    pool::add(&mut table, services);
    raw::add(&mut table, services);
    sign::add(&mut table, services);
    trace::add(&mut table, services);
    wallet::add(&mut table, services);
    table.with_modules()
}

/// `table` with `admin_exportChain`, `admin_importChain` and `admin_importChainFromString`: they read and write files of
/// the node's machine wherever the caller says, so they are for callers that one trusts.
#[must_use]
pub fn with_chain_files(mut table: Table, services: &Arc<Services>) -> Table {
    admin::add_files(&mut table, services);
    table.with_modules()
}

/// `table` with `admin_addPeer` and `admin_removePeer`, which take addresses of peers as
/// [`PeerAddress`](crate::network::PeerAddress) reads them: whom a node
/// speaks with is for callers that one trusts.
#[must_use]
pub fn with_peers(mut table: Table, network: &Network) -> Table {
    admin::add_peers(&mut table, network);
    table.with_modules()
}
