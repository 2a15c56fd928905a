//! Asking for a sponsor: a request that its sender has signed, and the same once a fee payer has signed too.
//!
//! The two are types of their own, so that a request cannot be sent to a node before somebody pays for it.

use alloy_primitives::{Address, U256};
use klay_core::{Body, DecodeError, FeeRatio, PublicKey, Sign, Tx, crypto::RecoverError, tx::sign::SignTxError};

use crate::{
    fee::{Fee, KlaytnTx},
    partial::{Incomplete, PartialTx, SignAsPayerError},
};

/// A transaction whose sender has signed, waiting for somebody who pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested(PartialTx);

/// A transaction that both parties have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sponsored(Tx<Fee>);

/// Why bytes are no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// They are no fee delegated transaction.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The sender has not signed.
    #[error(transparent)]
    Incomplete(#[from] Incomplete),
}

impl Requested {
    /// Signs `body` as its sender. `ratio` is the share asked of the payer, none is everything.
    ///
    /// # Errors
    /// Without signers, with more than ten, or if one cannot sign.
    pub fn sign(
        body: Body,
        ratio: Option<FeeRatio>,
        chain_id: u64,
        signers: &[&dyn Sign],
    ) -> Result<Self, SignTxError> {
        PartialTx::new(body, ratio).sign_as_sender(chain_id, signers).map(Self)
    }

    /// Reads a request in any of the forms that SDKs use.
    ///
    /// # Errors
    /// If the bytes are no fee delegated transaction, or its sender has not signed.
    pub fn decode(bytes: &[u8]) -> Result<Self, RequestError> {
        Ok(Self::try_from(PartialTx::decode(bytes)?)?)
    }

    /// The bytes to hand to a sponsor.
    pub fn encode(&self) -> Vec<u8> {
        self.0.encode()
    }

    /// What is asked.
    pub const fn body(&self) -> &Body {
        self.0.body()
    }

    /// The account that asks.
    pub const fn from(&self) -> Address {
        self.0.body().from
    }

    /// The share asked of the payer; none is everything.
    pub const fn ratio(&self) -> Option<FeeRatio> {
        self.0.ratio()
    }

    /// The most that the payer can be charged, in peb: its share of gas limit times gas price. None beyond 256 bits.
    pub fn max_cost(&self) -> Option<U256> {
        let fee = self.body().gas_price.checked_mul(U256::from(self.body().gas_limit))?;
        Some(self.ratio().map_or(fee, |ratio| ratio.payer_share(fee)))
    }

    /// Recovers the keys behind the sender's signatures.
    ///
    /// # Errors
    /// If a signature is invalid or made for another chain.
    pub fn recover_senders(&self, chain_id: u64) -> Result<Vec<PublicKey>, RecoverError> {
        self.0.recover_senders(chain_id)
    }

    /// Signs as `payer`. Nothing is checked: see [`LocalSponsor`](crate::LocalSponsor) for a signer with a policy.
    ///
    /// # Errors
    /// Without signers, with more than ten, or if one cannot sign.
    pub fn sponsor(self, payer: Address, chain_id: u64, signers: &[&dyn Sign]) -> Result<Sponsored, SignAsPayerError> {
        let signed = self.0.with_payer(payer).sign_as_payer(chain_id, signers)?;
        Ok(Sponsored(signed.into_tx()?))
    }

    /// The transaction as it is, for more signatures of either party.
    pub fn into_partial(self) -> PartialTx {
        self.0
    }
}

impl TryFrom<PartialTx> for Requested {
    type Error = Incomplete;

    fn try_from(tx: PartialTx) -> Result<Self, Incomplete> {
        if tx.sender_signatures().is_empty() { Err(Incomplete::SenderSignature) } else { Ok(Self(tx)) }
    }
}

impl Sponsored {
    /// The wire form, for a node.
    pub fn encode(&self) -> Vec<u8> {
        self.0.encode()
    }

    /// The transaction.
    pub const fn as_tx(&self) -> &Tx<Fee> {
        &self.0
    }

    /// The transaction.
    pub fn into_tx(self) -> Tx<Fee> {
        self.0
    }
}

impl TryFrom<PartialTx> for Sponsored {
    type Error = Incomplete;

    fn try_from(tx: PartialTx) -> Result<Self, Incomplete> {
        tx.into_tx().map(Self)
    }
}

impl From<Sponsored> for KlaytnTx {
    fn from(tx: Sponsored) -> Self {
        Self::Klaytn(tx.0)
    }
}
