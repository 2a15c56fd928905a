//! Transactions and receipts by hash and by place.

use std::sync::Arc;

use alloy_primitives::B256;
use serde_json::Value;

use super::{ETH, KAIA};
use crate::{
    SealedBlock, SharedTx,
    chain::TxLocation,
    rpc::{
        Namespace, RpcError, Services, Table,
        decode::{BlockNumber, HexUint},
        shapes::{
            Flavour, anchor, bytes,
            receipt::Shown,
            tx::{self, TxPlace},
        },
    },
};

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    for (flavour, namespace) in [(Flavour::Kaia, &KAIA), (Flavour::Eth, &ETH)] {
        add_by_hash(table, services, flavour, namespace);
        add_by_place(table, services, flavour, namespace);
    }
    add_by_sender_hash(table, services);
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getDecodedAnchoringTransactionByHash", move |(hash,): (B256,)| decoded_anchoring(&s, hash));
}

fn add_by_hash(table: &mut Table, services: &Arc<Services>, flavour: Flavour, namespace: &[Namespace]) {
    let s = Arc::clone(services);
    table.heavy(namespace, "getTransactionByHash", move |(hash,): (B256,)| {
        if let Some(found) = locate(&s, hash)? {
            return Ok(show_located(&s, &found, flavour));
        }
        Ok(s.node.pool().get(hash).map_or(Value::Null, |tx| show(&tx, None, flavour)))
    });
    let s = Arc::clone(services);
    table.heavy(namespace, "getTransactionReceipt", move |(hash,): (B256,)| match locate(&s, hash)? {
        Some(found) => receipt(&s, &found, flavour),
        None => Ok(Value::Null),
    });
    let s = Arc::clone(services);
    table.heavy(namespace, "getRawTransactionByHash", move |(hash,): (B256,)| {
        let tx = match locate(&s, hash)? {
            Some(found) => found.transaction().cloned(),
            None => s.node.pool().get(hash),
        };
        Ok(raw(tx.as_ref(), flavour))
    });
}

fn add_by_place(table: &mut Table, services: &Arc<Services>, flavour: Flavour, namespace: &[Namespace]) {
    let at = move |s: &Services, block: Option<Arc<SealedBlock>>, index: HexUint| {
        let found = block.map(|block| TxLocation { block, index: usize::try_from(index.0).unwrap_or(usize::MAX) });
        found.map_or(Value::Null, |found| show_located(s, &found, flavour))
    };
    let raw_at = move |block: Option<Arc<SealedBlock>>, index: HexUint| {
        let index = usize::try_from(index.0).unwrap_or(usize::MAX);
        raw(block.as_ref().and_then(|block| block.transactions.get(index)), flavour)
    };
    let s = Arc::clone(services);
    table.heavy(namespace, "getTransactionByBlockNumberAndIndex", move |(number, index): (BlockNumber, HexUint)| {
        Ok(at(&s, s.block(number)?, index))
    });
    let s = Arc::clone(services);
    table.heavy(namespace, "getTransactionByBlockHashAndIndex", move |(hash, index): (B256, HexUint)| {
        Ok(at(&s, s.block_by_hash(hash)?, index))
    });
    let s = Arc::clone(services);
    table.heavy(namespace, "getRawTransactionByBlockNumberAndIndex", move |(number, index): (BlockNumber, HexUint)| {
        Ok(raw_at(s.block(number)?, index))
    });
    let s = Arc::clone(services);
    table.heavy(namespace, "getRawTransactionByBlockHashAndIndex", move |(hash, index): (B256, HexUint)| {
        Ok(raw_at(s.block_by_hash(hash)?, index))
    });
}

fn add_by_sender_hash(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getTransactionBySenderTxHash", move |(hash,): (B256,)| {
        if let Some(found) = locate_by_sender_hash(&s, hash)? {
            return Ok(show_located(&s, &found, Flavour::Kaia));
        }
        Ok(s.node.pool().get(hash).map_or(Value::Null, |tx| show(&tx, None, Flavour::Kaia)))
    });
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getTransactionReceiptBySenderTxHash", move |(hash,): (B256,)| {
        match locate_by_sender_hash(&s, hash)? {
            Some(found) => receipt(&s, &found, Flavour::Kaia),
            None => Ok(Value::Null),
        }
    });
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getTransactionReceiptInCache", move |(hash,): (B256,)| match locate(&s, hash)? {
        Some(found) => receipt(&s, &found, Flavour::Kaia),
        None => Ok(Value::Null),
    });
}

fn locate(s: &Services, hash: B256) -> Result<Option<TxLocation>, RpcError> {
    s.node.chain().transaction(hash).map_err(RpcError::from_error)
}

/// By the sender's hash; what is not found that way is looked up as an ordinary hash.
fn locate_by_sender_hash(s: &Services, hash: B256) -> Result<Option<TxLocation>, RpcError> {
    match s.node.chain().by_sender_hash(hash).map_err(RpcError::from_error)? {
        Some(found) => Ok(Some(found)),
        None => locate(s, hash),
    }
}

fn show(tx: &SharedTx, place: Option<TxPlace<'_>>, flavour: Flavour) -> Value {
    Value::Object(match flavour {
        Flavour::Kaia => tx::kaia(tx, place),
        Flavour::Eth => tx::eth(tx, place),
    })
}

fn show_located(s: &Services, found: &TxLocation, flavour: Flavour) -> Value {
    let place = TxPlace::new(&found.block, found.index, s.rules(&found.block));
    found.transaction().map_or(Value::Null, |tx| show(tx, Some(place), flavour))
}

fn receipt(s: &Services, found: &TxLocation, flavour: Flavour) -> Result<Value, RpcError> {
    let block = &found.block;
    let receipts = s.node.chain().receipts(block.number()).map_err(RpcError::from_error)?;
    let (Some(receipts), Some(tx)) = (receipts, found.transaction()) else { return Ok(Value::Null) };
    let shown = Shown { tx, place: TxPlace::new(block, found.index, s.rules(block)), receipts: &receipts };
    let object = match flavour {
        Flavour::Kaia => shown.kaia(),
        Flavour::Eth => shown.eth(),
    };
    Ok(object.map_or(Value::Null, Value::Object))
}

/// The wire form, in the eth_ flavour without Klaytn's envelope; `0x` if there is none.
fn raw(tx: Option<&SharedTx>, flavour: Flavour) -> Value {
    let Some(tx) = tx else { return bytes([]) };
    let encoded = tx.encoded();
    match flavour {
        Flavour::Eth if tx.view().tx_type.is_ethereum() => bytes(encoded.get(1..).unwrap_or_default()),
        _ => bytes(encoded),
    }
}

fn decoded_anchoring(s: &Services, hash: B256) -> Result<Value, RpcError> {
    let found = locate(s, hash)?;
    let tx = match &found {
        Some(found) => found.transaction().cloned(),
        None => s.node.pool().get(hash),
    };
    let tx = tx.ok_or_else(|| RpcError::failed("can't find the transaction"))?;
    let input = anchor::input_of(tx.tx()).ok_or(RpcError::failed("invalid transaction type"))?;
    anchor::decoded(input)
}
