//! The account as it stands in the state.
//!
//! Source: spec 20, section 1; `blockchain/types/account` in the reference client.

mod codec;
#[cfg(feature = "serde")]
mod json;

use alloy_primitives::{B256, U256, b256};

use crate::key::{AccountKey, KeyError};

/// Root of a trie without entries.
pub const EMPTY_ROOT: B256 = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");

/// Keccak-256 of no bytes, the hash of absent code.
pub const EMPTY_CODE_HASH: B256 = b256!("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");

/// An account as it stands in the state, the value of a leaf of the state trie.
///
/// The [`Default`] is what an absent account reads as: a user account with nonce 0, balance 0 and a Legacy key.
///
/// ```
/// use klay_accounts::StateAccount;
/// use klay_core::U256;
///
/// let account = StateAccount::eoa(42, U256::from(0x12345678));
/// assert_eq!(klay_core::hex::encode(account.encode()), "01c92a84123456788001c0");
/// assert_eq!(StateAccount::decode(&account.encode())?, account);
/// # Ok::<_, klay_core::DecodeError>(())
/// ```
///
/// Source: spec 20, sections 1.1 to 1.4.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct StateAccount {
    /// User or contract; which leaf is written and when the account counts as empty.
    pub kind: Kind,
    /// Transactions sent; contracts created, for a contract.
    pub nonce: u64,
    /// Balance in peb.
    pub balance: U256,
    /// Whether the address is a name. Always false on public networks.
    pub human_readable: bool,
    /// Who may speak for the account.
    pub key: AccountKey,
    /// Code and storage; the default where there is neither.
    pub program: Program,
}

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Kind {
    /// Externally owned: a user. Since Prague it may delegate to code.
    #[default]
    Eoa = 0x01,
    /// A smart contract.
    Contract = 0x02,
}

/// Code and storage of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Program {
    /// Root of the storage trie.
    pub storage_root: B256,
    /// Keccak-256 of the code.
    pub code_hash: B256,
    /// How the code is to be run.
    pub code_info: CodeInfo,
}

/// Format of the code and version of the machine it was made for, in one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CodeInfo(u8);

impl StateAccount {
    /// A user with the key that belongs to the address.
    pub fn eoa(nonce: u64, balance: U256) -> Self {
        Self { nonce, balance, ..Self::default() }
    }

    /// A contract, whose key is Fail.
    ///
    /// Contracts of a genesis and system contracts start with nonce 0, those made by a transaction with 1.
    pub fn contract(nonce: u64, balance: U256, program: Program) -> Self {
        Self { kind: Kind::Contract, nonce, balance, key: AccountKey::Fail, program, ..Self::default() }
    }

    /// Whether the account is removed when a transaction that touched it ends.
    ///
    /// A user with a key other than Legacy is never empty, and one without nonce and balance is, whatever its code;
    /// a contract is empty by nonce, balance and code, whatever its key and storage.
    ///
    /// Source: spec 20, section 1.4.
    pub fn is_empty(&self) -> bool {
        let bare = self.nonce == 0 && self.balance.is_zero();
        match self.kind {
            Kind::Eoa => bare && self.key.is_legacy(),
            Kind::Contract => bare && !self.has_code(),
        }
    }

    /// Whether the account is a contract.
    pub const fn is_contract(&self) -> bool {
        matches!(self.kind, Kind::Contract)
    }

    /// Whether there is code; also true for a user who delegates.
    pub fn has_code(&self) -> bool {
        self.program.code_hash != EMPTY_CODE_HASH
    }

    /// Replaces the key, role by role where both are role-based.
    ///
    /// # Errors
    /// If the account is a contract, or the rules of [`AccountKey::check_replacable`] forbid it.
    pub fn update_key(&mut self, new: &AccountKey) -> Result<(), KeyError> {
        if self.is_contract() {
            return Err(KeyError::NotModifiable);
        }
        self.key = self.key.updated_by(new)?;
        Ok(())
    }
}

impl Program {
    /// Whether there is nothing to write: no storage, no code and code information 0.
    pub(crate) fn is_blank(&self) -> bool {
        self.code_info.0 == 0
            && self.code_hash == EMPTY_CODE_HASH
            && (self.storage_root == EMPTY_ROOT || self.storage_root.is_zero())
    }
}

impl Default for Program {
    fn default() -> Self {
        Self { storage_root: EMPTY_ROOT, code_hash: EMPTY_CODE_HASH, code_info: CodeInfo::GENESIS }
    }
}

impl CodeInfo {
    /// EVM code made before the Istanbul fork, or installed by the system: machine version 0.
    pub const GENESIS: Self = Self(0x00);
    /// EVM code made by a transaction since the Istanbul fork: machine version 1.
    pub const ISTANBUL: Self = Self(0x10);

    /// The byte as the leaf holds it, machine version in the upper four bits.
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte as the leaf holds it.
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Format of the code; 0 is EVM, and nothing else is valid.
    pub const fn format(self) -> u8 {
        self.0 & 0x0f
    }

    /// Version of the machine. Code of version 0 keeps the precompiled contracts from before Istanbul for ever.
    pub const fn vm_version(self) -> u8 {
        self.0 >> 4
    }
}
