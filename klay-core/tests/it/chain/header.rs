use klay_core::{
    Address, B256, Bytes, Fork, Rules, U256,
    block::{Header, IstanbulExtra, extra::SEAL_LEN, header::ForkFieldError},
    codec::{DecodeErrorKind, Reader},
    keccak256,
};
use serde_json::Value;

use super::{address, bytes, hash, list, shared, vector};

fn check(block: &Value) {
    let id = &block["id"];
    let encoded = bytes(&block["headerRlp"]);
    let header = Header::decode_all(&encoded).unwrap();
    assert_eq!(header.encode(), encoded, "{id}");
    assert_eq!(header.field_count() as u64, block["fieldCount"].as_u64().unwrap(), "{id}");
    assert_eq!(header.hash(), hash(&block["hash"]), "{id}");
    assert_eq!(header.seal_hash(), hash(&block["sealHash"]), "{id}");
    assert_eq!(header.proposer(), Some(address(&block["proposer"])), "{id}");
    let committers: Vec<Option<Address>> =
        list(&block["committers"]).iter().map(|committer| Some(address(committer))).collect();
    assert_eq!(header.committers().unwrap(), committers, "{id}");
    let extra = IstanbulExtra::decode(&header.extra).unwrap();
    assert_eq!(extra.encode(), header.extra, "{id}");
    assert_eq!(u64::from(extra.round()), block["round"].as_u64().unwrap(), "{id}");
    let validators: Vec<Address> = list(&block["validators"]).iter().map(address).collect();
    assert_eq!(extra.validators, validators, "{id}");
}

#[test]
fn headers_of_real_blocks_have_their_hashes_and_signers() {
    for block in list(&vector("headers.json")) {
        check(block);
    }
}

#[test]
fn the_whole_header_file_reproduces() {
    let Some(file) = shared("headers.json") else { return };
    for block in list(&file["blocks"]) {
        check(block);
        let header = Header::decode_all(&bytes(&block["headerRlp"])).unwrap();
        assert_eq!(header.hash_preimage(), bytes(&block["hashPreimage"]));
        #[cfg(feature = "serde")]
        {
            assert_eq!(serde_json::from_value::<Header>(block["header"].clone()).unwrap(), header);
            let json = serde_json::to_value(&header).unwrap();
            for (name, value) in block["header"].as_object().unwrap() {
                assert_eq!(&json[name], value, "{name}");
            }
        }
    }
}

/// A header of Osaka with two validators, a seal and two committers.
fn sample() -> Header {
    let extra = IstanbulExtra {
        vanity: [7; 32],
        validators: vec![Address::repeat_byte(1), Address::repeat_byte(2)],
        seal: vec![3; SEAL_LEN],
        committed_seals: vec![[4; SEAL_LEN], [5; SEAL_LEN]],
    };
    Header {
        number: 9,
        timestamp: 10,
        block_score: U256::ONE,
        extra: extra.encode().into(),
        base_fee: Some(U256::ZERO),
        random_reveal: Some(Bytes::from(vec![1; 96])),
        mix_hash: Some(Bytes::from(vec![2; 32])),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        ..Header::default()
    }
}

#[test]
fn a_zero_that_is_set_is_written() {
    let mut header = sample();
    assert_eq!(header.field_count(), 19);
    assert!(header.encode().ends_with(&[0x80, 0x80]));
    assert_eq!(Header::decode_all(&header.encode()).unwrap(), header);
    header.blob_gas_used = None;
    header.excess_blob_gas = None;
    header.random_reveal = None;
    header.mix_hash = None;
    assert_eq!(header.field_count(), 15);
    assert_eq!(header.encode().last(), Some(&0x80));
    let with_zero = header.hash();
    header.base_fee = None;
    assert_eq!(header.field_count(), 14);
    assert_ne!(header.hash(), with_zero);
}

#[test]
fn fields_come_and_go_with_their_fork() {
    let header = sample();
    assert_eq!(header.check_fork_fields(Rules::up_to(Fork::Osaka)), Ok(()));
    let field = "blobGasUsed";
    assert_eq!(header.check_fork_fields(Rules::up_to(Fork::Prague)), Err(ForkFieldError::Unexpected { field }));
    let missing = Header { mix_hash: None, ..header.clone() };
    let field = "mixHash";
    assert_eq!(missing.check_fork_fields(Rules::up_to(Fork::Osaka)), Err(ForkFieldError::Missing { field }));
    let short = Header { random_reveal: Some(Bytes::from(vec![0; 95])), ..header };
    let error = ForkFieldError::WrongLength { field: "randomReveal", expected: 96, got: 95 };
    assert_eq!(short.check_fork_fields(Rules::up_to(Fork::Osaka)), Err(error));
    assert_eq!(Header::default().check_fork_fields(Rules::none()), Ok(()));
}

/// Re-encodes the fields of the sample up to `count`.
fn with_fields(count: usize) -> Vec<u8> {
    let encoded = sample().encode();
    let mut list = Reader::new(&encoded).list("header").unwrap();
    let mut fields = Vec::new();
    for _ in 0..count {
        fields.extend_from_slice(list.item("field").unwrap().raw);
    }
    let mut out = Vec::new();
    klay_core::codec::put_list_header(fields.len(), &mut out);
    out.extend(fields);
    out
}

#[test]
fn only_14_15_17_and_19_fields_are_a_header() {
    for count in 0..19 {
        let decoded = Header::decode_all(&with_fields(count));
        assert_eq!(decoded.is_ok(), [14, 15, 17].contains(&count), "{count}");
    }
    let mut twenty = Vec::new();
    let encoded = sample().encode();
    let fields = Reader::new(&encoded).list("header").unwrap();
    klay_core::codec::put_list_header(fields.rest().len() + 1, &mut twenty);
    twenty.extend_from_slice(fields.rest());
    twenty.push(0x80);
    assert_eq!(Header::decode_all(&twenty).unwrap_err().kind, DecodeErrorKind::TooMany { count: 1 });
}

#[test]
fn neither_round_nor_committed_seals_are_hashed() {
    let header = sample();
    let mut extra = IstanbulExtra::decode(&header.extra).unwrap();
    extra.vanity[31] = 200;
    extra.committed_seals.clear();
    let other = Header { extra: extra.encode().into(), ..header.clone() };
    assert_eq!(other.hash(), header.hash());
    assert_eq!(other.seal_hash(), header.seal_hash());
    extra.seal = vec![9; SEAL_LEN];
    let resealed = Header { extra: extra.encode().into(), ..header.clone() };
    assert_ne!(resealed.hash(), header.hash());
    assert_eq!(resealed.seal_hash(), header.seal_hash());
    extra.validators.pop();
    assert_ne!(Header { extra: extra.encode().into(), ..header.clone() }.seal_hash(), header.seal_hash());
    assert_eq!(header.seal_digest(), keccak256(header.seal_hash()));
}

#[test]
fn extra_that_does_not_decode_is_hashed_as_it_is() {
    for extra in [vec![], vec![0; 31], vec![0; 32], [vec![0; 32], vec![0xc0]].concat()] {
        let header = Header { extra: extra.into(), ..sample() };
        assert_eq!(header.hash(), keccak256(header.encode()));
        assert_eq!(header.proposer(), None);
        assert!(header.committers().is_err());
    }
}

#[test]
fn seals_of_any_length_leave_the_hash_rule_in_place() {
    let mut extra = IstanbulExtra::decode(&sample().extra).unwrap();
    extra.seal = vec![1; 64];
    let header = Header { extra: extra.encode().into(), ..sample() };
    assert!(IstanbulExtra::decode(&header.extra).is_err());
    assert_ne!(header.hash(), keccak256(header.encode()));
    extra.committed_seals.clear();
    extra.vanity[31] = 0;
    let bare = Header { extra: extra.encode().into(), ..sample() };
    assert_eq!(bare.hash(), header.hash());
    assert_eq!(bare.hash(), keccak256(bare.encode()));
}

#[test]
fn extra_is_exactly_vanity_and_a_list_of_three() {
    let good = sample().extra;
    let mut padded = good.to_vec();
    padded.push(0x80);
    assert!(IstanbulExtra::decode(&padded).is_err());
    assert!(IstanbulExtra::decode(&good[..good.len() - 1]).is_err());
    let mut extra = IstanbulExtra::decode(&good).unwrap();
    extra.seal = vec![0; 66];
    let error = IstanbulExtra::decode(&extra.encode()).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::WrongLength { expected: 65, got: 66 });
    assert_eq!(error.field, "extra.seal");
    // vanity, header of the list, header of the validators, 2 * 21 bytes
    assert_eq!(error.offset, 32 + 2 + 1 + 42);
    extra.seal.clear();
    assert_eq!(IstanbulExtra::decode(&extra.encode()).unwrap(), extra);

    let mut short = vec![0; 32];
    short.extend([0xd6, 0xd4, 0x93]);
    short.extend([0; 19]);
    short.extend([0x80, 0xc0]);
    assert!(IstanbulExtra::decode(&short).is_err(), "an address of 19 bytes");
}

#[test]
fn the_genesis_has_no_proposer() {
    let extra = IstanbulExtra::genesis(vec![Address::repeat_byte(1)]);
    let header = Header { extra: extra.encode().into(), parent_hash: B256::ZERO, ..Header::default() };
    assert_eq!(header.proposer(), None);
    assert_eq!(header.committers().unwrap(), []);
}
