//! Raw transactions on their way into the pool.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use klay_core::{DecodeError, TxType, codec::DecodeErrorKind};

use super::KAIA;
use crate::{
    Origin, PoolError, TxPool,
    rpc::{
        Namespace, RpcError, Services, Table,
        decode::Params,
        table::{Run, Submit},
    },
};

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    for (namespace, empty, is_eth) in [(Namespace::Kaia, "EOF", false), (Namespace::Eth, "Empty input", true)] {
        let intake = Arc::new(Intake { pool: services.node.pool().clone(), empty, is_eth });
        table.each(&[namespace], "sendRawTransaction", <(Bytes,)>::SPECS, &Run::Submit(intake));
    }
    let pool = services.node.pool().clone();
    table.heavy(&KAIA, "sendRawTransactions", move |(list,): (Vec<Bytes>,)| send_in_order(&pool, list));
}

/// One after another up to the first that is refused; those before it stay sent.
fn send_in_order(pool: &TxPool, list: Vec<Bytes>) -> Result<Vec<B256>, RpcError> {
    if list.is_empty() {
        return Err(RpcError::failed("Empty input"));
    }
    let runtime = tokio::runtime::Handle::current();
    let mut hashes = Vec::with_capacity(list.len());
    for (index, raw) in list.into_iter().enumerate() {
        let refused = |text: &dyn core::fmt::Display| RpcError::failed(format!("Index {index}: {text}"));
        if raw.is_empty() {
            return Err(refused(&"empty input"));
        }
        let sent = runtime.block_on(pool.add_raw(raw.clone(), Origin::Local));
        hashes.push(sent.map_err(|error| refused(&eth_refusal(&error, &raw)))?);
    }
    Ok(hashes)
}

/// The pool's way in.
#[derive(Debug)]
struct Intake {
    pool: TxPool,
    /// What no bytes at all are answered with.
    empty: &'static str,
    /// Whether the bytes are read as Ethereum's raw form first.
    is_eth: bool,
}

#[async_trait]
impl Submit for Intake {
    async fn submit(&self, raw: Vec<Bytes>) -> Vec<Result<B256, RpcError>> {
        let answers = self.pool.add_raw_batch(raw.clone(), Origin::Local).await;
        let refuse = |(answer, raw): (Result<B256, PoolError>, &Bytes)| match answer {
            Ok(hash) => Ok(hash),
            Err(_) if raw.is_empty() => Err(RpcError::failed(self.empty)),
            Err(error) if self.is_eth => Err(eth_refusal(&error, raw)),
            Err(error) => Err(refusal(&error, raw)),
        };
        answers.into_iter().zip(&raw).map(refuse).collect()
    }
}

/// As [`refusal`], where the reference client takes bytes that begin with 0x01 to 0x7e for one of Ethereum's types.
/// Klaytn's own types are accepted here all the same; what is neither is of no type that it knows.
fn eth_refusal(error: &PoolError, raw: &[u8]) -> RpcError {
    match error {
        PoolError::Decode(_) if matches!(raw.first(), Some(0x05..0x78)) => RpcError::failed("undefined tx type"),
        other => refusal(other, raw),
    }
}

/// A refusal of `raw` in the reference client's words.
pub(super) fn refusal(error: &PoolError, raw: &[u8]) -> RpcError {
    match error {
        PoolError::Decode(error) => malformed(error, raw),
        other => RpcError::from_error(other),
    }
}

/// What is wrong with bytes, without the field and the offset that the reference client does not name.
pub(super) fn malformed(error: &DecodeError, raw: &[u8]) -> RpcError {
    // The empty string is an item with nothing in it.
    if raw == [0x80] {
        return RpcError::failed("EOF");
    }
    // A string, and the type that is zero, are read as the oldest form.
    if matches!(raw, [0x00 | 0x80..=0xb7, _, ..]) {
        return RpcError::failed("rlp: expected input list for types.TxInternalDataLegacy");
    }
    let tx_type = raw.first().and_then(|first| TxType::from_code((*first).into()));
    match (&error.kind, tx_type) {
        (DecodeErrorKind::ExpectedList, Some(tx_type)) if error.offset == 1 => {
            let name = tx_type.name().trim_start_matches("TxType");
            RpcError::failed(format!("rlp: expected input list for types.TxInternalData{name}"))
        }
        (DecodeErrorKind::Trailing { .. }, _) => RpcError::failed("rlp: input contains more than one value"),
        (kind, _) => RpcError::from_error(kind),
    }
}
