//! Which headers belong to a chain, by the headers before them and the validators of the day.
//!
//! [`verify_proposal`] is what a validator checks before it votes, [`verify_header`] what everybody checks before a block
//! is imported: the same, and that the committed seals are there. Votes and governance fields, transactions and state are not looked at
//! here.
//!
//! Checks run in the order of the reference, so that both name the same error. It counts seals against `2F + 1` with the
//! F of the committee but over the whole council, demoted members included; for councils of `3k` that is less than what
//! validators ask for, and [`Warning::BelowLiveQuorum`] says so (chapter 50, section 3.3 b).
//!
//! Source: chapter 50, sections 1.11 and 5.11.

use alloy_primitives::{Address, B256, Bytes, U256};
use klay_core::{
    Fork, Rules,
    block::{ExtraView, Header, base_fee, price},
    config::{BlobConfig, Kip71Config},
    crypto::keccak256,
};

use super::seal;
use crate::{
    types::{WallTime, quorum},
    valset::AddressSet,
};

/// How far the clock of a proposer may run ahead, in milliseconds.
pub const ALLOWED_FUTURE_MS: u64 = 1000;
/// Least distance of two blocks, in seconds.
pub const BLOCK_PERIOD: u64 = 1;

/// Checks the BLS signature in a header since Randao. The keys stand in the registry of the chain's state.
pub trait Reveals {
    /// Whether `reveal` is the signature of `author` over `message`.
    fn verify(&self, author: Address, message: B256, reveal: &[u8]) -> bool;
}

/// What a header is checked against.
#[derive(Clone, Copy)]
pub struct HeaderContext<'a> {
    /// The forks active at the header's number.
    pub rules: Rules,
    /// The parent, if known.
    pub parent: Option<&'a Header>,
    /// Parameters of the base fee, effective at the header's number.
    pub kip71: &'a Kip71Config,
    /// Parameters of blobs, effective at the header's number.
    pub blobs: &'a BlobConfig,
    /// All registered validators.
    pub council: &'a AddressSet,
    /// Those with enough at stake.
    pub qualified: &'a AddressSet,
    /// Largest committee.
    pub committee_size: u64,
    /// `mixHash` of the parent; zero where the parent is the last block before Randao.
    pub parent_mix_hash: B256,
    /// The keys for Randao; without them only the form of the fields is checked.
    pub reveals: Option<&'a dyn Reveals>,
    /// Our clock.
    pub now: WallTime,
}

impl core::fmt::Debug for HeaderContext<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HeaderContext").field("rules", &self.rules).field("now", &self.now).finish_non_exhaustive()
    }
}

/// Something unusual about a header that is valid all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Fewer seals than validators need to decide: importable, but perhaps not what they decided.
    BelowLiveQuorum {
        /// Seals found.
        got: u32,
        /// Seals that decide.
        quorum: u32,
    },
    /// A seal of a validator that has been demoted.
    DemotedSigner(Address),
}

/// A header whose place in the chain is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who sealed it; not necessarily the proposer of its round.
    pub author: Address,
    /// Who committed it.
    pub signers: Vec<Address>,
    /// The round it says it was decided in, modulo 256; no signature covers it.
    pub round: u8,
    /// What is unusual about it.
    pub warnings: Vec<Warning>,
}

/// Why a header is refused. Texts are those of the reference where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// No base fee since Magma.
    #[error("header is missing baseFee")]
    MissingBaseFee,
    /// A base fee before Magma, or another than follows from the parent.
    #[error("invalid baseFee: have {got:?}, want {expected:?}")]
    BaseFee {
        /// What the header has.
        got: Option<U256>,
        /// What it should have.
        expected: Option<U256>,
    },
    /// The parameters give no base fee.
    #[error(transparent)]
    NoBaseFee(#[from] base_fee::ZeroGasTarget),
    /// The timestamp lies ahead; not wrong, but not yet decidable.
    #[error("block in the future")]
    Future {
        /// The header's time, in seconds.
        timestamp: u64,
        /// The latest that is accepted now, in seconds.
        limit: u64,
    },
    /// The extra-data does not decode.
    #[error("invalid extra data format")]
    Extra,
    /// The block score is not 1.
    #[error("invalid blockscore")]
    BlockScore {
        /// What the header has.
        got: U256,
    },
    /// The parent is missing or another one.
    #[error("unknown ancestor")]
    UnknownAncestor,
    /// The block follows its parent too soon.
    #[error("invalid timestamp")]
    Timestamp {
        /// The header's time, in seconds.
        got: u64,
        /// The earliest allowed, in seconds.
        earliest: u64,
    },
    /// The proposer's seal yields no key.
    #[error("invalid proposer seal")]
    Seal,
    /// The author is not a qualified validator.
    #[error("unauthorized")]
    Unauthorized {
        /// The author.
        author: Address,
    },
    /// Randao fields before the fork.
    #[error("unexpected randao fields")]
    UnexpectedRandao,
    /// Randao fields missing, of the wrong form, or not the author's.
    #[error("invalid randao fields")]
    Randao,
    /// Blob fields before the fork.
    #[error("unexpected {field} before osaka")]
    UnexpectedBlobField {
        /// Which one.
        field: &'static str,
    },
    /// Blob fields missing or wrong since the fork.
    #[error("invalid {field}: have {got:?}, want {expected:?}")]
    BlobField {
        /// Which one.
        field: &'static str,
        /// What the header has.
        got: Option<u64>,
        /// What it should have, or the limit that it exceeds.
        expected: u64,
    },
    /// No committed seal.
    #[error("zero committed seals")]
    NoCommittedSeals,
    /// A committed seal yields no key.
    #[error("invalid signature")]
    CommittedSignature {
        /// Which seal.
        index: usize,
    },
    /// A committed seal of a stranger, or a second one of the same member.
    #[error("invalid committed seals")]
    CommittedSeal {
        /// Which seal.
        index: usize,
        /// Whose it is.
        signer: Address,
    },
    /// Too few committed seals.
    #[error("invalid committed seals")]
    TooFewSeals {
        /// Seals found.
        got: u32,
        /// Seals needed.
        needed: u32,
    },
}

/// Who signed a header: what takes time about a header and depends on nothing else, so that it can be found out ahead,
/// in any order and on every core.
///
/// Belongs to the header it was made of: given with another one, checks are made against the wrong signers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderSigners {
    /// The header's hash.
    pub hash: B256,
    /// Who sealed it; `None` if the seal yields no key.
    pub author: Option<Address>,
    /// Who committed it, the first [`HeaderSigners::MOST`] of them; `None` for a seal that yields no key.
    pub committers: Vec<Option<Address>>,
}

impl HeaderSigners {
    /// Committed seals that are looked at ahead. A header has not more of them than its council has members.
    pub const MOST: usize = 1024;

    /// Recovers the signers of `header`; there are none if its extra-data does not decode.
    pub fn recover(header: &Header) -> Self {
        let hash = header.hash();
        let digest = seal::committed_digest(hash);
        let seals = ExtraView::decode(&header.extra).ok();
        let seals = seals.iter().flat_map(ExtraView::committed_seals).take(Self::MOST);
        let committers = seals.map(|seal| seal::seal_author(digest, seal.try_into().ok()?)).collect();
        Self { hash, author: header.proposer(), committers }
    }
}

/// Checks a header that is proposed and returns the author. It has no committed seals; one that has them all passes, as
/// with the reference, one with anything else in their place does not.
///
/// # Errors
/// The first check that fails.
pub fn verify_proposal(header: &Header, context: &HeaderContext<'_>) -> Result<Address, HeaderError> {
    let author = verify_content(header, context)?;
    match verify_seals(header, context) {
        Ok(_) | Err(HeaderError::NoCommittedSeals) => Ok(author),
        Err(error) => Err(error),
    }
}

/// Checks everything but the committed seals, for engines with a rule of their own for them, and returns the author.
///
/// # Errors
/// The first check that fails.
pub fn verify_content(header: &Header, context: &HeaderContext<'_>) -> Result<Address, HeaderError> {
    verify_cascade(header, context, || header.proposer())
}

fn verify_cascade(
    header: &Header,
    context: &HeaderContext<'_>,
    author: impl FnOnce() -> Option<Address>,
) -> Result<Address, HeaderError> {
    verify_base_fee(header, context)?;
    let limit = context.now.after(core::time::Duration::from_millis(ALLOWED_FUTURE_MS)).as_secs();
    if header.timestamp > limit {
        return Err(HeaderError::Future { timestamp: header.timestamp, limit });
    }
    ExtraView::decode(&header.extra).map_err(|_| HeaderError::Extra)?;
    if header.block_score != U256::from(1) {
        return Err(HeaderError::BlockScore { got: header.block_score });
    }
    let follows =
        |parent: &&Header| parent.number.checked_add(1) == Some(header.number) && parent.hash() == header.parent_hash;
    let parent = context.parent.filter(follows).ok_or(HeaderError::UnknownAncestor)?;
    let earliest = parent.timestamp.saturating_add(BLOCK_PERIOD);
    if header.timestamp < earliest {
        return Err(HeaderError::Timestamp { got: header.timestamp, earliest });
    }
    let author = author().ok_or(HeaderError::Seal)?;
    if !context.qualified.contains(author) {
        return Err(HeaderError::Unauthorized { author });
    }
    verify_randao(header, author, context)?;
    verify_blobs(header, parent, context)?;
    Ok(author)
}

/// Checks a header of a decided block.
///
/// # Errors
/// The first check that fails.
pub fn verify_header(header: &Header, context: &HeaderContext<'_>) -> Result<Verified, HeaderError> {
    let author = verify_content(header, context)?;
    let (round, signers) = verify_seals(header, context)?;
    Ok(verified(author, round, signers, context))
}

/// As [`verify_header`] for a header whose signers are known.
///
/// # Errors
/// The first check that fails.
pub fn verify_recovered(
    header: &Header,
    signers: &HeaderSigners,
    context: &HeaderContext<'_>,
) -> Result<Verified, HeaderError> {
    let author = verify_cascade(header, context, || signers.author)?;
    let (round, committers) = verify_committers(header, context, |index, seal| {
        let known = signers.committers.get(index).copied();
        known.unwrap_or_else(|| seal::seal_author(seal::committed_digest(signers.hash), seal))
    })?;
    Ok(verified(author, round, committers, context))
}

fn verified(author: Address, round: u8, signers: Vec<Address>, context: &HeaderContext<'_>) -> Verified {
    let quorum = quorum::live(voting(context));
    let got = count(&signers);
    let mut warnings = Vec::new();
    if got < quorum {
        warnings.push(Warning::BelowLiveQuorum { got, quorum });
    }
    warnings.extend(signers.iter().filter(|a| !context.qualified.contains(**a)).map(|a| Warning::DemotedSigner(*a)));
    Verified { author, signers, round, warnings }
}

/// Checks the committed seals alone and returns the round and the committers.
///
/// # Errors
/// If there are too few, or one is not of a distinct member of the council.
pub fn verify_seals(header: &Header, context: &HeaderContext<'_>) -> Result<(u8, Vec<Address>), HeaderError> {
    let digest = seal::committed_digest(header.hash());
    verify_committers(header, context, |_, seal| seal::seal_author(digest, seal))
}

fn verify_committers(
    header: &Header,
    context: &HeaderContext<'_>,
    mut signer_of: impl FnMut(usize, &seal::Seal) -> Option<Address>,
) -> Result<(u8, Vec<Address>), HeaderError> {
    let extra = ExtraView::decode(&header.extra).map_err(|_| HeaderError::Extra)?;
    let mut signers = Vec::with_capacity(context.council.len());
    let mut seals = extra.committed_seals().enumerate().peekable();
    if seals.peek().is_none() {
        return Err(HeaderError::NoCommittedSeals);
    }
    for (index, seal) in seals {
        let signer = seal.try_into().ok().and_then(|seal| signer_of(index, seal));
        let signer = signer.ok_or(HeaderError::CommittedSignature { index })?;
        if !context.council.contains(signer) || signers.contains(&signer) {
            return Err(HeaderError::CommittedSeal { index, signer });
        }
        signers.push(signer);
    }
    let needed = quorum::import(voting(context));
    if count(&signers) < needed {
        return Err(HeaderError::TooFewSeals { got: count(&signers), needed });
    }
    Ok((extra.round(), signers))
}

/// The `mixHash` that follows from a reveal.
pub fn mix_hash(parent: B256, reveal: &[u8]) -> B256 {
    parent ^ keccak256(reveal)
}

/// What the author signs with its BLS key: the block number.
pub fn randao_message(number: u64) -> B256 {
    B256::from(U256::from(number))
}

/// F is that of the committee, which is not larger than the qualified set (CM-7).
fn voting(context: &HeaderContext<'_>) -> u32 {
    u32::try_from((context.qualified.len() as u64).min(context.committee_size)).unwrap_or(u32::MAX)
}

fn count(signers: &[Address]) -> u32 {
    u32::try_from(signers.len()).unwrap_or(u32::MAX)
}

fn verify_base_fee(header: &Header, context: &HeaderContext<'_>) -> Result<(), HeaderError> {
    if !context.rules.has(Fork::Magma) {
        return match header.base_fee {
            None => Ok(()),
            got => Err(HeaderError::BaseFee { got, expected: None }),
        };
    }
    let parent = context.parent.ok_or(HeaderError::UnknownAncestor)?;
    let got = header.base_fee.ok_or(HeaderError::MissingBaseFee)?;
    let expected = base_fee::next(parent, context.kip71)?;
    if got == expected { Ok(()) } else { Err(HeaderError::BaseFee { got: Some(got), expected: Some(expected) }) }
}

fn verify_randao(header: &Header, author: Address, context: &HeaderContext<'_>) -> Result<(), HeaderError> {
    if !context.rules.has(Fork::Randao) {
        let absent = header.random_reveal.is_none() && header.mix_hash.is_none();
        return if absent { Ok(()) } else { Err(HeaderError::UnexpectedRandao) };
    }
    let reveal = header.random_reveal.as_ref().filter(|r| r.len() == 96).ok_or(HeaderError::Randao)?;
    let holds = context.reveals.is_none_or(|keys| keys.verify(author, randao_message(header.number), reveal));
    let expected = mix_hash(context.parent_mix_hash, reveal);
    let mixed = header.mix_hash.as_ref().is_some_and(|mix: &Bytes| mix[..] == expected[..]);
    if holds && mixed { Ok(()) } else { Err(HeaderError::Randao) }
}

fn verify_blobs(header: &Header, parent: &Header, context: &HeaderContext<'_>) -> Result<(), HeaderError> {
    const GAS_PER_BLOB: u64 = 131_072;
    if !context.rules.has(Fork::Osaka) {
        return match (header.excess_blob_gas, header.blob_gas_used) {
            (Some(_), _) => Err(HeaderError::UnexpectedBlobField { field: "excessBlobGas" }),
            (_, Some(_)) => Err(HeaderError::UnexpectedBlobField { field: "blobGasUsed" }),
            _ => Ok(()),
        };
    }
    let excess = price::next_excess_blob_gas(parent, context.blobs);
    let limit = context.blobs.max.saturating_mul(GAS_PER_BLOB);
    let (used, field) = (header.blob_gas_used, "blobGasUsed");
    if used.is_none_or(|used| used > limit || !used.is_multiple_of(GAS_PER_BLOB)) {
        return Err(HeaderError::BlobField { field, got: used, expected: limit });
    }
    if header.excess_blob_gas != Some(excess) {
        return Err(HeaderError::BlobField { field: "excessBlobGas", got: header.excess_blob_gas, expected: excess });
    }
    Ok(())
}
