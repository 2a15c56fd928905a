//! What an engine decides about, and who takes part: five types and no more.

use core::{fmt::Debug, hash::Hash};

use super::{Height, Slot, Time};

/// The types that an engine is generic over.
pub trait Model: Clone + Debug + Send + Sync + 'static {
    /// What is decided: a block, or a block and a handle to its execution.
    type Value: Value<Id = Self::Id> + Send + Sync + 'static;
    /// The digest that names a value, 32 bytes.
    type Id: Copy + Ord + Hash + Debug + AsRef<[u8]> + Send + Sync + 'static;
    /// Who votes: an address or a key.
    type Peer: Copy + Ord + Hash + Debug + Send + Sync + 'static;
    /// A signature.
    type Sig: Clone + Eq + Debug + Send + Sync + 'static;
    /// The proof of a decision that the chain keeps.
    type Cert: Clone + Debug + Send + Sync + 'static;
}

/// A value that can be decided. Cloning must be cheap: engines pass values on, they do not look inside.
pub trait Value: Clone + Debug {
    /// The digest that names the value.
    type Id;

    /// The name of this value.
    fn id(&self) -> Self::Id;
    /// The value that this one follows.
    fn parent(&self) -> Self::Id;
    /// The place of this value in the chain.
    fn height(&self) -> Height;
    /// Its encoded size in bytes, for limits and metrics.
    fn size(&self) -> usize;
}

/// How far the chain is: the last value that is applied and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor<M: Model> {
    /// Its height; 0 for the value agreed beforehand.
    pub height: Height,
    /// Its name.
    pub id: M::Id,
    /// When the next value may be proposed (the parent's time and the block period): round timers count from here.
    pub next_at: Time,
}

impl<M: Model> Floor<M> {
    /// The height to be decided next.
    pub const fn next_height(&self) -> Height {
        self.height.saturating_add(1)
    }

    /// The slot of the next height, for engines that decide height by height.
    pub const fn next_slot(&self) -> Slot {
        self.next_height().slot()
    }
}
