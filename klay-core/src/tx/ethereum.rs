//! Ethereum's typed transactions inside the `0x78` envelope.
//!
//! Wire form and list roots carry `0x78`, the hash and the signing preimage do not. Chain id and prices have 256 bits:
//! the reference client decodes them in any size, and a block before Osaka can hold a cap beyond 128 bits.
//!
//! Source: spec 10, sections 1.2, 1.7 and 2.

use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use rlp::RlpStream;

use super::{
    sidecar::BlobSidecar,
    sign::{self, SignTxError},
    tx_type::{ETHEREUM_ENVELOPE, TxType},
};
use crate::{
    auth::Sign,
    codec::{AppendExt, DecodeError, DecodeErrorKind, Reader},
    crypto::{RecoverError, Signature, keccak256},
};

/// What is signed: the fields that the four types share, and those that tell them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EthereumFields {
    /// The chain for which the transaction is made.
    pub chain_id: U256,
    /// Sender's nonce.
    pub nonce: u64,
    /// Most gas that may be used.
    pub gas_limit: u64,
    /// Recipient; none creates a contract, which blob and set-code transactions cannot encode.
    pub to: Option<Address>,
    /// Amount, in peb.
    pub value: U256,
    /// Call data or init code.
    pub input: Bytes,
    /// EIP-2930 list; order and duplicates are part of what is signed.
    pub access_list: AccessList,
    /// The rest.
    pub kind: EthereumKind,
}

/// One of the four types with its own fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EthereumKind {
    /// `0x7801`.
    AccessList {
        /// Price per gas, in peb.
        gas_price: U256,
    },
    /// `0x7802`.
    DynamicFee(DynamicPrice),
    /// `0x7803`.
    Blob {
        /// Price per gas.
        price: DynamicPrice,
        /// Highest price per blob gas, in peb.
        max_fee_per_blob_gas: U256,
        /// Hashes of the commitments to the blobs.
        versioned_hashes: Vec<B256>,
    },
    /// `0x7804`.
    SetCode {
        /// Price per gas.
        price: DynamicPrice,
        /// EIP-7702 list.
        authorizations: Vec<SignedAuthorization>,
    },
}

/// Tip and cap per gas, in peb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DynamicPrice {
    /// `maxPriorityFeePerGas`.
    pub tip: U256,
    /// `maxFeePerGas`.
    pub cap: U256,
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

impl EthereumKind {
    /// The type.
    pub const fn tx_type(&self) -> TxType {
        match self {
            Self::AccessList { .. } => TxType::ETHEREUM_ACCESS_LIST,
            Self::DynamicFee(_) => TxType::ETHEREUM_DYNAMIC_FEE,
            Self::Blob { .. } => TxType::ETHEREUM_BLOB,
            Self::SetCode { .. } => TxType::ETHEREUM_SET_CODE,
        }
    }

    /// Tip and cap, where the type has them apart.
    pub const fn dynamic_price(&self) -> Option<DynamicPrice> {
        match self {
            Self::AccessList { .. } => None,
            Self::DynamicFee(price) | Self::Blob { price, .. } | Self::SetCode { price, .. } => Some(*price),
        }
    }
}

impl EthereumFields {
    /// The type.
    pub const fn tx_type(&self) -> TxType {
        self.kind.tx_type()
    }

    /// Fills in the chain id where it is 0, as signing does.
    #[must_use]
    pub fn or_chain_id(mut self, chain_id: u64) -> Self {
        if self.chain_id.is_zero() {
            self.chain_id = U256::from(chain_id);
        }
        self
    }

    /// The bytes whose hash is signed: the type byte and the list, without `0x78`.
    pub fn preimage(&self) -> Vec<u8> {
        let mut out = RlpStream::new();
        out.append(&self.tx_type().ethereum_type());
        out.begin_unbounded_list();
        self.append_to(&mut out);
        out.finalize_unbounded_list();
        out.out().into()
    }

    fn append_to(&self, out: &mut RlpStream) {
        out.append_u256(self.chain_id).append(&self.nonce);
        match &self.kind {
            EthereumKind::AccessList { gas_price } => out.append_u256(*gas_price),
            EthereumKind::DynamicFee(price)
            | EthereumKind::Blob { price, .. }
            | EthereumKind::SetCode { price, .. } => out.append_u256(price.tip).append_u256(price.cap),
        };
        out.append(&self.gas_limit).append_opt_address(self.to).append_u256(self.value).append_bytes(&self.input);
        append_access_list(&self.access_list, out);
        match &self.kind {
            EthereumKind::AccessList { .. } | EthereumKind::DynamicFee(_) => {}
            EthereumKind::Blob { max_fee_per_blob_gas, versioned_hashes, .. } => {
                out.append_u256(*max_fee_per_blob_gas);
                append_hashes(versioned_hashes, out);
            }
            EthereumKind::SetCode { authorizations, .. } => append_authorizations(authorizations, out),
        }
    }

    fn decode(code: u8, list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (chain_id, nonce) = (list.u256("chainId")?, list.u64("nonce")?);
        let (gas_price, price) = match code {
            1 => (list.u256("gasPrice")?, DynamicPrice::default()),
            _ => {
                let (tip, cap) = (list.u256("maxPriorityFeePerGas")?, list.u256("maxFeePerGas")?);
                (U256::ZERO, DynamicPrice { tip, cap })
            }
        };
        let gas_limit = list.u64("gas")?;
        let to = match code {
            1 | 2 => list.opt_address("to")?,
            _ => Some(list.address("to")?),
        };
        let (value, input) = (list.u256("value")?, Bytes::copy_from_slice(list.bytes("input")?));
        let access_list = decode_access_list(list)?;
        let kind = match code {
            1 => EthereumKind::AccessList { gas_price },
            2 => EthereumKind::DynamicFee(price),
            3 => EthereumKind::Blob {
                price,
                max_fee_per_blob_gas: list.u256("maxFeePerBlobGas")?,
                versioned_hashes: decode_hashes("blobVersionedHashes", list)?,
            },
            _ => EthereumKind::SetCode { price, authorizations: decode_authorizations(list)? },
        };
        Ok(Self { chain_id, nonce, gas_limit, to, value, input, access_list, kind })
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
            Some(chain_id) if self.fields.chain_id.is_zero() => {
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
        let got = self.fields.chain_id;
        if got != U256::from(chain_id) {
            return Err(SignTxError::ChainId { expected: chain_id, got });
        }
        self.signature = sign::sign_one(keccak256(self.fields.preimage()), signers)?;
        Ok(self)
    }

    /// Ethereum's raw form, whose hash is the transaction hash: type byte and list, without sidecar.
    pub fn encode_ethereum(&self) -> Vec<u8> {
        let mut out = RlpStream::new();
        self.append_raw(&mut out);
        out.out().into()
    }

    /// The node's wire form: `0x78`, then Ethereum's raw form, without sidecar.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = RlpStream::new();
        out.append(&ETHEREUM_ENVELOPE);
        self.append_raw(&mut out);
        out.out().into()
    }

    /// The form in which nodes pass the transaction on: with the sidecar, where there is one.
    pub fn encode_network(&self) -> Vec<u8> {
        let Some(sidecar) = &self.sidecar else { return self.encode() };
        let mut out = RlpStream::new();
        out.append(&ETHEREUM_ENVELOPE).append(&self.fields.tx_type().ethereum_type());
        out.begin_unbounded_list();
        self.append_list(&mut out);
        sidecar.append_to(&mut out);
        out.finalize_unbounded_list();
        out.out().into()
    }

    /// The hash that was signed and the parity of the signature, on the chain `chain_id`.
    pub(super) fn signed(&self, chain_id: u64) -> Result<(B256, bool), RecoverError> {
        let got = self.fields.chain_id;
        if got != U256::from(chain_id) {
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

    fn append_raw(&self, out: &mut RlpStream) {
        out.append(&self.fields.tx_type().ethereum_type());
        self.append_list(out);
    }

    fn append_list(&self, out: &mut RlpStream) {
        out.begin_unbounded_list();
        self.fields.append_to(out);
        self.signature.append_to(out);
        out.finalize_unbounded_list();
    }
}

fn append_hashes(hashes: &[B256], out: &mut RlpStream) {
    out.begin_list(hashes.len());
    for hash in hashes {
        out.append_bytes(hash.as_slice());
    }
}

fn append_access_list(list: &AccessList, out: &mut RlpStream) {
    out.begin_list(list.len());
    for item in list.iter() {
        out.begin_list(2).append_address(item.address);
        append_hashes(&item.storage_keys, out);
    }
}

fn append_authorizations(list: &[SignedAuthorization], out: &mut RlpStream) {
    out.begin_list(list.len());
    for tuple in list {
        out.begin_list(6).append_u256(tuple.chain_id).append_address(tuple.address).append(&tuple.nonce);
        out.append(&tuple.y_parity()).append_u256(tuple.r()).append_u256(tuple.s());
    }
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
