//! The rules of admission that look at one transaction and the accounts it names, in the reference client's order.
//!
//! Source: spec 10, sections 3.2, 4.3, 4.4 and 6.1.

use klay_accounts::{AccountKey, MultiSigRules, StateAccount};
use klay_core::{
    Address, Fork, Payload, Role, TxEnvelope, TxView, U256,
    tx::{HashedTx, SenderAuth, TxType, gas},
};

use super::{
    PoolError,
    entry::{Entry, new_key},
    error::SignerError,
    head::PoolHead,
};
use crate::{Fee, KlaytnTx};

/// Longest transaction, without type bytes and blobs.
const MAX_SIZE: usize = 4 * 32_768;
/// Longest init code.
const MAX_INIT_CODE: usize = 49_152;
/// Most gas a transaction may ask for.
const MAX_GAS: u64 = 500_000_000;
/// Most blobs in a transaction.
const MAX_BLOBS: usize = 1;
/// Last address of the range that is kept for precompiled contracts; it starts at 1.
const LAST_RESERVED: u16 = 0x03ff;

/// Rules 2 to 8: what needs neither signers nor state, and is therefore asked before anything is recovered.
pub(super) fn check_form(hashed: &HashedTx<Fee>, head: &PoolHead) -> Result<(), PoolError> {
    let (tx, view) = (hashed.tx(), hashed.view());
    check_type(&view, head)?;
    if head.next_rules.has(Fork::Shanghai)
        && view.to.is_none_or(|to| is_nobody(tx, to))
        && view.input.len() > MAX_INIT_CODE
    {
        return Err(PoolError::InitCodeSize { got: view.input.len(), limit: MAX_INIT_CODE });
    }
    if view.gas_limit > MAX_GAS {
        return Err(PoolError::GasLimit { got: view.gas_limit, limit: MAX_GAS });
    }
    if view.chain_id.is_some_and(|id| id != head.chain_id) {
        return Err(PoolError::ChainId);
    }
    check_price(&view, head)?;
    let type_bytes = match tx {
        TxEnvelope::Legacy(_) => 0,
        TxEnvelope::Ethereum(_) => 2,
        TxEnvelope::Klaytn(_) => 1,
    };
    if hashed.encoded().len() > MAX_SIZE + type_bytes {
        return Err(PoolError::Oversized);
    }
    Ok(())
}

/// Klaytn types to the zero address report no recipient (spec 10, section 3.2); Ethereum's do have one.
fn is_nobody(tx: &KlaytnTx, to: Address) -> bool {
    to.is_zero() && matches!(tx, TxEnvelope::Klaytn(_))
}

const fn check_type(view: &TxView<'_>, head: &PoolHead) -> Result<(), PoolError> {
    let since = match view.tx_type.code() {
        0x7801 | 0x7802 => Fork::EthTxType,
        0x7803 => Fork::Osaka,
        0x7804 => Fork::Prague,
        _ => return Ok(()),
    };
    if head.next_rules.has(since) { Ok(()) } else { Err(PoolError::TypeNotSupported) }
}

fn check_price(view: &TxView<'_>, head: &PoolHead) -> Result<(), PoolError> {
    let magma = head.next_rules.has(Fork::Magma);
    if matches!(view.tx_type.code(), 0x7802 | 0x7804) {
        if view.fee_cap < view.tip_cap {
            return Err(PoolError::TipAboveFeeCap);
        }
        return match magma {
            true if view.fee_cap < head.price => Err(PoolError::FeeCapBelowBaseFee),
            false if view.tip_cap != head.price => Err(PoolError::TipNotUnitPrice),
            false if view.fee_cap != head.price => Err(PoolError::FeeCapNotUnitPrice),
            _ => Ok(()),
        };
    }
    match magma {
        true if view.fee_cap < head.price => Err(PoolError::GasPriceBelowBaseFee),
        false if view.fee_cap != head.price => Err(PoolError::UnitPrice),
        _ => Ok(()),
    }
}

/// The accounts that a transaction names, as they stand behind the newest block.
#[derive(Debug)]
pub(super) struct Parties<'a> {
    pub(super) sender: &'a StateAccount,
    pub(super) payer: Option<&'a StateAccount>,
    /// Present where the type has rules about it.
    pub(super) recipient: Option<&'a StateAccount>,
}

/// Rules 9 to 16 and 18. Rule 17 compares with other transactions and is the pool's.
pub(super) fn check_state(entry: &Entry, parties: &Parties<'_>, head: &PoolHead) -> Result<(), PoolError> {
    let view = entry.tx.tx().view();
    let sender_gas = check_sender(entry, &view, parties.sender, head)?;
    if view.nonce == u64::MAX {
        return Err(PoolError::NonceMax);
    }
    if view.nonce < parties.sender.nonce {
        return Err(PoolError::NonceTooLow);
    }
    let payer_gas = match parties.payer {
        Some(payer) => check_payer(entry, &view, payer, head)?,
        None => 0,
    };
    check_balances(entry, &view, parties)?;
    check_gas(entry, &view, sender_gas.wrapping_add(payer_gas), head)?;
    if view.tx_type == TxType::ETHEREUM_BLOB {
        check_blobs(entry, &view, head)?;
    }
    if view.authorization_list.is_some_and(<[_]>::is_empty) {
        return Err(PoolError::NoAuthorization);
    }
    Ok(())
}

/// Whether the sender's signatures are good for the account; the result is their gas.
pub(super) fn check_sender(
    entry: &Entry,
    view: &TxView<'_>,
    account: &StateAccount,
    head: &PoolHead,
) -> Result<u64, PoolError> {
    match entry.tx.auth() {
        SenderAuth::Address if account.key.is_legacy() => Ok(0),
        SenderAuth::Address => Err(PoolError::Sender(SignerError::NotLegacyKey)),
        SenderAuth::Keys(keys) => {
            authorize(&account.key, view.role, entry.tx.sender(), keys, head).map_err(PoolError::Sender)
        }
    }
}

/// Whether the fee payer's signatures are good for the account; the result is their gas.
pub(super) fn check_payer(
    entry: &Entry,
    view: &TxView<'_>,
    account: &StateAccount,
    head: &PoolHead,
) -> Result<u64, PoolError> {
    let Some(payer) = view.fee_payer else { return Ok(0) };
    authorize(&account.key, Role::FeePayer, payer, entry.tx.payer_keys(), head).map_err(PoolError::FeePayer)
}

fn authorize(
    key: &AccountKey,
    role: Role,
    address: Address,
    signers: &[klay_core::PublicKey],
    head: &PoolHead,
) -> Result<u64, SignerError> {
    let rules = MultiSigRules::of(head.rules);
    key.validate(role, address, signers, rules).map_err(|_| SignerError::Key)?;
    key.signature_gas(role, signers.len(), rules).map_err(|_| SignerError::Key)
}

/// Rule 12: value and fee at the highest price that the transaction allows.
pub(super) fn check_balances(entry: &Entry, view: &TxView<'_>, parties: &Parties<'_>) -> Result<(), PoolError> {
    if view.fee_ratio.is_some_and(|ratio| !ratio.is_in_range()) {
        return Err(PoolError::FeeRatio);
    }
    if parties.sender.balance < entry.costs.sender {
        return Err(PoolError::SenderFunds);
    }
    if let (Some(payer), Some(part)) = (parties.payer, entry.costs.payer) {
        if payer.balance < part {
            return Err(PoolError::FeePayerFunds);
        }
        if view.fee_payer == Some(entry.tx.sender()) && parties.sender.balance < entry.costs.total {
            return Err(PoolError::SenderFunds);
        }
    }
    Ok(())
}

fn check_gas(entry: &Entry, view: &TxView<'_>, signature_gas: u64, head: &PoolHead) -> Result<(), PoolError> {
    let mut need = gas::intrinsic(view, head.rules)?;
    if let Some(Ok(key)) = new_key(entry.tx.tx()) {
        need = need.wrapping_add(key.creation_gas().map_err(PoolError::KeyUpdate)?);
    }
    if view.gas_limit < need.wrapping_add(signature_gas) {
        return Err(PoolError::IntrinsicGas);
    }
    if head.next_rules.has(Fork::Prague) {
        let need = gas::floor(view)?.wrapping_add(signature_gas);
        if view.gas_limit < need {
            return Err(PoolError::FloorGas { got: view.gas_limit, need });
        }
    }
    Ok(())
}

fn check_blobs(entry: &Entry, view: &TxView<'_>, head: &PoolHead) -> Result<(), PoolError> {
    if entry.blobs == Err(PoolError::BlobSidecar) {
        return Err(PoolError::BlobSidecar);
    }
    let (got, need) = (U256::from(view.max_fee_per_blob_gas.unwrap_or_default()), head.blob_base_fee());
    if got < need {
        return Err(PoolError::BlobFeeCap { got, need });
    }
    match view.blob_hashes.len() {
        0 => Err(PoolError::Blobless),
        got if got > MAX_BLOBS => Err(PoolError::TooManyBlobs { got, limit: MAX_BLOBS }),
        _ => entry.blobs.clone(),
    }
}

/// Rule 18: what the type says about the accounts it touches.
pub(super) fn check_type_rules(entry: &Entry, parties: &Parties<'_>) -> Result<(), PoolError> {
    let TxEnvelope::Klaytn(tx) = entry.tx.tx() else {
        return match entry.tx.tx().view().to {
            Some(to) if is_reserved(to) => Err(PoolError::Reserved),
            _ => Ok(()),
        };
    };
    match &tx.body.payload {
        Payload::ValueTransfer(_) | Payload::ValueTransferMemo(_) => {
            if klay_core::tx::PayloadType::to(&tx.body.payload).is_some_and(is_reserved) {
                return Err(PoolError::Reserved);
            }
            match parties.recipient {
                Some(account) if account.is_contract() || account.has_code() => Err(PoolError::RecipientNotEoa),
                _ => Ok(()),
            }
        }
        Payload::AccountUpdate(_) => check_update(entry, parties.sender),
        Payload::ContractDeploy(deploy) => {
            if deploy.to.is_some() {
                Err(PoolError::DeployTo)
            } else if is_reserved(tx.body.from.create(tx.body.nonce)) {
                Err(PoolError::Reserved)
            } else if deploy.human_readable {
                Err(PoolError::HumanReadable)
            } else if deploy.code_format != 0 {
                Err(PoolError::CodeFormat)
            } else {
                Ok(())
            }
        }
        Payload::ContractExecution(_) => match parties.recipient {
            Some(account) if account.has_code() => Ok(()),
            Some(account) if account.is_contract() => Err(PoolError::NotProgramAccount),
            _ => Err(PoolError::RecipientNotContract),
        },
        Payload::Cancel(_) | Payload::ChainDataAnchoring(_) => Ok(()),
    }
}

fn check_update(entry: &Entry, sender: &StateAccount) -> Result<(), PoolError> {
    if let Some(key) = new_key(entry.tx.tx()) {
        let key = key.map_err(PoolError::Decode)?;
        sender.key.check_replacable(&key).map_err(PoolError::KeyUpdate)?;
    }
    if sender.is_contract() || sender.has_code() {
        return Err(PoolError::SenderNotEoa);
    }
    Ok(())
}

/// Whether the address is kept for precompiled contracts, in use or not.
fn is_reserved(address: Address) -> bool {
    let (head, tail) = address.0.split_at(18);
    let last = u16::from_be_bytes([tail[0], tail[1]]);
    head.iter().all(|b| *b == 0) && (1..=LAST_RESERVED).contains(&last)
}

/// The recipient whose account the type has rules about.
pub(super) const fn ruled_recipient(tx: &KlaytnTx) -> Option<Address> {
    match tx {
        TxEnvelope::Klaytn(tx) => match &tx.body.payload {
            Payload::ValueTransfer(p) => Some(p.to),
            Payload::ValueTransferMemo(p) => Some(p.to),
            Payload::ContractExecution(p) => Some(p.to),
            _ => None,
        },
        _ => None,
    }
}
