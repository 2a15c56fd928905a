//! A Klaytn transaction: body, fee mode, signatures. Preimages, hashes and codec are written once for all of them.
//!
//! With `fields` the list elements without signatures and without the fee payer's two:
//!
//! | | |
//! |---|---|
//! | wire form | `type ‖ rlp([fields.., signatures, feePayer, feePayerSignatures])` |
//! | hash | keccak of the wire form |
//! | sender hash | keccak of `type ‖ rlp([fields.., signatures])`, the type byte unchanged |
//! | sender signs | keccak of `rlp([rlp([type, fields..]), chainId, 0, 0])`, the inner RLP a string |
//! | fee payer signs | keccak of `rlp([rlp([type, fields..]), feePayer, chainId, 0, 0])` |
//!
//! Source: spec 10, section 2; `blockchain/types/tx_internal_data_*.go` in the reference client.

use alloy_primitives::{Address, B256};
use rlp::RlpStream;

use super::{
    body::Body,
    fee::FeeMode,
    payload::{Payload, PayloadType},
    sign::{self, SignTxError},
    tx_type::TxType,
};
use crate::{
    auth::{Role, Sign},
    codec::{self, AppendExt, DecodeError, DecodeErrorKind, Reader},
    crypto::{Signatures, keccak256},
};

/// A body under a fee mode, with the sender's signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tx<F, P = Payload> {
    /// What is asked.
    pub body: Body<P>,
    /// Who pays.
    pub fee: F,
    /// The sender's signatures.
    pub signatures: Signatures,
}

impl<F: FeeMode, P: PayloadType> Tx<F, P> {
    /// The type: payload bits and fee bits.
    pub fn tx_type(&self) -> TxType {
        TxType::klaytn(self.body.payload.family(), self.fee.bits())
    }

    /// What is asked for.
    pub const fn payload(&self) -> &P {
        &self.body.payload
    }

    /// Who pays.
    pub const fn fee(&self) -> &F {
        &self.fee
    }

    /// The account that asks.
    pub const fn from(&self) -> Address {
        self.body.from
    }

    /// The role whose key answers for the sender's signatures.
    pub fn role(&self) -> Role {
        self.body.payload.role()
    }

    /// The bytes whose hash the sender signs on the chain `chain_id`. The fee payer's address is not among them.
    pub fn sender_preimage(&self, chain_id: u64) -> Vec<u8> {
        preimage(self.type_byte(), &self.fields(), None, chain_id)
    }

    /// The bytes whose hash the fee payer signs; none without one. The sender's signatures are not among them.
    pub fn payer_preimage(&self, chain_id: u64) -> Option<Vec<u8>> {
        let payer = self.fee.payer()?;
        Some(preimage(self.type_byte(), &self.fields(), Some(payer), chain_id))
    }

    /// The hash that the sender signs.
    pub fn signing_hash(&self, chain_id: u64) -> B256 {
        keccak256(self.sender_preimage(chain_id))
    }

    /// The hash that the fee payer signs; none without one.
    pub fn payer_signing_hash(&self, chain_id: u64) -> Option<B256> {
        self.payer_preimage(chain_id).map(keccak256)
    }

    /// Puts the signatures of `signers` over the sender's hash in the place of those that were there.
    ///
    /// # Errors
    /// Without signers, with more than ten, or if one cannot sign.
    pub fn sign(mut self, chain_id: u64, signers: &[&dyn Sign]) -> Result<Self, SignTxError> {
        self.signatures = sign::sign_all(self.signing_hash(chain_id), chain_id, signers)?;
        Ok(self)
    }

    /// The wire form.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(true)
    }

    /// The wire form without the fee payer's two elements: the preimage of [`Self::sender_hash`].
    pub fn encode_unpaid(&self) -> Vec<u8> {
        self.encode_with(false)
    }

    /// The transaction hash.
    pub fn hash(&self) -> B256 {
        keccak256(self.encode())
    }

    /// The hash without the fee payer's two elements; [`Self::hash`] where there are none.
    pub fn sender_hash(&self) -> B256 {
        keccak256(self.encode_unpaid())
    }

    fn type_byte(&self) -> u8 {
        self.body.payload.family() | self.fee.bits()
    }

    fn fields(&self) -> Vec<u8> {
        let mut out = RlpStream::new();
        self.append_fields(&mut out);
        out.out().into()
    }

    fn append_fields(&self, out: &mut RlpStream) {
        let Body { nonce, gas_price, gas_limit, from, payload } = &self.body;
        out.append(nonce).append_u256(*gas_price).append(gas_limit);
        payload.encode(*from, self.fee.ratio(), out);
    }

    fn encode_with(&self, tail: bool) -> Vec<u8> {
        let mut out = RlpStream::new();
        out.append(&self.type_byte());
        out.begin_unbounded_list();
        self.append_fields(&mut out);
        self.signatures.append_to(&mut out);
        if tail {
            self.fee.encode_tail(&mut out);
        }
        out.finalize_unbounded_list();
        out.out().into()
    }

    /// Reads the list that follows `type_byte`, and checks the sender's signatures for sanity.
    pub(super) fn decode(type_byte: u8, type_offset: usize, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (family, bits) = (type_byte & 0xf8, type_byte & 0x07);
        let Some(has_ratio) = F::writes_ratio(bits).filter(|_| P::is_family(family)) else {
            let kind = DecodeErrorKind::UndefinedTxType(type_byte.into());
            return Err(DecodeError::new("type", type_offset, kind));
        };
        let mut list = reader.list("transaction")?;
        let (nonce, gas_price, gas_limit) = (list.u64("nonce")?, list.u256("gasPrice")?, list.u64("gas")?);
        let (payload, from, ratio) = P::decode(family, has_ratio, &mut list)?;
        let at = list.offset();
        let signatures = Signatures::decode("signatures", &mut list)?;
        let fee = F::decode_tail(bits, ratio, &mut list)?;
        list.end("transaction")?;
        if !signatures.are_sane() {
            return Err(DecodeError::new("signatures", at, DecodeErrorKind::InvalidSignature));
        }
        Ok(Self { body: Body { nonce, gas_price, gas_limit, from, payload }, fee, signatures })
    }
}

/// The encoded fields of a transaction inside its wire form, so that nothing is encoded again to be hashed.
pub(super) struct Frame<'a> {
    type_byte: u8,
    fields: &'a [u8],
    signed: &'a [u8],
    is_whole: bool,
}

impl<'a> Frame<'a> {
    /// Finds the fields of `tx` in `encoded`, which is its wire form.
    pub(super) fn new<F: FeeMode, P: PayloadType>(tx: &Tx<F, P>, encoded: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(encoded);
        let type_byte = reader.u8("type")?;
        let mut list = reader.list("transaction")?;
        let content = list.rest();
        for _ in 0..3 + tx.body.payload.len() + usize::from(tx.fee.ratio().is_some()) {
            list.item("field")?;
        }
        let fields = &content[..content.len() - list.rest().len()];
        list.item("signatures")?;
        let signed = &content[..content.len() - list.rest().len()];
        Ok(Self { type_byte, fields, signed, is_whole: list.is_empty() })
    }

    /// [`Tx::sender_hash`], if it differs from the hash of the whole.
    pub(super) fn sender_hash(&self) -> Option<B256> {
        if self.is_whole {
            return None;
        }
        let mut out = Vec::with_capacity(self.signed.len() + 8);
        out.push(self.type_byte);
        codec::put_list_header(self.signed.len(), &mut out);
        out.extend_from_slice(self.signed);
        Some(keccak256(out))
    }

    /// [`Tx::signing_hash`], or [`Tx::payer_signing_hash`] of `payer`.
    pub(super) fn signing_hash(&self, payer: Option<Address>, chain_id: u64) -> B256 {
        keccak256(preimage(self.type_byte, self.fields, payer, chain_id))
    }
}

fn preimage(type_byte: u8, fields: &[u8], payer: Option<Address>, chain_id: u64) -> Vec<u8> {
    let list = 1 + fields.len();
    let inner = codec::header_len(list) + list;
    let mut tail = Vec::with_capacity(32);
    if let Some(payer) = payer {
        codec::put_bytes(payer.as_slice(), &mut tail);
    }
    codec::put_u64(chain_id, &mut tail);
    tail.extend_from_slice(&[0x80, 0x80]);
    let mut out = Vec::with_capacity(inner + tail.len() + 16);
    codec::put_list_header(codec::header_len(inner) + inner + tail.len(), &mut out);
    codec::put_string_header(inner, &mut out);
    codec::put_list_header(list, &mut out);
    out.push(type_byte);
    out.extend_from_slice(fields);
    out.extend_from_slice(&tail);
    out
}
