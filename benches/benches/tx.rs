//! Transactions: decoding and hashing of each type, recovery of signers.

#![allow(missing_docs)]

use std::hint::black_box;

use alloy_primitives::{Address, Bytes, U256};
use criterion::{Criterion, criterion_group, criterion_main};
use klay_core::{
    Body, FeeRatio, Payload, PublicKey, Sign, Signature,
    auth::SignError,
    crypto, keccak256,
    tx::{
        DynamicPrice, EthereumFields, EthereumKind, EthereumTx, LegacyTx,
        payload::{
            AccountUpdate, Cancel, ChainDataAnchoring, ContractDeploy, ContractExecution, EncodedKey, ValueTransfer,
            ValueTransferMemo,
        },
    },
};
use klay_feedeleg::{Fee, FeePayer, HashedKlaytnTx, KlaytnTx, PartialTx};

const CHAIN: u64 = 1001;

struct Key([u8; 32]);

impl Sign for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_secret(&self.0).expect("the seed is a scalar in range")
    }

    fn sign_digest(&self, digest: klay_core::B256) -> Result<Signature, SignError> {
        crypto::sign_digest(&self.0, digest)
    }
}

fn payloads() -> Vec<(&'static str, Payload)> {
    let (to, value) = (Address::repeat_byte(9), U256::from(1_000_000_000_000_000_000u64));
    let key = PublicKey::from_secret(&[3; 32]).expect("the seed is a scalar in range").to_compressed();
    let key = EncodedKey(Bytes::from([&[2, 0xa1], &key[..]].concat()));
    let call = Bytes::from(vec![7; 68]);
    vec![
        ("value_transfer", ValueTransfer { to, value }.into()),
        ("memo", ValueTransferMemo { to, value, input: Bytes::from_static(b"a short memo") }.into()),
        ("account_update", AccountUpdate { key }.into()),
        ("deploy", ContractDeploy::new(Bytes::from(vec![0x60; 2000]), U256::ZERO).into()),
        ("execution", ContractExecution { to, value: U256::ZERO, input: call }.into()),
        ("cancel", Cancel.into()),
        ("anchoring", ChainDataAnchoring { input: Bytes::from(vec![1; 179]) }.into()),
    ]
}

fn modes() -> Vec<(&'static str, Fee)> {
    let payer = Key([2; 32]).public_key().address();
    let ratio = FeeRatio::new(30).expect("30 is in range");
    vec![
        ("sender", Fee::SENDER),
        ("payer", FeePayer::new(payer).into()),
        ("ratio", FeePayer::with_ratio(payer, ratio).into()),
    ]
}

fn klaytn(payload: Payload, fee: Fee) -> KlaytnTx {
    let (sender, payer) = (Key([1; 32]), Key([2; 32]));
    let from = sender.public_key().address();
    let body = Body { nonce: 1, gas_price: U256::from(25_000_000_000u64), gas_limit: 100_000, from, payload };
    let tx = body.paid_by(fee).sign(CHAIN, &[&sender]).expect("the key signs");
    if tx.fee == Fee::SENDER {
        return KlaytnTx::Klaytn(tx);
    }
    let signed = PartialTx::from(tx).sign_as_payer(CHAIN, &[&payer]).expect("the key signs");
    KlaytnTx::Klaytn(signed.into_tx().expect("both have signed"))
}

fn others() -> Vec<(&'static str, KlaytnTx)> {
    let key = Key([1; 32]);
    let price = DynamicPrice { tip: U256::from(1), cap: U256::from(50_000_000_000u64) };
    let (to, value, input) = (Some(Address::repeat_byte(9)), U256::from(1), Bytes::new());
    let legacy = LegacyTx {
        nonce: 1,
        gas_price: price.cap,
        gas_limit: 21_000,
        to,
        value,
        input: input.clone(),
        signature: Signature::default(),
    };
    let fields = EthereumFields {
        chain_id: U256::from(CHAIN),
        nonce: 1,
        gas_limit: 21_000,
        to,
        value,
        input,
        access_list: Default::default(),
        kind: EthereumKind::DynamicFee(price),
    };
    let dynamic = EthereumTx::unsigned(fields);
    vec![
        ("legacy", KlaytnTx::Legacy(legacy.sign(CHAIN, &[&key]).expect("the key signs"))),
        ("dynamic_fee", KlaytnTx::Ethereum(dynamic.sign(CHAIN, &[&key]).expect("the key signs"))),
    ]
}

fn decode(c: &mut Criterion) {
    let mut raws = Vec::new();
    for (mode, fee) in modes() {
        for (name, payload) in payloads() {
            raws.push((format!("{name}/mode={mode}"), klaytn(payload, fee.clone()).encode()));
        }
    }
    raws.extend(others().into_iter().map(|(name, tx)| (name.to_owned(), tx.encode())));
    let mut group = c.benchmark_group("tx::decode");
    for (name, raw) in &raws {
        group.bench_function(name, |b| b.iter(|| KlaytnTx::decode(black_box(raw))));
    }
    group.finish();
    let mut group = c.benchmark_group("tx::decode_and_hash");
    for (name, raw) in &raws {
        group.bench_function(name, |b| b.iter(|| HashedKlaytnTx::decode(black_box(raw))));
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("tx::encode");
    for (mode, fee) in modes() {
        let tx = klaytn(payloads().swap_remove(0).1, fee);
        group.bench_function(format!("value_transfer/mode={mode}"), |b| b.iter(|| black_box(&tx).encode()));
    }
    group.finish();
}

fn recover(c: &mut Criterion) {
    let backend = if cfg!(feature = "secp256k1") { "libsecp256k1" } else { "k256" };
    let mut group = c.benchmark_group("tx::recover");
    let digest = keccak256(b"digest");
    let signature = crypto::sign_digest(&[1; 32], digest).expect("the key signs");
    let odd = signature.bare_parity() == Some(true);
    group.bench_function(format!("signature/backend={backend}"), |b| {
        b.iter(|| crypto::recover(black_box(digest), odd, signature.r, signature.s))
    });
    for (mode, fee) in modes() {
        let raw = klaytn(payloads().swap_remove(0).1, fee).encode();
        let hashed = HashedKlaytnTx::decode(&raw).expect("an own encoding");
        group.bench_function(format!("value_transfer/mode={mode}/backend={backend}"), |b| {
            b.iter(|| black_box(hashed.clone()).recover(CHAIN))
        });
    }
    group.finish();
    c.bench_function("tx::sign", |b| b.iter(|| crypto::sign_digest(black_box(&[1; 32]), digest)));
    c.bench_function("tx::keccak256/bytes=124", |b| b.iter(|| keccak256(black_box([7; 124]))));
}

criterion_group!(benches, decode, encode, recover);
criterion_main!(benches);
