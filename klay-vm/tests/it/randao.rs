//! Randao fields against cases run through the reference client.

use crate::common::{bytes, hash, shared, vector};
use klay_core::{B256, Fork, block::Header, config::ChainConfig};
use klay_vm::randao::{ProvenKey, RandaoError, RevealSigner, previous_mix};
use serde_json::Value;

fn signer(secret: &Value) -> RevealSigner {
    RevealSigner::from_secret(&bytes(secret).try_into().unwrap()).unwrap()
}

fn check(file: &Value) {
    for key in file["keys"].as_array().unwrap() {
        let signer = signer(&key["secretKey"]);
        assert_eq!(signer.public_key().to_vec(), bytes(&key["publicKey"]));
        assert_eq!(signer.proof().to_vec(), bytes(&key["pop"]));
        assert!(ProvenKey::new(&bytes(&key["publicKey"]), &bytes(&key["pop"])).is_ok());
    }
    let blocks = file["forkChain"].as_array().unwrap().iter().chain([&file["kip114"]]);
    for block in blocks {
        let signer = signer(&block["secretKey"]);
        let number = block["number"].as_u64().unwrap();
        let (reveal, mix) = signer.fields(number, hash(&block["prevMixHash"]));
        assert_eq!(reveal.to_vec(), bytes(&block["randomReveal"]));
        assert_eq!(mix, hash(&block["mixHash"]));
        let key = ProvenKey::new(&signer.public_key(), &signer.proof()).unwrap();
        key.verify(number, &reveal, mix.as_slice(), hash(&block["prevMixHash"])).unwrap();
    }
}

#[test]
fn keys_proofs_and_a_chain_of_reveals_reproduce() {
    check(&vector("randao.json"));
    let Some(file) = shared("chain-randao.json") else { return };
    check(&file);
}

#[test]
fn nothing_but_the_proposers_signature_over_the_number_is_a_reveal() {
    let [mine, other] = [7, 8].map(|byte| RevealSigner::from_secret(&[byte; 32]).unwrap());
    let key = ProvenKey::new(&mine.public_key(), &mine.proof()).unwrap();
    let (reveal, mix) = mine.fields(5, B256::ZERO);
    assert!(key.verify(5, &reveal, mix.as_slice(), B256::ZERO).is_ok());
    let refused = |number, reveal: &[u8]| key.verify(number, reveal, mix.as_slice(), B256::ZERO).unwrap_err();
    assert!(matches!(refused(6, &reveal), RandaoError::InvalidReveal { number: 6 }));
    assert!(matches!(refused(5, &other.fields(5, B256::ZERO).0), RandaoError::InvalidReveal { .. }));
    assert!(matches!(refused(5, &mine.proof()), RandaoError::InvalidReveal { .. }));
    assert!(matches!(refused(5, &reveal[..95]), RandaoError::InvalidReveal { .. }));
    let mut infinity = [0; 96];
    infinity[0] = 0xc0;
    assert!(matches!(refused(5, &infinity), RandaoError::InvalidReveal { .. }));
    for wrong in [&mix.as_slice()[..31], &[0; 32], &[]] {
        let error = key.verify(5, &reveal, wrong, B256::ZERO).unwrap_err();
        assert!(matches!(error, RandaoError::WrongMix { .. }));
    }
    assert!(key.verify(5, &reveal, mix.as_slice(), B256::with_last_byte(1)).is_err());
}

#[test]
fn a_key_needs_a_proof_by_its_own_secret_and_a_point_in_the_group() {
    let [mine, other] = [7, 8].map(|byte| RevealSigner::from_secret(&[byte; 32]).unwrap());
    assert!(matches!(ProvenKey::new(&mine.public_key(), &other.proof()), Err(RandaoError::InvalidProof)));
    let reveal = mine.fields(5, B256::ZERO).0;
    assert!(matches!(ProvenKey::new(&mine.public_key(), &reveal), Err(RandaoError::InvalidProof)));
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    assert!(matches!(ProvenKey::new(&infinity, &mine.proof()), Err(RandaoError::InvalidKey)));
    assert!(matches!(ProvenKey::new(&[], &mine.proof()), Err(RandaoError::InvalidKey)));
    // A point of the curve outside of the group: x = 4 is on the curve, but not in the subgroup.
    let mut outside = [0; 48];
    outside[0] = 0x80;
    outside[47] = 4;
    assert!(matches!(ProvenKey::new(&outside, &mine.proof()), Err(RandaoError::InvalidKey)));
}

#[test]
fn a_secret_is_in_range_and_never_shown() {
    assert!(matches!(RevealSigner::from_secret(&[0; 32]), Err(RandaoError::InvalidSecret)));
    assert!(matches!(RevealSigner::from_secret(&[0xff; 32]), Err(RandaoError::InvalidSecret)));
    let shown = format!("{:?}", RevealSigner::from_secret(&[7; 32]).unwrap());
    assert!(!shown.contains("0707"), "{shown}");
}

#[test]
fn the_fork_block_starts_from_zero() {
    let mut config = ChainConfig::new(1);
    config.forks = config.forks.with(Fork::Randao, 10);
    let parent = |number| Header {
        number,
        mix_hash: Some(B256::repeat_byte(5).as_slice().to_vec().into()),
        ..Header::default()
    };
    assert_eq!(previous_mix(&config, &parent(9)), B256::ZERO);
    assert_eq!(previous_mix(&config, &parent(10)), B256::repeat_byte(5));
    assert_eq!(previous_mix(&config, &Header { mix_hash: None, ..parent(12) }), B256::ZERO);
}
