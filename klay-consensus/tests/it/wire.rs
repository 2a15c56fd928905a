//! Every byte on the wire and in a header equals the reference's.

use crate::common::{Chain, Json, Key, TestBlock, signer, unhex, vectors};
use alloy_primitives::{Address, Bytes};
use klay_consensus::{
    istanbul::{
        Body, Code, CommittedSeals, Envelope, HeaderValue, Message, NETWORK_CODE, Preprepare, Subject, put_view,
        read_view,
        seal::{self, Seal, WriteError},
    },
    types::{
        Domain, Limits, Malformed, Round, RoundHistory, Slot, TimerKind, Value as _, View, quorum,
        timeouts::{Legacy, Timeouts},
    },
};
use klay_core::{
    block::{Header, IstanbulExtra},
    codec::Reader,
};
use proptest::prelude::*;
use serde_json::Value;

fn files() -> Vec<Value> {
    vectors("wire.json", "consensus.json")
}

fn value_with_extra(header: &[u8]) -> TestBlock {
    TestBlock { header: Header::decode_all(header).unwrap() }
}

#[test]
fn headers_are_sealed_and_committed_byte_by_byte() {
    for file in files() {
        for case in file.list("headers") {
            let unsealed = value_with_extra(&case.hex("header_rlp_unsealed"));
            assert_eq!(unsealed.header.extra[..], case.hex("extra_unsealed"));
            assert_eq!(unsealed.header.seal_hash(), case.hash("sig_hash"));
            let digest = seal::proposer_digest(&unsealed.header);
            assert_eq!(digest, case.hash("proposer_seal_digest"), "hashed twice");

            let sign = |key, digest: alloy_primitives::B256| -> Seal {
                let signer = signer(key);
                klay_consensus::types::Signer::<Chain>::sign(&signer, Domain::ProposerSeal, digest.0).unwrap()
            };
            let seal = sign(case.num("proposer_key"), digest);
            assert_eq!(seal[..], case.hex("seal"));
            let sealed = seal::with_seal(&unsealed.header.extra, &seal).unwrap();
            assert_eq!(sealed[..], case.hex("extra_sealed"));
            let sealed = unsealed.with_extra(sealed);
            assert_eq!(sealed.id(), case.hash("block_hash"));
            assert_eq!(sealed.header.proposer(), Some(Key::new(case.num("proposer_key")).address()));

            let preimage = seal::committed_preimage(sealed.id());
            assert_eq!(preimage[..], case.hex("committed_seal_preimage"));
            let digest = seal::committed_digest(sealed.id());
            assert_eq!(digest, case.hash("committed_seal_digest"));
            let seals: Vec<_> = case.nums("committed_by").into_iter().map(|key| sign(key, digest)).collect();
            let written = CommittedSeals { round: Round::new(case.num("round")), seals }.write(sealed).unwrap();
            assert_eq!(written.header.extra[..], case.hex("extra_final"));
            assert_eq!(written.header.extra[31], case.num("round_byte") as u8);
            assert_eq!(written.header.encode(), case.hex("header_rlp_final"));
            assert_eq!(written.id(), case.hash("block_hash"), "neither round nor committed seals are in the name");
        }
    }
}

#[test]
fn a_malleated_seal_gives_another_name_with_the_same_author() {
    for file in files() {
        let case = &file.list("headers")[0];
        let sealed = value_with_extra(&case.hex("header_rlp_final"));
        let mut extra = IstanbulExtra::decode(&sealed.header.extra).unwrap();
        let s = alloy_primitives::U256::from_be_slice(&extra.seal[32..64]);
        extra.seal[32..64].copy_from_slice(&(klay_core::crypto::SECP256K1_N - s).to_be_bytes::<32>());
        extra.seal[64] ^= 1;
        let twin = sealed.clone().with_extra(extra.encode().into());
        assert_eq!(twin.header.proposer(), sealed.header.proposer());
        assert_ne!(twin.id(), sealed.id());
    }
}

#[test]
fn messages_are_encoded_and_signed_byte_by_byte() {
    for file in files() {
        for case in file.list("messages") {
            let name = case.text("name");
            let payload = case.hex("payload");
            let message = Message::<TestBlock>::decode(&payload, Limits::default()).unwrap();
            let envelope = &message.envelope;
            assert_eq!(message.body.code() as u64, case.num("code"), "{name}");
            let view = View::new(Slot::new(case.num("sequence")), Round::new(case.num("round")));
            assert_eq!(message.view(), view);
            assert_eq!(message.body.encode(), case.hex("body_rlp"), "{name}");
            assert_eq!(envelope.prev_hash, case.hash("hash"));
            assert_eq!(envelope.signed_part(), case.hex("payload_no_sig"), "{name}");
            assert_eq!(envelope.digest(), case.hash("sign_digest"));
            assert_eq!(envelope.relay_hash(), case.hash("gossip_hash"));
            assert_eq!(envelope.encode_frame(), case.hex("wire_envelope"));
            assert_eq!(Envelope::decode_frame(&case.hex("wire_envelope"), Limits::default()).unwrap(), *envelope);
            let mut again = Vec::new();
            message.encode(&mut again);
            assert_eq!(again, payload);

            // From its parts.
            let key = signer(case.num("sender_key"));
            let mut ours = Message::unsigned(message.body.clone(), key.address(), case.hex("committed_seal").into());
            let signature: Seal =
                klay_consensus::types::Signer::<Chain>::sign(&key, Domain::Message, ours.envelope.digest().0).unwrap();
            assert_eq!(signature[..], case.hex("signature"));
            ours.envelope.signature = Bytes::copy_from_slice(&signature);
            assert_eq!(ours, message);
            assert_eq!(ours.envelope.signer(), Some(key.address()));
        }
    }
}

#[test]
fn payloads_that_are_refused_and_accepted() {
    for file in files() {
        for case in file.list("payload_decode") {
            let name = case.text("name");
            let decoded = Envelope::decode(&case.hex("payload"), Limits::default());
            let claimed = Address::from_slice(&case.hex("claimed_address"));
            let recovered = Address::from_slice(&case.hex("recovered_signer"));
            let Ok(envelope) = decoded else {
                assert_eq!(case.text("decode"), "bytes after the list", "{name}");
                continue;
            };
            assert_eq!(envelope.address, claimed);
            match envelope.signer() {
                Some(signer) => assert_eq!((signer, signer == claimed), (recovered, case["signer_matches"] == true)),
                None => assert_eq!(recovered, Address::ZERO, "{name}"),
            }
        }
    }
}

#[test]
fn extra_data_that_is_refused_and_accepted() {
    for file in files() {
        for case in file.list("extra_decode") {
            let accepted = IstanbulExtra::decode(&case.hex("extra")).is_ok();
            assert_eq!(accepted, case["accepted"] == true, "{}", case.text("why"));
        }
        for case in file.list("extra_writes") {
            if case.get("header_extra_in").is_some() {
                let extra = seal::new_extra(&case.hex("header_extra_in"), case.addresses("validators"));
                assert_eq!(extra[..], case.hex("extra_out"));
            } else if case.get("seal").is_some() {
                let seal = Seal::try_from(case.hex("seal")).unwrap();
                assert_eq!(seal::with_seal(&case.hex("extra_in"), &seal).unwrap()[..], case.hex("extra_out"));
            }
        }
    }
    let block = TestBlock::new(1, Default::default(), 1, seal::new_extra(b"", vec![]));
    let none = CommittedSeals { round: Round::ZERO, seals: vec![] };
    assert_eq!(none.write(block), Err(WriteError::NoCommittedSeals));
}

#[test]
fn the_vanity_is_cut_and_padded_and_never_reaches_the_round() {
    for vanity in [&[9; 0][..], &[9; 5], &[9; 31], &[9; 32], &[9; 65]] {
        let extra = seal::new_extra(vanity, vec![]);
        let kept = vanity.len().min(31);
        assert_eq!(extra[..kept], vanity[..kept]);
        assert!(extra[kept..32].iter().all(|b| *b == 0));
    }
}

#[test]
fn the_round_stands_first_in_a_view() {
    for file in files() {
        for case in file.list("view_rlp") {
            let view = View::new(Slot::new(case.num("sequence")), Round::new(case.num("round")));
            let mut out = Vec::new();
            put_view(view, &mut out);
            assert_eq!(out, case.hex("rlp"));
            assert_eq!(read_view(&mut Reader::new(&out)).unwrap(), view);
        }
        let codes = &file["message_codes"];
        let of = |code: Code| code as u64;
        assert_eq!(of(Code::Preprepare), codes.num("preprepare"));
        assert_eq!(of(Code::Prepare), codes.num("prepare"));
        assert_eq!(of(Code::Commit), codes.num("commit"));
        assert_eq!(of(Code::RoundChange), codes.num("roundchange"));
        assert_eq!(NETWORK_CODE, codes.num("p2p_code"));
    }
}

#[test]
fn quorums_and_timeouts() {
    for file in files() {
        for case in file.list("quorum") {
            let n = case.num("n") as u32;
            assert_eq!(u64::from(quorum::live(n)), case.num("required"), "n = {n}");
            assert_eq!(u64::from(quorum::tolerated(n)), case.num("f"), "n = {n}");
            assert_eq!(u64::from(quorum::import(n)), case.num("import_min"), "n = {n}");
            assert_eq!(u64::from(quorum::weak(n)), case.num("round_change_jump"), "n = {n}");
        }
        for case in file.list("timeouts_ms") {
            let span =
                Legacy::default().after(TimerKind::Round, Round::new(case.num("round")), &RoundHistory::default());
            assert_eq!(span.as_millis(), u128::from(case.num("ms")));
        }
    }
}

#[test]
fn sizes_stated_by_the_specification() {
    let view = View::new(Slot::new(100), Round::ZERO);
    let subject = Subject { view, digest: Default::default(), prev_hash: Default::default() };
    let size = |body: Body<TestBlock>, seal: usize| {
        let mut message = Message::unsigned(body, Address::ZERO, vec![1; seal].into());
        message.envelope.signature = vec![1; 65].into();
        let mut out = Vec::new();
        message.encode(&mut out);
        (out.len(), message.envelope.encode_frame().len() - out.len())
    };
    let (prepare, overhead) = size(Body::Prepare(subject), 0);
    assert_eq!(prepare, 198);
    assert!((37..=39).contains(&overhead));
    assert_eq!(size(Body::Commit(subject), 65).0, 265);
    assert_eq!(size(Body::RoundChange(subject), 0).0, 198);
}

#[test]
fn limits_hold_before_anything_is_read() {
    let limits = Limits { message: 100, ..Limits::default() };
    let refused = Envelope::decode(&[0xc0; 101], limits).unwrap_err();
    assert_eq!(refused, Malformed::TooLarge { got: 101, limit: 100 });
}

fn any_message() -> impl Strategy<Value = Message<TestBlock>> {
    let view = (any::<u64>(), any::<u64>()).prop_map(|(s, r)| View::new(Slot::new(s), Round::new(r)));
    (view, 0u8..4, any::<[u8; 32]>(), any::<[u8; 20]>(), proptest::collection::vec(any::<u8>(), 0..70)).prop_map(
        |(view, code, hash, address, bytes)| {
            let subject = Subject { view, digest: hash.into(), prev_hash: hash.into() };
            let body = match code {
                0 => {
                    let value = TestBlock::new(7, hash.into(), 1, seal::new_extra(&bytes, vec![]));
                    Body::Preprepare(Preprepare { view, value })
                }
                1 => Body::Prepare(subject),
                2 => Body::Commit(subject),
                _ => Body::RoundChange(subject),
            };
            let mut message = Message::unsigned(body, address.into(), bytes.clone().into());
            message.envelope.signature = bytes.into();
            message
        },
    )
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(message in any_message()) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        prop_assert_eq!(Message::decode(&bytes, Limits::default()).unwrap(), message);
    }

    #[test]
    fn cut_and_extended_messages_are_refused(message in any_message(), at in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let cut = at.index(bytes.len());
        prop_assert!(Message::<TestBlock>::decode(&bytes[..cut], Limits::default()).is_err());
        bytes.push(0);
        prop_assert!(Message::<TestBlock>::decode(&bytes, Limits::default()).is_err());
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(envelope) = Envelope::decode(&bytes, Limits::default()) {
            let mut again = Vec::new();
            envelope.encode(&mut again);
            prop_assert_eq!(&again, &bytes);
        }
        let _ = Body::<TestBlock>::decode(u64::from(bytes.len() as u8 % 6), &bytes);
    }
}

#[test]
fn a_key_signs_under_its_own_name() {
    assert_eq!(klay_consensus::types::Signer::<Chain>::id(&signer(1)), Key::new(1).address());
    assert_eq!(unhex("7E5F4552091A69125d5DfCb7b8C2659029395Bdf"), Key::new(1).address().to_vec());
}
