//! Forks, the blocks at which they start, and the set of them that is active at one block.

use core::fmt;

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

impl Fork {
    /// The forks that a chain schedules, in order; [`Fork::Genesis`] is not among them.
    pub const SCHEDULED: [Self; 11] = [
        Self::Istanbul,
        Self::London,
        Self::EthTxType,
        Self::Magma,
        Self::Kore,
        Self::Shanghai,
        Self::Cancun,
        Self::Randao,
        Self::Kaia,
        Self::Prague,
        Self::Osaka,
    ];

    /// The name, as the configuration key starts with.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Istanbul => "istanbul",
            Self::London => "london",
            Self::EthTxType => "ethTxType",
            Self::Magma => "magma",
            Self::Kore => "kore",
            Self::Shanghai => "shanghai",
            Self::Cancun => "cancun",
            Self::Randao => "randao",
            Self::Kaia => "kaia",
            Self::Prague => "prague",
            Self::Osaka => "osaka",
        }
    }

    const fn slot(self) -> Option<usize> {
        (self as usize).checked_sub(1)
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The forks that are active at one block; the bit of [`Fork::Genesis`] stays clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rules(u16);

impl Rules {
    /// No fork but [`Fork::Genesis`], which is always active.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Adds a fork.
    #[must_use]
    pub const fn with(self, fork: Fork) -> Self {
        Self((self.0 | 1 << fork as u8) & !1)
    }

    /// Every fork up to and including `fork`.
    pub const fn up_to(fork: Fork) -> Self {
        Self(((1u32 << (fork as u8 + 1)) - 2) as u16)
    }

    /// Whether `fork` is active.
    pub const fn has(self, fork: Fork) -> bool {
        matches!(fork, Fork::Genesis) || self.0 & (1 << fork as u8) != 0
    }

    /// The latest fork that is active.
    pub fn latest(self) -> Fork {
        Fork::SCHEDULED.into_iter().rev().find(|fork| self.has(*fork)).unwrap_or(Fork::Genesis)
    }
}

/// The block at which each fork starts; a fork without one never does.
///
/// A fork is active at block `n` when its block is set and not after `n`, whatever the others say.
///
/// ```
/// use klay_core::config::{Fork, ForkSchedule};
///
/// let schedule = ForkSchedule::default().with(Fork::Magma, 5);
/// assert!(!schedule.rules(4).has(Fork::Magma));
/// assert!(schedule.rules(5).has(Fork::Magma));
/// assert!(!schedule.rules(5).has(Fork::Istanbul));
/// ```
///
/// Source: spec 30, section 2.1; `params/config.go` in the reference client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ForkSchedule {
    blocks: [Option<u64>; Fork::SCHEDULED.len()],
}

impl ForkSchedule {
    /// Every fork at block 0.
    pub const fn all_at_genesis() -> Self {
        Self { blocks: [Some(0); Fork::SCHEDULED.len()] }
    }

    /// Starts `fork` at `block`. [`Fork::Genesis`] stays at 0.
    #[must_use]
    pub const fn with(mut self, fork: Fork, block: u64) -> Self {
        if let Some(slot) = fork.slot() {
            self.blocks[slot] = Some(block);
        }
        self
    }

    /// Takes `fork` off the schedule. [`Fork::Genesis`] stays at 0.
    #[must_use]
    pub const fn without(mut self, fork: Fork) -> Self {
        if let Some(slot) = fork.slot() {
            self.blocks[slot] = None;
        }
        self
    }

    /// The block at which `fork` starts; `None` for never.
    pub const fn block(&self, fork: Fork) -> Option<u64> {
        match fork.slot() {
            Some(slot) => self.blocks[slot],
            None => Some(0),
        }
    }

    /// Whether `fork` is active at block `number`.
    pub const fn is_active(&self, fork: Fork, number: u64) -> bool {
        matches!(self.block(fork), Some(block) if block <= number)
    }

    /// Whether `fork` starts at exactly block `number`.
    pub const fn starts_at(&self, fork: Fork, number: u64) -> bool {
        matches!(self.block(fork), Some(block) if block == number)
    }

    /// The forks active at block `number`.
    pub fn rules(&self, number: u64) -> Rules {
        Fork::SCHEDULED.into_iter().filter(|fork| self.is_active(*fork, number)).fold(Rules::none(), Rules::with)
    }

    /// Checks that the blocks that are set do not decrease from fork to fork. A fork may be left out.
    ///
    /// # Errors
    /// The first pair that is out of order.
    pub fn check_order(&self) -> Result<(), ForkOrderError> {
        let mut last: Option<(Fork, u64)> = None;
        for fork in Fork::SCHEDULED {
            let Some(block) = self.block(fork) else { continue };
            if let Some((earlier, earlier_block)) = last
                && earlier_block > block
            {
                return Err(ForkOrderError { earlier, earlier_block, later: fork, later_block: block });
            }
            last = Some((fork, block));
        }
        Ok(())
    }

    /// Checks that a chain with this schedule and a head at `head` can go on with `new`: no fork that has started
    /// under either of them may move.
    ///
    /// # Errors
    /// The conflict that needs the chain to go back furthest.
    pub fn check_compatible(&self, new: &Self, head: u64) -> Result<(), ForkCompatError> {
        Fork::SCHEDULED
            .into_iter()
            .filter_map(|fork| {
                let (stored, new) = (self.block(fork), new.block(fork));
                let first = stored.into_iter().chain(new).min()?;
                (stored != new && first <= head).then(|| ForkCompatError {
                    fork,
                    stored,
                    new,
                    rewind_to: first.saturating_sub(1),
                })
            })
            .min_by_key(|error| error.rewind_to)
            .map_or(Ok(()), Err)
    }
}

/// A fork is set to start before one that it builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "unsupported fork ordering: {earlier}Block enabled at {earlier_block}, but {later}Block enabled at {later_block}"
)]
pub struct ForkOrderError {
    /// The fork that comes first in the protocol.
    pub earlier: Fork,
    /// Its block.
    pub earlier_block: u64,
    /// The fork that builds on it.
    pub later: Fork,
    /// Its block, which is smaller.
    pub later_block: u64,
}

/// A fork that has already started would move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("mismatching {fork} block (stored {stored:?}, new {new:?}, rewind to {rewind_to})")]
pub struct ForkCompatError {
    /// The fork.
    pub fork: Fork,
    /// Its block in the stored configuration.
    pub stored: Option<u64>,
    /// Its block in the new one.
    pub new: Option<u64>,
    /// The last block that both configurations agree on.
    pub rewind_to: u64,
}
