//! The engines that a network can run, by name. Another one is a line here and a line in [`super::launch`].

use klay_consensus::{
    gate::GateRules,
    istanbul::{justified, seal},
    types::Round,
};
use klay_core::B256;

/// How blocks are decided. All nodes of a chain have the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// One authority that decides alone.
    Dev,
    /// Istanbul as on the public networks: rules of kaia 2.2.1.
    Istanbul,
    /// Istanbul without locks: every proposal after the first proves that it may be made.
    Justified,
}

impl EngineKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dev, Self::Istanbul, Self::Justified];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Istanbul => "istanbul",
            Self::Justified => "justified",
        }
    }

    /// The engine with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }

    /// What a committed seal signs; `round` is what the header says of it.
    pub(super) fn seal_digest(self, hash: B256, round: u8) -> B256 {
        match self {
            Self::Dev | Self::Istanbul => seal::committed_digest(hash),
            Self::Justified => justified::seal_digest(hash, Round::new(round.into())),
        }
    }

    /// What the gate refuses beyond equal votes.
    pub(super) const fn gate_rules(self) -> GateRules {
        GateRules { exclusive_skip: false }
    }
}
