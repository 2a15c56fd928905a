//! The treasury rebalances of KIP-103 and KIP-160: some balances become zero, others a given amount.
//!
//! A failure leaves the balances as they are and does not void the block. KIP-103 reads its contract by messages in the
//! state that is being built, each of which raises the nonce of 0x0, also where the rebalance then fails; KIP-160
//! reads the parent state.
//!
//! Source: spec 30, section 6.7; `blockchain/system/rebalance.go` in the reference client.

use std::collections::BTreeMap;

use alloy_primitives::I256;
use klay_core::{Address, Bytes, U256};

use super::{SystemError, View, abi, word};
use crate::{block::BlockExecutor, state::StateError};

/// Status of a contract whose terms are approved.
const APPROVED: u8 = 2;
/// Gas of each of KIP-103's messages.
const MESSAGE_GAS: u64 = 100_000_000;

/// Balances before and after, in peb.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Balances {
    /// Accounts that lose everything.
    pub zeroed: BTreeMap<Address, U256>,
    /// Accounts that are given an amount.
    pub allocated: BTreeMap<Address, U256>,
}

/// A rebalance that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebalanced {
    /// Balances before.
    pub before: Balances,
    /// Balances after.
    pub after: Balances,
    /// What was taken out of circulation, in peb; less than zero if KIP-160 gave more than it took.
    pub burnt: I256,
}

/// Why a rebalance did not happen. The block goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebalanceError {
    /// The contract could not be read.
    #[error(transparent)]
    Contract(#[from] SystemError),
    /// The contract is made for another block.
    #[error("rebalance is set to block {got}, not {expected}")]
    WrongBlock {
        /// This block.
        expected: u64,
        /// The contract's.
        got: U256,
    },
    /// The contract's terms are not approved.
    #[error("rebalance has status {got}, not {APPROVED}")]
    NotApproved {
        /// The status.
        got: u8,
    },
    /// KIP-103 may not give more than it takes.
    #[error("rebalance allocates {allocated} but takes {zeroed}")]
    NotEnough {
        /// Sum of the balances taken, in peb.
        zeroed: U256,
        /// Sum of the amounts given, in peb.
        allocated: U256,
    },
}

/// The names of the same functions in the two contracts.
struct Interface {
    zeroed_count: &'static str,
    zeroed: &'static str,
    allocated_count: &'static str,
    allocated: &'static str,
    check_approved: &'static str,
}

const KIP103: Interface = Interface {
    zeroed_count: "getRetiredCount()",
    zeroed: "retirees(uint256)",
    allocated_count: "getNewbieCount()",
    allocated: "newbies(uint256)",
    check_approved: "checkRetiredsApproved()",
};

const KIP160: Interface = Interface {
    zeroed_count: "getZeroedCount()",
    zeroed: "zeroeds(uint256)",
    allocated_count: "getAllocatedCount()",
    allocated: "allocateds(uint256)",
    check_approved: "checkZeroedsApproved()",
};

/// The memo that a rebalance contract keeps once it is finalised: what was burnt, as JSON; empty before.
///
/// # Errors
/// If the contract does not answer as its interface says.
pub fn rebalance_memo(view: View<'_>, contract: Address) -> Result<String, SystemError> {
    let function = "memo()";
    view.read(contract, function, abi::call(function, &[]), |values| {
        Some(String::from_utf8_lossy(values.bytes()?).into_owned())
    })
}

/// Does the rebalance of this block, if it is one: `None` otherwise. `parent` is the parent block.
///
/// # Errors
/// If the state cannot be read. That a rebalance did not happen is the inner result.
pub fn rebalance(
    executor: &mut BlockExecutor,
    parent: View<'_>,
) -> Result<Option<Result<Rebalanced, RebalanceError>>, StateError> {
    let number = executor.context().number;
    let config = parent.config;
    let mut contract = if config.kip160.happens_at(number) {
        Contract { address: config.kip160.contract, interface: &KIP160, source: Source::Parent(parent) }
    } else if config.kip103.happens_at(number) {
        Contract { address: config.kip103.contract, interface: &KIP103, source: Source::Messages }
    } else {
        return Ok(None);
    };
    match contract.rebalance(executor, number) {
        Err(RebalanceError::Contract(SystemError::State(error))) => Err(error),
        outcome => Ok(Some(outcome)),
    }
}

enum Source<'a> {
    /// Calls over the parent state.
    Parent(View<'a>),
    /// Messages from 0x0 in the block.
    Messages,
}

struct Contract<'a> {
    address: Address,
    interface: &'static Interface,
    source: Source<'a>,
}

impl Contract<'_> {
    fn rebalance(&mut self, executor: &mut BlockExecutor, number: u64) -> Result<Rebalanced, RebalanceError> {
        let mut after = self.terms(executor)?;
        let mut before = Balances { zeroed: after.zeroed.clone(), allocated: BTreeMap::new() };
        for address in after.allocated.keys() {
            before.allocated.insert(*address, executor.balance(*address).map_err(SystemError::from)?);
        }
        self.check(executor, number)?;

        let zeroed = sum(before.zeroed.values());
        let allocated = sum(after.allocated.values());
        if matches!(self.source, Source::Messages) && zeroed < allocated {
            return Err(RebalanceError::NotEnough { zeroed, allocated });
        }
        for (address, balance) in &mut after.zeroed {
            *balance = U256::ZERO;
            executor.set_balance(*address, U256::ZERO).map_err(SystemError::from)?;
        }
        let mut burnt = I256::from_raw(zeroed).wrapping_sub(I256::from_raw(allocated));
        for (address, amount) in &after.allocated {
            let previous = executor.balance(*address).map_err(SystemError::from)?;
            burnt = burnt.wrapping_add(I256::from_raw(previous));
            executor.set_balance(*address, *amount).map_err(SystemError::from)?;
        }
        Ok(Rebalanced { before, after, burnt })
    }

    /// Balances to be taken, and amounts to be given.
    fn terms(&mut self, executor: &mut BlockExecutor) -> Result<Balances, RebalanceError> {
        let mut terms = Balances::default();
        let count = self.read(executor, self.interface.zeroed_count, &[], |values| values.word())?;
        for index in 0..items(count) {
            let address = self.read(executor, self.interface.zeroed, &[word(index)], |values| values.address())?;
            terms.zeroed.insert(address, executor.balance(address).map_err(SystemError::from)?);
        }
        let count = match self.read(executor, self.interface.allocated_count, &[], |values| values.word()) {
            Ok(count) => count,
            Err(SystemError::State(error)) => return Err(SystemError::State(error).into()),
            // The reference client goes on as if there were none.
            Err(_) => return Ok(terms),
        };
        for index in 0..items(count) {
            let (address, amount) = self.read(executor, self.interface.allocated, &[word(index)], |values| {
                Some((values.address()?, values.word()?))
            })?;
            terms.allocated.insert(address, amount);
        }
        Ok(terms)
    }

    fn check(&mut self, executor: &mut BlockExecutor, number: u64) -> Result<(), RebalanceError> {
        let block = self.read(executor, "rebalanceBlockNumber()", &[], |values| values.word())?;
        if block != U256::from(number) {
            return Err(RebalanceError::WrongBlock { expected: number, got: block });
        }
        let status = self.read(executor, "status()", &[], |values| values.u8())?;
        if status != APPROVED {
            return Err(RebalanceError::NotApproved { got: status });
        }
        let approved = self.read(executor, self.interface.check_approved, &[], |_| Some(()));
        match (approved, &self.source) {
            // The reference client takes a message of KIP-103 that fails for one that returns nothing, and this
            // function returns nothing.
            (Err(SystemError::Failed { .. }), Source::Messages) => Ok(()),
            (approved, _) => Ok(approved?),
        }
    }

    fn read<T>(
        &mut self,
        executor: &mut BlockExecutor,
        function: &'static str,
        arguments: &[U256],
        read: impl FnOnce(&mut abi::Values<'_>) -> Option<T>,
    ) -> Result<T, SystemError> {
        let contract = self.address;
        let input = abi::call(function, arguments);
        match self.source {
            Source::Parent(view) => view.read(contract, function, input, read),
            Source::Messages => {
                let output = message(executor, contract, function, input)?;
                read(&mut abi::Values::new(&output)).ok_or(SystemError::Malformed { contract, function })
            }
        }
    }
}

/// A message from 0x0, whose nonce it raises before anything else.
fn message(
    executor: &mut BlockExecutor,
    contract: Address,
    function: &'static str,
    input: Bytes,
) -> Result<Bytes, SystemError> {
    let nonce = executor.nonce(Address::ZERO)?;
    executor.set_nonce(Address::ZERO, nonce.wrapping_add(1))?;
    let output = executor.system_call(Address::ZERO, contract, input, MESSAGE_GAS)?;
    if output.as_ref().is_none_or(|output| output.is_empty()) && executor.code(contract)?.is_empty() {
        return Err(SystemError::NoCode { contract, function });
    }
    output.ok_or(SystemError::Failed { contract, function, status: klay_core::block::Status::FAILED })
}

/// The reference client counts in signed 64 bits.
fn items(count: U256) -> u64 {
    i64::try_from(count.as_limbs()[0]).unwrap_or(0).unsigned_abs()
}

fn sum<'a>(amounts: impl Iterator<Item = &'a U256>) -> U256 {
    amounts.fold(U256::ZERO, |sum, amount| sum.saturating_add(*amount))
}
