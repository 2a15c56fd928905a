//! The engines that a network can run, by name. Another one is a line here and an arm where it is
//! hosted.

use klay_consensus::{
    gate::{GateOpenError, GateRules, Resume},
    istanbul::{justified, seal},
    simplex,
    types::{Round, Slot},
    valset::{AddressSet, SelectError},
};
use klay_core::{
    Address, B256,
    block::{ExtraView, Header},
};

use super::DriverError;
use crate::council::BlockCouncil;

/// What a committed seal may sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealed {
    pub(super) digest: B256,
    /// Whose committee alone may have made it.
    pub(super) round: Option<Round>,
}

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

    /// What the committed seals of a header may sign, likeliest first, each with the round whose committee alone may have
    /// made them (`None`: the whole council). `low` is what the header has for the round: its low 8 bits.
    ///
    /// # Errors
    /// If the header does not say enough, or names the view of another height.
    pub(super) fn sealed(self, header: &Header, hash: B256, low: u8) -> Result<Vec<Sealed>, &'static str> {
        match self {
            Self::Dev | Self::Istanbul => Ok(vec![Sealed { digest: seal::committed_digest(hash), round: None }]),
            Self::Justified => Ok(justified::sealed_rounds(low)
                .map(|round| Sealed { digest: justified::seal_digest(hash, round), round: Some(round) })
                .collect()),
            Self::Simplex => {
                // Each height is an epoch of its own: see where the engine is hosted.
                let views = simplex::sealed_views(header, low).map(|view| (view, simplex::place_of(view)));
                let of_height = views.filter(|(_, (epoch, _))| Some(*epoch) == header.number.checked_sub(1));
                let sealed = of_height
                    .map(|(view, (_, round))| Sealed { digest: simplex::final_digest(hash, view), round: Some(round) });
                let sealed: Vec<_> = sealed.collect();
                if sealed.is_empty() { Err("no view of this height") } else { Ok(sealed) }
            }
        }
    }

    /// Who votes about a block in a round. With justified rounds that is everybody who is qualified, in every round:
    /// committees that change with the round would share no honest member.
    ///
    /// # Errors
    /// If nobody is qualified.
    pub(crate) fn members(self, council: &BlockCouncil, round: Round) -> Result<Vec<Address>, SelectError> {
        let drawn = council.committee(round.get())?;
        Ok(if self == Self::Justified { council.qualified().as_slice().to_vec() } else { drawn })
    }

    /// How many they count as.
    pub(super) fn voting_size(self, council: &BlockCouncil) -> u32 {
        match self {
            Self::Justified => u32::try_from(council.qualified().len()).unwrap_or(u32::MAX),
            _ => council.voting_size(),
        }
    }

    /// What the seals of a block in the chain are over: the first is of somebody who is registered.
    fn sealed_as(self, header: &Header, hash: B256, registered: &AddressSet) -> Option<Sealed> {
        let extra = ExtraView::decode(&header.extra).ok()?;
        let sealed = self.sealed(header, hash, extra.round()).ok()?;
        let first: Option<&[u8; 65]> = extra.committed_seals().next().and_then(|seal| seal.try_into().ok());
        match (&sealed[..], first) {
            ([only], _) => Some(*only),
            (several, None) => several.first().copied(),
            (several, Some(seal)) => {
                let is_voter = |signer: Address| registered.contains(signer);
                several.iter().copied().find(|s| seal::seal_author(s.digest, seal).is_some_and(is_voter))
            }
        }
    }

    /// The round that decided a block in the chain, as its committee is asked for. `None` if its header does not say it.
    pub(crate) fn decided_in(self, header: &Header, hash: B256, registered: &AddressSet) -> Option<Round> {
        if header.number == 0 {
            return Some(Round::ZERO);
        }
        let low = ExtraView::decode(&header.extra).ok()?.round();
        Some(self.sealed_as(header, hash, registered)?.round.unwrap_or(Round::new(low.into())))
    }

    /// Who has committed to a block in the chain, in the order of its seals; `None` if one of them is nobody's.
    pub(crate) fn committers(self, header: &Header, hash: B256, registered: &AddressSet) -> Option<Vec<Address>> {
        let extra = ExtraView::decode(&header.extra).ok()?;
        let digest = self.sealed_as(header, hash, registered)?.digest;
        extra.committed_seals().map(|seal| seal::seal_author(digest, seal.try_into().ok()?)).collect()
    }

    /// What the gate refuses beyond equal votes.
    pub(super) const fn gate_rules(self) -> GateRules {
        GateRules { exclusive_skip: matches!(self, Self::Simplex) }
    }

    /// The last slot of a block: whatever is said about later blocks is said above it. Slots are heights but for
    /// Simplex, where each block has an epoch of views to itself.
    pub(super) const fn last_slot(self, number: u64) -> Slot {
        match self {
            Self::Simplex => simplex::before_epoch(number),
            Self::Dev | Self::Istanbul | Self::Justified => Slot::new(number),
        }
    }

    /// The block that something in a slot was said about.
    pub(super) const fn block_of(self, slot: Slot) -> u64 {
        match self {
            Self::Simplex => match slot.prev() {
                Some(before) => simplex::place_of(before).0.saturating_add(1),
                None => 0,
            },
            Self::Dev | Self::Istanbul | Self::Justified => slot.get(),
        }
    }

    /// An operator's word that no copy of a key has signed anything about this block or a later one.
    pub(super) fn resume(self, number: u64) -> Resume {
        let unsigned = number.checked_sub(1).map_or(Slot::ZERO, |before| self.last_slot(before).saturating_add(1));
        Resume { unsigned, above: self.last_slot(number) }
    }

    /// Names blocks, not slots, where an operator has to choose one.
    pub(super) fn refusal(self, error: GateOpenError) -> DriverError {
        let block = |slot| self.block_of(slot);
        match error {
            GateOpenError::LostLog { anchor, log } => {
                DriverError::LostLog { signed: block(anchor), log: log.map(block) }
            }
            GateOpenError::ResumeTooLow { unsigned, anchor } => {
                DriverError::ResumeTooLow { resume: block(unsigned), signed: block(anchor) }
            }
            error => error.into(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use klay_consensus::{
        gate::{Gate, GateOptions},
        istanbul::seal::KeySigner,
        types::{Statement, View},
        wal::{Identity, MemoryDisk},
    };

    use super::*;
    use crate::driver::NodeGate;

    #[test]
    fn a_block_ends_where_the_next_one_begins() {
        for engine in EngineKind::ALL {
            for number in [0, 1, 2, 1_000, 250_000_000] {
                let last = engine.last_slot(number);
                assert_eq!(engine.block_of(last), number, "{engine:?}");
                assert_eq!(engine.block_of(last.saturating_add(1)), number + 1, "{engine:?}");
            }
        }
        // The views of block 3: each block is an epoch.
        let view = Slot::new((2 << 32) + 7);
        assert_eq!((simplex::place_of(view).0, EngineKind::Simplex.block_of(view)), (2, 3));
        assert_eq!(EngineKind::Simplex.last_slot(u64::MAX), Slot::new(u64::MAX));
    }

    /// The gate of a key over a log, opened as a node opens it.
    fn open(
        engine: EngineKind,
        log: &MemoryDisk,
        anchor: &MemoryDisk,
        resume: Option<u64>,
    ) -> Result<NodeGate<MemoryDisk>, String> {
        let key = klay_accounts::wallet::SecretKey::from_slice(&[1; 32]).unwrap();
        let identity = Identity { chain_id: 1, key: key.address().to_vec(), engine: engine.name().to_owned() };
        let resume = resume.map(|number| engine.resume(number));
        let options = GateOptions { rules: engine.gate_rules(), resume, ..GateOptions::default() };
        let opened = Gate::open(KeySigner::new(key), log.clone(), Some(anchor.clone()), identity, options);
        opened.map(|(gate, _)| gate).map_err(|error| engine.refusal(error).to_string())
    }

    #[test]
    fn an_operator_names_blocks_whatever_the_engine_counts() {
        for engine in EngineKind::ALL {
            // Something said about a block, in its first slot.
            let say = |gate: &mut NodeGate<MemoryDisk>, number: u64| {
                let statement = Statement::skip(View::first(engine.last_slot(number - 1).saturating_add(1)));
                let admitted = gate.authorize(&statement).map_err(|error| error.to_string())?;
                let domain = klay_consensus::types::Domain::Message;
                let signed =
                    gate.sign::<klay_consensus::istanbul::Klaytn<super::super::Proposal>>(admitted, domain, [9; 32]);
                signed.map(drop).map_err(|error| error.to_string())
            };
            let (log, anchor) = (MemoryDisk::new(), MemoryDisk::new());
            say(&mut open(engine, &log, &anchor, None).unwrap(), 7).unwrap();

            let fresh = MemoryDisk::new();
            let lost = open(engine, &fresh, &anchor, None).unwrap_err();
            assert_eq!(lost, "the key has signed in block 7, the log ends at none", "{engine:?}");
            let low = open(engine, &fresh, &anchor, Some(7)).unwrap_err();
            assert_eq!(low, "cannot resume above block 7: the key has signed in block 7", "{engine:?}");
            let mut gate = open(engine, &fresh, &anchor, Some(8)).unwrap();
            assert!(say(&mut gate, 8).is_err(), "{engine:?}");
            say(&mut gate, 9).unwrap();
        }
    }
}
