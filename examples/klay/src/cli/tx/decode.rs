//! `klay tx decode`: what the bytes of a transaction say.

use klay_accounts::AccountKey;
use klay_core::{
    Address, B256, DecodeError, Payload, PublicKey, Signature, TxEnvelope, crypto,
    tx::{HashedTx, payload::EncodedKey},
};
use klay_feedeleg::{Fee, KlaytnTx};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::cli::lines::{BadLine, hex_bytes};

/// The answer to one line.
pub(super) fn decode(line: &str) -> Result<String, BadLine> {
    let raw = hex_bytes(line)?;
    let tx = KlaytnTx::decode_any(&raw)?;
    check_key(&tx, &raw)?;
    serde_json::to_string(&describe(tx)).map_err(BadLine::new)
}

/// A key that no account can read makes the transaction undecodable; core does not look into it.
fn check_key(tx: &KlaytnTx, raw: &[u8]) -> Result<(), DecodeError> {
    let TxEnvelope::Klaytn(tx) = tx else { return Ok(()) };
    let Payload::AccountUpdate(update) = &tx.body.payload else { return Ok(()) };
    let EncodedKey(key) = &update.key;
    AccountKey::try_from(&update.key).map(drop).map_err(|error| {
        let base = raw.windows(key.len().max(1)).position(|window| window == key.as_ref()).unwrap_or_default();
        DecodeError::new("key", base + error.offset, klay_core::codec::DecodeErrorKind::UnserializableKey)
    })
}

/// A JSON object with its members in order.
struct Object(Vec<(String, Value)>);

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

fn describe(tx: KlaytnTx) -> Object {
    let tx = HashedTx::new(tx);
    let envelope = tx.tx();
    let view = tx.view();
    let chain_id = view.chain_id;
    let signing = envelope.signing_hash(chain_id);
    let payer_signing = envelope.payer_signing_hash(chain_id.unwrap_or_default());
    let senders = signers(envelope, signing, view.signatures);
    let payers = match payer_signing {
        Some(digest) => signers(envelope, digest, view.fee_payer_signatures),
        None => Vec::new(),
    };

    let mut fields = envelope.rpc_fields();
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    let mut out: Vec<(String, Value)> = [
        ("type", take("type")),
        ("typeInt", take("typeInt")),
        ("hash", json!(tx.hash())),
        ("senderTxHash", json!(tx.sender_hash())),
        ("sigHash", json!(signing)),
        ("feePayerSigHash", json!(payer_signing)),
        ("recoveredSenders", addresses(&senders)),
        ("recoveredFeePayers", addresses(&payers)),
        ("raw", json!(format!("0x{}", hex::encode(tx.encoded())))),
        ("from", json!(view.from.or_else(|| senders.first().copied().flatten()).map(lower))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if let Some(input) = fields.get_mut("inputJSON") {
        *input = klay_anchor::input_json(view.input).unwrap_or_default();
    }
    out.extend(fields);
    Object(out)
}

/// The address behind each signature, `None` where it yields none under the chain id that it carries itself.
fn signers(tx: &TxEnvelope<Fee>, digest: B256, signatures: &[Signature]) -> Vec<Option<Address>> {
    let parity = |signature: &Signature| match tx {
        TxEnvelope::Ethereum(_) => signature.bare_parity(),
        _ => match signature.chain_id() {
            Some(chain_id) => signature.parity(chain_id.try_into().ok()?),
            None => signature.unprotected_parity(),
        },
    };
    let recover = |signature: &Signature| {
        crypto::recover(digest, parity(signature)?, signature.r, signature.s).ok().map(|key: PublicKey| key.address())
    };
    signatures.iter().map(recover).collect()
}

fn addresses(list: &[Option<Address>]) -> Value {
    list.iter().map(|address| json!(address.map(lower))).collect()
}

fn lower(address: Address) -> String {
    format!("{address:#x}")
}
