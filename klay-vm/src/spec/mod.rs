//! Forks as data: which instructions exist, what they cost in gas and in computation, and the limits around them.
//!
//! Source: spec 40, sections 1.2 to 1.4, 3.2 and 7.2.

mod opcodes;

use klay_accounts::CodeInfo;
use klay_core::{Fork, Rules};
use revm::primitives::hardfork::SpecId;

pub use opcodes::OpcodeTable;

/// The rule set of the machine: the newest fork that changed it.
///
/// Forks between two levels (EthTxType, Magma, Randao, Kaia) change nothing in the machine itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Level {
    /// Constantinople's instructions without net gas metering.
    Genesis,
    /// Chain id and balance instructions, repriced reads, EIP-2200.
    Istanbul,
    /// BASEFEE.
    London,
    /// Warm and cold accesses, reduced refunds, RANDOM.
    Kore,
    /// PUSH0, metered init code.
    Shanghai,
    /// Transient storage, MCOPY, blob instructions, EIP-6780.
    Cancun,
    /// Delegation, BLS precompiles, data floor.
    Prague,
    /// CLZ, P-256, blob transactions.
    #[default]
    Osaka,
}

impl Level {
    /// All levels, oldest first.
    pub const ALL: [Self; 8] = [
        Self::Genesis,
        Self::Istanbul,
        Self::London,
        Self::Kore,
        Self::Shanghai,
        Self::Cancun,
        Self::Prague,
        Self::Osaka,
    ];

    /// The level that `rules` select.
    pub const fn of(rules: Rules) -> Self {
        if rules.has(Fork::Osaka) {
            Self::Osaka
        } else if rules.has(Fork::Prague) {
            Self::Prague
        } else if rules.has(Fork::Cancun) {
            Self::Cancun
        } else if rules.has(Fork::Shanghai) {
            Self::Shanghai
        } else if rules.has(Fork::Kore) {
            Self::Kore
        } else if rules.has(Fork::London) {
            Self::London
        } else if rules.has(Fork::Istanbul) {
            Self::Istanbul
        } else {
            Self::Genesis
        }
    }

    /// The rules of Ethereum that come nearest; the differences are corrected on top.
    pub const fn spec_id(self) -> SpecId {
        match self {
            Self::Genesis => SpecId::PETERSBURG,
            Self::Istanbul | Self::London => SpecId::ISTANBUL,
            Self::Kore => SpecId::MERGE,
            Self::Shanghai => SpecId::SHANGHAI,
            Self::Cancun => SpecId::CANCUN,
            Self::Prague => SpecId::PRAGUE,
            Self::Osaka => SpecId::OSAKA,
        }
    }

    /// What the instructions are under this level.
    pub fn opcodes(self) -> &'static OpcodeTable {
        opcodes::table(self)
    }

    /// As [`Self::opcodes`], with Ethereum's prices where they differ and Ethereum's own tests look.
    pub(crate) fn ethereum_opcodes(self) -> &'static OpcodeTable {
        opcodes::ethereum_table(self)
    }

    /// Most computation cost that a transaction may cause.
    pub const fn computation_cost_limit(self) -> u64 {
        if self.is_since(Self::Cancun) { 150_000_000 } else { 100_000_000 }
    }

    /// Up to this gas limit the default cost limit cannot be reached, whatever is executed.
    ///
    /// It is the limit divided by the largest cost per gas of any instruction: 1714 (MSTORE8), since Cancun 749
    /// (0x44).
    pub const fn unmetered_gas(self) -> u64 {
        if self.is_since(Self::Cancun) { 200_267 } else { 58_343 }
    }

    /// Code information of a contract made under this level.
    pub const fn code_info(self) -> CodeInfo {
        if self.is_since(Self::Istanbul) { CodeInfo::ISTANBUL } else { CodeInfo::GENESIS }
    }

    /// The part of the used gas that refunds may return is one in this many.
    pub const fn refund_quotient(self) -> u64 {
        if self.is_since(Self::Kore) { 5 } else { 2 }
    }

    /// Whether this level is `other` or newer.
    pub const fn is_since(self, other: Self) -> bool {
        self as u8 >= other as u8
    }
}

impl From<Level> for SpecId {
    fn from(level: Level) -> Self {
        level.spec_id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_the_newest_fork_that_changed_the_machine() {
        assert_eq!(Level::of(Rules::none()), Level::Genesis);
        assert_eq!(Level::of(Rules::up_to(Fork::Magma)), Level::London);
        assert_eq!(Level::of(Rules::up_to(Fork::Kaia)), Level::Cancun);
        assert_eq!(Level::of(Rules::up_to(Fork::Osaka)), Level::Osaka);
    }
}
