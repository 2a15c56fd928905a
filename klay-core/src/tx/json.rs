//! JSON forms of a transaction: the members that its bytes determine.
//!
//! A node adds what only it knows: block hash and number, index, and for mined dynamic-fee transactions the effective
//! `gasPrice`. Quantities are minimal hexadecimal strings, addresses and byte strings lower case.
//!
//! `inputJSON` of anchoring transactions is `null` here; the crate `klay-anchor` reads the record, and whoever has it
//! puts the result in that place.
//!
//! Source: spec 10, sections 5.1 and 5.2.

use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, hex};
use serde_json::{Map, Value, json};

use super::{
    envelope::TxEnvelope,
    ethereum::EthereumTx,
    fee::FeeMode,
    legacy::LegacyTx,
    payload::{Payload, PayloadType},
    recovered::{HashedTx, RecoveredTx},
    typed::Tx,
    view::TxView,
};
use crate::crypto::Signature;

/// A JSON object.
pub type Object = Map<String, Value>;

impl<F: FeeMode> TxEnvelope<F> {
    /// The members that belong to the type, as the `kaia_` methods show them: everything but `from` and the hashes.
    pub fn rpc_fields(&self) -> Object {
        let mut out = object(&self.view());
        match self {
            Self::Legacy(tx) => legacy(tx, &mut out),
            Self::Ethereum(tx) => ethereum(tx, &mut out),
            Self::Klaytn(tx) => klaytn(tx, &mut out),
        }
        out
    }

    /// The transaction by itself, as the sign methods return it: no `senderTxHash`, `from` only where the type writes
    /// it down, and neither `type` nor `typeInt` for legacy ones.
    pub fn tx_json(&self) -> Object {
        let mut out = self.rpc_fields();
        match self {
            Self::Legacy(_) => {
                out.remove("type");
                out.remove("typeInt");
            }
            Self::Ethereum(_) => {}
            Self::Klaytn(tx) => set(&mut out, "from", address(tx.body.from)),
        }
        set(&mut out, "hash", hash(self.hash()));
        out
    }
}

impl<F: FeeMode> HashedTx<F> {
    /// The object of the `kaia_` and `klay_` methods without the members of the block. The `gasPrice` of a dynamic-fee
    /// type is its cap, as while it is pending.
    pub fn to_kaia_json(&self, sender: Address) -> Object {
        let mut out = self.tx().rpc_fields();
        set(&mut out, "from", address(sender));
        set(&mut out, "hash", hash(self.hash()));
        set(&mut out, "senderTxHash", hash(self.sender_hash()));
        let view = self.view();
        if view.is_dynamic {
            set(&mut out, "gasPrice", quantity(view.fee_cap));
        }
        out
    }

    /// The object of the `eth_` methods without the members of the block: every Klaytn type shows as type 0, what
    /// Ethereum does not know is left out, and payloads without recipient show the sender as `to`.
    pub fn to_eth_json(&self, sender: Address) -> Object {
        let view = self.view();
        let to = match view.tx_type.family() {
            0x20 | 0x38 | 0x48 if view.tx_type.is_klaytn() => Some(sender),
            _ if view.reports_no_recipient() => None,
            _ => view.to,
        };
        let signature = view.signatures.first().copied().unwrap_or_default();
        let mut out = Object::new();
        set(&mut out, "type", quantity(view.tx_type.ethereum_type()));
        set(&mut out, "from", address(sender));
        set(&mut out, "hash", hash(self.hash()));
        set(&mut out, "nonce", quantity(view.nonce));
        set(&mut out, "gas", quantity(view.gas_limit));
        set(&mut out, "gasPrice", quantity(view.fee_cap));
        set(&mut out, "to", to.map_or(Value::Null, address));
        set(&mut out, "value", quantity(view.value));
        set(&mut out, "input", bytes(view.input));
        set(&mut out, "v", quantity(signature.v));
        set(&mut out, "r", quantity(signature.r));
        set(&mut out, "s", quantity(signature.s));
        if let TxEnvelope::Ethereum(tx) = self.tx() {
            ethereum_only(tx, &view, &mut out);
        }
        out
    }
}

impl<F: FeeMode> RecoveredTx<F> {
    /// As [`HashedTx::to_kaia_json`].
    pub fn to_kaia_json(&self) -> Object {
        self.hashed().to_kaia_json(self.sender())
    }

    /// As [`HashedTx::to_eth_json`].
    pub fn to_eth_json(&self) -> Object {
        self.hashed().to_eth_json(self.sender())
    }
}

fn object(view: &TxView<'_>) -> Object {
    let mut out = Object::new();
    set(&mut out, "typeInt", json!(view.tx_type.code()));
    set(&mut out, "type", json!(view.tx_type.name()));
    set(&mut out, "nonce", quantity(view.nonce));
    set(&mut out, "gas", quantity(view.gas_limit));
    set(&mut out, "signatures", signatures(view.signatures));
    out
}

fn legacy(tx: &LegacyTx, out: &mut Object) {
    set(out, "gasPrice", quantity(tx.gas_price));
    set(out, "to", tx.to.map_or(Value::Null, address));
    set(out, "value", quantity(tx.value));
    set(out, "input", bytes(&tx.input));
}

fn ethereum(tx: &EthereumTx, out: &mut Object) {
    let view = TxView::ethereum(tx);
    if !view.is_dynamic {
        set(out, "gasPrice", quantity(view.fee_cap));
    }
    set(out, "to", view.to.map_or(Value::Null, address));
    set(out, "value", quantity(view.value));
    set(out, "input", bytes(view.input));
    ethereum_only(tx, &view, out);
}

/// Members that only some of Ethereum's types have.
fn ethereum_only(tx: &EthereumTx, view: &TxView<'_>, out: &mut Object) {
    set(out, "chainId", quantity(tx.fields.chain_id));
    set(out, "accessList", view.access_list.map_or(Value::Null, access_list));
    if view.is_dynamic {
        set(out, "maxPriorityFeePerGas", quantity(view.tip_cap));
        set(out, "maxFeePerGas", quantity(view.fee_cap));
    }
    if let Some(cap) = view.max_fee_per_blob_gas {
        set(out, "maxFeePerBlobGas", quantity(cap));
        set(out, "blobVersionedHashes", view.blob_hashes.iter().map(|blob| hash(*blob)).collect());
    }
    if let Some(list) = view.authorization_list {
        set(out, "authorizationList", list.iter().map(authorization).collect());
    }
}

fn klaytn<F: FeeMode>(tx: &Tx<F>, out: &mut Object) {
    set(out, "gasPrice", quantity(tx.body.gas_price));
    match tx.payload() {
        Payload::ValueTransfer(_) | Payload::ValueTransferMemo(_) | Payload::ContractExecution(_) => {
            transfer(tx.payload(), out);
        }
        Payload::ContractDeploy(deploy) => {
            transfer(tx.payload(), out);
            set(out, "humanReadable", json!(deploy.human_readable));
            set(out, "codeFormat", quantity(deploy.code_format));
        }
        Payload::AccountUpdate(update) => set(out, "key", bytes(update.key.as_bytes())),
        Payload::ChainDataAnchoring(record) => {
            set(out, "input", bytes(&record.input));
            set(out, "inputJSON", Value::Null);
        }
        Payload::Cancel(_) => {}
    }
    if let Some(ratio) = tx.fee.ratio() {
        set(out, "feeRatio", quantity(ratio.percent()));
    }
    if let Some(payer) = tx.fee.payer() {
        set(out, "feePayer", address(payer));
        set(out, "feePayerSignatures", signatures(tx.fee.payer_signatures()));
    }
}

fn transfer(payload: &Payload, out: &mut Object) {
    set(out, "to", payload.to().map_or(Value::Null, address));
    set(out, "value", quantity(payload.value()));
    if !matches!(payload, Payload::ValueTransfer(_)) {
        set(out, "input", bytes(payload.input()));
    }
}

fn set(out: &mut Object, name: &str, value: Value) {
    out.insert(name.to_owned(), value);
}

fn quantity(number: impl core::fmt::LowerHex) -> Value {
    Value::String(format!("{number:#x}"))
}

fn bytes(bytes: &[u8]) -> Value {
    Value::String(hex::encode_prefixed(bytes))
}

fn address(address: Address) -> Value {
    bytes(address.as_slice())
}

fn hash(hash: B256) -> Value {
    bytes(hash.as_slice())
}

/// Signatures as they stand in every transaction object, upper case members.
pub fn signatures(list: &[Signature]) -> Value {
    let signature = |s: &Signature| json!({ "V": quantity(s.v), "R": quantity(s.r), "S": quantity(s.s) });
    list.iter().map(signature).collect()
}

fn access_list(list: &AccessList) -> Value {
    list.iter()
        .map(|item| {
            let keys: Value = item.storage_keys.iter().map(|key| hash(*key)).collect();
            json!({ "address": address(item.address), "storageKeys": keys })
        })
        .collect()
}

fn authorization(tuple: &SignedAuthorization) -> Value {
    json!({
        "chainId": quantity(tuple.chain_id),
        "address": address(tuple.address),
        "nonce": quantity(tuple.nonce),
        "yParity": quantity(tuple.y_parity()),
        "r": quantity(tuple.r()),
        "s": quantity(tuple.s()),
    })
}
