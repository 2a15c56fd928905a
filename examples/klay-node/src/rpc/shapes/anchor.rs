//! Records of service chains inside anchoring transactions (spec 10, section 1.6).

use klay_core::{Payload, TxEnvelope};
use serde_json::Value;

use super::{Object, Put};
use crate::{KlaytnTx, rpc::RpcError};

/// Sets `inputJSON` of an anchoring transaction to what it records, or null.
pub fn put_record(object: &mut Object, tx: &KlaytnTx) {
    if let Some(input) = input_of(tx) {
        object.put("inputJSON", klay_anchor::input_json(input).unwrap_or_default());
    }
}

/// The input of an anchoring transaction.
pub fn input_of(tx: &KlaytnTx) -> Option<&[u8]> {
    match tx {
        TxEnvelope::Klaytn(tx) => match &tx.body.payload {
            Payload::ChainDataAnchoring(anchoring) => Some(&anchoring.input),
            _ => None,
        },
        _ => None,
    }
}

/// A record in binary form, wrapped or in the old form.
///
/// # Errors
/// With the text that `getDecodedAnchoringTransactionByHash` answers.
pub fn decoded(input: &[u8]) -> Result<Value, RpcError> {
    klay_anchor::decoded_anchoring(input).map_err(RpcError::from_error)
}
