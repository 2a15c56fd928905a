//! Rewards, and what is at stake (spec 30, sections 6 and 7.11). Amounts are JSON numbers of any size.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use alloy_primitives::{Address, U256};
use klay_consensus::valset::gini;
use klay_core::Fork;
use klay_vm::reward::{LiquidityPool, Reward, RewardContext, StakingInfo, block_reward, total_fee};
use serde_json::Value;

use super::{KAIA, blocks::addresses};
use crate::{
    SealedBlock,
    chain::BlockReceipts,
    rpc::{
        Namespace, RpcError, Services, Table,
        decode::BlockNumber,
        shapes::{Object, Put, fraction, number},
    },
};

/// Most blocks in one sum.
const MAX_SUMMED: u64 = 604_800;

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getRewards", move |(number,): (Option<BlockNumber>,)| {
        let number = s.height(number.unwrap_or(BlockNumber::Latest));
        Ok(reward_json(&reward_of(&s, number)?))
    });
    let s = Arc::clone(services);
    table.heavy(&[Namespace::Governance], "getRewardsAccumulated", move |(first, last): (BlockNumber, BlockNumber)| {
        accumulated(&s, s.height(first), s.height(last))
    });
    let s = Arc::clone(services);
    table.heavy(&[Namespace::Kaia, Namespace::Governance], "getStakingInfo", move |(number,): (BlockNumber,)| {
        // The word is a number below zero to the reference client, and its block the one before.
        let height = if number == BlockNumber::Pending { u64::MAX - 1 } else { s.height(number) };
        staking_json(&s, height)
    });
}

/// A block with its receipts.
pub(super) fn executed(s: &Services, number: u64) -> Result<(Arc<SealedBlock>, Arc<BlockReceipts>), RpcError> {
    let block = s.block(BlockNumber::Number(number))?.ok_or(RpcError::failed("block not found"))?;
    let receipts = s.node.chain().receipts(number).map_err(RpcError::from_error)?;
    Ok((block, receipts.ok_or(RpcError::failed("receipts not found"))?))
}

/// The fees of a block, in peb.
pub(super) fn fees(s: &Services, block: &SealedBlock, receipts: &BlockReceipts) -> U256 {
    let (rules, header) = (s.rules(block), &block.header);
    let prices: Vec<_> =
        block.transactions.iter().map(|tx| tx.view().effective_gas_price(header.base_fee, rules)).collect();
    total_fee(rules, header, &s.params(header.number), &receipts.receipts, &prices)
}

fn reward_of(s: &Services, number: u64) -> Result<Reward, RpcError> {
    let (block, receipts) = executed(s, number)?;
    let params = s.params(number);
    // Fees that are not deferred belong to the author before Magma, and a genesis has none.
    if number == 0 && !params.deferred_tx_fee && !s.rules(&block).has(Fork::Magma) {
        return Err(RpcError::failed("invalid signature length"));
    }
    let context = RewardContext { rules: s.rules(&block), rewardbase: block.header.rewardbase, params: &params };
    let staking = s.staking_for_rewards(number, &params)?;
    Ok(block_reward(context, block.proposer, fees(s, &block, &receipts), &staking))
}

fn reward_json(reward: &Reward) -> Value {
    let mut object = Object::new();
    for (name, amount) in [
        ("minted", reward.minted),
        ("totalFee", reward.total_fee),
        ("burntFee", reward.burnt_fee),
        ("proposer", reward.proposer),
        ("stakers", reward.stakers),
        ("kif", reward.kif),
        ("kef", reward.kef),
    ] {
        object.put(name, number(amount));
    }
    object.put("rewards", credits(&reward.credits));
    Value::Object(object)
}

fn credits(credits: &BTreeMap<Address, U256>) -> Object {
    let mut object = Object::new();
    for (address, amount) in credits {
        object.put(&format!("{address:#x}"), number(*amount));
    }
    object
}

fn accumulated(s: &Services, first: u64, last: u64) -> Result<Value, RpcError> {
    if first > last || last > s.node.chain().head().number() {
        return Err(RpcError::failed("invalid block number range"));
    }
    if last - first >= MAX_SUMMED {
        return Err(RpcError::failed("exceeds block number range limit"));
    }
    let mut sum = Reward::default();
    for height in first..=last {
        sum.accumulate(&reward_of(s, height)?);
    }
    let time = |number| s.node.chain().header(number).map(|header| header.timestamp).map_err(RpcError::from_error);
    let mut object = Object::new();
    object.put("firstBlockTime", time(first)?);
    object.put("lastBlockTime", time(last)?);
    object.put("firstBlock", first);
    object.put("lastBlock", last);
    for (name, amount) in [
        ("totalMinted", sum.minted),
        ("totalTxFee", sum.total_fee),
        ("totalBurntTxFee", sum.burnt_fee),
        ("totalProposerRewards", sum.proposer),
        ("totalStakingRewards", sum.stakers),
        ("totalKIFRewards", sum.kif),
        ("totalKEFRewards", sum.kef),
    ] {
        object.put(name, number(amount));
    }
    object.put("rewards", credits(&sum.credits));
    Ok(Value::Object(object))
}

/// What is at stake for block `height`. Whether the Gini coefficient counts, and from which stake on, is shown as the
/// genesis says, even where votes have changed it.
fn staking_json(s: &Services, height: u64) -> Result<Value, RpcError> {
    let info = s.staking(height)?;
    let genesis = s.node.config().governance.as_ref().and_then(|governance| governance.reward.as_ref());
    let minimum = genesis.map_or(0, |reward| reward.minimum_stake.saturating_to());
    let use_gini = genesis.is_some_and(|reward| reward.use_gini_coeff);
    let each = |which: fn(&klay_vm::reward::StakingNode) -> Address| {
        addresses(&info.nodes.iter().map(which).collect::<Vec<_>>())
    };
    // On a chain that does not know Kaia the reference client shows no lists at all the first time that there are none.
    let is_null = info.nodes.is_empty()
        && s.node.config().forks.block(Fork::Kaia).is_none()
        && !s.has_shown_no_stakes.swap(true, Ordering::Relaxed);
    let mut object = Object::new();
    object.put("blockNum", info.source);
    let stakes = info.nodes.iter().map(|entry| entry.stake.into()).collect();
    for (name, list) in [
        ("councilNodeAddrs", each(|entry| entry.node)),
        ("councilStakingAddrs", each(|entry| entry.contract)),
        ("councilRewardAddrs", each(|entry| entry.reward)),
        ("councilStakingAmounts", stakes),
    ] {
        object.put(name, if is_null { Value::Null } else { Value::Array(list) });
    }
    for name in ["kefAddr", "KIRAddr", "kcfAddr"] {
        object.put_hex(name, info.kef);
    }
    for name in ["kifAddr", "PoCAddr", "kffAddr"] {
        object.put_hex(name, info.kif);
    }
    object.put("clStakingInfos", pools(&info));
    object.put("useGini", use_gini && !s.node.chain().rules_at(height).has(Fork::Kore));
    object.put("gini", fraction(gini(&info.stakes_of_at_least(minimum))));
    Ok(Value::Object(object))
}

fn pools(info: &StakingInfo) -> Value {
    let pool = |pool: &LiquidityPool| {
        let mut object = Object::new();
        object.put_hex("clNodeId", pool.node);
        object.put_hex("clPoolAddr", pool.pool);
        object.put("clStakingAmount", pool.stake);
        Value::Object(object)
    };
    match info.pools.is_empty() {
        true => Value::Null,
        false => Value::Array(info.pools.iter().map(pool).collect()),
    }
}
