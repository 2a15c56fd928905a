//! Suggested prices and fee history (spec 80, section 4).

use std::sync::Arc;

use alloy_primitives::U256;
use klay_core::{Fork, block::price::effective_tip, units::STON};
use serde_json::Value;

use super::BOTH;
use crate::{
    SealedBlock,
    rpc::{
        RpcError, Services, Table,
        decode::{BlockNumber, Count},
        shapes::{Object, Put, big, block::SHOWN_GAS_LIMIT, fraction, quantity},
    },
};

/// Most percentiles in one request.
const MAX_PERCENTILES: usize = 100;
/// Blocks behind a suggested tip.
const TIP_BLOCKS: u64 = 20;
/// Lowest tips of a block that count.
const TIPS_PER_BLOCK: usize = 3;
/// Percentile of them that is suggested.
const TIP_PERCENTILE: usize = 60;

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.quick(&BOTH, "gasPrice", move |()| Ok(big(suggested_price(&s)?)));
    let s = Arc::clone(services);
    table.quick(&BOTH, "maxPriorityFeePerGas", move |()| Ok(big(suggested_tip(&s)?)));
    let s = Arc::clone(services);
    table.quick(&BOTH, "upperBoundGasPrice", move |()| Ok(big(bound(&s, |p| p.upper_bound_base_fee))));
    let s = Arc::clone(services);
    table.quick(&BOTH, "lowerBoundGasPrice", move |()| Ok(big(bound(&s, |p| p.lower_bound_base_fee))));
    let s = Arc::clone(services);
    table.heavy(&BOTH, "feeHistory", move |(count, newest, percentiles): (Count, BlockNumber, Vec<f64>)| {
        history(&s, count, newest, &percentiles)
    });
}

fn next_number(s: &Services) -> u64 {
    s.node.chain().head().number() + 1
}

/// What `gasPrice` answers, in peb.
pub(super) fn suggested_price(s: &Services) -> Result<U256, RpcError> {
    let Some(base_fee) = s.node.chain().next_base_fee() else { return Ok(unit_price(s)) };
    if !s.node.chain().rules_at(next_number(s)).has(Fork::Kaia) {
        return Ok(base_fee.saturating_mul(U256::from(2)));
    }
    let tip = suggested_tip(s)?;
    let percent = U256::from(if tip.is_zero() { 110 } else { 115 });
    Ok(base_fee.saturating_mul(percent) / U256::from(100) + tip)
}

/// What `maxPriorityFeePerGas` answers, in peb.
pub(super) fn suggested_tip(s: &Services) -> Result<U256, RpcError> {
    let Some(base_fee) = s.node.chain().next_base_fee() else { return Ok(unit_price(s)) };
    let is_kaia = s.node.chain().rules_at(next_number(s)).has(Fork::Kaia);
    if !is_kaia || base_fee <= bound(s, |p| p.lower_bound_base_fee) {
        return Ok(U256::ZERO);
    }
    let head = s.node.chain().head().number();
    let mut tips = Vec::new();
    // Blocks that are still asked for. One with a single tip or none lets an older one in, as long as few tips are
    // known.
    let mut waiting = TIP_BLOCKS.min(head) as usize;
    for number in (1..=head).rev() {
        let Some(left) = waiting.checked_sub(1) else { break };
        waiting = left;
        let Some(block) = s.block(BlockNumber::Number(number))? else { continue };
        let mut lowest = others_tips(&block);
        lowest.sort_unstable();
        lowest.truncate(TIPS_PER_BLOCK);
        if lowest.is_empty() {
            lowest.push(U256::ZERO);
        }
        if lowest.len() == 1 && tips.len() + 1 + waiting < 2 * TIP_BLOCKS as usize {
            waiting += 1;
        }
        tips.append(&mut lowest);
    }
    tips.sort_unstable();
    let tip = tips.len().checked_sub(1).and_then(|last| tips.get(last * TIP_PERCENTILE / 100)).copied();
    Ok(tip.unwrap_or_default().min(STON * U256::from(500)))
}

/// Tips of all but whom the block rewards.
fn others_tips(block: &SealedBlock) -> Vec<U256> {
    let tips = block_tips(block).into_iter().zip(&block.transactions);
    tips.filter(|(_, tx)| tx.sender() != block.header.rewardbase).map(|(tip, _)| tip).collect()
}

fn block_tips(block: &SealedBlock) -> Vec<U256> {
    let base_fee = block.header.base_fee.unwrap_or_default();
    block
        .transactions
        .iter()
        .map(|tx| {
            let view = tx.view();
            effective_tip(base_fee, view.fee_cap, view.tip_cap)
        })
        .collect()
}

fn unit_price(s: &Services) -> U256 {
    U256::from(s.params(next_number(s)).unit_price)
}

fn bound(s: &Services, which: impl Fn(&klay_core::config::Kip71Config) -> u64) -> U256 {
    let params = s.params(next_number(s));
    if s.node.chain().rules_at(next_number(s)).has(Fork::Magma) {
        U256::from(which(&params.kip71))
    } else {
        U256::from(params.unit_price)
    }
}

fn check_percentiles(percentiles: &[f64]) -> Result<(), RpcError> {
    let invalid = |text: String| Err(RpcError::failed(format!("invalid reward percentile: {text}")));
    if percentiles.len() > MAX_PERCENTILES {
        return invalid(format!("over the query limit {MAX_PERCENTILES}"));
    }
    let mut before: Option<(usize, f64)> = None;
    for (index, percent) in percentiles.iter().copied().enumerate() {
        if !(0.0..=100.0).contains(&percent) {
            return invalid(format!("{percent:.6}"));
        }
        if let Some((i, larger)) = before.filter(|(_, larger)| percent < *larger) {
            return invalid(format!("#{i}:{larger:.6} > #{index}:{percent:.6}"));
        }
        before = Some((index, percent));
    }
    Ok(())
}

fn history(s: &Services, count: Count, newest: BlockNumber, percentiles: &[f64]) -> Result<Value, RpcError> {
    let nothing = || {
        let mut object = Object::new();
        object.put_quantity("oldestBlock", 0);
        object.put("gasUsedRatio", Value::Null);
        Ok(Value::Object(object))
    };
    if count.0 == 0 {
        return nothing();
    }
    check_percentiles(percentiles)?;
    let mut count = count.0.min(s.limits.fee_history_blocks);
    let head = s.node.chain().head().number();
    let last = match newest {
        BlockNumber::Number(number) if number > head => {
            return Err(RpcError::failed(format!("request beyond head block: requested {number}, head {head}")));
        }
        BlockNumber::Number(number) => number,
        BlockNumber::Latest | BlockNumber::Pending => head,
    };
    count = count.min(last + 1);
    let oldest = last + 1 - count;
    let (mut base_fees, mut ratios, mut rewards) = (Vec::new(), Vec::new(), Vec::new());
    for number in oldest..=last {
        let block = s.known_block(BlockNumber::Number(number))?;
        base_fees.push(block.header.base_fee.unwrap_or_default());
        ratios.push(fraction(gas_used_ratio(s, &block)));
        if !percentiles.is_empty() {
            // The receipts of a pending block are not known.
            let is_pending = number == last && newest == BlockNumber::Pending;
            rewards.push(Value::Array(match is_pending && !block.transactions.is_empty() {
                true => Vec::new(),
                false => block_rewards(s, &block, percentiles)?,
            }));
        }
        if number == last {
            base_fees.push(s.base_fee_after(&block).unwrap_or_default());
        }
    }
    let blob = |fee: &U256| big(klay_core::block::price::blob_base_fee(*fee));
    let mut object = Object::new();
    object.put_quantity("oldestBlock", oldest);
    object.put("blobBaseFeePerGas", base_fees.iter().map(blob).collect::<Vec<_>>());
    object.put("baseFeePerGas", base_fees.into_iter().map(big).collect::<Vec<_>>());
    object.put("gasUsedRatio", ratios);
    if !rewards.is_empty() {
        object.put("reward", rewards);
    }
    Ok(Value::Object(object))
}

fn gas_used_ratio(s: &Services, block: &SealedBlock) -> f64 {
    let used = block.header.gas_used as f64;
    let limit = s.params(block.number() + 1).kip71.max_block_gas_used_for_base_fee;
    let ratio =
        if s.rules(block).has(Fork::Magma) && limit != 0 { used / limit as f64 } else { used / SHOWN_GAS_LIMIT as f64 };
    ratio.min(1.0)
}

/// Effective tips at the given percentiles of the gas used.
fn block_rewards(s: &Services, block: &SealedBlock, percentiles: &[f64]) -> Result<Vec<Value>, RpcError> {
    let receipts = s.node.chain().receipts(block.number()).map_err(RpcError::from_error)?.unwrap_or_default();
    let mut tips: Vec<_> = block_tips(block).into_iter().zip(receipts.receipts.iter().map(|r| r.gas_used)).collect();
    tips.sort_by_key(|(tip, _)| *tip);
    let mut rest = tips.into_iter();
    let Some((mut tip, mut sum)) = rest.next() else { return Ok(vec![quantity(0); percentiles.len()]) };
    let mut rewards = Vec::with_capacity(percentiles.len());
    for percent in percentiles {
        let threshold = (block.header.gas_used as f64 * percent / 100.0) as u64;
        while sum < threshold {
            let Some((next, gas)) = rest.next() else { break };
            tip = next;
            sum += gas;
        }
        rewards.push(big(tip));
    }
    Ok(rewards)
}
