//! Everything is signed before the clock starts, on all cores.

use std::thread;

use klay_core::{B256, crypto::keccak256, tx::SignTxError};
use klay_node::workload::{Mix, Workload};

/// A signed transaction, ready for a batch.
#[derive(Debug)]
pub(super) struct Signed {
    /// Its hash.
    pub(super) hash: B256,
    /// The method that takes it.
    pub(super) method: &'static str,
    /// Its bytes in hex, with `0x`.
    pub(super) raw: String,
    /// Which sender.
    pub(super) sender: usize,
}

pub(super) fn all(load: &Workload, mix: Mix, count: u64, nonces: &mut [u64]) -> Result<Vec<Signed>, SignTxError> {
    let plans = load.plan(mix, count, nonces);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = plans.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let parts: Vec<_> = plans
            .chunks(share)
            .map(|part| {
                scope.spawn(move || part.iter().map(|plan| load.sign(plan).map(|tx| signed(tx, plan.sender))).collect())
            })
            .collect();
        let mut all = Vec::with_capacity(plans.len());
        for part in parts {
            let part: Result<Vec<Signed>, SignTxError> = part.join().expect("signing does not panic");
            all.extend(part?);
        }
        Ok(all)
    })
}

fn signed(tx: klay_feedeleg::KlaytnTx, sender: usize) -> Signed {
    let ethereum = !tx.tx_type().is_klaytn();
    let (method, raw) = match ethereum {
        true => ("eth_sendRawTransaction", tx.encode_ethereum()),
        false => ("kaia_sendRawTransaction", tx.encode_network()),
    };
    Signed { hash: tx.hash(), method, raw: format!("0x{}", hex::encode(raw)), sender }
}

/// Puts transactions into an order that depends on the seed alone.
pub(super) fn shuffle(signed: &mut [Signed], seed: u64) {
    let draw = |turn: usize| {
        let hash = keccak256(format!("klay-load/order/{seed}/{turn}"));
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        u64::from_be_bytes(first)
    };
    for last in (1..signed.len()).rev() {
        signed.swap(last, (draw(last) % (last as u64 + 1)) as usize);
    }
}
