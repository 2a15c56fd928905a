//! Chain id, fork schedule and the parameters that a genesis fixes.

/// A change of the protocol, in order of activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Fork {
    /// Rules at genesis of the public networks.
    Genesis,
    /// `istanbulCompatibleBlock`.
    Istanbul,
    /// `londonCompatibleBlock`.
    London,
    /// `ethTxTypeCompatibleBlock`.
    EthTxType,
    /// `magmaCompatibleBlock`.
    Magma,
    /// `koreCompatibleBlock`.
    Kore,
    /// `shanghaiCompatibleBlock`.
    Shanghai,
    /// `cancunCompatibleBlock`.
    Cancun,
    /// `randaoCompatibleBlock`.
    Randao,
    /// `kaiaCompatibleBlock`.
    Kaia,
    /// `pragueCompatibleBlock`.
    Prague,
    /// `osakaCompatibleBlock`.
    Osaka,
}

/// The forks that are active at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rules(u16);

impl Rules {
    /// Exactly these forks ([`Fork::Genesis`] is always active).
    pub const fn none() -> Self {
        Self(0)
    }
    /// Adds a fork.
    #[must_use]
    pub const fn with(self, fork: Fork) -> Self {
        Self(self.0 | 1 << fork as u8)
    }
    /// Every fork up to and including `fork`.
    pub const fn up_to(fork: Fork) -> Self {
        Self(((1u32 << (fork as u8 + 1)) - 1) as u16)
    }
    /// Whether `fork` is active.
    pub const fn has(self, fork: Fork) -> bool {
        matches!(fork, Fork::Genesis) || self.0 & (1 << fork as u8) != 0
    }
}

/// Everything that a genesis file's `config` says. To be completed: see spec 30, section 2.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainConfig {
    /// EIP-155 chain id.
    pub chain_id: u64,
}

impl ChainConfig {
    /// The forks active at block `number`.
    pub fn rules(&self, _number: u64) -> Rules {
        todo!()
    }
}
