//! What the labs of this crate decide about, and who decides.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use core::{fmt, ops::Range};

use alloy_primitives::{Address, B256, Bytes};
use klay_core::{
    DecodeError,
    block::Header,
    codec::{DecodeErrorKind, Reader, put_bytes, put_list_header, put_u64},
    crypto::keccak256,
};

use super::{Faults, Stream};
use crate::{
    istanbul::{
        CommittedSeals, HeaderValue, Klaytn, WireValue,
        seal::{self, Authors, Seal},
    },
    types::{Committee, Committees, Evidence, Height, Limits, NotYet, Round, Value},
    valset::AddressSet,
};

/// A value of the lab: a header whose name is the hash of a few words.
#[derive(Clone, PartialEq, Eq)]
pub struct LabValue {
    header: Arc<Header>,
    id: B256,
    valid: bool,
}

impl fmt::Debug for LabValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Header { number, parent_hash, extra, .. } = &*self.header;
        write!(f, "{:x} at {number} on {parent_hash:x}, {}, {extra:x}", self.id, self.valid)
    }
}

impl LabValue {
    /// A value on `parent`.
    pub fn new(height: Height, parent: B256, salt: u64, valid: bool) -> Self {
        let mut words = [0; 41];
        words[..32].copy_from_slice(parent.as_slice());
        words[32..40].copy_from_slice(&salt.to_be_bytes());
        words[40] = u8::from(valid);
        // Sealed from the start: who proposes is said by the message.
        Self::with(height, parent, keccak256(words), valid, seal::new_extra(b"", Vec::new()))
    }

    fn with(height: Height, parent: B256, id: B256, valid: bool, extra: Bytes) -> Self {
        let header = Header { number: height.get(), parent_hash: parent, extra, ..Header::default() };
        Self { header: Arc::new(header), id, valid }
    }

    /// The same with a content of its own, which changes its name.
    #[must_use]
    pub fn carrying(mut self, content: Bytes) -> Self {
        self.id = keccak256([self.id.as_slice(), &content].concat());
        Arc::make_mut(&mut self.header).vote = content;
        self
    }

    /// Another value under the same name, as a header is the header of any transactions: the application refuses it.
    #[must_use]
    pub const fn spoilt(mut self) -> Self {
        self.valid = false;
        self
    }

    /// The same value with something that is no seal in the place of committed seals. The name does not cover it.
    #[must_use]
    pub fn misshapen(self) -> Self {
        // Three empty elements, and one byte in the last.
        let vanity = self.header.extra.get(..32).unwrap_or_default();
        let extra = [vanity, &[0xc4, 0xc0, 0x80, 0xc1, 0x01]].concat();
        self.with_extra(extra.into())
    }

    /// One of the forms that a hostile node may give to it.
    pub(super) fn in_any_form(self, random: &mut Stream) -> Self {
        match random.below(3) {
            0 => self,
            1 => self.misshapen(),
            _ => self.spoilt(),
        }
    }

    /// What it carries, if anything.
    pub fn content(&self) -> &[u8] {
        &self.header.vote
    }

    /// Whether the application accepts it.
    pub const fn is_valid(&self) -> bool {
        self.valid
    }
}

impl Value for LabValue {
    type Id = B256;

    fn id(&self) -> B256 {
        self.id
    }

    fn parent(&self) -> B256 {
        self.header.parent_hash
    }

    fn height(&self) -> Height {
        Height::new(self.header.number)
    }

    fn size(&self) -> usize {
        600 + self.content().len()
    }
}

impl HeaderValue for LabValue {
    fn header(&self) -> &Header {
        &self.header
    }

    fn with_extra(mut self, extra: Bytes) -> Self {
        Arc::make_mut(&mut self.header).extra = extra;
        self
    }

    fn content_id(&self) -> B256 {
        self.id
    }

    fn is_sealed(&self) -> bool {
        true
    }
}

impl WireValue for LabValue {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut content = Vec::with_capacity(160);
        put_bytes(self.id.as_slice(), &mut content);
        put_bytes(self.header.parent_hash.as_slice(), &mut content);
        put_u64(self.header.number, &mut content);
        put_u64(self.valid.into(), &mut content);
        put_bytes(&self.header.extra, &mut content);
        if !self.content().is_empty() {
            put_bytes(self.content(), &mut content);
        }
        // A real value's name is the hash of its content; this one's is not, so damage has to show another way.
        let sum = fingerprint(&content);
        put_bytes(&sum.to_le_bytes(), &mut content);
        put_list_header(content.len(), out);
        out.extend_from_slice(&content);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut list = reader.list("value")?;
        let (id, parent) = (list.hash("value.id")?, list.hash("value.parent")?);
        let (height, valid) = (Height::new(list.u64("value.height")?), list.bool("value.valid")?);
        let extra = Bytes::copy_from_slice(list.bytes("value.extra")?);
        let damaged = list.error("value.sum", DecodeErrorKind::Invalid("damaged value"));
        let (mut content, mut sum) = (Bytes::new(), list.bytes("value.sum")?);
        if !list.is_empty() {
            content = Bytes::copy_from_slice(sum);
            sum = list.bytes("value.sum")?;
        }
        list.end("value")?;
        let mut value = Self::with(height, parent, id, valid, extra);
        Arc::make_mut(&mut value.header).vote = content;
        let mut again = Vec::new();
        value.encode(&mut again);
        if sum.len() == 8 && again.ends_with(sum) { Ok(value) } else { Err(damaged) }
    }
}

/// Eight bytes that change with every bit of `bytes`.
fn fingerprint(bytes: &[u8]) -> u64 {
    let mix = |sum: u64, chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        sum ^ sum >> 32
    };
    bytes.chunks(8).fold(bytes.len() as u64 | 1 << 63, mix)
}

/// Validators that propose in turn, by lot or by plan, one of them left out in each stretch of heights if the set changes.
#[derive(Clone)]
pub struct Turns {
    pub(super) validators: Vec<Address>,
    every: u64,
    lot: u64,
    /// Who leads the first rounds of each height.
    plan: Arc<[usize]>,
    /// For each set of validators, its committee under each proposer. Engines ask for it with every message.
    sittings: Arc<[Sitting]>,
    /// Lots that were drawn: a tag of height and round, then the lot. What is written over is drawn again.
    drawn: Arc<[AtomicU64]>,
}

/// Lots that are remembered.
const DRAWN: u64 = 256;

type Sitting = Vec<Arc<Committee<Address>>>;

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} validators, set {}, lot {}, plan {:?}", self.validators.len(), self.every, self.lot, self.plan)
    }
}

impl Turns {
    /// `n` validators for ever.
    pub fn new(n: usize) -> Self {
        let addresses = (0..n as u64).map(|i| Address::from_word(keccak256(i.to_be_bytes())));
        Self::of(addresses.collect::<AddressSet>().into_vec(), 0, 0, Arc::new([]))
    }

    fn of(validators: Vec<Address>, every: u64, lot: u64, plan: Arc<[usize]>) -> Self {
        let sitting = |absent: Option<usize>| {
            let present = validators.iter().enumerate().filter(|(i, _)| Some(*i) != absent);
            let members: Vec<_> = present.map(|(_, address)| *address).collect();
            members.iter().map(|proposer| Arc::new(Committee::new(members.clone(), *proposer))).collect::<Sitting>()
        };
        let sittings = if every == 0 {
            vec![sitting(None)].into()
        } else {
            (0..validators.len()).map(Some).map(sitting).collect()
        };
        let drawn = (0..if lot == 0 { 0 } else { DRAWN }).map(|_| AtomicU64::new(u64::MAX)).collect();
        Self { validators, every, lot, plan, sittings, drawn }
    }

    /// What a run wants of the set; none if it is as it is.
    pub fn tuned(&self, faults: &Faults) -> Option<Self> {
        let (every, lot) = (u64::from(faults.set_change), u64::from(faults.leaders));
        ((every, lot) != (self.every, self.lot))
            .then(|| Self::of(self.validators.clone(), every, lot, Arc::clone(&self.plan)))
    }

    /// The same validators, the first rounds of each height led as planned.
    #[must_use]
    pub(super) fn planned(&self, leaders: &[usize]) -> Self {
        Self { plan: leaders.into(), ..self.clone() }
    }

    /// Heights with one set; all if it never changes.
    pub(super) const fn epoch(&self) -> u64 {
        if self.every == 0 { u64::MAX } else { self.every }
    }

    /// Who votes at a height.
    pub fn members(&self, height: Height) -> Vec<Address> {
        self.voters(height).to_vec()
    }

    fn voters(&self, height: Height) -> &[Address] {
        self.sitting(height).first().map_or(&[], |committee| &committee.members)
    }

    fn sitting(&self, height: Height) -> &[Arc<Committee<Address>>] {
        let epoch = height.get().saturating_sub(1).checked_div(self.every).unwrap_or_default();
        let which = epoch.checked_rem(self.sittings.len() as u64).unwrap_or_default() as usize;
        self.sittings.get(which).map_or(&[], |sitting| sitting)
    }

    /// Whose turn it is by lot, of so many.
    fn draw(&self, height: Height, round: Round, many: u64) -> Option<u64> {
        let (height, round) = (height.get(), round.get());
        let place = self.drawn.get((height.wrapping_mul(37).wrapping_add(round) % DRAWN) as usize);
        let tag = (height << 32 | round) << 8;
        let fits = height < 1 << 20 && round < 1 << 32 && many < 1 << 8;
        if let Some(known) = place.map(|place| place.load(Ordering::Relaxed)).filter(|known| *known & !0xff == tag)
            && fits
        {
            return Some(known & 0xff);
        }
        let words = [self.lot, height, round].map(u64::to_be_bytes).concat();
        let lot = u64::from_be_bytes(*keccak256(words).first_chunk()?).checked_rem(many)?;
        if let Some(place) = place.filter(|_| fits) {
            place.store(tag | lot, Ordering::Relaxed);
        }
        Some(lot)
    }

    /// Whether `cert` holds at least `needed(members)` distinct seals of members, and nothing else.
    pub(super) fn accepts(
        &self,
        value: &LabValue,
        cert: &CommittedSeals,
        digest: B256,
        needed: fn(u32) -> u32,
    ) -> bool {
        // The certificate goes into the value, which has none yet.
        if !value.is_uncommitted() {
            return false;
        }
        let members = self.voters(value.height());
        let mut signers: Vec<_> = cert.seals.iter().map(|seal| MockAuthors.author(digest, seal)).collect();
        signers.sort_unstable();
        signers.dedup();
        let known = |signer: &Option<Address>| signer.is_some_and(|a| members.contains(&a));
        let needed = needed(u32::try_from(members.len()).unwrap_or(u32::MAX)) as usize;
        signers.len() == cert.seals.len() && signers.len() >= needed && signers.iter().all(known)
    }

    /// The leaders of some rounds of a height; of the last ones, if they are very many.
    pub(super) fn led(&self, height: Height, rounds: Range<u64>) -> Vec<Address> {
        let first = rounds.start.max(rounds.end.saturating_sub(1024));
        (first..rounds.end).filter_map(|round| self.at(height, Round::new(round)).ok()).map(|c| c.proposer).collect()
    }
}

impl Committees<Klaytn<LabValue>> for Turns {
    fn at(&self, height: Height, round: Round) -> Result<Arc<Committee<Address>>, NotYet> {
        let sitting = self.sitting(height);
        let planned = usize::try_from(round.get()).ok().and_then(|round| self.plan.get(round));
        let turn = if let Some(leader) = planned {
            *leader as u64
        } else if self.lot == 0 {
            height.get().saturating_sub(1).saturating_add(round.get())
        } else {
            self.draw(height, round, sitting.len() as u64).ok_or(NotYet(height))?
        };
        let turn = turn.checked_rem(sitting.len() as u64).ok_or(NotYet(height))?;
        sitting.get(turn as usize).cloned().ok_or(NotYet(height))
    }
}

/// Evidence as somebody else reads it who got its bytes; `None` if it is not in its one form.
pub fn carried(evidence: &Evidence<Address>) -> Option<Evidence<Address>> {
    let mut bytes = Vec::new();
    evidence.encode(&mut bytes);
    Evidence::decode(&bytes, Limits::default()).ok()
}

/// Signatures of the lab: the signer's name and a fingerprint. Nobody but the lab itself makes them.
#[derive(Debug, Clone, Copy)]
pub struct MockAuthors;

/// The mock signature of `who`.
pub fn mock_sign(who: Address, digest: [u8; 32]) -> Seal {
    let mut seal = [0; 65];
    seal[..20].copy_from_slice(who.as_slice());
    seal[20..52].copy_from_slice(&digest);
    seal
}

impl Authors for MockAuthors {
    fn author(&self, digest: B256, seal: &Seal) -> Option<Address> {
        let whole = seal[20..52] == digest[..] && seal[52..] == [0; 13];
        whole.then(|| Address::from_slice(&seal[..20]))
    }
}
