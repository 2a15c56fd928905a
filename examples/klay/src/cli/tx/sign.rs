//! `klay tx sign` and `klay tx sign-as-fee-payer`: a transaction is built from JSON or taken as raw hex, and gets
//! signatures.

use std::{error::Error, path::PathBuf, process::ExitCode};

use klay_core::{Address, Role, TxEnvelope, TxType, tx::PayloadType};
use klay_feedeleg::{KlaytnTx, PartialTx, combine, rpc::TxArgs};
use serde_json::Value;

use crate::cli::{
    Outcome,
    lines::{self, BadLine, hex_bytes},
    secret::{KeySource, Keys},
};

/// What both commands take.
#[derive(Debug, clap::Args)]
pub(crate) struct Signing {
    /// The argument object of kaia_sendTransaction, or a raw transaction in hex; `-` or nothing reads lines.
    #[arg(value_name = "JSON|HEX|-")]
    input: Option<String>,
    /// Chain that the signatures are for.
    #[arg(long, env = "KLAY_CHAIN_ID")]
    chain_id: u64,
    #[command(flatten)]
    keys: KeySource,
    /// File with the password of the keystore.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// A transaction on its way.
enum Draft {
    /// One party signs.
    Whole(KlaytnTx),
    /// Two parties sign.
    Partial(PartialTx),
}

impl Signing {
    /// Adds the sender's signatures.
    pub(super) fn sign(&self) -> Outcome {
        self.each(|draft, keys| match draft {
            Draft::Whole(tx) => Ok(Draft::Whole(add_signatures(tx, self.chain_id, keys)?)),
            Draft::Partial(tx) => {
                let signers = keys.signers(tx.body().payload.role())?;
                Ok(Draft::Partial(tx.sign_as_sender(self.chain_id, &signers)?))
            }
        })
    }

    /// Adds the fee payer's signatures.
    pub(super) fn sign_as_fee_payer(&self, payer: Option<Address>) -> Outcome {
        self.each(|draft, keys| {
            let Draft::Partial(tx) = draft else { return Err("the type has no fee payer".into()) };
            let payer = payer
                .or_else(|| tx.payer())
                .or_else(|| keys.address())
                .ok_or("the transaction names no fee payer: say which with --fee-payer")?;
            let signers = keys.signers(Role::FeePayer)?;
            Ok(Draft::Partial(tx.with_payer(payer).sign_as_payer(self.chain_id, &signers)?))
        })
    }

    fn each(&self, sign: impl Fn(Draft, &Keys) -> Result<Draft, Box<dyn Error>>) -> Outcome {
        let reads_stdin = self.input.as_deref().is_none_or(|text| text == "-");
        if self.keys.takes_stdin() && reads_stdin {
            eprintln!("klay: standard input holds the keys, so the transaction has to be an argument");
            return Ok(ExitCode::from(2));
        }
        let keys = self.keys.read(self.password_file.as_ref())?;
        lines::answer(self.input.as_deref(), |line| {
            let signed = sign(read(line)?, &keys).map_err(BadLine::new)?;
            Ok(format!("0x{}", hex::encode(signed.encode())))
        })
    }
}

impl Draft {
    /// The wire form, with placeholders for what a partner has still to add.
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Whole(tx) => tx.encode_network(),
            Self::Partial(tx) => tx.encode(),
        }
    }
}

fn read(line: &str) -> Result<Draft, BadLine> {
    if line.starts_with('{') {
        return from_json(line);
    }
    let raw = hex_bytes(line)?;
    let code = raw.first().copied().unwrap_or_default();
    let is_delegated = TxType::from_code(code.into()).is_some_and(TxType::is_fee_delegated);
    if is_delegated {
        return Ok(Draft::Partial(PartialTx::decode(&raw)?));
    }
    Ok(Draft::Whole(KlaytnTx::decode_any(&raw)?))
}

fn from_json(line: &str) -> Result<Draft, BadLine> {
    let mut object = match serde_json::from_str(line).map_err(BadLine::new)? {
        Value::Object(object) => object,
        _ => return Err(BadLine::new("not a JSON object")),
    };
    let is_delegated =
        TxArgs::from_json(&object).and_then(|args| args.tx_type()).map_err(BadLine::new)?.is_fee_delegated();
    if is_delegated {
        // The sender does not sign the payer's address, so it may be open who pays.
        object.entry("feePayer").or_insert_with(|| Value::String(format!("{:#x}", Address::ZERO)));
    }
    let tx = TxArgs::from_json(&object).and_then(|args| args.to_tx()).map_err(BadLine::new)?;
    match tx {
        TxEnvelope::Klaytn(tx) if is_delegated => Ok(Draft::Partial(PartialTx::from(tx))),
        tx => Ok(Draft::Whole(tx)),
    }
}

/// Klaytn types collect signatures, one key after the other; the others have exactly one.
fn add_signatures(tx: KlaytnTx, chain_id: u64, keys: &Keys) -> Result<KlaytnTx, Box<dyn Error>> {
    let signers = keys.signers(tx.view().role)?;
    let before = tx.view().signatures.to_vec();
    let mut tx = tx.sign(chain_id, &signers)?;
    if let TxEnvelope::Klaytn(tx) = &mut tx {
        tx.signatures = combine::merge(&before, &tx.signatures)?;
    }
    Ok(tx)
}
