//! The untyped transaction.

use alloy_primitives::{Address, B256, Bytes, U256};
use rlp::RlpStream;

use super::sign::{self, SignTxError};
use crate::{
    auth::Sign,
    codec::{AppendExt, DecodeError, DecodeErrorKind, Reader},
    crypto::{RecoverError, Signature, keccak256},
};

/// A legacy transaction: an RLP list without type byte.
///
/// Only an account with a legacy key can send one, as the sender follows from the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyTx {
    /// Sender's nonce.
    pub nonce: u64,
    /// Price per gas, in peb.
    pub gas_price: U256,
    /// Most gas that may be used.
    pub gas_limit: u64,
    /// Recipient; none creates a contract.
    pub to: Option<Address>,
    /// Amount, in peb.
    pub value: U256,
    /// Call data or init code.
    pub input: Bytes,
    /// The one signature.
    pub signature: Signature,
}

impl LegacyTx {
    /// Whether the signature binds the transaction to a chain; with `v` 27 or 28 it does not.
    pub fn is_protected(&self) -> bool {
        self.signature.unprotected_parity().is_none()
    }

    /// The bytes whose hash is signed: with a chain id `rlp([nonce, gasPrice, gas, to, value, input, chainId, 0, 0])`,
    /// without one the first six.
    pub fn preimage(&self, chain_id: Option<u64>) -> Vec<u8> {
        let mut out = RlpStream::new_list(if chain_id.is_some() { 9 } else { 6 });
        self.append_fields(&mut out);
        if let Some(chain_id) = chain_id {
            out.append(&chain_id).append(&0u8).append(&0u8);
        }
        out.out().into()
    }

    /// The hash that is signed.
    pub fn signing_hash(&self, chain_id: Option<u64>) -> B256 {
        keccak256(self.preimage(chain_id))
    }

    /// Signs for the chain `chain_id`.
    ///
    /// # Errors
    /// If there is not exactly one signer, or it cannot sign.
    pub fn sign(mut self, chain_id: u64, signers: &[&dyn Sign]) -> Result<Self, SignTxError> {
        self.signature = sign::sign_one(self.signing_hash(Some(chain_id)), signers)?.with_chain_id(chain_id);
        Ok(self)
    }

    /// The wire form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = RlpStream::new_list(9);
        self.append_fields(&mut out);
        self.signature.append_to(&mut out);
        out.out().into()
    }

    /// The hash that was signed and the parity of the signature, on the chain `chain_id`.
    pub(super) fn signed(&self, chain_id: u64) -> Result<(B256, bool), RecoverError> {
        if let Some(odd) = self.signature.unprotected_parity() {
            return Ok((self.signing_hash(None), odd));
        }
        let got = self.signature.chain_id().unwrap_or_default();
        if got != U256::from(chain_id) {
            return Err(RecoverError::InvalidChainId { expected: chain_id, got });
        }
        let odd = self.signature.parity(chain_id).ok_or(RecoverError::InvalidSignature)?;
        Ok((self.signing_hash(Some(chain_id)), odd))
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut list = reader.list("transaction")?;
        let (nonce, gas_price, gas_limit) = (list.u64("nonce")?, list.u256("gasPrice")?, list.u64("gas")?);
        let (to, value) = (list.opt_address("to")?, list.u256("value")?);
        let input = Bytes::copy_from_slice(list.bytes("input")?);
        let at = list.offset();
        let signature = Signature::decode(&mut list)?;
        list.end("transaction")?;
        if !signature.is_sane() {
            return Err(DecodeError::new("v", at, DecodeErrorKind::InvalidSignature));
        }
        Ok(Self { nonce, gas_price, gas_limit, to, value, input, signature })
    }

    fn append_fields(&self, out: &mut RlpStream) {
        out.append(&self.nonce).append_u256(self.gas_price).append(&self.gas_limit);
        out.append_opt_address(self.to).append_u256(self.value).append_bytes(&self.input);
    }
}
