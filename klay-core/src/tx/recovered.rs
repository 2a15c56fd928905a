//! A transaction whose hashes and signers are known: the work that is done once per process.
//!
//! [`TxEnvelope`] is what was said, [`HashedTx`] adds its bytes and hashes, [`RecoveredTx`] adds who signed. Hashes are
//! taken over the bytes at hand; nothing is encoded again.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};

use super::{
    envelope::TxEnvelope,
    fee::FeeMode,
    payload::{Payload, PayloadType},
    typed::{Frame, Tx},
    view::TxView,
};
use crate::{
    codec::{DecodeError, Reader},
    crypto::{self, PublicKey, RecoverError, Signature, keccak256},
};

/// A transaction with its wire form and hashes. Nothing is known about its signatures but that they are sane.
///
/// ```
/// use klay_core::{SenderPays, address, hex, tx::HashedTx};
///
/// let raw = hex!(
///     "38f8648204d219830f424094a94f5374fce5edbc8e2a8697c15331677e6ebf0bf845f84325a0fb2c3d53d2f6b7bb1deb5a09f80366a5a454"
///     "29cc1e3956687b075a9dcad20434a05c6187822ee23b1001e9613d29a5d6002f990498d2902904f7f259ab3358216e"
/// );
/// let hashed = HashedTx::<SenderPays>::decode(&raw)?;
/// assert_eq!(hashed.hash(), hashed.tx().hash());
/// let recovered = hashed.recover(1)?; // the expensive step; a node runs it on every core
/// assert_eq!(recovered.sender(), address!("0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedTx<F, P = Payload> {
    tx: TxEnvelope<F, P>,
    hash: B256,
    sender_hash: B256,
    encoded: Arc<[u8]>,
}

impl<F: FeeMode, P: PayloadType> HashedTx<F, P> {
    /// Encodes and hashes `tx`.
    pub fn new(tx: TxEnvelope<F, P>) -> Self {
        let encoded = tx.encode();
        Self::from_encoded(tx, &encoded)
    }

    /// As [`TxEnvelope::decode`].
    ///
    /// # Errors
    /// As [`TxEnvelope::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let tx = TxEnvelope::decode(bytes)?;
        Ok(if has_sidecar(&tx) { Self::new(tx) } else { Self::from_encoded(tx, bytes) })
    }

    /// As [`TxEnvelope::decode_ethereum`].
    ///
    /// # Errors
    /// As [`TxEnvelope::decode_ethereum`].
    pub fn decode_ethereum(bytes: &[u8]) -> Result<Self, DecodeError> {
        let tx = TxEnvelope::decode_ethereum(bytes)?;
        Ok(if matches!(tx, TxEnvelope::Legacy(_)) { Self::from_encoded(tx, bytes) } else { Self::new(tx) })
    }

    /// As [`TxEnvelope::decode_item`].
    ///
    /// # Errors
    /// As [`TxEnvelope::decode_item`].
    pub fn decode_item(list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let before = list.rest();
        let tx = TxEnvelope::decode_item(list)?;
        let bytes = &before[..before.len() - list.rest().len()];
        Ok(if has_sidecar(&tx) { Self::new(tx) } else { Self::from_encoded(tx, bytes) })
    }

    fn from_encoded(tx: TxEnvelope<F, P>, encoded: &[u8]) -> Self {
        let hash = match &tx {
            TxEnvelope::Ethereum(_) => keccak256(&encoded[1..]),
            _ => keccak256(encoded),
        };
        let sender_hash = match &tx {
            TxEnvelope::Klaytn(tx) => match Frame::new(tx, encoded) {
                Ok(frame) => frame.sender_hash().unwrap_or(hash),
                Err(_) => tx.sender_hash(),
            },
            _ => hash,
        };
        Self { tx, hash, sender_hash, encoded: encoded.into() }
    }

    /// Recovers every signature under `chain_id`.
    ///
    /// # Errors
    /// If a signature is invalid or made for another chain.
    pub fn recover(self, chain_id: u64) -> Result<RecoveredTx<F, P>, RecoverError> {
        let (sender, auth, payer_keys) = match &self.tx {
            TxEnvelope::Klaytn(tx) => {
                let frame = Frame::new(tx, &self.encoded).ok();
                let hash = |payer| frame.as_ref().map(|frame| frame.signing_hash(payer, chain_id));
                let keys = senders(tx, chain_id, || hash(None).unwrap_or_else(|| tx.signing_hash(chain_id)))?;
                let payers =
                    payers(tx, chain_id, |payer| hash(Some(payer)).or_else(|| tx.payer_signing_hash(chain_id)))?;
                (tx.body.from, SenderAuth::Keys(keys), payers)
            }
            tx => (tx.sender(chain_id)?, SenderAuth::Address, Vec::new()),
        };
        Ok(RecoveredTx { inner: self, sender, auth, payer_keys })
    }

    /// A transaction out of a block that was validated before: `sender` is taken on trust, no signature is recovered.
    ///
    /// For reading, not for executing: the lists of keys are empty, so that no account accepts it as signed.
    #[allow(clippy::missing_const_for_fn, reason = "a const fn may not drop what the match borrowed from")]
    pub fn with_sender_unchecked(self, sender: Address) -> RecoveredTx<F, P> {
        let auth = match &self.tx {
            TxEnvelope::Klaytn(_) => SenderAuth::Keys(Vec::new()),
            TxEnvelope::Legacy(_) | TxEnvelope::Ethereum(_) => SenderAuth::Address,
        };
        RecoveredTx { inner: self, sender, auth, payer_keys: Vec::new() }
    }

    /// The transaction.
    pub const fn tx(&self) -> &TxEnvelope<F, P> {
        &self.tx
    }

    /// The fields that most readers want.
    pub fn view(&self) -> TxView<'_> {
        self.tx.view()
    }

    /// The transaction hash.
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// The hash without the fee payer's two elements; [`Self::hash`] where there are none.
    pub const fn sender_hash(&self) -> B256 {
        self.sender_hash
    }

    /// The node's wire form, as it stands in blocks.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// [`Self::encoded`], shared: outlives a recovery that fails.
    pub fn shared_encoding(&self) -> Arc<[u8]> {
        Arc::clone(&self.encoded)
    }

    /// The transaction alone.
    pub fn into_tx(self) -> TxEnvelope<F, P> {
        self.tx
    }
}

/// Who signed as sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SenderAuth {
    /// Legacy and Ethereum types: the address *is* the recovered key's; the account's key must be Legacy.
    Address,
    /// Klaytn types: the account at `from` must accept these keys.
    Keys(Vec<PublicKey>),
}

/// A transaction with its hash, encoding and recovered signers.
///
/// Nothing is checked against an account: whether the keys speak for the addresses is up to the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredTx<F, P = Payload> {
    inner: HashedTx<F, P>,
    sender: Address,
    auth: SenderAuth,
    payer_keys: Vec<PublicKey>,
}

impl<F: FeeMode, P: PayloadType> RecoveredTx<F, P> {
    /// Hashes the transaction and recovers every signature under `chain_id`.
    ///
    /// From bytes, [`HashedTx::decode`] and [`HashedTx::recover`] do the same without encoding.
    ///
    /// # Errors
    /// If a signature is invalid or made for another chain.
    pub fn recover(tx: TxEnvelope<F, P>, chain_id: u64) -> Result<Self, RecoverError> {
        HashedTx::new(tx).recover(chain_id)
    }

    /// The transaction.
    pub const fn tx(&self) -> &TxEnvelope<F, P> {
        self.inner.tx()
    }

    /// The fields that most readers want.
    pub fn view(&self) -> TxView<'_> {
        self.inner.view()
    }

    /// The transaction with its bytes and hashes.
    pub const fn hashed(&self) -> &HashedTx<F, P> {
        &self.inner
    }

    /// Its hash.
    pub const fn hash(&self) -> B256 {
        self.inner.hash
    }

    /// Its hash without the fee payer's part.
    pub const fn sender_hash(&self) -> B256 {
        self.inner.sender_hash
    }

    /// Its node wire form.
    pub fn encoded(&self) -> &[u8] {
        &self.inner.encoded
    }

    /// The sender: written down, or recovered.
    pub const fn sender(&self) -> Address {
        self.sender
    }

    /// How the sender is proven.
    pub const fn auth(&self) -> &SenderAuth {
        &self.auth
    }

    /// The fee payer, or the sender where there is none.
    pub fn payer(&self) -> Address {
        match self.tx() {
            TxEnvelope::Klaytn(tx) => tx.fee.payer().unwrap_or(self.sender),
            _ => self.sender,
        }
    }

    /// Keys behind the fee payer's signatures.
    pub fn payer_keys(&self) -> &[PublicKey] {
        &self.payer_keys
    }
}

const fn has_sidecar<F, P>(tx: &TxEnvelope<F, P>) -> bool {
    matches!(tx, TxEnvelope::Ethereum(tx) if tx.sidecar.is_some())
}

/// Recovers the sender's keys; `hash` is what they signed.
pub(super) fn senders<F: FeeMode, P: PayloadType>(
    tx: &Tx<F, P>,
    chain_id: u64,
    hash: impl FnOnce() -> B256,
) -> Result<Vec<PublicKey>, RecoverError> {
    check_chain_id(tx, chain_id)?;
    recover_all(&tx.signatures, hash(), |signature| signature.parity(chain_id))
}

/// Recovers the payer's keys; `hash` is what a payer at this address signed.
pub(super) fn payers<F: FeeMode, P: PayloadType>(
    tx: &Tx<F, P>,
    chain_id: u64,
    hash: impl FnOnce(Address) -> Option<B256>,
) -> Result<Vec<PublicKey>, RecoverError> {
    let Some(payer) = tx.fee.payer() else { return Ok(Vec::new()) };
    check_chain_id(tx, chain_id)?;
    let Some(hash) = hash(payer) else { return Ok(Vec::new()) };
    recover_all(tx.fee.payer_signatures(), hash, |signature| payer_parity(signature, chain_id))
}

/// The chain id is that of the first sender signature, for both parties.
fn check_chain_id<F, P>(tx: &Tx<F, P>, chain_id: u64) -> Result<(), RecoverError> {
    let first = tx.signatures.first().ok_or(RecoverError::InvalidSignature)?;
    let got = first.chain_id().unwrap_or_default();
    if got == U256::from(chain_id) { Ok(()) } else { Err(RecoverError::InvalidChainId { expected: chain_id, got }) }
}

/// The parity in a fee payer's `v`.
///
/// Beside `35 + 2 * chain_id + y` the reference client accepts `2 * chain_id - 19 - y`: it subtracts `2 * chain_id + 8`
/// and looks at the absolute value. Blocks can hold such a signature, so it counts here; signing never makes one.
///
/// Source: spec 20, section 2.6.
fn payer_parity(signature: &Signature, chain_id: u64) -> Option<bool> {
    let mirrored = (U256::from(chain_id) << 1usize).checked_sub(U256::from(19));
    signature.parity(chain_id).or_else(|| match mirrored?.checked_sub(signature.v)?.try_into() {
        Ok(0u64) => Some(false),
        Ok(1) => Some(true),
        _ => None,
    })
}

fn recover_all(
    signatures: &[Signature],
    hash: B256,
    parity: impl Fn(&Signature) -> Option<bool>,
) -> Result<Vec<PublicKey>, RecoverError> {
    let recover = |signature: &Signature| {
        let odd = parity(signature).ok_or(RecoverError::InvalidSignature)?;
        crypto::recover(hash, odd, signature.r, signature.s)
    };
    signatures.iter().map(recover).collect()
}
