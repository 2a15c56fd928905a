//! `istanbul_getEvidence`, which the reference client does not have: what the engine of this node has found against
//! validators.

use std::sync::Arc;

use klay_consensus::types::Evidence;
use klay_core::Address;
use serde_json::Value;

use crate::{
    driver::EvidenceBook,
    rpc::{
        Namespace, Services, Table,
        decode::BlockNumber,
        shapes::{Object, Put, bytes},
    },
};

/// Most bytes of proofs in one answer, unless a single piece is larger.
const MOST: usize = 4 << 20;

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    if services.node.author().is_none() {
        // Whoever only follows sees no votes: an empty list would say more than it knows.
        return;
    }
    let s = Arc::clone(services);
    type Heights = (Option<BlockNumber>, Option<BlockNumber>);
    table.heavy(&[Namespace::Istanbul], "getEvidence", move |(from, to): Heights| {
        let (from, to) = (from.map_or(0, |from| s.height(from)), to.map_or(u64::MAX, |to| s.height(to)));
        let book = s.node.evidence();
        Ok(book.list(from..=to, MOST).iter().map(|evidence| shown(book, evidence)).collect::<Vec<_>>())
    });
}

/// What was done, and everything that somebody else needs to check it.
fn shown(book: &EvidenceBook, evidence: &Evidence<Address>) -> Value {
    let mut object = Object::new();
    object.put("kind", evidence.kind.name());
    object.put_hex("offender", evidence.offender);
    object.put_quantity("height", evidence.height.get());
    object.put_quantity("slot", evidence.view.slot.get());
    object.put_quantity("round", evidence.view.round.get());
    object.put("engine", book.engine().name());
    object.put("domain", book.domain().map(bytes));
    object.put("proof", evidence.proof.iter().map(bytes).collect::<Vec<_>>());
    let mut encoded = Vec::new();
    evidence.encode(&mut encoded);
    object.put_hex("encoded", encoded);
    object.into()
}
