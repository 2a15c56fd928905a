//! Blocks and headers (spec 80, sections 2.1 and 2.2).

use alloy_primitives::{Address, B256, U256, b256};
use klay_core::{Fork, Rules, block::Header};
use serde_json::Value;

use super::{
    Flavour, Object, Put, bytes,
    tx::{self, TxPlace},
};
use crate::chain::SealedBlock;

/// Hash of the empty list: there are no uncles.
const EMPTY_UNCLES: B256 = b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");

/// The gas limit that eth_ clients are shown; blocks have none.
pub const SHOWN_GAS_LIMIT: u64 = 500_000_000;

/// A block, with hashes or with whole transactions.
pub fn block(block: &SealedBlock, rules: Rules, flavour: Flavour, is_full: bool) -> Object {
    let mut object = header_members(block, flavour);
    if let Some(mix) = object.remove("mixhash") {
        object.put("mixHash", mix);
    }
    put_base_fee(&mut object, &block.header, rules, flavour, Part::Block);
    object.put_quantity("size", block.size as u64);
    object.put("transactions", transactions(block, rules, flavour, is_full));
    if flavour == Flavour::Eth {
        object.put("uncles", Vec::<Value>::new());
    }
    object
}

fn transactions(block: &SealedBlock, rules: Rules, flavour: Flavour, is_full: bool) -> Vec<Value> {
    if !is_full {
        return block.transactions.iter().map(|tx| bytes(tx.hash())).collect();
    }
    let show = |(index, shared)| {
        let place = Some(TxPlace::new(block, index, rules));
        Value::Object(match flavour {
            Flavour::Kaia => tx::kaia(shared, place),
            Flavour::Eth => tx::eth(shared, place),
        })
    };
    block.transactions.iter().enumerate().map(show).collect()
}

/// A header.
pub fn header(block: &SealedBlock, rules: Rules, flavour: Flavour) -> Object {
    let mut object = header_members(block, flavour);
    put_base_fee(&mut object, &block.header, rules, flavour, Part::Header);
    if flavour == Flavour::Eth {
        object.put_quantity("size", memory_size(&block.header));
    }
    object
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Block,
    Header,
}

/// kaia_ blocks show a base fee only where there is one, everything else from the fork of Ethereum's types on.
fn put_base_fee(object: &mut Object, header: &Header, rules: Rules, flavour: Flavour, part: Part) {
    let is_always_shown = flavour == Flavour::Eth || part == Part::Header;
    if let Some(fee) = header.base_fee {
        object.put_big("baseFeePerGas", fee);
    } else if is_always_shown && rules.has(Fork::EthTxType) {
        object.put_big("baseFeePerGas", U256::ZERO);
    }
}

fn header_members(block: &SealedBlock, flavour: Flavour) -> Object {
    let header = &block.header;
    let mut object = Object::new();
    object.put_quantity("number", header.number);
    object.put_hex("hash", block.hash);
    object.put_hex("parentHash", header.parent_hash);
    object.put_hex("stateRoot", header.state_root);
    object.put_hex("transactionsRoot", header.transactions_root);
    object.put_hex("receiptsRoot", header.receipts_root);
    object.put_hex("logsBloom", header.logs_bloom);
    object.put_quantity("gasUsed", header.gas_used);
    object.put_quantity("timestamp", header.timestamp);
    match flavour {
        Flavour::Kaia => put_kaia(&mut object, header),
        Flavour::Eth => put_eth(&mut object, header, block.proposer),
    }
    if let Some(reveal) = &header.random_reveal {
        object.put_hex("randomReveal", reveal);
    }
    if let Some(used) = header.blob_gas_used {
        object.put_quantity("blobGasUsed", used);
    }
    if let Some(excess) = header.excess_blob_gas {
        object.put_quantity("excessBlobGas", excess);
    }
    object
}

fn put_kaia(object: &mut Object, header: &Header) {
    object.put_big("blockScore", header.block_score);
    object.put_hex("reward", header.rewardbase);
    object.put_hex("extraData", &header.extra);
    object.put_hex("governanceData", &header.governance);
    object.put_hex("voteData", &header.vote);
    object.put_quantity("timestampFoS", u64::from(header.timestamp_fos));
    if let Some(mix) = &header.mix_hash {
        // Header objects spell it so; blocks rename it.
        object.put_hex("mixhash", mix);
    }
}

fn put_eth(object: &mut Object, header: &Header, proposer: Address) {
    object.put_hex("nonce", [0; 8]);
    object.put_hex("mixHash", header.mix_hash.as_ref().map_or(&[0; 32][..], |mix| mix));
    object.put_hex("sha3Uncles", EMPTY_UNCLES);
    object.put_hex("miner", proposer);
    object.put_big("difficulty", header.block_score);
    object.put("extraData", "0x");
    object.put_quantity("gasLimit", SHOWN_GAS_LIMIT);
}

/// What the reference client takes in memory for a header: eth_ header objects show that as `size`.
fn memory_size(header: &Header) -> u64 {
    const FIXED: usize = 592;
    let bytes = header.extra.len()
        + header.governance.len()
        + header.vote.len()
        + header.random_reveal.as_ref().map_or(0, |b| b.len())
        + header.mix_hash.as_ref().map_or(0, |b| b.len());
    let bits = |n: u64| (u64::BITS - n.leading_zeros()) as usize;
    let integers = (header.block_score.bit_len() + bits(header.number) + bits(header.timestamp)) / 8;
    (FIXED + bytes + integers + header.base_fee.map_or(0, |fee| fee.bit_len() / 8)) as u64
}
