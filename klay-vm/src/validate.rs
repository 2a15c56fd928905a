//! Rules that pool and executor share, in pieces, because the two ask in different orders.
//!
//! Source: spec 10, sections 3 and 4; spec 40, section 4.1.

use klay_accounts::{AccountKey, MultiSigRules, StateAccount};
use klay_core::{
    Address, Fork, Role, Rules, U256,
    tx::{FeeMode, RecoveredTx, SenderAuth, TxEnvelope, TxType, TxView, gas},
};

use crate::{
    error::{AuthorityError, TxError},
    payload::{Effect, ExecutablePayload, Recipient},
    precompile::reserved,
    state::{AccountSource, StateError},
};

/// Longest init code from Shanghai on, in bytes.
pub const MAX_INIT_CODE_SIZE: usize = 49_152;
/// Blob gas of one blob.
pub const GAS_PER_BLOB: u64 = 131_072;
/// Most blobs in a transaction.
pub const MAX_BLOBS: usize = 1;

/// Gas that a transaction costs before anything is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IntrinsicGas {
    /// Type, data, lists and a new key; signatures are added by [`Self::with_signatures`].
    pub total: u64,
    /// The floor of EIP-7623; 0 before Prague.
    pub floor: u64,
}

impl IntrinsicGas {
    /// Adds the gas of the sender's and the payer's signatures.
    ///
    /// # Errors
    /// On overflow.
    pub fn with_signatures(self, sender: u64, payer: u64) -> Result<Self, TxError> {
        let add = |gas: u64| gas.checked_add(sender)?.checked_add(payer);
        let overflow = TxError::Gas(gas::GasError::Overflow);
        let Some(total) = add(self.total) else { return Err(overflow) };
        // The floor applies from Prague, and is never zero there.
        let floor = if self.floor == 0 { Some(0) } else { add(self.floor) };
        Ok(Self { total, floor: floor.ok_or(overflow)? })
    }

    /// Whether `limit` covers it.
    ///
    /// # Errors
    /// [`TxError::IntrinsicGas`] or [`TxError::FloorDataGas`].
    pub const fn check(&self, limit: u64) -> Result<(), TxError> {
        if limit < self.total {
            Err(TxError::IntrinsicGas { needed: self.total, limit })
        } else if limit < self.floor {
            Err(TxError::FloorDataGas { needed: self.floor, limit })
        } else {
            Ok(())
        }
    }
}

/// What executing `tx` means.
pub fn effect<F: FeeMode, P: ExecutablePayload>(tx: &TxEnvelope<F, P>) -> Effect<'_> {
    match tx {
        TxEnvelope::Klaytn(tx) => tx.body.payload.effect(),
        tx if tx.view().to.is_none() => Effect::Create,
        _ => Effect::Call,
    }
}

/// Whether transactions of this type may stand in a block with these forks.
pub const fn is_active(tx_type: TxType, rules: Rules) -> bool {
    match tx_type.code() {
        0x7801 | 0x7802 => rules.has(Fork::EthTxType),
        0x7803 => rules.has(Fork::Osaka),
        0x7804 => rules.has(Fork::Prague),
        _ => true,
    }
}

/// The rules of the type that the bytes decide: reserved recipients and deployments.
///
/// # Errors
/// The first rule that fails.
pub fn static_rules<F: FeeMode, P: ExecutablePayload>(tx: &RecoveredTx<F, P>) -> Result<(), TxError> {
    let refuses_reserved = match tx.tx() {
        TxEnvelope::Klaytn(tx) => tx.body.payload.refuses_reserved(),
        _ => true,
    };
    let view = tx.view();
    if refuses_reserved && view.to.and_then(reserved).is_some() {
        return Err(TxError::ReservedAddress);
    }
    match tx.tx() {
        TxEnvelope::Klaytn(tx) => tx.body.payload.check(tx.body.from, tx.body.nonce),
        _ => Ok(()),
    }
}

/// The rules of the type that need the state: recipients with or without code, the replacement of a key.
///
/// # Errors
/// The first rule that fails.
pub fn state_rules<F: FeeMode, P: ExecutablePayload>(
    tx: &RecoveredTx<F, P>,
    accounts: &impl AccountSource,
) -> Result<(), TxError> {
    let TxEnvelope::Klaytn(tx) = tx.tx() else { return Ok(()) };
    let payload = &tx.body.payload;
    match payload.recipient() {
        Recipient::Any => {}
        Recipient::Plain => accounts.read_account(payload.to().unwrap_or_default(), |to| match to {
            Some(to) if !is_plain(to) => Err(TxError::ToMustBeEoaWithoutCode),
            _ => Ok(()),
        })??,
        Recipient::Program => accounts.read_account(payload.to().unwrap_or_default(), |to| match to {
            Some(to) if to.has_code() => Ok(()),
            Some(to) if to.is_contract() => Err(TxError::NotProgramAccount),
            _ => Err(TxError::ToMustBeProgram),
        })??,
    }
    if let Effect::UpdateKey(key) = payload.effect() {
        let key = decode_key(key)?;
        accounts.read_account(tx.body.from, |from| {
            let (old, plain) = from.map_or((&AccountKey::Legacy, true), |from| (&from.key, is_plain(from)));
            old.check_replacable(&key)?;
            if plain { Ok(()) } else { Err(TxError::FromMustBeEoaWithoutCode) }
        })??;
    }
    Ok(())
}

/// Whether the sender's signatures speak for the sender; gives the gas of the signatures.
///
/// # Errors
/// [`TxError::Sender`].
pub fn authorize_sender<F: FeeMode, P: ExecutablePayload>(
    tx: &RecoveredTx<F, P>,
    accounts: &impl AccountSource,
    rules: Rules,
) -> Result<u64, TxError> {
    let sender = tx.sender();
    let role = tx.view().role;
    with_key(accounts, sender, |key| match tx.auth() {
        SenderAuth::Address => Ok(key.require_legacy().map(|()| 0)?),
        SenderAuth::Keys(keys) => authorize(key, role, sender, keys, rules),
    })?
    .map_err(TxError::Sender)
}

/// Whether the fee payer's signatures speak for the fee payer; gives the gas of the signatures, 0 without a payer.
///
/// # Errors
/// [`TxError::FeePayer`].
pub fn authorize_payer<F: FeeMode, P: ExecutablePayload>(
    tx: &RecoveredTx<F, P>,
    accounts: &impl AccountSource,
    rules: Rules,
) -> Result<u64, TxError> {
    let Some(payer) = tx.view().fee_payer else { return Ok(0) };
    with_key(accounts, payer, |key| authorize(key, Role::FeePayer, payer, tx.payer_keys(), rules))?
        .map_err(TxError::FeePayer)
}

/// Intrinsic gas without the gas of signatures: type, data, lists and a new key.
///
/// # Errors
/// On overflow, or if a new key cannot be read or has too many members.
pub fn intrinsic_gas<F: FeeMode, P: ExecutablePayload>(
    tx: &RecoveredTx<F, P>,
    rules: Rules,
) -> Result<IntrinsicGas, TxError> {
    let view = tx.view();
    let mut total = gas::intrinsic(&view, rules)?;
    if let Effect::UpdateKey(key) = effect(tx.tx()) {
        total = total.checked_add(decode_key(key)?.creation_gas()?).ok_or(gas::GasError::Overflow)?;
    }
    let floor = if rules.has(Fork::Prague) { gas::floor(&view)? } else { 0 };
    Ok(IntrinsicGas { total, floor })
}

/// Nonce against the account's, as a block asks.
///
/// # Errors
/// If it is not exactly the account's, or that cannot grow.
pub const fn nonce(expected: u64, got: u64) -> Result<(), TxError> {
    if got < expected {
        Err(TxError::NonceTooLow { expected, got })
    } else if got > expected {
        Err(TxError::NonceTooHigh { expected, got })
    } else if expected == u64::MAX {
        Err(TxError::NonceMax)
    } else {
        Ok(())
    }
}

/// Prices, blobs and authorizations, as a block asks.
///
/// From Magma on the cap must reach the base fee, which a block's body is checked for; from Prague on execution asks
/// again and wants the tip below the cap.
///
/// # Errors
/// The first rule that fails.
pub fn prices_and_lists(
    tx: &TxView<'_>,
    rules: Rules,
    base_fee: Option<U256>,
    blob_base_fee: U256,
) -> Result<(), TxError> {
    if rules.has(Fork::Prague) && tx.tip_cap > tx.fee_cap {
        return Err(TxError::TipAboveFeeCap { tip: tx.tip_cap, cap: tx.fee_cap });
    }
    if let Some(base_fee) = base_fee
        && tx.fee_cap < base_fee
    {
        return Err(TxError::FeeCapTooLow { cap: tx.fee_cap, base_fee });
    }
    if let Some(cap) = tx.max_fee_per_blob_gas {
        if tx.blob_hashes.is_empty() {
            return Err(TxError::MissingBlobHashes);
        }
        if tx.blob_hashes.len() > MAX_BLOBS {
            return Err(TxError::TooManyBlobs);
        }
        if let Some(index) = tx.blob_hashes.iter().position(|hash| hash[0] != 0x01) {
            return Err(TxError::BlobHashVersion { index });
        }
        if U256::from(cap) < blob_base_fee {
            return Err(TxError::BlobFeeCapTooLow);
        }
    }
    if tx.authorization_list.is_some_and(<[_]>::is_empty) {
        return Err(TxError::EmptyAuthorizationList);
    }
    Ok(())
}

/// The limit on init code from Shanghai on. It meets every transaction that reports no recipient.
///
/// # Errors
/// [`TxError::InitCodeSize`].
pub fn init_code_size(tx: &TxView<'_>, rules: Rules) -> Result<(), TxError> {
    if rules.has(Fork::Shanghai) && tx.reports_no_recipient() && tx.input.len() > MAX_INIT_CODE_SIZE {
        return Err(TxError::InitCodeSize { got: tx.input.len() });
    }
    Ok(())
}

/// The key of an account update.
pub(crate) fn decode_key(encoded: &[u8]) -> Result<AccountKey, TxError> {
    AccountKey::decode(encoded).map_err(|_| TxError::Key(klay_accounts::KeyError::UnserializableKey))
}

fn is_plain(account: &StateAccount) -> bool {
    !account.is_contract() && !account.has_code()
}

fn with_key<R>(
    accounts: &impl AccountSource,
    address: Address,
    read: impl FnOnce(&AccountKey) -> R,
) -> Result<R, StateError> {
    accounts.read_account(address, |account| match account {
        Some(account) => read(&account.key),
        None => read(&AccountKey::Legacy),
    })
}

fn authorize(
    key: &AccountKey,
    role: Role,
    address: Address,
    signers: &[klay_core::PublicKey],
    rules: Rules,
) -> Result<u64, AuthorityError> {
    let rules = MultiSigRules::of(rules);
    key.validate(role, address, signers, rules)?;
    Ok(key.signature_gas(role, signers.len(), rules)?)
}
