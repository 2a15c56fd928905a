//! System contracts: reading them, and what the node itself writes into them.
//!
//! | Contract | Address | Read for |
//! |---|---|---|
//! | AddressBook | 0x400 | stakes, reward addresses, funds |
//! | Registry (KIP-149) | 0x401 | where the other contracts are |
//! | KIP-113 | Registry `KIP113` | BLS keys of proposers |
//! | CLRegistry, WrappedKaia | Registry | liquidity pools (KIP-226) |
//! | TreasuryRebalance | configuration | KIP-103 and KIP-160 |
//! | GovParam | a governance parameter | parameters from Kore |
//!
//! Reading is calling: a contract may sit behind a proxy or be another than the published one, and what counts is what
//! it answers.
//!
//! Source: spec 30, sections 6.5, 6.7, 7.5 and 8; `blockchain/system` in the reference client.

mod abi;
mod bls_registry;
mod governance;
mod kip113;
mod rebalance;
mod registry;
mod staking;

use klay_core::{
    Address, Bytes, U256, address,
    block::{Header, Status},
    config::ChainConfig,
};

pub use bls_registry::{
    BLS_REGISTRY_ADDRESS, bls_registrar, bls_registry_code, install_bls_registry, register_call, unregister_call,
};
pub use governance::{contract_items, contract_params};
pub(crate) use kip113::KIP113;
pub use kip113::{FIXED_KEYS_ADDRESS, bls_keys, fix_bls_keys};
pub use rebalance::{Balances, RebalanceError, Rebalanced, rebalance, rebalance_memo};
pub use registry::{REGISTRY_ADDRESS, active_address, all_records, install_registry, registry_code, registry_storage};
pub use staking::{ADDRESS_BOOK_ADDRESS, staking_info};

use crate::{
    call::{CallError, CallRequest, call},
    env::BlockContext,
    state::{State, StateError},
};

/// CypressCredit, on Cypress only.
pub const CREDIT_ADDRESS: Address = address!("0000000000000000000000000000000000000000");

/// Gas of a read.
const READ_GAS: u64 = 300_000_000;

/// A state and the block after which it is read.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The state after the block.
    pub state: &'a State,
    /// The block's header.
    pub header: &'a Header,
    /// The chain's configuration.
    pub config: &'a ChainConfig,
}

/// Why a system contract could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemError {
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no contract.
    #[error("{function} of {contract}: no contract there")]
    NoCode {
        /// The contract.
        contract: Address,
        /// The function.
        function: &'static str,
    },
    /// The contract did not answer.
    #[error("{function} of {contract} failed with status {:#x}", status.0)]
    Failed {
        /// The contract.
        contract: Address,
        /// The function.
        function: &'static str,
        /// How it failed.
        status: Status,
    },
    /// The answer is not what the function returns.
    #[error("{function} of {contract} returned malformed data")]
    Malformed {
        /// The contract.
        contract: Address,
        /// The function.
        function: &'static str,
    },
    /// The machine did not run the call.
    #[error(transparent)]
    Call(CallError),
}

impl From<CallError> for SystemError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::State(error) => Self::State(error),
            other => Self::Call(other),
        }
    }
}

impl View<'_> {
    /// The context of a call in this block.
    fn context(&self) -> BlockContext {
        BlockContext::new(self.config.chain_id, self.config.rules(self.header.number), self.header, Address::ZERO)
    }

    /// Calls `function` and reads what it returns.
    fn read<T>(
        &self,
        contract: Address,
        function: &'static str,
        input: Bytes,
        read: impl FnOnce(&mut abi::Values<'_>) -> Option<T>,
    ) -> Result<T, SystemError> {
        let output = self.output(contract, function, input)?;
        read(&mut abi::Values::new(&output)).ok_or(SystemError::Malformed { contract, function })
    }

    fn output(&self, contract: Address, function: &'static str, input: Bytes) -> Result<Bytes, SystemError> {
        let request = CallRequest { to: Some(contract), gas: READ_GAS, input, ..CallRequest::default() };
        let outcome = call(self.state, &self.context(), &request)?;
        if !outcome.status.is_success() {
            return Err(SystemError::Failed { contract, function, status: outcome.status });
        }
        if outcome.output.is_empty() && self.state.code(contract)?.is_empty() {
            return Err(SystemError::NoCode { contract, function });
        }
        Ok(outcome.output)
    }
}

/// The numbers of a call's arguments.
fn word(value: u64) -> U256 {
    U256::from(value)
}
