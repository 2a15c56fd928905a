//! Ethereum's typed transactions inside the `0x78` envelope.
//!
//! Fields and preimages are those of `alloy-consensus`. Wire form and list roots carry `0x78`, the hash and the signing
//! preimage do not.
//!
//! The types of `alloy-consensus` hold chain ids in 64 bits and prices in 128; larger ones, which the reference client
//! can still decode, are refused with [`DecodeErrorKind::IntegerTooLarge`].

use alloy_consensus::{TxEip1559, TxEip2930, TxEip4844, TxEip7702, transaction::RlpEcdsaEncodableTx};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};

use super::{
    sidecar::BlobSidecar,
    sign::{self, SignTxError},
    tx_type::{ETHEREUM_ENVELOPE, TxType},
};
use crate::{
    auth::Sign,
    codec::{self, DecodeError, DecodeErrorKind, Reader},
    crypto::{RecoverError, Signature, keccak256},
};

/// The fields of one of the four types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EthereumFields {
    /// `0x7801`.
    AccessList(TxEip2930),
    /// `0x7802`.
    DynamicFee(TxEip1559),
    /// `0x7803`.
    Blob(TxEip4844),
    /// `0x7804`.
    SetCode(TxEip7702),
}

/// A typed Ethereum transaction with its signature (`v` is the parity).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EthereumTx {
    /// What is signed.
    pub fields: EthereumFields,
    /// The one signature.
    pub signature: Signature,
    /// Blobs and proofs, as they travel with a blob transaction between nodes; not part of the wire form in blocks.
    pub sidecar: Option<Box<BlobSidecar>>,
}

impl EthereumFields {
    /// The type.
    pub const fn tx_type(&self) -> TxType {
        match self {
            Self::AccessList(_) => TxType::ETHEREUM_ACCESS_LIST,
            Self::DynamicFee(_) => TxType::ETHEREUM_DYNAMIC_FEE,
            Self::Blob(_) => TxType::ETHEREUM_BLOB,
            Self::SetCode(_) => TxType::ETHEREUM_SET_CODE,
        }
    }

    /// The chain for which the transaction is made.
    pub const fn chain_id(&self) -> u64 {
        match self {
            Self::AccessList(tx) => tx.chain_id,
            Self::DynamicFee(tx) => tx.chain_id,
            Self::Blob(tx) => tx.chain_id,
            Self::SetCode(tx) => tx.chain_id,
        }
    }

    /// Fills in the chain id where it is 0, as signing does.
    #[must_use]
    pub const fn or_chain_id(mut self, chain_id: u64) -> Self {
        let field = match &mut self {
            Self::AccessList(tx) => &mut tx.chain_id,
            Self::DynamicFee(tx) => &mut tx.chain_id,
            Self::Blob(tx) => &mut tx.chain_id,
            Self::SetCode(tx) => &mut tx.chain_id,
        };
        if *field == 0 {
            *field = chain_id;
        }
        self
    }

    /// The bytes whose hash is signed: the type byte and the list, without `0x78`.
    pub fn preimage(&self) -> Vec<u8> {
        let len = self.len();
        let mut out = Vec::with_capacity(len + 8);
        out.push(self.tx_type().ethereum_type());
        codec::put_list_header(len, &mut out);
        self.append_to(&mut out);
        out
    }

    fn len(&self) -> usize {
        match self {
            Self::AccessList(tx) => tx.rlp_encoded_fields_length(),
            Self::DynamicFee(tx) => tx.rlp_encoded_fields_length(),
            Self::Blob(tx) => tx.rlp_encoded_fields_length(),
            Self::SetCode(tx) => tx.rlp_encoded_fields_length(),
        }
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::AccessList(tx) => tx.rlp_encode_fields(out),
            Self::DynamicFee(tx) => tx.rlp_encode_fields(out),
            Self::Blob(tx) => tx.rlp_encode_fields(out),
            Self::SetCode(tx) => tx.rlp_encode_fields(out),
        }
    }

    fn decode(code: u8, list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match code {
            1 => Self::AccessList(TxEip2930 {
                chain_id: list.u64("chainId")?,
                nonce: list.u64("nonce")?,
                gas_price: list.u128("gasPrice")?,
                gas_limit: list.u64("gas")?,
                to: decode_kind(list)?,
                value: list.u256("value")?,
                input: decode_input(list)?,
                access_list: decode_access_list(list)?,
            }),
            2 => Self::DynamicFee(TxEip1559 {
                chain_id: list.u64("chainId")?,
                nonce: list.u64("nonce")?,
                max_priority_fee_per_gas: list.u128("maxPriorityFeePerGas")?,
                max_fee_per_gas: list.u128("maxFeePerGas")?,
                gas_limit: list.u64("gas")?,
                to: decode_kind(list)?,
                value: list.u256("value")?,
                input: decode_input(list)?,
                access_list: decode_access_list(list)?,
            }),
            3 => Self::Blob(TxEip4844 {
                chain_id: list.u64("chainId")?,
                nonce: list.u64("nonce")?,
                max_priority_fee_per_gas: list.u128("maxPriorityFeePerGas")?,
                max_fee_per_gas: list.u128("maxFeePerGas")?,
                gas_limit: list.u64("gas")?,
                to: list.address("to")?,
                value: list.u256("value")?,
                input: decode_input(list)?,
                access_list: decode_access_list(list)?,
                max_fee_per_blob_gas: list.u128("maxFeePerBlobGas")?,
                blob_versioned_hashes: decode_hashes("blobVersionedHashes", list)?,
            }),
            _ => Self::SetCode(TxEip7702 {
                chain_id: list.u64("chainId")?,
                nonce: list.u64("nonce")?,
                max_priority_fee_per_gas: list.u128("maxPriorityFeePerGas")?,
                max_fee_per_gas: list.u128("maxFeePerGas")?,
                gas_limit: list.u64("gas")?,
                to: list.address("to")?,
                value: list.u256("value")?,
                input: decode_input(list)?,
                access_list: decode_access_list(list)?,
                authorization_list: decode_authorizations(list)?,
            }),
        })
    }
}

impl EthereumTx {
    /// Not signed yet, without blobs.
    pub const fn unsigned(fields: EthereumFields) -> Self {
        Self { fields, signature: Signature::new_unchecked(U256::ZERO, U256::ZERO, U256::ZERO), sidecar: None }
    }

    /// The hash that is signed; a chain id of 0 or none in the fields is replaced by `chain_id`.
    pub fn signing_hash(&self, chain_id: Option<u64>) -> B256 {
        match chain_id {
            Some(chain_id) if self.fields.chain_id() == 0 => {
                keccak256(self.fields.clone().or_chain_id(chain_id).preimage())
            }
            _ => keccak256(self.fields.preimage()),
        }
    }

    /// Signs for the chain `chain_id`, which is written into the fields if they carry none.
    ///
    /// # Errors
    /// If there is not exactly one signer, it cannot sign, or the fields name another chain.
    pub fn sign(mut self, chain_id: u64, signers: &[&dyn Sign]) -> Result<Self, SignTxError> {
        self.fields = self.fields.or_chain_id(chain_id);
        let got = self.fields.chain_id();
        if got != chain_id {
            return Err(SignTxError::ChainId { expected: chain_id, got });
        }
        self.signature = sign::sign_one(keccak256(self.fields.preimage()), signers)?;
        Ok(self)
    }

    /// Ethereum's raw form, whose hash is the transaction hash: type byte and list, without sidecar.
    pub fn encode_ethereum(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len() + 8);
        self.append_ethereum(&mut out);
        out
    }

    /// The node's wire form: `0x78`, then Ethereum's raw form, without sidecar.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len() + 8);
        out.push(ETHEREUM_ENVELOPE);
        self.append_ethereum(&mut out);
        out
    }

    /// The form in which nodes pass the transaction on: with the sidecar, where there is one.
    pub fn encode_network(&self) -> Vec<u8> {
        let Some(sidecar) = &self.sidecar else { return self.encode() };
        let mut inner = Vec::with_capacity(self.len() + sidecar.size() + 64);
        codec::put_list_header(self.len(), &mut inner);
        self.append_elements(&mut inner);
        sidecar.append_to(&mut inner);
        let mut out = Vec::with_capacity(inner.len() + 8);
        out.extend_from_slice(&[ETHEREUM_ENVELOPE, self.fields.tx_type().ethereum_type()]);
        codec::put_list_header(inner.len(), &mut out);
        out.extend_from_slice(&inner);
        out
    }

    /// The hash that was signed and the parity of the signature, on the chain `chain_id`.
    pub(super) fn signed(&self, chain_id: u64) -> Result<(B256, bool), RecoverError> {
        if self.fields.chain_id() != chain_id {
            let got = U256::from(self.fields.chain_id());
            return Err(RecoverError::InvalidChainId { expected: chain_id, got });
        }
        let odd = self.signature.bare_parity().ok_or(RecoverError::InvalidSignature)?;
        Ok((keccak256(self.fields.preimage()), odd))
    }

    /// Reads the list that follows the type byte `code`; with a sidecar if the list has one.
    pub(super) fn decode(code: u8, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut list = reader.list("transaction")?;
        if code == 3 && list.next_is_list() {
            let mut inner = list.list("transaction")?;
            let tx = Self::decode_elements(code, &mut inner)?;
            let sidecar = BlobSidecar::decode(&mut list)?;
            list.end("transaction")?;
            return Ok(Self { sidecar: Some(Box::new(sidecar)), ..tx });
        }
        Self::decode_elements(code, &mut list)
    }

    fn decode_elements(code: u8, list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let fields = EthereumFields::decode(code, list)?;
        let at = list.offset();
        let signature = Signature::decode(list)?;
        list.end("transaction")?;
        if !signature.is_sane_ethereum() {
            return Err(DecodeError::new("v", at, DecodeErrorKind::InvalidSignature));
        }
        Ok(Self { fields, signature, sidecar: None })
    }

    fn append_ethereum(&self, out: &mut Vec<u8>) {
        out.push(self.fields.tx_type().ethereum_type());
        codec::put_list_header(self.len(), out);
        self.append_elements(out);
    }

    fn append_elements(&self, out: &mut Vec<u8>) {
        self.fields.append_to(out);
        for integer in [self.signature.v, self.signature.r, self.signature.s] {
            codec::put_u256(integer, out);
        }
    }

    fn len(&self) -> usize {
        let integers = [self.signature.v, self.signature.r, self.signature.s];
        self.fields.len() + integers.iter().map(|integer| codec::u256_len(*integer)).sum::<usize>()
    }
}

fn decode_kind(list: &mut Reader<'_>) -> Result<TxKind, DecodeError> {
    Ok(list.opt_address("to")?.map_or(TxKind::Create, TxKind::Call))
}

fn decode_input(list: &mut Reader<'_>) -> Result<Bytes, DecodeError> {
    list.bytes("input").map(Bytes::copy_from_slice)
}

fn decode_hashes(field: &'static str, list: &mut Reader<'_>) -> Result<Vec<B256>, DecodeError> {
    let mut reader = list.list(field)?;
    let mut hashes = Vec::new();
    while !reader.is_empty() {
        hashes.push(reader.hash(field)?);
    }
    Ok(hashes)
}

/// Order and duplicates are kept: they are part of what is signed.
fn decode_access_list(list: &mut Reader<'_>) -> Result<AccessList, DecodeError> {
    let mut reader = list.list("accessList")?;
    let mut items = Vec::new();
    while !reader.is_empty() {
        let mut item = reader.list("accessList")?;
        let address = item.address("accessList address")?;
        let storage_keys = decode_hashes("storageKeys", &mut item)?;
        item.end("accessList")?;
        items.push(AccessListItem { address, storage_keys });
    }
    Ok(AccessList(items))
}

fn decode_authorizations(list: &mut Reader<'_>) -> Result<Vec<SignedAuthorization>, DecodeError> {
    let mut reader = list.list("authorizationList")?;
    let mut authorizations = Vec::new();
    while !reader.is_empty() {
        let mut tuple = reader.list("authorizationList")?;
        let chain_id = tuple.u256("authorization chainId")?;
        let address: Address = tuple.address("authorization address")?;
        let nonce = tuple.u64("authorization nonce")?;
        let (y_parity, r, s) = (tuple.u8("yParity")?, tuple.u256("authorization r")?, tuple.u256("authorization s")?);
        tuple.end("authorizationList")?;
        let inner = Authorization { chain_id, address, nonce };
        authorizations.push(SignedAuthorization::new_unchecked(inner, y_parity, r, s));
    }
    Ok(authorizations)
}
