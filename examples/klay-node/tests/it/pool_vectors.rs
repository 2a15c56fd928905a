//! The pool against transactions that the reference client refuses, and against blob transactions.

use std::sync::Arc;

use klay_accounts::{StateAccount, wallet::SecretKey};
use klay_core::{
    Address, Bytes, Fork, Rules, U256, hex,
    tx::{BlobSidecar, EthereumFields, EthereumKind, EthereumTx, ethereum::DynamicPrice},
};
use klay_node::{
    KlaytnTx, Origin, TxPool,
    pool::{BlobError, HeadState, PoolConfig, PoolError, PoolHead},
};
use serde_json::Value;

/// Every account has funds and a Legacy key.
#[derive(Debug)]
struct Rich;

impl HeadState for Rich {
    fn account(&self, _address: Address) -> Result<StateAccount, PoolError> {
        Ok(StateAccount::eoa(0, U256::from(10).pow(U256::from(27))))
    }
}

fn pool(rules: Rules, price: u64) -> TxPool {
    let head =
        PoolHead { number: 1, chain_id: 1, rules, next_rules: rules, price: U256::from(price), state: Arc::new(Rich) };
    TxPool::new(PoolConfig::default(), head, Arc::default())
}

#[tokio::test]
async fn what_the_reference_client_refuses_is_refused_with_its_words() {
    let file: Value = serde_json::from_str(include_str!("../vectors/rejects.json")).unwrap();
    let pool = pool(Rules::up_to(Fork::EthTxType), 25);
    for case in file["cases"].as_array().unwrap() {
        let text = |name: &str| case[name].as_str();
        if text("name").unwrap().starts_with("naked ethereum") {
            // The way into the pool takes Ethereum's raw form as well; whoever wants one form alone decodes it first.
            continue;
        }
        let raw: Bytes = hex::decode(text("raw").unwrap()).unwrap().into();
        let refused = pool.add_raw(raw, Origin::Local).await.unwrap_err().to_string();
        // What fails at recovery only may fail earlier here: the error of the pool is not recorded for it.
        let wanted = text("poolError").or_else(|| text("error").filter(|_| text("failsAt") != Some("recover")));
        let wanted = wanted.unwrap_or_default();
        assert!(refused.contains(wanted), "{}: {refused}, not {wanted}", text("name").unwrap());
    }
    assert_eq!(pool.status().pending + pool.status().queued, 0);
}

/// The commitment to a blob of zeros, and each of its proofs, is the point at infinity.
const fn infinity() -> [u8; 48] {
    let mut point = [0; 48];
    point[0] = 0xc0;
    point
}

fn blob_tx(change: impl FnOnce(&mut BlobSidecar, &mut EthereumKind)) -> Bytes {
    let mut sidecar = BlobSidecar {
        version: 1,
        blobs: vec![vec![0; 131_072].into()],
        commitments: vec![infinity()],
        proofs: vec![infinity(); 128],
    };
    let mut kind = EthereumKind::Blob {
        price: DynamicPrice { tip: U256::from(1), cap: U256::from(100) },
        max_fee_per_blob_gas: U256::from(200),
        versioned_hashes: sidecar.versioned_hashes().collect(),
    };
    change(&mut sidecar, &mut kind);
    let fields = EthereumFields {
        chain_id: U256::from(1),
        nonce: 0,
        gas_limit: 21_000,
        to: Some(Address::repeat_byte(0xaa)),
        value: U256::from(1),
        input: Bytes::new(),
        access_list: Default::default(),
        kind,
    };
    let key = SecretKey::from_slice(&[1; 32]).unwrap();
    let tx = EthereumTx { fields, signature: Default::default(), sidecar: None };
    let KlaytnTx::Ethereum(mut tx) = KlaytnTx::Ethereum(tx).sign(1, &[&key]).unwrap() else { panic!("another type") };
    tx.sidecar = Some(Box::new(sidecar));
    KlaytnTx::Ethereum(tx).encode_network().into()
}

async fn refusal(raw: Bytes) -> PoolError {
    pool(Rules::up_to(Fork::Osaka), 25).add_raw(raw, Origin::Local).await.unwrap_err()
}

#[tokio::test]
async fn a_blob_transaction_comes_with_its_blobs_and_proofs() {
    let pool = pool(Rules::up_to(Fork::Osaka), 25);
    let hash = pool.add_raw(blob_tx(|_, _| {}), Origin::Local).await.unwrap();
    assert!(pool.contains(hash));
    let encoded = pool.get(hash).unwrap().encoded().len();
    assert_eq!(pool.size().pending, encoded + 131_072 + (1 + 128) * 48);

    let no_sidecar = KlaytnTx::decode_any(&blob_tx(|_, _| {})).unwrap().encode().into();
    assert_eq!(refusal(no_sidecar).await, PoolError::BlobSidecar);
    let wrong = |change: fn(&mut BlobSidecar)| blob_tx(move |sidecar, _| change(sidecar));
    assert_eq!(refusal(wrong(|s| s.version = 0)).await, PoolError::Blob(BlobError::Version(0)));
    let proofs = BlobError::Proofs { expected: 128, got: 127 };
    assert_eq!(refusal(wrong(|s| s.proofs.truncate(127))).await, PoolError::Blob(proofs));
    let other_blob = wrong(|s| s.blobs = vec![[&[0u8; 31][..], &[1], &[0; 131_040]].concat().into()]);
    assert_eq!(refusal(other_blob).await, PoolError::Blob(BlobError::Proof));
    let other_hash = blob_tx(|_, kind| {
        if let EthereumKind::Blob { versioned_hashes, .. } = kind {
            versioned_hashes[0].0[31] ^= 1;
        }
    });
    assert!(matches!(refusal(other_hash).await, PoolError::Blob(BlobError::Hash { index: 0, .. })));
    let cheap = blob_tx(|_, kind| {
        if let EthereumKind::Blob { max_fee_per_blob_gas, .. } = kind {
            *max_fee_per_blob_gas = U256::from(199);
        }
    });
    assert_eq!(
        refusal(cheap).await.to_string(),
        "transaction gas price below minimum: blob fee cap 199, minimum needed 200"
    );
}
