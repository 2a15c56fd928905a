//! Who can say what, and what of it goes together.

use std::collections::{BTreeMap, HashMap};

use super::reduced::SEATS;
use crate::types::{Step, View};

/// Claims of one sender.
pub(super) type Bits = u128;

/// Votes of one round and step.
pub(super) type Ballot = (View, Step);

/// What a signature is made over.
type Digest = [u8; 32];

/// Something that commits its sender, on its way to one seat.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) from: usize,
    pub(super) bit: Bits,
    /// The number of the message.
    pub(super) parcel: u32,
}

/// What others have to say for a history to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Needs {
    /// What was heard of each sender.
    pub(super) heard: [Bits; SEATS],
    /// The proofs that were heard.
    pub(super) proofs: u64,
}

impl Needs {
    pub(super) const fn and(mut self, claim: Claim) -> Self {
        self.heard[claim.from] |= claim.bit;
        self
    }

    pub(super) const fn and_proofs(self, proofs: u64) -> Self {
        Self { proofs: self.proofs | proofs, ..self }
    }
}

/// A proof: what was signed, by how many, and the claims of each sender that are a part of it.
struct Proof {
    digest: Digest,
    signers: usize,
    parts: [Bits; SEATS],
}

/// All that was ever said.
#[derive(Default)]
pub(super) struct Voices {
    /// By sender, with what is signed in it.
    claims: [Vec<(Claim, Vec<Digest>)>; SEATS],
    numbers: HashMap<u32, Bits>,
    ballots: [BTreeMap<Ballot, Vec<Claim>>; SEATS],
    proofs: Vec<Proof>,
    /// The most that each seat says in one history.
    most: [Vec<Bits>; SEATS],
    /// Whether something was new since this was last set back.
    pub(super) grown: bool,
    /// Whether there is no room for more.
    pub(super) is_full: bool,
}

impl Voices {
    /// The bit of a claim if it is known.
    pub(super) fn known(&self, parcel: u32) -> Option<Bits> {
        self.numbers.get(&parcel).copied()
    }

    /// Takes in a new claim, and what its sender has signed in it.
    pub(super) fn claim(&mut self, parcel: u32, from: usize, to: usize, ballot: Ballot, signed: Vec<Digest>) -> Bits {
        let Some(bit) = (1 as Bits).checked_shl(self.claims[from].len() as u32) else {
            self.is_full = true;
            return 0;
        };
        let claim = Claim { from, bit, parcel };
        for proof in self.proofs.iter_mut().filter(|proof| signed.contains(&proof.digest)) {
            proof.parts[from] |= bit;
        }
        self.claims[from].push((claim, signed));
        self.numbers.insert(parcel, bit);
        self.ballots[to].entry(ballot).or_default().push(claim);
        self.grown = true;
        bit
    }

    /// The set of these proofs.
    pub(super) fn proofs(&mut self, wanted: Vec<(Digest, usize)>) -> u64 {
        let mut set = 0;
        for (digest, signers) in wanted {
            let known = |proof: &Proof| proof.digest == digest && proof.signers == signers;
            let at = self.proofs.iter().position(known).unwrap_or(self.proofs.len());
            if at == self.proofs.len() {
                let part = |claims: &Vec<(Claim, Vec<Digest>)>| {
                    let parts = claims.iter().filter(|(_, signed)| signed.contains(&digest));
                    parts.fold(0, |bits, (claim, _)| bits | claim.bit)
                };
                self.proofs.push(Proof { digest, signers, parts: self.claims.each_ref().map(part) });
            }
            let Some(bit) = 1_u64.checked_shl(at as u32) else {
                self.is_full = true;
                return set;
            };
            set |= bit;
        }
        set
    }

    /// What can come to a seat, by ballot.
    pub(super) fn ballots(&self, seat: usize) -> Vec<Vec<Claim>> {
        self.ballots[seat].values().cloned().collect()
    }

    /// The messages of a sender that are in a set.
    pub(super) fn messages(&self, from: usize, said: Bits) -> Vec<u32> {
        self.claims[from].iter().filter(|(claim, _)| said & claim.bit != 0).map(|(claim, _)| claim.parcel).collect()
    }

    /// Notes that a seat can say all this in one history.
    pub(super) fn can_say(&mut self, seat: usize, said: Bits) {
        let most = &mut self.most[seat];
        if most.iter().all(|other| said & !other != 0) {
            most.retain(|other| other & !said != 0);
            most.push(said);
            self.grown = true;
        }
    }

    /// Whether all that a seat needs which has said this can be said by the others, each in one history.
    pub(super) fn can_be(&self, seat: usize, said: Bits, needs: &Needs) -> bool {
        let mut all = [0; SEATS];
        all[seat] = said;
        self.can_be_from(0, seat, needs, &mut all)
    }

    fn can_be_from(&self, from: usize, seat: usize, needs: &Needs, all: &mut [Bits; SEATS]) -> bool {
        if from == SEATS {
            return self.is_proven(needs.proofs, all);
        }
        if from == seat || self.most[from].is_empty() {
            return self.can_be_from(from + 1, seat, needs, all);
        }
        self.most[from].iter().any(|most| {
            all[from] = *most;
            needs.heard[from] & !most == 0 && self.can_be_from(from + 1, seat, needs, all)
        })
    }

    /// Whether everything needed is said.
    pub(super) fn is_said(&self, needs: &Needs, all: &[Bits; SEATS]) -> bool {
        needs.heard.iter().zip(all).all(|(heard, said)| heard & !said == 0) && self.is_proven(needs.proofs, all)
    }

    /// Whether `less` is said wherever `more` is and a seat has said `said`.
    pub(super) fn implies(&self, seat: usize, said: Bits, more: &Needs, less: &Needs) -> bool {
        let mut all = more.heard;
        all[seat] |= said;
        self.is_said(&Needs { proofs: less.proofs & !more.proofs, ..*less }, &all)
    }

    fn is_proven(&self, proofs: u64, all: &[Bits; SEATS]) -> bool {
        let wanted = self.proofs.iter().enumerate().filter(|(at, _)| proofs >> at & 1 != 0);
        wanted.map(|(_, proof)| proof).all(|proof| {
            let signers = proof.parts.iter().zip(all).filter(|(parts, said)| *parts & *said != 0);
            signers.count() >= proof.signers
        })
    }
}
