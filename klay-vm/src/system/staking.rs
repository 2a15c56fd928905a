//! Stakes from the AddressBook, liquidity pools from the CLRegistry.

use klay_core::{Address, Fork, U256, address, units::KLAY};

use super::{REGISTRY_ADDRESS, SystemError, View, abi, registry::active_address};
use crate::reward::{LiquidityPool, StakingInfo, StakingNode};

/// The AddressBook contract.
pub const ADDRESS_BOOK_ADDRESS: Address = address!("0000000000000000000000000000000000000400");

const NODE: u8 = 0;
const STAKING: u8 = 1;
const REWARD: u8 = 2;
const KIF: u8 = 3;
const KEF: u8 = 4;

/// The staking information after the block of `view`.
///
/// It has no nodes and no funds where there is no AddressBook, it is not activated, a fund is missing, or its lists do
/// not fit. Pools are read where the next block is under Prague's rules and the Registry is installed.
///
/// # Errors
/// If a contract does not answer as its interface says.
pub fn staking_info(view: View<'_>) -> Result<StakingInfo, SystemError> {
    let source = view.header.number;
    let empty = StakingInfo::empty(source);
    if view.state.code(ADDRESS_BOOK_ADDRESS)?.is_empty() {
        return Ok(empty);
    }
    let function = "getAllAddress()";
    let (types, addresses) = view.read(ADDRESS_BOOK_ADDRESS, function, abi::call(function, &[]), |values| {
        Some((values.list(|item| item.u8())?, values.list(|item| item.address())?))
    })?;
    if types.len() != addresses.len() {
        return Err(SystemError::Malformed { contract: ADDRESS_BOOK_ADDRESS, function });
    }
    // A failure of the pools' contracts counts even where the book turns out to be empty.
    let pools = if types.is_empty() { Vec::new() } else { liquidity_pools(view)? };

    let of_type =
        |wanted: u8| types.iter().zip(&addresses).filter(move |(ty, _)| **ty == wanted).map(|(_, address)| *address);
    if types.iter().any(|ty| *ty > KEF) {
        return Err(SystemError::Malformed { contract: ADDRESS_BOOK_ADDRESS, function });
    }
    let (kif, kef) = (of_type(KIF).next_back().unwrap_or_default(), of_type(KEF).next_back().unwrap_or_default());
    let count = of_type(NODE).count();
    let stakes = stakes(view, &addresses)?;
    if [of_type(STAKING).count(), of_type(REWARD).count(), stakes.len()].iter().any(|other| *other != count)
        || kif.is_zero()
        || kef.is_zero()
    {
        return Ok(empty);
    }
    let nodes = of_type(NODE)
        .zip(of_type(STAKING))
        .zip(of_type(REWARD).zip(stakes))
        .map(|((node, contract), (reward, stake))| StakingNode { node, contract, reward, stake })
        .collect();
    Ok(StakingInfo { source, nodes, kif, kef, pools })
}

/// Balances of the staking contracts in whole KLAY, by position: node, contract and reward of each node, then the two
/// funds. A list of another length has no stakes.
fn stakes(view: View<'_>, addresses: &[Address]) -> Result<Vec<u64>, SystemError> {
    let Some(nodes) = addresses.len().checked_sub(2).filter(|nodes| *nodes >= 3 && nodes % 3 == 0) else {
        return Ok(Vec::new());
    };
    addresses[..nodes].chunks(3).map(|node| Ok(whole(view.state.balance(node[1])?))).collect()
}

fn liquidity_pools(view: View<'_>) -> Result<Vec<LiquidityPool>, SystemError> {
    let number = view.header.number;
    if !view.config.is_active(Fork::Prague, number.saturating_add(1))
        || view.config.forks.starts_at(Fork::Randao, number.saturating_add(1))
        || view.state.code(REGISTRY_ADDRESS)?.is_empty()
    {
        return Ok(Vec::new());
    }
    let registry = active_address(view, "CLRegistry")?;
    let token = active_address(view, "WrappedKaia")?;
    if registry.is_zero() {
        return Ok(Vec::new());
    }
    let function = "getAllCLs()";
    let (nodes, pools) = view.read(registry, function, abi::call(function, &[]), |values| {
        let nodes = values.list(|item| item.address())?;
        values.list(|item| item.word())?;
        Some((nodes, values.list(|item| item.address())?))
    })?;
    if nodes.len() != pools.len() {
        return Err(SystemError::Malformed { contract: registry, function });
    }
    let stake_of = |pool: Address| -> Result<u64, SystemError> {
        if token.is_zero() {
            return Ok(0);
        }
        let function = "balanceOf(address)";
        let input = abi::call(function, &[U256::from_be_slice(pool.as_slice())]);
        view.read(token, function, input, |values| values.word()).map(whole)
    };
    nodes.into_iter().zip(pools).map(|(node, pool)| Ok(LiquidityPool { node, pool, stake: stake_of(pool)? })).collect()
}

/// Whole KLAY, the low 64 bits of the number.
fn whole(amount: U256) -> u64 {
    (amount / KLAY).as_limbs()[0]
}
