//! What stands alone: certificates, decided headers, and where a value keeps its view.
//!
//! | Bytes of `extra` | Content |
//! |---|---|
//! | 23..30 | the view in which the value was first proposed, big-endian; part of the block hash |
//! | 31 | how many views later a quorum finalized it or a descendant, its low 8 bits; 0 nearly always |
//!
//! So two views never propose the same new value, and a header carries all that its committed seals were made over.

use alloy_primitives::{Address, B256};
use klay_core::block::Header;

use super::{Certificate, Kind, PASSED_OVER, Vote, final_digest};
use crate::{
    istanbul::{
        CommittedSeals, HeaderValue,
        seal::{self, Authors},
    },
    types::{Committee, Slot},
};

const VIEW: core::ops::Range<usize> = 23..31;

/// The view in which a value was first proposed; `None` if its `extra` is too short.
pub fn proposed_in(header: &Header) -> Option<Slot> {
    let bytes = header.extra.get(VIEW)?.try_into().ok()?;
    Some(Slot::new(u64::from_be_bytes(bytes)))
}

/// The value with its view written into it. Changes its name.
pub(super) fn with_view<V: HeaderValue>(value: V, view: Slot) -> Option<V> {
    let mut extra = value.header().extra.to_vec();
    extra.get_mut(VIEW)?.copy_from_slice(&view.get().to_be_bytes());
    *extra.get_mut(31)? = 0;
    Some(value.with_extra(extra.into()))
}

/// Whether a certificate holds in the committee of its view.
pub fn certificate_holds(
    certificate: &Certificate,
    domain: B256,
    committee: &Committee<Address>,
    authors: &dyn Authors,
) -> bool {
    let Vote { kind, id, .. } = certificate.vote;
    let sound = kind != Kind::Proposal && (kind == Kind::Nullify) == id.is_zero();
    sound && seal::is_quorum(certificate.vote.digest(domain), &certificate.seals, committee, authors)
}

/// The views in which a quorum may have made a header's committed seals, lowest first; `later` is the byte that the header
/// has: the low 8 bits of how many views later than the value's own. Empty if the header does not say its view.
pub fn sealed_views(header: &Header, later: u8) -> impl Iterator<Item = Slot> + use<> {
    let first = proposed_in(header);
    let later = (u64::from(later)..=u64::from(later) + PASSED_OVER).step_by(1 << u8::BITS);
    first.into_iter().flat_map(move |first| later.clone().map(move |later| first.saturating_add(later)))
}

/// Whether `cert` proves that a value is final, in the committee of its views. All that an importing node needs. A header
/// has 8 bits for how many views later that was, which may be more than 255.
pub fn decision_holds<V: HeaderValue>(
    value: &V,
    cert: &CommittedSeals,
    committee: &Committee<Address>,
    authors: &dyn Authors,
) -> bool {
    let exact = proposed_in(value.header()).map(|first| first.saturating_add(cert.round.get()));
    let others = sealed_views(value.header(), cert.round.get() as u8).filter(|view| Some(*view) != exact);
    exact.into_iter().chain(others).any(|view| {
        let digest = final_digest(value.id(), view);
        seal::is_quorum(digest, &cert.seals, committee, authors)
    })
}
