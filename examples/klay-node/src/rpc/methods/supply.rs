//! `getTotalSupply`: how much there is, how much was made and what became of the rest (spec 30, section 6.8).

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, I256, U256, address};
use klay_core::config::Rebalance;
use klay_vm::{
    reward::{RewardContext, burnt_fee},
    system::{View, rebalance_memo},
};
use parking_lot::Mutex;
use serde_json::Value;

use super::{
    KAIA,
    registry::silent,
    rewards::{executed, fees},
};
use crate::{
    chain::{CHECKPOINT, Supply},
    rpc::{
        RpcError, Services, Table,
        decode::BlockNumber,
        shapes::{Object, Put, quantity},
        syntax::describe,
    },
};

/// Addresses that nobody holds, and coins are sent to.
const DEAD: Address = address!("000000000000000000000000000000000000dead");

/// Sums that a store from before there were sums does not have: they are made when they are first asked for.
#[derive(Debug, Default)]
pub(in crate::rpc) struct Sums(Mutex<BTreeMap<u64, Supply>>);

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getTotalSupply", move |(number, is_partial): (Option<BlockNumber>, Option<bool>)| {
        let number = s.height(number.unwrap_or(BlockNumber::Latest));
        total_supply(&s, number, is_partial.unwrap_or(false))
    });
}

fn total_supply(s: &Services, number: u64, is_partial: bool) -> Result<Value, RpcError> {
    if number - number % CHECKPOINT > s.node.chain().head().number() {
        return Err(RpcError::failed("supply checkpoint not found"));
    }
    let sum = sum_at(s, number)?;
    let mut errors = Vec::new();
    let mut or_error = |burnt: Result<Option<I256>, String>| {
        burnt.unwrap_or_else(|error| {
            errors.push(error);
            None
        })
    };
    let balance = |address| held(s, number, address).map(Some);
    let (zero, dead) = (or_error(balance(Address::ZERO)), or_error(balance(DEAD)));
    let kip103 = or_error(rebalanced(s, number, s.node.config().kip103));
    let kip160 = or_error(rebalanced(s, number, s.node.config().kip160));
    // A state that is not there is one error, not two.
    errors.dedup_by(|a, b| a == b && a.starts_with(NO_BALANCE));
    if !errors.is_empty() && !is_partial {
        return Err(RpcError::failed(errors.join("\n")));
    }

    let minted = I256::from_raw(sum.minted);
    let burnt = [Some(I256::from_raw(sum.burnt_fee)), zero, dead, kip103, kip160];
    let burnt: Option<I256> = burnt.into_iter().try_fold(I256::ZERO, |sum, part| sum.checked_add(part?));
    let mut object = Object::new();
    object.put("number", quantity(number));
    if !errors.is_empty() {
        object.put("error", errors.join("\n"));
    }
    for (name, amount) in [
        ("totalSupply", burnt.map(|burnt| minted.wrapping_sub(burnt))),
        ("totalMinted", Some(minted)),
        ("totalBurnt", burnt),
        ("burntFee", Some(I256::from_raw(sum.burnt_fee))),
        ("zeroBurn", zero),
        ("deadBurn", dead),
        ("kip103Burn", kip103),
        ("kip160Burn", kip160),
    ] {
        object.put(name, amount.map(signed));
    }
    Ok(Value::Object(object))
}

/// A quantity that may be less than zero: a rebalance can give more than it takes.
fn signed(amount: I256) -> Value {
    let (sign, size) = amount.into_sign_and_abs();
    Value::String(if sign.is_negative() { format!("-{size:#x}") } else { format!("{size:#x}") })
}

/// Adds up blocks from the last sum that is kept.
fn sum_at(s: &Services, number: u64) -> Result<Supply, RpcError> {
    let near = number - number % CHECKPOINT;
    let stored = s.node.chain().supply_at(near).map_err(RpcError::from_error)?.map(|sum| (near, sum));
    let made = || s.sums.0.lock().range(..=number).next_back().map(|(at, sum)| (*at, *sum));
    let (mut at, mut sum) = match stored.or_else(made) {
        Some(kept) => kept,
        None => {
            let sum = Supply::default().and(allocated(s)?, U256::ZERO);
            s.sums.0.lock().insert(0, sum);
            (0, sum)
        }
    };
    while at < number {
        at += 1;
        let (block, receipts) = executed(s, at)?;
        let params = s.params(at);
        let context = RewardContext { rules: s.rules(&block), rewardbase: block.header.rewardbase, params: &params };
        sum = sum.and(params.minting_amount, burnt_fee(context, fees(s, &block, &receipts)));
        if at % CHECKPOINT == 0 {
            s.sums.0.lock().insert(at, sum);
        }
    }
    Ok(sum)
}

/// What the genesis gives to all accounts together.
fn allocated(s: &Services) -> Result<U256, RpcError> {
    let state = s.state_after(&*s.known_block(BlockNumber::Number(0))?)?;
    let mut sum = U256::ZERO;
    for account in state.accounts(B256::ZERO) {
        sum = sum.saturating_add(account.map_err(RpcError::from_error)?.1.balance);
    }
    Ok(sum)
}

const NO_BALANCE: &str = "cannot determine canonical (0x0, 0xdead) burn amount: ";
const NO_REBALANCE: &str = "cannot determine rebalance (kip103, kip160) burn amount: ";

fn held(s: &Services, number: u64, address: Address) -> Result<I256, String> {
    let block = s.known_block(BlockNumber::Number(number)).map_err(|error| format!("{NO_BALANCE}{error}"))?;
    let state = s.state_after(&block).map_err(|error| format!("{NO_BALANCE}{error}"))?;
    state.balance(address).map(I256::from_raw).map_err(|error| format!("{NO_BALANCE}{error}"))
}

/// What a rebalance burnt, as the memo in its contract says; the memo comes later than the block, so the newest state
/// is read.
///
/// A memo that does not say it leaves the sum open.
fn rebalanced(s: &Services, number: u64, rebalance: Rebalance) -> Result<Option<I256>, String> {
    let is_due = rebalance.block.is_some_and(|block| block != 0 && block <= number) && !rebalance.contract.is_zero();
    if !is_due {
        return Ok(Some(I256::ZERO));
    }
    let chain = s.node.chain();
    let (block, (_, state)) = (chain.head(), chain.head_state());
    let view = View { state: &state, header: &block.header, config: chain.config() };
    let memo = rebalance_memo(view, rebalance.contract).map_err(|error| format!("{NO_REBALANCE}{}", silent(&error)))?;
    if memo.is_empty() {
        return Err(format!("{NO_REBALANCE}rebalance memo empty"));
    }
    burnt_by_memo(chain.config().chain_id, &memo).map_err(|error| format!("{NO_REBALANCE}{error}"))
}

/// The member `burnt` of a memo. The memo of Kairos is no JSON; what it stands for is known.
fn burnt_by_memo(chain_id: u64, memo: &str) -> Result<Option<I256>, String> {
    const KAIROS: u64 = 1001;
    let text = if chain_id == KAIROS && memo.starts_with("before") {
        "-3704329462904320084000000000".to_owned()
    } else {
        let read = serde_json::from_str::<Value>(memo);
        let memo = read.map_err(|error| describe(memo).unwrap_or_else(|| error.to_string()))?;
        match memo.get("burnt") {
            None | Some(Value::Null) => return Ok(None),
            Some(burnt) => burnt.to_string(),
        }
    };
    let amount = text.parse().map_err(|_| format!("math/big: cannot unmarshal {text:?} into a *big.Int"))?;
    Ok(Some(amount))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn memos_name_what_was_burnt() {
        let burnt = |chain_id, memo| burnt_by_memo(chain_id, memo).unwrap().map(signed);
        let amount = burnt(8217, r#"{"retired":[],"burnt":-5000000000000000000000000000,"success":true}"#);
        assert_eq!(amount.unwrap(), "-0x1027e72f1f12813088000000");
        assert_eq!(burnt(1, r#"{"burnt":255}"#).unwrap(), "0xff");
        assert_eq!(burnt(1001, "before the merge").unwrap(), "-0xbf82646906be407e42a4800");
        assert_eq!(burnt(1, r#"{"success":true}"#), None);
        let words = "invalid character 'b' looking for beginning of value";
        assert_eq!(burnt_by_memo(1, "before").unwrap_err(), words);
        assert!(burnt_by_memo(1, r#"{"burnt":"1"}"#).is_err());
    }
}
