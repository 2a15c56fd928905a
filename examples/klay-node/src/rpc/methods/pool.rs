//! `txpool_`: what waits (spec 80, section 3.4).

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::Address;
use serde_json::{Value, json};

use crate::{
    SharedTx,
    rpc::{
        Namespace, Services, Table,
        shapes::{Object, Put, quantity, tx},
    },
};

type Waiting = BTreeMap<Address, BTreeMap<u64, SharedTx>>;

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let txpool = [Namespace::TxPool];
    let s = Arc::clone(services);
    table.heavy(&txpool, "content", move |()| {
        let content = s.node.pool().content();
        let show = |tx: &SharedTx| Value::Object(tx::kaia(tx, None));
        Ok(json!({ "pending": tree(&content.pending, show), "queued": tree(&content.queued, show) }))
    });
    let s = Arc::clone(services);
    table.heavy(&txpool, "inspect", move |()| {
        let content = s.node.pool().content();
        let show = |tx: &SharedTx| Value::String(summary(tx));
        Ok(json!({ "pending": tree(&content.pending, show), "queued": tree(&content.queued, show) }))
    });
    let s = Arc::clone(services);
    table.quick(&txpool, "status", move |()| {
        let status = s.node.pool().status();
        Ok(json!({ "pending": quantity(status.pending as u64), "queued": quantity(status.queued as u64) }))
    });
}

fn tree(waiting: &Waiting, show: impl Fn(&SharedTx) -> Value) -> Value {
    let mut accounts = Object::new();
    for (address, list) in waiting {
        let mut nonces = Object::new();
        for (nonce, tx) in list {
            nonces.put(&nonce.to_string(), show(tx));
        }
        accounts.put(&address.to_string(), nonces);
    }
    Value::Object(accounts)
}

fn summary(tx: &SharedTx) -> String {
    let view = tx.view();
    let to = view.to.map_or_else(|| "contract creation".to_owned(), |to| to.to_string());
    // Amounts are in peb; the reference client writes kei behind them all the same.
    format!("{to}: {} kei + {} gas × {} kei", view.value, view.gas_limit, view.fee_cap)
}
