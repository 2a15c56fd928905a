//! `debug_`: blocks as they are stored.

use std::sync::Arc;

use alloy_primitives::hex;
use klay_core::block::body::encode_block;

use crate::rpc::{Namespace, RpcError, Services, Table, decode::BlockId};

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.heavy(&[Namespace::Debug], "getBlockRlp", move |(id,): (BlockId,)| {
        let found = match id {
            BlockId::Number(number) => s.block(number)?.ok_or_else(|| format!("#{}", s.height(number))),
            BlockId::Hash(hash) => s.block_by_hash(hash)?.ok_or_else(|| hash.to_string()),
            BlockId::Neither => Err(String::new()),
        };
        let block = found.map_err(|named| RpcError::failed(format!("block {named} not found")))?;
        let transactions: Vec<_> = block.transactions.iter().map(|tx| tx.encoded()).collect();
        Ok(hex::encode(encode_block(&block.header, &transactions)))
    });
}
