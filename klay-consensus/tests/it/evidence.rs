//! Evidence has one form, whoever writes it down, and says the same wherever it is read.

use alloy_primitives::Address;
use klay_consensus::types::{Evidence, Height, Limits, Malformed, Misbehaviour, Round, Slot, View};
use proptest::prelude::*;

const fn evidence(kind: Misbehaviour, proof: Vec<Vec<u8>>) -> Evidence<Address> {
    let view = View::new(Slot::new(9), Round::new(2));
    Evidence { kind, offender: Address::repeat_byte(7), height: Height::new(9), view, proof }
}

fn encoded(evidence: &Evidence<Address>) -> Vec<u8> {
    let mut bytes = Vec::new();
    evidence.encode(&mut bytes);
    bytes
}

fn decoded(bytes: &[u8]) -> Result<Evidence<Address>, Malformed> {
    Evidence::decode(bytes, Limits::default())
}

#[test]
fn the_bytes_of_an_offence() {
    let double = evidence(Misbehaviour::DoubleVote, vec![vec![2, 2], vec![1]]);
    let expected = [&[0xde, 0x01, 0x94][..], &[7; 20], &[0x09, 0x09, 0x02, 0xc4, 0x01, 0x82, 2, 2]].concat();
    assert_eq!(encoded(&double), expected);
    let other_order = evidence(Misbehaviour::DoubleVote, vec![vec![1], vec![2, 2]]);
    assert_eq!(encoded(&other_order), expected, "the order of reporting is no matter");
    assert_eq!(decoded(&expected).unwrap(), double.ordered());
}

#[test]
fn other_forms_are_refused() {
    let of = |kind, proof: &[&[u8]]| encoded(&evidence(kind, proof.iter().map(|m| m.to_vec()).collect()));
    use Misbehaviour::{BadSeal, DoubleVote};
    assert!(decoded(&of(BadSeal, &[b"a"])).is_ok());
    for bytes in [of(BadSeal, &[]), of(DoubleVote, &[b"a"])] {
        assert!(matches!(decoded(&bytes), Err(Malformed::Length { what: "proofs", .. })));
    }
    for bytes in [of(BadSeal, &[b"a", b"b"]), of(DoubleVote, &[b"a", b"b", b"c"])] {
        assert!(matches!(decoded(&bytes), Err(Malformed::TooMany { what: "proofs", .. })));
    }
    assert!(matches!(decoded(&of(DoubleVote, &[b"same", b"same"])), Err(Malformed::Rlp(_))), "one message twice");
    let mut swapped = of(DoubleVote, &[b"a", b"b"]);
    let last = swapped.len() - 1;
    swapped.swap(last - 1, last);
    assert!(matches!(decoded(&swapped), Err(Malformed::Rlp(_))), "the other order");
    let mut unknown = of(BadSeal, &[b"a"]);
    unknown[1] = 6;
    assert_eq!(decoded(&unknown), Err(Malformed::Unknown { what: "kind of evidence", code: 6 }));
    let whole = of(DoubleVote, &[b"a", b"b"]);
    for cut in 0..whole.len() {
        assert!(decoded(&whole[..cut]).is_err());
    }
    assert!(decoded(&[whole.clone(), vec![0]].concat()).is_err());
    let limits = Limits { message: whole.len() - 1, ..Limits::default() };
    assert!(matches!(Evidence::<Address>::decode(&whole, limits), Err(Malformed::TooLarge { .. })));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        kind in 0u8..6, offender in any::<[u8; 20]>(), places in any::<[u64; 3]>(),
        first in proptest::collection::vec(any::<u8>(), 0..80), second in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let kind = Misbehaviour::from_byte(kind).unwrap();
        prop_assume!(first != second);
        let [height, slot, round] = places;
        let mut proof = vec![first, second];
        proof.truncate(kind.proofs());
        let view = View::new(Slot::new(slot), Round::new(round));
        let evidence = Evidence { kind, offender: Address::from(offender), height: Height::new(height), view, proof };
        prop_assert_eq!(decoded(&encoded(&evidence)).unwrap(), evidence.ordered());
    }

    #[test]
    fn what_is_read_writes_back_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(evidence) = decoded(&bytes) {
            prop_assert_eq!(encoded(&evidence), bytes);
        }
    }
}
