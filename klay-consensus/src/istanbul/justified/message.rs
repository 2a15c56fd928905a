//! The messages: one signed vote each, and what it rests on.
//!
//! ```text
//! vote     [kind, round, slot, digest, [] or [preparedRound, preparedDigest]]
//! signed   [vote, address, signature, committedSeal]
//! message  [signed, 0x80 or value, [signed round changes...], [signed prepares...]]
//! ```
//!
//! A signature is over `keccak(domain ‖ vote ‖ committedSeal)`. The domain is a digest of chain and protocol, so that no signature of
//! one chain or of another protocol is one here. What a vote rests on is not signed: each part of it is signed by
//! itself. So nobody passes messages on, and proposals and requests count from their signers alone.

use alloy_primitives::{Address, B256, Bytes};
use klay_core::{
    DecodeError,
    codec::{DecodeErrorKind, Reader, put_bytes, put_list_header, put_u64},
    crypto::keccak256,
};

use super::super::{
    Klaytn, WireValue,
    seal::{Authors, Seal},
};
use crate::types::{Codec, Limits, Malformed, Round, Slot, Statement, Step, View};

/// What a vote is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Puts a value forward.
    Proposal = 0,
    /// The first vote.
    Prepare = 1,
    /// The second vote.
    Commit = 2,
    /// Asks for a round, and says what was prepared before.
    RoundChange = 3,
}

/// What was prepared: the round and the value's name.
pub type Claim = (Round, B256);

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// What it is.
    pub kind: Kind,
    /// Where; of a round change, the round asked for.
    pub view: View,
    /// The value; zero in a round change.
    pub digest: B256,
    /// The highest round in which the sender has prepared a value, in a round change.
    pub prepared: Option<Claim>,
}

impl Vote {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut content = Vec::with_capacity(96);
        put_u64(self.kind as u64, &mut content);
        put_u64(self.view.round.get(), &mut content);
        put_u64(self.view.slot.get(), &mut content);
        put_bytes(self.digest.as_slice(), &mut content);
        let mut claim = Vec::new();
        if let Some((round, digest)) = self.prepared {
            put_u64(round.get(), &mut claim);
            put_bytes(digest.as_slice(), &mut claim);
        }
        put_list_header(claim.len(), &mut content);
        content.extend_from_slice(&claim);
        put_list_header(content.len(), out);
        out.extend_from_slice(&content);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut list = reader.list("vote")?;
        let unknown = list.error("vote.kind", DecodeErrorKind::Invalid("unknown kind of vote"));
        let kind = match list.u64("vote.kind")? {
            0 => Kind::Proposal,
            1 => Kind::Prepare,
            2 => Kind::Commit,
            3 => Kind::RoundChange,
            _ => return Err(unknown),
        };
        let round = Round::new(list.u64("vote.round")?);
        let slot = Slot::new(list.u64("vote.slot")?);
        let digest = list.hash("vote.digest")?;
        let mut claim = list.list("vote.prepared")?;
        list.end("vote")?;
        let mut prepared = None;
        if !claim.is_empty() {
            prepared = Some((Round::new(claim.u64("vote.prepared.round")?), claim.hash("vote.prepared.digest")?));
            claim.end("vote.prepared")?;
        }
        Ok(Self { kind, view: View { slot, round }, digest, prepared })
    }

    /// What the gate is told.
    pub const fn statement(&self, content: B256) -> Statement {
        match self.kind {
            Kind::Proposal => Statement::about(self.view, Step::Proposal, content.0),
            Kind::Prepare => Statement::about(self.view, Step::Vote1, self.digest.0),
            Kind::Commit => Statement::about(self.view, Step::Vote2, self.digest.0),
            Kind::RoundChange => {
                let left = Round::new(self.view.round.get().saturating_sub(1));
                Statement::skip(View::new(self.view.slot, left))
            }
        }
    }
}

/// A vote with its signature, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedVote {
    /// The vote.
    pub vote: Vote,
    /// Who claims to send it.
    pub from: Address,
    /// `r ‖ s ‖ v`.
    pub signature: Bytes,
    /// The seal of a commit; empty otherwise.
    pub seal: Bytes,
}

impl SignedVote {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut content = Vec::with_capacity(256);
        self.vote.encode(&mut content);
        put_bytes(self.from.as_slice(), &mut content);
        put_bytes(&self.signature, &mut content);
        put_bytes(&self.seal, &mut content);
        put_list_header(content.len(), out);
        out.extend_from_slice(&content);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut list = reader.list("signed")?;
        let vote = Vote::decode(&mut list)?;
        let from = list.address("signed.from")?;
        let signature = Bytes::copy_from_slice(list.bytes("signed.signature")?);
        let seal = Bytes::copy_from_slice(list.bytes("signed.seal")?);
        list.end("signed")?;
        Ok(Self { vote, from, signature, seal })
    }

    /// What is signed: vote and seal.
    pub fn signing_digest(&self, domain: B256) -> B256 {
        let mut preimage = domain.to_vec();
        self.vote.encode(&mut preimage);
        put_bytes(&self.seal, &mut preimage);
        keccak256(preimage)
    }

    /// Whether the sender has signed it.
    pub fn is_signed(&self, domain: B256, authors: &dyn Authors) -> bool {
        let Ok(signature) = Seal::try_from(&self.signature[..]) else { return false };
        authors.author(self.signing_digest(domain), &signature) == Some(self.from)
    }

    /// Whether the seal of a commit is the sender's.
    pub fn is_sealed(&self, authors: &dyn Authors) -> bool {
        let Ok(seal) = Seal::try_from(&self.seal[..]) else { return false };
        authors.author(seal_digest(self.vote.digest, self.vote.view.round), &seal) == Some(self.from)
    }
}

/// What a committed seal signs: block hash, the code of a commit, and the round, which is agreed here, unlike in the
/// reference: its low 8 bits, then the rest of it in 8 bytes unless that is zero. A header has the low 8 bits alone, so
/// whoever imports it tries the rounds that end so (see [`sealed_rounds`]).
pub fn seal_digest(id: B256, round: Round) -> B256 {
    let mut preimage = [id.as_slice(), &[2, round.get() as u8]].concat();
    let high = round.get() >> 8;
    if high > 0 {
        preimage.extend_from_slice(&high.to_be_bytes());
    }
    keccak256(preimage)
}

/// Rounds whose low 8 bits a header has, lowest first, up to round 16,383: days of the longest waits.
pub fn sealed_rounds(low: u8) -> impl Iterator<Item = Round> {
    (0..64).map(move |high: u64| Round::new(high << u8::BITS | u64::from(low)))
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JustifiedMessage<V> {
    /// The vote.
    pub signed: SignedVote,
    /// The value of a proposal, or the prepared one of a round change.
    pub value: Option<V>,
    /// Of a proposal after round 0: a quorum of requests for its round.
    pub round_changes: Vec<SignedVote>,
    /// The prepares behind the value of a round change, or behind a value that is proposed again.
    pub prepares: Vec<SignedVote>,
}

impl<V> JustifiedMessage<V> {
    /// A vote that rests on nothing.
    pub const fn plain(signed: SignedVote) -> Self {
        Self { signed, value: None, round_changes: Vec::new(), prepares: Vec::new() }
    }

    /// Whether it carries nothing beside the vote.
    pub const fn is_plain(&self) -> bool {
        self.value.is_none() && self.round_changes.is_empty() && self.prepares.is_empty()
    }

    /// Whether only its signer may hand it over. What a proposal or a request rests on is not signed: on the way it could
    /// be replaced by something that is refused, and the genuine message behind it would be known already.
    pub const fn comes_from_its_signer(&self) -> bool {
        matches!(self.signed.vote.kind, Kind::Proposal | Kind::RoundChange)
    }

    /// Whether it carries nothing that messages of its kind do not have. Nothing would ever read it, and whatever passes
    /// the vote on could put it there, as no signature covers it.
    pub fn is_in_shape(&self) -> bool {
        let seal = self.signed.seal.len();
        match self.signed.vote.kind {
            Kind::Proposal => seal == 0,
            Kind::Prepare => seal == 0 && self.is_plain(),
            // A seal that is none proves an offence, but it does not have to be long for that.
            Kind::Commit => seal <= size_of::<Seal>() && self.is_plain(),
            Kind::RoundChange => seal == 0 && self.round_changes.is_empty(),
        }
    }
}

impl<V: WireValue> JustifiedMessage<V> {
    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut content = Vec::new();
        self.signed.encode(&mut content);
        match &self.value {
            Some(value) => value.encode(&mut content),
            None => content.push(0x80),
        }
        for votes in [&self.round_changes, &self.prepares] {
            let mut list = Vec::new();
            votes.iter().for_each(|vote| vote.encode(&mut list));
            put_list_header(list.len(), &mut content);
            content.extend_from_slice(&list);
        }
        put_list_header(content.len(), out);
        out.extend_from_slice(&content);
    }

    /// Reads exactly one message.
    ///
    /// # Errors
    /// If the bytes are not one, or exceed the limits.
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self, Malformed> {
        if bytes.len() > limits.message {
            return Err(Malformed::TooLarge { got: bytes.len(), limit: limits.message });
        }
        let mut input = Reader::new(bytes);
        let mut list = input.list("message")?;
        input.end("message")?;
        let signed = SignedVote::decode(&mut list)?;
        let value = if list.next_is_list() {
            // An eighth is left for what proves it: a value that can be proposed can be claimed and proposed again.
            let before = list.rest().len();
            let value = V::decode(&mut list)?;
            let (got, limit) = (before - list.rest().len(), limits.message - limits.message / 8);
            if got > limit {
                return Err(Malformed::TooLarge { got, limit });
            }
            Some(value)
        } else {
            let empty = list.bytes("message.value")?;
            if !empty.is_empty() {
                return Err(Malformed::Length { what: "absent value", expected: 0, got: empty.len() });
            }
            None
        };
        let round_changes = votes(&mut list, "message.roundChanges", limits)?;
        let prepares = votes(&mut list, "message.prepares", limits)?;
        list.end("message")?;
        Ok(Self { signed, value, round_changes, prepares })
    }
}

fn votes(reader: &mut Reader<'_>, what: &'static str, limits: Limits) -> Result<Vec<SignedVote>, Malformed> {
    let mut list = reader.list(what)?;
    let mut votes = Vec::new();
    while !list.is_empty() {
        if votes.len() >= limits.entries {
            return Err(Malformed::TooMany { what, got: votes.len() + 1, limit: limits.entries });
        }
        votes.push(SignedVote::decode(&mut list)?);
    }
    Ok(votes)
}

/// The wire form of the messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct JustifiedCodec;

impl<V: WireValue> Codec<Klaytn<V>> for JustifiedCodec {
    type Msg = JustifiedMessage<V>;

    fn encode(&self, msg: &Self::Msg, out: &mut Vec<u8>) {
        msg.encode(out);
    }

    fn decode(&self, bytes: &[u8], limits: Limits) -> Result<Self::Msg, Malformed> {
        JustifiedMessage::decode(bytes, limits)
    }
}
