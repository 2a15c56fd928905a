//! How bodies stand in the store: RLP of the body, then 20 bytes for each transaction whose type does not write its
//! sender down, in order. With the senders at hand, reading a block recovers no signature.

use std::sync::Arc;

use klay_core::{
    Address, DecodeError, TxEnvelope,
    block::body,
    codec::{DecodeErrorKind, Reader},
    tx::HashedTx,
};

use crate::{Fee, SharedTx};

const SENDER_LEN: usize = 20;

/// The body of a block with the senders that its bytes do not show.
pub(super) fn encode_body(transactions: &[SharedTx]) -> Vec<u8> {
    let encoded: Vec<&[u8]> = transactions.iter().map(|tx| tx.encoded()).collect();
    let mut out = body::encode_body(&encoded);
    for tx in transactions.iter().filter(|tx| !writes_sender(tx.tx())) {
        out.extend_from_slice(tx.sender().as_slice());
    }
    out
}

/// Reads the transactions of a body; senders are those that were stored.
pub(super) fn decode_body(bytes: &[u8]) -> Result<Vec<SharedTx>, DecodeError> {
    let (hashed, mut senders) = decode_transactions(bytes)?;
    let transactions = hashed.into_iter().map(|tx| {
        let sender = match tx.tx() {
            TxEnvelope::Klaytn(tx) => tx.body.from,
            _ => take_sender(&mut senders)?,
        };
        Ok(Arc::new(tx.with_sender_unchecked(sender)))
    });
    transactions.collect()
}

/// Reads the transactions of a body without their senders, for whoever recovers them.
pub(super) fn decode_transactions(bytes: &[u8]) -> Result<(Vec<HashedTx<Fee>>, &[u8]), DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut body = reader.list("body")?;
    let mut list = body.list("transactions")?;
    let mut transactions = Vec::new();
    while !list.is_empty() {
        transactions.push(HashedTx::decode_item(&mut list)?);
    }
    Ok((transactions, reader.rest()))
}

fn take_sender(senders: &mut &[u8]) -> Result<Address, DecodeError> {
    let Some((sender, rest)) = senders.split_first_chunk::<SENDER_LEN>() else {
        return Err(DecodeError::new("sender", 0, DecodeErrorKind::Missing));
    };
    *senders = rest;
    Ok(Address::from(*sender))
}

const fn writes_sender(tx: &crate::KlaytnTx) -> bool {
    matches!(tx, TxEnvelope::Klaytn(_))
}
