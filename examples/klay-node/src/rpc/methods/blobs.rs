//! Blobs and what they cost (spec 80, sections 2.5 and 3.2).
//!
//! Blobs stand in no block. They are known as long as the transaction that brought them is in memory.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes};
use klay_core::{
    TxEnvelope,
    block::price::blob_base_fee,
    tx::{BlobSidecar, EthereumTx},
};
use serde_json::{Value, json};

use super::ETH;
use crate::{
    SealedBlock, SharedTx,
    rpc::{
        RpcError, Services, Table,
        decode::BlockNumber,
        shapes::{big, bytes, quantity},
    },
};

/// Bytes of a blob that are shown unless all are asked for.
const SHOWN: usize = 32;

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.quick(&ETH, "blobBaseFee", move |()| {
        let base_fee = s.node.chain().head().header.base_fee;
        Ok(base_fee.map(blob_base_fee).map(big))
    });
    let s = Arc::clone(services);
    table.heavy(&ETH, "getBlobSidecars", move |(number, is_full): (Option<BlockNumber>, bool)| {
        let number = number.ok_or(RpcError::failed("method handler crashed"))?;
        if number == BlockNumber::Pending {
            return Err(RpcError::failed("pending block not supported"));
        }
        let block = s.known_block(number)?;
        let with_blobs = block.transactions.iter().enumerate().filter(|(_, tx)| is_blob(tx));
        with_blobs.map(|(index, tx)| sidecar_json(&block, index, tx, is_full)).collect::<Result<Vec<_>, _>>()
    });
    let s = Arc::clone(services);
    table.heavy(&ETH, "getBlobSidecarByTxHash", move |(hash, is_full): (B256, bool)| {
        let found = s.node.chain().transaction(hash).map_err(RpcError::from_error)?;
        let not_found = || RpcError::failed(format!("transaction not found: {hash}"));
        let found = found.ok_or_else(not_found)?;
        let tx = found.transaction().ok_or_else(not_found)?;
        if !is_blob(tx) {
            return Err(RpcError::failed(format!("transaction is not a blob transaction: {hash}")));
        }
        sidecar_json(&found.block, found.index, tx, is_full)
    });
}

fn is_blob(tx: &SharedTx) -> bool {
    !tx.view().blob_hashes.is_empty()
}

fn sidecar_json(block: &SealedBlock, index: usize, tx: &SharedTx, is_full: bool) -> Result<Value, RpcError> {
    let sidecar = match tx.tx() {
        TxEnvelope::Ethereum(EthereumTx { sidecar: Some(sidecar), .. }) => sidecar,
        _ => return Err(RpcError::failed("blob file not found")),
    };
    let BlobSidecar { version, blobs, commitments, proofs } = &**sidecar;
    let shown = |blob: &Bytes| bytes(if is_full { blob } else { &blob[..blob.len().min(SHOWN)] });
    let list = |items: &[[u8; 48]]| items.iter().map(bytes).collect::<Vec<_>>();
    Ok(json!({
        "blobSidecar": {
            "version": version,
            "blobs": blobs.iter().map(shown).collect::<Vec<_>>(),
            "commitments": list(commitments),
            "proofs": list(proofs),
        },
        "blockHash": bytes(block.hash),
        "blockNumber": quantity(block.number()),
        "txHash": bytes(tx.hash()),
        "txIndex": quantity(index as u64),
    }))
}
