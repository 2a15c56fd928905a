//! Test vectors: a compact set beside the tests, the full set where it is at hand, and both as transactions.

use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use klay_core::{
    Body, FeeRatio, PublicKey, Sign, Signature, Signatures, TxType,
    auth::SignError,
    crypto,
    tx::{
        DynamicPrice, EncodedKey, EthereumFields, EthereumKind, EthereumTx, LegacyTx, Payload,
        payload::{
            AccountUpdate, Cancel, ChainDataAnchoring, ContractDeploy, ContractExecution, ValueTransfer,
            ValueTransferMemo,
        },
    },
};
use klay_feedeleg::{Fee, FeePayer, KlaytnTx};
use serde_json::Value;

/// The compact vectors of this crate.
pub(crate) fn compact() -> Value {
    let parse = |text| serde_json::from_str::<Value>(text).unwrap();
    let mut set = parse(include_str!("../../vectors/transactions.json"));
    let mut rpc = parse(include_str!("../../vectors/rpc.json"));
    set["vectors"].as_array_mut().unwrap().append(rpc["vectors"].as_array_mut().unwrap());
    set
}

/// The full vectors: `vectors/transactions.json` below `KLAY_SHARED`, or below `shared` beside the repository.
pub(crate) fn full() -> Option<Value> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let shared = std::env::var("KLAY_SHARED").unwrap_or_else(|_| beside.to_owned());
    match std::fs::read_to_string(format!("{shared}/vectors/transactions.json")) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) => {
            println!("full vectors absent ({error}): only the compact set ran");
            None
        }
    }
}

/// Every set of vectors at hand.
pub(crate) fn sets() -> Vec<Value> {
    std::iter::once(compact()).chain(full()).collect()
}

/// A secret key that signs.
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(crate) fn new(value: &Value) -> Self {
        Self(text(value).parse::<B256>().unwrap().0)
    }

    pub(crate) const fn from_seed(seed: u8) -> Self {
        Self([seed; 32])
    }

    pub(crate) fn address(&self) -> Address {
        self.public_key().address()
    }
}

impl Sign for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_secret(&self.0).unwrap()
    }

    fn sign_digest(&self, digest: B256) -> Result<Signature, SignError> {
        crypto::sign_digest(&self.0, digest)
    }
}

pub(crate) fn keys(value: &Value) -> Vec<Key> {
    value.as_array().map_or_else(Vec::new, |keys| keys.iter().map(Key::new).collect())
}

pub(crate) fn signers(keys: &[Key]) -> Vec<&dyn Sign> {
    keys.iter().map(|key| key as &dyn Sign).collect()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no string: {value}"))
}

pub(crate) fn bytes(value: &Value) -> Bytes {
    text(value).parse().unwrap()
}

pub(crate) fn hash(value: &Value) -> B256 {
    text(value).parse().unwrap()
}

pub(crate) fn uint(value: &Value) -> U256 {
    text(value).parse().unwrap()
}

pub(crate) fn u64(value: &Value) -> u64 {
    uint(value).to()
}

fn address(value: &Value) -> Address {
    text(value).parse().unwrap()
}

fn opt_address(value: &Value) -> Option<Address> {
    (!value.is_null()).then(|| address(value))
}

pub(crate) fn signatures(value: &Value) -> Signatures {
    let list = value.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(|s| Signature { v: uint(&s["V"]), r: uint(&s["R"]), s: uint(&s["S"]) }).collect()
}

/// The transaction of a vector, made from its fields and the signatures it prints.
pub(crate) fn transaction(vector: &Value) -> KlaytnTx {
    let fields = &vector["fields"];
    let tx_type = TxType::from_code(vector["typeInt"].as_u64().unwrap()).unwrap();
    let signatures = signatures(&vector["signatures"]);
    if tx_type.is_legacy() {
        return KlaytnTx::Legacy(LegacyTx {
            nonce: u64(&fields["nonce"]),
            gas_price: uint(&fields["gasPrice"]),
            gas_limit: u64(&fields["gas"]),
            to: opt_address(&fields["to"]),
            value: uint(&fields["value"]),
            input: bytes(&fields["input"]),
            signature: signatures[0],
        });
    }
    if tx_type.is_ethereum() {
        return KlaytnTx::Ethereum(EthereumTx {
            fields: ethereum(tx_type, fields),
            signature: signatures[0],
            sidecar: None,
        });
    }
    let fee = match tx_type.fee_bits() {
        0 => Fee::SENDER,
        _ => Fee::Payer(FeePayer {
            address: address(&fields["feePayer"]),
            ratio: tx_type.has_ratio().then(|| FeeRatio::new_unchecked(u64(&fields["feeRatio"]) as u8)),
            signatures: self::signatures(&vector["feePayerSignatures"]),
        }),
    };
    let body = Body {
        nonce: u64(&fields["nonce"]),
        gas_price: uint(&fields["gasPrice"]),
        gas_limit: u64(&fields["gas"]),
        from: address(&fields["from"]),
        payload: payload(tx_type, fields),
    };
    let mut tx = body.paid_by(fee);
    tx.signatures = signatures;
    KlaytnTx::Klaytn(tx)
}

fn payload(tx_type: TxType, fields: &Value) -> Payload {
    match tx_type.family() {
        0x08 => ValueTransfer { to: address(&fields["to"]), value: uint(&fields["value"]) }.into(),
        0x10 => ValueTransferMemo {
            to: address(&fields["to"]),
            value: uint(&fields["value"]),
            input: bytes(&fields["input"]),
        }
        .into(),
        0x20 => AccountUpdate { key: EncodedKey::decode(&bytes(&fields["key"])).unwrap() }.into(),
        0x28 => ContractDeploy {
            to: opt_address(&fields["to"]),
            value: uint(&fields["value"]),
            input: bytes(&fields["input"]),
            human_readable: fields["humanReadable"].as_bool().unwrap(),
            code_format: u64(&fields["codeFormat"]) as u8,
        }
        .into(),
        0x30 => ContractExecution {
            to: address(&fields["to"]),
            value: uint(&fields["value"]),
            input: bytes(&fields["input"]),
        }
        .into(),
        0x38 => Cancel.into(),
        _ => ChainDataAnchoring { input: bytes(&fields["input"]) }.into(),
    }
}

fn ethereum(tx_type: TxType, fields: &Value) -> EthereumFields {
    let list = |name: &str| fields[name].as_array().unwrap().clone();
    let access_list = AccessList(
        list("accessList")
            .iter()
            .map(|item| AccessListItem {
                address: address(&item["address"]),
                storage_keys: item["storageKeys"].as_array().unwrap().iter().map(hash).collect(),
            })
            .collect(),
    );
    let price = || DynamicPrice { tip: uint(&fields["maxPriorityFeePerGas"]), cap: uint(&fields["maxFeePerGas"]) };
    let kind = match tx_type.code() {
        0x7801 => EthereumKind::AccessList { gas_price: uint(&fields["gasPrice"]) },
        0x7802 => EthereumKind::DynamicFee(price()),
        0x7803 => EthereumKind::Blob {
            price: price(),
            max_fee_per_blob_gas: uint(&fields["maxFeePerBlobGas"]),
            versioned_hashes: list("blobVersionedHashes").iter().map(hash).collect(),
        },
        _ => EthereumKind::SetCode {
            price: price(),
            authorizations: list("authorizationList").iter().map(authorization).collect(),
        },
    };
    EthereumFields {
        chain_id: uint(&fields["chainId"]),
        nonce: u64(&fields["nonce"]),
        gas_limit: u64(&fields["gas"]),
        to: opt_address(&fields["to"]),
        value: uint(&fields["value"]),
        input: bytes(&fields["input"]),
        access_list,
        kind,
    }
}

fn authorization(tuple: &Value) -> SignedAuthorization {
    let inner = Authorization {
        chain_id: uint(&tuple["chainId"]),
        address: address(&tuple["address"]),
        nonce: u64(&tuple["nonce"]),
    };
    let parity = u64(&tuple["yParity"]) as u8;
    SignedAuthorization::new_unchecked(inner, parity, uint(&tuple["r"]), uint(&tuple["s"]))
}
