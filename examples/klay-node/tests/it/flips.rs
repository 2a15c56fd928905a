//! Chains of the reference client with one byte changed: refused at that block, by the rule that the byte falls under.

use crate::common::{Recorded, feed, refused};
use klay_core::{
    block::{Header, IstanbulExtra, body::encode_block},
    codec::{Item, Reader, put_list_header},
    crypto::sign_digest,
};
use klay_node::{Chain, import::Refusal};

/// A part of a block's RLP, and the rules that may refuse a change in it.
struct Part {
    start: usize,
    len: usize,
    /// None where a change moves everything behind it, so that any rule may be the first to notice.
    rules: Option<&'static [&'static str]>,
}

impl Part {
    /// The content of an item, and what says its length.
    fn of(item: &Item<'_>, rules: &'static [&'static str]) -> Vec<Self> {
        let head = item.payload_offset - item.offset;
        if head == 0 || item.payload.is_empty() {
            return vec![Self { start: item.offset, len: item.raw.len(), rules: None }];
        }
        vec![
            Self { start: item.offset, len: head, rules: None },
            Self { start: item.payload_offset, len: item.payload.len(), rules: Some(rules) },
        ]
    }
}

/// A change that breaks a length, or a number's form, is noticed in the encoding.
const SEALED: &[&str] = &["proposer seal", "encoding"];

/// The parts of a block. Everything in a header but seals and round is under the proposer's seal; what is checked before
/// the seal has a rule of its own.
fn parts(block: &[u8]) -> Vec<Part> {
    let mut list = Reader::new(block).list("block").unwrap();
    let header = list.item("header").unwrap();
    let transactions = list.item("transactions").unwrap();
    let mut parts = Vec::new();
    let mut fields = Reader::at(header.payload, header.payload_offset);
    let mut index = 0;
    while !fields.is_empty() {
        let field = fields.item("field").unwrap();
        let rules: &[&str] = match index {
            0 => &["parent", "encoding"],
            6 => &["block score", "encoding"],
            7 => &["number", "encoding"],
            9 => &["timestamp", "proposer seal", "encoding"],
            11 => {
                extra(&field, &mut parts);
                index += 1;
                continue;
            }
            14 => &["base fee", "encoding"],
            _ => SEALED,
        };
        parts.extend(Part::of(&field, rules));
        index += 1;
    }
    if !transactions.payload.is_empty() {
        let rules = &["transactions root", "encoding"];
        parts.extend(Part::of(&transactions, rules));
    }
    parts
}

fn extra(field: &Item<'_>, parts: &mut Vec<Part>) {
    const VANITY: usize = 31;
    let at = field.payload_offset;
    parts.push(Part { start: at, len: VANITY, rules: Some(SEALED) });
    // Byte 31 is the round: no signature covers it, and it decides nothing that import checks.
    let start = at + VANITY + 1;
    let mut list = Reader::at(&field.payload[VANITY + 1..], start).list("extra").unwrap();
    for rules in
        [&["proposer seal", "extra data"][..], &["proposer seal", "extra data"], &["committed seals", "extra data"]]
    {
        let item = list.item("extra").unwrap();
        parts.extend(Part::of(&item, rules));
    }
}

/// Offsets that are tried: the ends of a part, and some between.
fn offsets(part: &Part, seed: u64) -> Vec<usize> {
    let inner = (seed.wrapping_mul(6_364_136_223_846_793_005) >> 33) as usize % part.len;
    let mut offsets = vec![part.start, part.start + part.len - 1, part.start + inner];
    offsets.dedup();
    offsets
}

/// Imports a chain block by block, and before each offers it with one byte changed, at several places.
fn check(recorded: &Recorded, most_bytes: usize) {
    let chain = recorded.chain();
    let (mut before, mut tried) = (Vec::new(), 0);
    for (block, number) in recorded.blocks.iter().zip(1..) {
        let all = if block.len() > most_bytes { Vec::new() } else { parts(block) };
        for (which, part) in all.iter().enumerate() {
            for at in offsets(part, number * 31 + which as u64) {
                let mut changed = block.clone();
                changed[at] ^= 1 << (at % 8);
                let (refused_at, refusal) = refused(&chain, &[&before[..], &changed].concat());
                assert_eq!(refused_at, number, "byte {at} of block {number}: {refusal}");
                assert!(
                    part.rules.is_none_or(|rules| rules.contains(&refusal.rule())),
                    "byte {at} of block {number} ({:?}): {}: {refusal}",
                    part.rules,
                    refusal.rule()
                );
                tried += 1;
            }
        }
        feed(&chain, block).unwrap();
        before.clone_from(block);
    }
    println!("{}: {tried} changes", recorded.folder.display());
}

#[test]
fn a_council_with_votes_and_randao() {
    check(&Recorded::kept("council-4"), 4_000);
}

#[test]
fn stakes_and_weighted_lists() {
    check(&Recorded::kept("council-weighted"), 1_500);
}

/// A whole chain of the shared ones. All of them with `cargo test --release -p klay-node --test it flips`; without
/// optimisation, which takes minutes, only where `KLAY_FLIPS` is set.
fn check_shared(name: &str) {
    if cfg!(debug_assertions) && std::env::var_os("KLAY_FLIPS").is_none() {
        println!("takes minutes without optimisation: run it with --release, or set KLAY_FLIPS");
        return;
    }
    if let Some(recorded) = Recorded::shared(name) {
        check(&recorded, usize::MAX);
    }
}

#[test]
fn all_of_klaytn_original() {
    check_shared("klaytn-original");
}

#[test]
fn all_of_forks() {
    check_shared("forks");
}

#[test]
fn all_of_types_osaka() {
    check_shared("types-osaka");
}

#[test]
fn all_of_council_4() {
    check_shared("council-4");
}

#[test]
fn all_of_council_weighted() {
    check_shared("council-weighted");
}

#[test]
fn all_of_rebalance() {
    check_shared("rebalance");
}

#[test]
fn all_of_bulk() {
    check_shared("bulk");
}

#[test]
fn all_of_service_chains() {
    check_shared("service-parent");
    check_shared("service-child");
}

/// A block of four validators, taken apart.
struct Sealed {
    chain: Chain,
    header: Header,
    body: Vec<u8>,
}

impl Sealed {
    fn block_7() -> Self {
        let recorded = Recorded::kept("council-4");
        let chain = recorded.chain();
        feed(&chain, &recorded.blocks[..6].concat()).unwrap();
        let mut list = Reader::new(&recorded.blocks[6]).list("block").unwrap();
        let header = Header::decode(&mut list).unwrap();
        Self { chain, header, body: list.rest().to_vec() }
    }

    fn refusal(&self, edit: impl FnOnce(&mut IstanbulExtra)) -> (u64, Refusal) {
        refused(&self.chain, &self.with(edit))
    }

    fn with(&self, edit: impl FnOnce(&mut IstanbulExtra)) -> Vec<u8> {
        let mut extra = IstanbulExtra::decode(&self.header.extra).unwrap();
        edit(&mut extra);
        let header = Header { extra: extra.encode().into(), ..self.header.clone() }.encode();
        let mut block = Vec::new();
        put_list_header(header.len() + self.body.len(), &mut block);
        [block, header, self.body.clone()].concat()
    }
}

#[test]
fn committed_seals_are_of_distinct_members_and_enough() {
    use klay_consensus::istanbul::{
        import::HeaderError,
        seal::{committed_digest, compact},
    };

    let sealed = Sealed::block_7();
    let header = |refusal| match refusal {
        (7, Refusal::Header(error)) => error,
        other => panic!("{other:?}"),
    };
    let doubled = header(sealed.refusal(|extra| extra.committed_seals.push(extra.committed_seals[0])));
    assert!(matches!(doubled, HeaderError::CommittedSeal { index: 3, .. }), "{doubled}");
    let digest = committed_digest(sealed.header.hash());
    let foreign = compact(&sign_digest(&[9; 32], digest).unwrap());
    let stranger = header(sealed.refusal(|extra| extra.committed_seals[1] = foreign));
    assert!(matches!(stranger, HeaderError::CommittedSeal { index: 1, .. }), "{stranger}");
    let none = header(sealed.refusal(|extra| extra.committed_seals.clear()));
    assert_eq!(none, HeaderError::NoCommittedSeals);
    let unsigned = header(sealed.refusal(|extra| extra.committed_seals[2][64] = 27));
    assert_eq!(unsigned, HeaderError::CommittedSignature { index: 2 });
    let own = header(sealed.refusal(|extra| extra.seal = foreign.to_vec()));
    assert!(matches!(own, HeaderError::Unauthorized { .. }), "{own}");
    assert_eq!(header(sealed.refusal(|extra| extra.seal.clear())), HeaderError::Seal);

    // A committee of three tolerates nobody: one seal is what import asks for. The order is free, the round is not sealed.
    let bytes = sealed.with(|extra| {
        extra.committed_seals.truncate(1);
        extra.vanity[31] = 77;
    });
    assert_eq!(feed(&sealed.chain, &bytes).unwrap().hash, sealed.header.hash());
    assert_eq!(encode_block::<&[u8]>(&sealed.header, &[]).len() - 1 + sealed.body.len(), sealed.with(|_| {}).len());
}
