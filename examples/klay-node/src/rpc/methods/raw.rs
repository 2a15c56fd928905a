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
    let is_strict = services.limits.is_strict;
    for (namespace, empty, door) in [(Namespace::Kaia, "EOF", Door::Node), (Namespace::Eth, "Empty input", Door::Eth)] {
        let intake = Arc::new(Intake { pool: services.node.pool().clone(), empty, door, is_strict });
        table.each(&[namespace], "sendRawTransaction", <(Bytes,)>::SPECS, &Run::Submit(intake));
    }
    let pool = services.node.pool().clone();
    table.heavy(&KAIA, "sendRawTransactions", move |(list,): (Vec<Bytes>,)| send_in_order(&pool, list, is_strict));
}

/// One after another up to the first that is refused; those before it stay sent.
fn send_in_order(pool: &TxPool, list: Vec<Bytes>, is_strict: bool) -> Result<Vec<B256>, RpcError> {
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
        Door::Eth.check(&raw, is_strict).map_err(|error| refused(&error))?;
        let sent = runtime.block_on(pool.add_raw(raw.clone(), Origin::Local));
        hashes.push(sent.map_err(|error| refused(&refusal(&error, &raw)))?);
    }
    Ok(hashes)
}

/// The pool's way in.
#[derive(Debug)]
struct Intake {
    pool: TxPool,
    /// What no bytes at all are answered with.
    empty: &'static str,
    door: Door,
    /// Whether Klaytn's types are turned away where the reference client turns them away.
    is_strict: bool,
}

/// How the first byte is read.
#[derive(Debug, Clone, Copy)]
enum Door {
    /// Node form: one of Ethereum's types stands behind 0x78.
    Node,
    /// Ethereum's raw form. The reference client puts 0x78 ahead of whatever begins with 0x01 to 0x7e, so that Klaytn's
    /// types and node form are of no type that it knows. Klaytn's types are let through here, unless it is strict.
    Eth,
}

impl Door {
    /// Whether bytes in the other form, which the pool would read too, are to be read here.
    fn check(self, raw: &[u8], is_strict: bool) -> Result<(), RpcError> {
        let is_known = match (self, raw) {
            (Self::Node, [first, ..]) => !matches!(first, 0x01..0x08),
            (Self::Eth, [first, second, ..]) if !is_strict && *second >= 0xc0 => {
                !matches!(first, 0x05..0x08 | 0x4b..0x7f)
            }
            (Self::Eth, [first, ..]) => !matches!(first, 0x05..0x7f),
            (_, []) => true,
        };
        if is_known { Ok(()) } else { Err(RpcError::failed("undefined tx type")) }
    }
}

#[async_trait]
impl Submit for Intake {
    async fn submit(&self, raw: Vec<Bytes>) -> Vec<Result<B256, RpcError>> {
        let checks: Vec<_> = raw.iter().map(|raw| self.door.check(raw, self.is_strict)).collect();
        let admitted = raw.iter().zip(&checks).filter(|(_, check)| check.is_ok()).map(|(raw, _)| raw.clone()).collect();
        let mut answers = self.pool.add_raw_batch(admitted, Origin::Local).await.into_iter();
        let answer = |(check, raw): (Result<(), RpcError>, &Bytes)| {
            check?;
            match answers.next().unwrap_or(Err(PoolError::Full)) {
                Ok(hash) => Ok(hash),
                Err(_) if raw.is_empty() => Err(RpcError::failed(self.empty)),
                Err(error) => Err(refusal(&error, raw)),
            }
        };
        checks.into_iter().zip(&raw).map(answer).collect()
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
    if matches!(raw, [0x00, ..] | [0x80..=0xb7, _, ..]) {
        return RpcError::failed("rlp: expected input list for types.TxInternalDataLegacy");
    }
    // The list stands behind one byte of type, or two, or none.
    let (list_at, code) = match raw {
        [0x78, second, ..] => (2, 0x7800 | u16::from(*second)),
        [first @ 0x01..=0x07, ..] => (1, 0x7800 | u16::from(*first)),
        [0xc0..=0xff, ..] => (0, 0),
        [first, ..] => (1, u16::from(*first)),
        [] => (0, 0),
    };
    let name = TxType::from_code(code.into()).map(go_struct);
    match (&error.kind, name) {
        (DecodeErrorKind::ExpectedList, Some(name)) if error.offset == list_at && code != 0x7803 => {
            RpcError::failed(format!("rlp: expected input list for types.{name}"))
        }
        (DecodeErrorKind::TooFew, Some(name)) if error.offset == raw.len() && !is_in_signature(code, error.field) => {
            RpcError::failed(format!("rlp: too few elements for types.{name}"))
        }
        (DecodeErrorKind::TooMany { .. }, Some(name)) if error.field == "transaction" => {
            RpcError::failed(format!("rlp: input list has too many elements for types.{name}"))
        }
        (DecodeErrorKind::Trailing { .. }, _) => RpcError::failed("rlp: input contains more than one value"),
        (kind, _) => RpcError::from_error(kind),
    }
}

/// What the reference client decodes a type's list into.
fn go_struct(tx_type: TxType) -> String {
    let name = tx_type.name().trim_start_matches("TxType");
    match tx_type.code() {
        0x00 => "TxInternalDataLegacy".to_owned(),
        0x20..0x28 => format!("txInternalData{name}Serializable"),
        0x7803 => format!("TxInternalData{name}Serializable"),
        _ => format!("TxInternalData{name}"),
    }
}

/// Whether a field is one of a signature in a list of signatures, which Klaytn's types end with.
fn is_in_signature(code: u16, field: &str) -> bool {
    (0x08..0x7800).contains(&code) && matches!(field, "v" | "r" | "s")
}
