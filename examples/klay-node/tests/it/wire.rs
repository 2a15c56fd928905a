//! The messages between nodes: what is written is read back, and nothing else is read.

use klay_core::{B256, Bytes};
use klay_node::network::{
    Role,
    wire::{Answer, CompactBlock, Gossip, MAX_BODIES, MAX_HASHES, MAX_HEADERS, Request, Spoken, Status},
};
use proptest::{collection::vec, prelude::*};

fn hash() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..80).prop_map(Bytes::from)
}

fn gossip() -> impl Strategy<Value = Gossip> {
    let role = prop_oneof![Just(Role::Consensus), Just(Role::Proxy), Just(Role::Endpoint)];
    let status = (role, any::<u64>(), hash(), "[a-z]{0,32}", any::<u64>(), hash()).prop_map(
        |(role, chain_id, genesis, engine, number, hash)| {
            Gossip::Status(Status { role, chain_id, genesis, engine, number, hash })
        },
    );
    prop_oneof![
        status,
        vec(bytes(), 0..20).prop_map(Gossip::Transactions),
        vec(hash(), 0..20).prop_map(Gossip::Hashes),
        (bytes(), vec(hash(), 0..20)).prop_map(|(header, hashes)| Gossip::Block(CompactBlock { header, hashes })),
        (any::<u64>(), hash()).prop_map(|(number, hash)| Gossip::Head { number, hash }),
    ]
}

fn spoken() -> impl Strategy<Value = Spoken> {
    prop_oneof![
        bytes().prop_map(Spoken::Whole),
        (bytes(), vec(hash(), 0..20), bytes()).prop_map(|(before, hashes, after)| Spoken::Compact {
            before,
            hashes,
            after
        }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (any::<u64>(), 0..=MAX_HEADERS).prop_map(|(from, count)| Request::Headers { from, count }),
        (any::<u64>(), 0..=MAX_BODIES).prop_map(|(from, count)| Request::Bodies { from, count }),
        vec(hash(), 0..20).prop_map(Request::Transactions),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(gossip in gossip(), spoken in spoken(), request in request(), items in vec(bytes(), 0..20)) {
        prop_assert_eq!(Gossip::decode(&gossip.encode()).unwrap(), gossip);
        prop_assert_eq!(Spoken::decode(&spoken.encode()).unwrap(), spoken);
        prop_assert_eq!(Request::decode(&request.encode()).unwrap(), request);
        let answer = Answer(items);
        prop_assert_eq!(Answer::decode(&answer.encode(), 20).unwrap(), answer);
    }

    #[test]
    fn no_other_bytes_are_read(
        gossip in gossip(),
        spoken in spoken(),
        request in request(),
        at in any::<prop::sample::Index>(),
        change in 1..=255u8,
        tail in vec(any::<u8>(), 1..4),
    ) {
        // A change gives nothing or another message: no two encodings of one.
        fn check<T: PartialEq + std::fmt::Debug, E>(
            message: &T,
            encoded: &[u8],
            (at, change, tail): (&prop::sample::Index, u8, &[u8]),
            decode: impl Fn(&[u8]) -> Result<T, E>,
        ) {
            let mut changed = encoded.to_vec();
            changed[at.index(encoded.len())] ^= change;
            assert!(decode(&changed).map_or(true, |other| other != *message));
            assert!(decode(&[encoded, tail].concat()).is_err());
            assert!(decode(&encoded[..at.index(encoded.len())]).is_err());
        }
        let how = (&at, change, &tail[..]);
        check(&gossip, &gossip.encode(), how, Gossip::decode);
        check(&spoken, &spoken.encode(), how, Spoken::decode);
        check(&request, &request.encode(), how, Request::decode);
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..300)) {
        let _ = (Gossip::decode(&bytes), Spoken::decode(&bytes), Request::decode(&bytes), Answer::decode(&bytes, 9));
    }
}

#[test]
fn lists_have_limits() {
    let hashes = |count: usize| vec![B256::ZERO; count];
    assert!(Gossip::decode(&Gossip::Hashes(hashes(MAX_HASHES)).encode()).is_ok());
    assert!(Gossip::decode(&Gossip::Hashes(hashes(MAX_HASHES + 1)).encode()).is_err());
    assert!(Gossip::decode(&Gossip::Transactions(vec![Bytes::new(); MAX_HASHES + 1]).encode()).is_err());
    assert!(Request::decode(&Request::Transactions(hashes(MAX_HASHES + 1)).encode()).is_err());
    assert!(Request::decode(&Request::Headers { from: 0, count: MAX_HEADERS + 1 }.encode()).is_err());
    assert!(Request::decode(&Request::Bodies { from: 0, count: MAX_BODIES + 1 }.encode()).is_err());
    assert!(Answer::decode(&Answer(vec![Bytes::new(); 3]).encode(), 2).is_err());
}
