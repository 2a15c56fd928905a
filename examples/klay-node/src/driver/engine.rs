//! The engines that a network can run, by name. Another one is a line here and an arm where it is
//! hosted.

use klay_consensus::{
    gate::GateRules,
    istanbul::{justified, seal},
    simplex,
    types::Round,
};
use klay_core::{
    Address, B256,
    block::{ExtraView, Header},
};

/// How blocks are decided. All nodes of a chain have the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// One authority that decides alone.
    Dev,
    /// Istanbul as on the public networks: rules of kaia 2.2.1.
    Istanbul,
    /// Istanbul without locks: every proposal after the first proves that it may be made.
    Justified,
    /// Simplex: two message delays to the next block, three to a final one.
    Simplex,
}

impl EngineKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Dev, Self::Istanbul, Self::Justified, Self::Simplex];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Istanbul => "istanbul",
            Self::Justified => "justified",
            Self::Simplex => "simplex",
        }
    }

    /// The engine with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }

    /// What a committed seal of a header signs; `round` is the byte that the header has for it. `None` if the header does
    /// not say enough.
    pub(super) fn seal_digest(self, header: &Header, hash: B256, round: u8) -> Option<B256> {
        match self {
            Self::Dev | Self::Istanbul => Some(seal::committed_digest(hash)),
            Self::Justified => Some(justified::seal_digest(hash, Round::new(round.into()))),
            Self::Simplex => {
                let view = simplex::proposed_in(header)?.saturating_add(round.into());
                Some(simplex::final_digest(hash, view))
            }
        }
    }

    /// The round whose committee alone may have sealed a block; `None` if it is the whole council. `round` is the byte that
    /// the header has for it.
    ///
    /// # Errors
    /// If the header does not say it, or the view of another height.
    pub(super) fn committee_round(self, header: &Header, round: u8) -> Result<Option<Round>, &'static str> {
        match self {
            Self::Dev | Self::Istanbul => Ok(None),
            Self::Justified => Ok(Some(Round::new(round.into()))),
            Self::Simplex => {
                let view = simplex::proposed_in(header).ok_or("it does not say in which view")?;
                // Each height is an epoch of its own: see where the engine is hosted.
                match simplex::place_of(view.saturating_add(round.into())) {
                    (epoch, round) if Some(epoch) == header.number.checked_sub(1) => Ok(Some(round)),
                    _ => Err("a view of another height"),
                }
            }
        }
    }

    /// Who has committed to a block, in the order of its seals; `None` if one of them is nobody's.
    pub(crate) fn committers(self, header: &Header, hash: B256) -> Option<Vec<Address>> {
        let extra = ExtraView::decode(&header.extra).ok()?;
        let digest = self.seal_digest(header, hash, extra.round())?;
        extra.committed_seals().map(|seal| seal::seal_author(digest, seal.try_into().ok()?)).collect()
    }

    /// What the gate refuses beyond equal votes.
    pub(super) const fn gate_rules(self) -> GateRules {
        GateRules { exclusive_skip: matches!(self, Self::Simplex) }
    }

    /// Whether the slots of its statements are heights.
    pub(super) const fn counts_heights(self) -> bool {
        !matches!(self, Self::Simplex)
    }
}
