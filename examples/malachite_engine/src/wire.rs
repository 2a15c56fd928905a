//! Messages and records in bytes.
//!
//! ```text
//! ballot   [height, round, kind, value or empty, from, signature]
//! offer    [height, round, name, proven, from, signature]
//! polka    [height, round, name, [[from, signature]...]]
//! rounds   [height, round, kind, [[kind, value or empty, from, signature]...]]
//! message  [0, ballot] | [1, offer, value] | [2, polka] | [3, rounds]
//! record   [0, ballot] | [1, offer] | [2, polka] | [3, height, round, kind] | [4, height, round, from, valid, value]
//! ```
//!
//! A round is written as one more than it is, and none as 0.

use std::fmt::Debug;

use alloy_primitives::B256;
use klay_consensus::{
    istanbul::{Klaytn, WireValue},
    types::{Codec, Limits, Malformed, Record, RecordKind, Slot},
};
use klay_core::{
    DecodeError,
    codec::{DecodeErrorKind, Reader, put_bytes, put_list_header, put_u64},
};
use malachite_types::{
    NilOrVal, PolkaCertificate, PolkaSignature, Round, RoundCertificate, RoundCertificateType, RoundSignature,
    SignedMessage, Timeout, TimeoutKind, VoteType,
};

use crate::context::{At, Ballot, Chain, Name, Offer, SignedBallot, SignedOffer, Who, put_round};

/// What nodes say to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<V: WireValue> {
    /// A vote.
    Ballot(SignedBallot<V>),
    /// A proposal and its value.
    Offer(SignedOffer<V>, V),
    /// A quorum of prevotes for a value.
    Polka(PolkaCertificate<Chain<V>>),
    /// The votes that lead into a round.
    Rounds(RoundCertificate<Chain<V>>),
}

impl<V: WireValue> Word<V> {
    /// The height it is about.
    pub fn height(&self) -> At {
        match self {
            Self::Ballot(ballot) => ballot.height,
            Self::Offer(offer, _) => offer.height,
            Self::Polka(polka) => polka.height,
            Self::Rounds(rounds) => rounds.height,
        }
    }

    /// Whether two messages differ in nothing but a value, which their proposals name.
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ballot(a), Self::Ballot(b)) => a == b,
            (Self::Offer(a, _), Self::Offer(b, _)) => a == b,
            (Self::Polka(a), Self::Polka(b)) => a == b,
            (Self::Rounds(a), Self::Rounds(b)) => a == b,
            _ => false,
        }
    }
}

/// What a node remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memo<V: WireValue> {
    /// A vote, ours or another's.
    Ballot(SignedBallot<V>),
    /// A proposal, ours or another's.
    Offer(SignedOffer<V>),
    /// A quorum of prevotes for a value.
    Polka(PolkaCertificate<Chain<V>>),
    /// A timer that fired.
    Timeout(At, Timeout),
    /// A value and what the application said of it.
    Value {
        /// The round it was first proposed in.
        round: Round,
        /// Who proposed it.
        from: Who,
        /// The verdict.
        valid: bool,
        /// The value.
        value: V,
    },
}

impl<V: WireValue> Memo<V> {
    fn height(&self) -> At {
        match self {
            Self::Ballot(ballot) => ballot.height,
            Self::Offer(offer) => offer.height,
            Self::Polka(polka) => polka.height,
            Self::Timeout(height, _) => *height,
            Self::Value { value, .. } => At(value.height().get()),
        }
    }
}

impl<V: WireValue + Debug> Record for Memo<V> {
    fn kind(&self) -> RecordKind {
        match self {
            Self::Ballot(_) | Self::Polka(_) => RecordKind::Certificate,
            Self::Offer(_) | Self::Value { .. } => RecordKind::Proposal,
            Self::Timeout(..) => RecordKind::Entered,
        }
    }

    fn slot(&self) -> Slot {
        Slot::new(self.height().0)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut content = Vec::new();
        match self {
            Self::Ballot(ballot) => {
                put_u64(0, &mut content);
                put_ballot(ballot, &mut content);
            }
            Self::Offer(offer) => {
                put_u64(1, &mut content);
                put_offer(offer, &mut content);
            }
            Self::Polka(polka) => {
                put_u64(2, &mut content);
                put_polka(polka, &mut content);
            }
            Self::Timeout(height, timeout) => {
                put_u64(3, &mut content);
                put_u64(height.0, &mut content);
                put_round(timeout.round, &mut content);
                put_u64(timer_code(timeout.kind), &mut content);
            }
            Self::Value { round, from, valid, value } => {
                put_u64(4, &mut content);
                put_u64(value.height().get(), &mut content);
                put_round(*round, &mut content);
                put_bytes(from.0.as_slice(), &mut content);
                put_u64((*valid).into(), &mut content);
                value.encode(&mut content);
            }
        }
        put_list(&content, out);
    }

    fn decode(kind: RecordKind, bytes: &[u8]) -> Result<Self, Malformed> {
        let (tag, mut list) = open(bytes)?;
        let memo = match tag {
            0 => Self::Ballot(ballot(&mut list)?),
            1 => Self::Offer(offer(&mut list)?),
            2 => Self::Polka(polka(&mut list, Limits::default())?),
            3 => {
                let (height, round) = place(&mut list)?;
                Self::Timeout(height, Timeout::new(round, timer_kind(list.u64("kind")?)?))
            }
            4 => {
                let (height, round) = place(&mut list)?;
                let from = Who(list.address("from")?);
                let valid = list.bool("valid")?;
                let mismatch = list.error("value", DecodeErrorKind::Invalid("value of another height"));
                let value = V::decode(&mut list)?;
                if value.height().get() != height.0 {
                    return Err(mismatch.into());
                }
                Self::Value { round, from, valid, value }
            }
            code => return Err(Malformed::Unknown { what: "record", code }),
        };
        list.end("record")?;
        if memo.kind() != kind {
            return Err(Malformed::Unknown { what: "kind of this record", code: kind as u64 });
        }
        Ok(memo)
    }
}

/// The wire form.
#[derive(Debug, Clone, Copy, Default)]
pub struct WordCodec;

impl<V: WireValue> Codec<Klaytn<V>> for WordCodec {
    type Msg = Word<V>;

    fn encode(&self, word: &Word<V>, out: &mut Vec<u8>) {
        let mut content = Vec::new();
        match word {
            Word::Ballot(ballot) => {
                put_u64(0, &mut content);
                put_ballot(ballot, &mut content);
            }
            Word::Offer(offer, value) => {
                put_u64(1, &mut content);
                put_offer(offer, &mut content);
                value.encode(&mut content);
            }
            Word::Polka(polka) => {
                put_u64(2, &mut content);
                put_polka(polka, &mut content);
            }
            Word::Rounds(rounds) => {
                put_u64(3, &mut content);
                put_rounds(rounds, &mut content);
            }
        }
        put_list(&content, out);
    }

    fn decode(&self, bytes: &[u8], limits: Limits) -> Result<Word<V>, Malformed> {
        if bytes.len() > limits.message {
            return Err(Malformed::TooLarge { got: bytes.len(), limit: limits.message });
        }
        let (tag, mut list) = open(bytes)?;
        let word = match tag {
            0 => Word::Ballot(ballot(&mut list)?),
            1 => {
                let offer = offer(&mut list)?;
                let mismatch = list.error("value", DecodeErrorKind::Invalid("value of another name or height"));
                let value = V::decode(&mut list)?;
                if value.id() != offer.value.0 || value.height().get() != offer.height.0 {
                    return Err(mismatch.into());
                }
                Word::Offer(offer, value)
            }
            2 => Word::Polka(polka(&mut list, limits)?),
            3 => Word::Rounds(rounds(&mut list, limits)?),
            code => return Err(Malformed::Unknown { what: "message", code }),
        };
        list.end("message")?;
        Ok(word)
    }
}

fn put_list(content: &[u8], out: &mut Vec<u8>) {
    put_list_header(content.len(), out);
    out.extend_from_slice(content);
}

fn put_value(value: &NilOrVal<Name>, out: &mut Vec<u8>) {
    match value {
        NilOrVal::Nil => put_bytes(&[], out),
        NilOrVal::Val(name) => put_bytes(name.0.as_slice(), out),
    }
}

fn put_ballot<V: WireValue>(ballot: &SignedBallot<V>, out: &mut Vec<u8>) {
    let mut content = Vec::with_capacity(160);
    put_u64(ballot.height.0, &mut content);
    put_round(ballot.round, &mut content);
    put_u64(vote_code(ballot.kind), &mut content);
    put_value(&ballot.value, &mut content);
    put_bytes(ballot.from.0.as_slice(), &mut content);
    put_bytes(&ballot.signature, &mut content);
    put_list(&content, out);
}

fn put_offer<V: WireValue>(offer: &SignedOffer<V>, out: &mut Vec<u8>) {
    let mut content = Vec::with_capacity(160);
    put_u64(offer.height.0, &mut content);
    put_round(offer.round, &mut content);
    put_bytes(offer.value.0.as_slice(), &mut content);
    put_round(offer.proven, &mut content);
    put_bytes(offer.from.0.as_slice(), &mut content);
    put_bytes(&offer.signature, &mut content);
    put_list(&content, out);
}

fn put_polka<V: WireValue>(polka: &PolkaCertificate<Chain<V>>, out: &mut Vec<u8>) {
    let mut content = Vec::new();
    put_u64(polka.height.0, &mut content);
    put_round(polka.round, &mut content);
    put_bytes(polka.value_id.0.as_slice(), &mut content);
    let mut signatures = Vec::new();
    for by in &polka.polka_signatures {
        let mut one = Vec::with_capacity(96);
        put_bytes(by.address.0.as_slice(), &mut one);
        put_bytes(&by.signature, &mut one);
        put_list(&one, &mut signatures);
    }
    put_list(&signatures, &mut content);
    put_list(&content, out);
}

fn put_rounds<V: WireValue>(rounds: &RoundCertificate<Chain<V>>, out: &mut Vec<u8>) {
    let mut content = Vec::new();
    put_u64(rounds.height.0, &mut content);
    put_round(rounds.round, &mut content);
    put_u64((rounds.cert_type == RoundCertificateType::Precommit).into(), &mut content);
    let mut signatures = Vec::new();
    for by in &rounds.round_signatures {
        let mut one = Vec::with_capacity(128);
        put_u64(vote_code(by.vote_type), &mut one);
        put_value(&by.value_id, &mut one);
        put_bytes(by.address.0.as_slice(), &mut one);
        put_bytes(&by.signature, &mut one);
        put_list(&one, &mut signatures);
    }
    put_list(&signatures, &mut content);
    put_list(&content, out);
}

fn open(bytes: &[u8]) -> Result<(u64, Reader<'_>), DecodeError> {
    let mut input = Reader::new(bytes);
    let mut list = input.list("message")?;
    input.end("message")?;
    Ok((list.u64("tag")?, list))
}

fn place(list: &mut Reader<'_>) -> Result<(At, Round), DecodeError> {
    Ok((At(list.u64("height")?), round(list)?))
}

fn round(list: &mut Reader<'_>) -> Result<Round, DecodeError> {
    let too_large = list.error("round", DecodeErrorKind::Invalid("round out of range"));
    match list.u64("round")?.checked_sub(1) {
        None => Ok(Round::Nil),
        // The last round has none after it.
        Some(round) => u32::try_from(round).ok().filter(|r| *r < u32::MAX).map(Round::new).ok_or(too_large),
    }
}

fn value(list: &mut Reader<'_>) -> Result<NilOrVal<Name>, DecodeError> {
    let wrong = list.error("value", DecodeErrorKind::Invalid("neither a name nor nothing"));
    let bytes = list.bytes("value")?;
    if bytes.is_empty() {
        return Ok(NilOrVal::Nil);
    }
    B256::try_from(bytes).map(|name| NilOrVal::Val(Name(name))).map_err(|_| wrong)
}

fn ballot<V: WireValue>(reader: &mut Reader<'_>) -> Result<SignedBallot<V>, DecodeError> {
    let mut list = reader.list("ballot")?;
    let (height, round) = place(&mut list)?;
    let kind = vote_type(&mut list)?;
    let value = value(&mut list)?;
    let from = Who(list.address("from")?);
    let signature = list.fixed("signature")?;
    list.end("ballot")?;
    Ok(SignedMessage::new(Ballot { height, round, kind, value, from }, signature))
}

fn offer<V: WireValue>(reader: &mut Reader<'_>) -> Result<SignedOffer<V>, DecodeError> {
    let mut list = reader.list("offer")?;
    let (height, round) = place(&mut list)?;
    let value = Name(list.hash("name")?);
    let proven = self::round(&mut list)?;
    let from = Who(list.address("from")?);
    let signature = list.fixed("signature")?;
    list.end("offer")?;
    Ok(SignedMessage::new(Offer { height, round, value, proven, from }, signature))
}

fn polka<V: WireValue>(reader: &mut Reader<'_>, limits: Limits) -> Result<PolkaCertificate<Chain<V>>, Malformed> {
    let mut list = reader.list("polka")?;
    let (height, round) = place(&mut list)?;
    let value_id = Name(list.hash("name")?);
    let polka_signatures = each(&mut list, limits, |one| {
        let address = Who(one.address("from")?);
        Ok(PolkaSignature { address, signature: one.fixed("signature")? })
    })?;
    list.end("polka")?;
    Ok(PolkaCertificate { height, round, value_id, polka_signatures })
}

fn rounds<V: WireValue>(reader: &mut Reader<'_>, limits: Limits) -> Result<RoundCertificate<Chain<V>>, Malformed> {
    let mut list = reader.list("rounds")?;
    let (height, round) = place(&mut list)?;
    let cert_type = if list.bool("kind")? { RoundCertificateType::Precommit } else { RoundCertificateType::Skip };
    let round_signatures = each(&mut list, limits, |one| {
        let (vote_type, value_id) = (vote_type(one)?, value(one)?);
        let address = Who(one.address("from")?);
        Ok(RoundSignature { vote_type, value_id, address, signature: one.fixed("signature")? })
    })?;
    list.end("rounds")?;
    Ok(RoundCertificate { height, round, cert_type, round_signatures })
}

fn each<T>(
    reader: &mut Reader<'_>,
    limits: Limits,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, Malformed> {
    let mut list = reader.list("signatures")?;
    let mut all = Vec::new();
    while !list.is_empty() {
        if all.len() >= limits.entries {
            return Err(Malformed::TooMany { what: "signatures", got: all.len() + 1, limit: limits.entries });
        }
        let mut one = list.list("signature")?;
        all.push(read(&mut one)?);
        one.end("signature")?;
    }
    Ok(all)
}

const fn vote_code(kind: VoteType) -> u64 {
    match kind {
        VoteType::Prevote => 0,
        VoteType::Precommit => 1,
    }
}

fn vote_type(list: &mut Reader<'_>) -> Result<VoteType, DecodeError> {
    Ok(if list.bool("kind")? { VoteType::Precommit } else { VoteType::Prevote })
}

pub(crate) const fn timer_code(kind: TimeoutKind) -> u64 {
    match kind {
        TimeoutKind::Propose => 0,
        TimeoutKind::Prevote => 1,
        TimeoutKind::Precommit => 2,
        TimeoutKind::Rebroadcast => 3,
        TimeoutKind::FinalizeHeight(_) => 4,
    }
}

const fn timer_kind(code: u64) -> Result<TimeoutKind, Malformed> {
    match code {
        0 => Ok(TimeoutKind::Propose),
        1 => Ok(TimeoutKind::Prevote),
        2 => Ok(TimeoutKind::Precommit),
        3 => Ok(TimeoutKind::Rebroadcast),
        code => Err(Malformed::Unknown { what: "timer", code }),
    }
}
