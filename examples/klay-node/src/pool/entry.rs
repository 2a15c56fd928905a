//! One waiting transaction with what the pool asks of it again and again.

use klay_accounts::AccountKey;
use klay_core::{Address, FeeMode, TxEnvelope, TxType, TxView, U256, crypto, tx::sidecar::COMMITMENT_LEN};

use super::{PoolError, blobs, head::price, ready::Place};
use crate::SharedTx;

/// A transaction with everything that is derived from its bytes alone.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) tx: SharedTx,
    pub(super) nonce: u64,
    pub(super) fee_cap: u128,
    pub(super) tip_cap: u128,
    /// Fee cap times gas limit, and the parts of sender and payer, in peb.
    pub(super) costs: Costs,
    /// Accounts whose authorizations an EIP-7702 transaction carries.
    pub(super) authorities: Vec<Address>,
    /// Whether the sidecar of a blob transaction is what it should be; asked before the pool is locked, as it takes
    /// milliseconds.
    pub(super) blobs: Result<(), PoolError>,
    /// Bytes that count towards the pool's limits: the encoded ones, and those of the sidecar.
    pub(super) size: usize,
    /// Number of the arrival; set on admission.
    pub(super) arrival: u64,
}

/// What the transaction may cost whom, in peb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Costs {
    /// The sender's: value, and the sender's part of the fee.
    pub(super) sender: U256,
    /// The fee payer's, where there is one.
    pub(super) payer: Option<U256>,
    /// Value and the whole fee.
    pub(super) total: U256,
}

impl Entry {
    pub(super) fn new(tx: SharedTx) -> Self {
        let view = tx.tx().view();
        let costs = Costs::of(tx.tx(), &view);
        let authorities = authorities(&view);
        let blobs = check_blobs(tx.tx(), &view);
        let (nonce, fee_cap, tip_cap) = (view.nonce, price(view.fee_cap), price(view.tip_cap));
        let size = tx.encoded().len() + sidecar_len(tx.tx());
        Self { nonce, fee_cap, tip_cap, costs, authorities, blobs, size, arrival: 0, tx }
    }

    pub(super) const fn place(&self, by_tip: bool) -> Place {
        let (fee_cap, tip_cap) = if by_tip { (self.fee_cap, self.tip_cap) } else { (0, 0) };
        Place { fee_cap, tip_cap, arrival: self.arrival }
    }

    /// Whether another transaction of this nonce has to make way for this one.
    pub(super) fn replaces(&self, old: &Self, magma: bool) -> bool {
        let is_cancel = self.tx.tx().tx_type().family() == CANCEL && !self.tx.tx().tx_type().is_ethereum();
        is_cancel || (magma && self.tx.tx().view().fee_cap > old.tx.tx().view().fee_cap)
    }
}

const CANCEL: u8 = 0x38;

impl Costs {
    fn of<F: FeeMode>(tx: &TxEnvelope<F>, view: &TxView<'_>) -> Self {
        let fee = view.fee_cap.saturating_mul(U256::from(view.gas_limit));
        let total = view.value.saturating_add(fee);
        let (sender, payer) = match tx {
            TxEnvelope::Klaytn(tx) if tx.fee.payer().is_some() => {
                let split = tx.fee.split(fee);
                (view.value.saturating_add(split.sender), Some(split.payer))
            }
            _ => (total, None),
        };
        Self { sender, payer, total }
    }
}

fn authorities(view: &TxView<'_>) -> Vec<Address> {
    let list = view.authorization_list.unwrap_or_default();
    list.iter()
        .filter_map(|auth| {
            let odd = match auth.y_parity() {
                0 => false,
                1 => true,
                _ => return None,
            };
            crypto::recover(auth.signature_hash(), odd, auth.r(), auth.s()).ok().map(|key| key.address())
        })
        .collect()
}

fn check_blobs(tx: &crate::KlaytnTx, view: &TxView<'_>) -> Result<(), PoolError> {
    match tx {
        TxEnvelope::Ethereum(tx) if view.tx_type == TxType::ETHEREUM_BLOB => {
            let sidecar = tx.sidecar.as_deref().ok_or(PoolError::BlobSidecar)?;
            Ok(blobs::check(sidecar, view.blob_hashes)?)
        }
        _ => Ok(()),
    }
}

/// Bytes of the blobs, commitments and proofs that a transaction carries; they are not in its encoding.
fn sidecar_len(tx: &crate::KlaytnTx) -> usize {
    let TxEnvelope::Ethereum(tx) = tx else { return 0 };
    tx.sidecar.as_deref().map_or(0, |sidecar| {
        let points = sidecar.commitments.len() + sidecar.proofs.len();
        sidecar.blobs.iter().map(|blob| blob.len()).sum::<usize>() + points * COMMITMENT_LEN
    })
}

/// The key that an account update installs.
pub(super) fn new_key(tx: &crate::KlaytnTx) -> Option<Result<AccountKey, klay_core::DecodeError>> {
    match tx {
        TxEnvelope::Klaytn(tx) => match &tx.body.payload {
            klay_core::Payload::AccountUpdate(update) => Some(AccountKey::decode(&update.key.0)),
            _ => None,
        },
        _ => None,
    }
}
