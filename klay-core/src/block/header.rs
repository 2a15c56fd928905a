//! The block header, its hashes and its signers.
//!
//! Fields 0 to 13 are always there. `baseFee` (Magma), `randomReveal` and `mixHash` (Randao), `blobGasUsed` and
//! `excessBlobGas` (Osaka) trail: each is set or not set, and a zero that is set is written as `0x80`.
//!
//! Source: spec 30, sections 1.1 and 1.3; `blockchain/types/block.go` in the reference client.

use alloy_primitives::{Address, B256, Bloom, Bytes, U256};

use super::extra::{self, ExtraView, SEAL_LEN};
use crate::{
    codec::{DecodeError, Reader, header_len, put_bytes, put_list_header, put_u64, put_u256},
    config::{Fork, Rules},
    crypto::{keccak256, recover_compact},
};

/// A header of any fork. The last five fields are trailing optionals: set or not set, zero is a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// Hash of the parent.
    pub parent_hash: B256,
    /// Recipient of the proposer's reward.
    pub rewardbase: Address,
    /// Root of the state after the block.
    pub state_root: B256,
    /// List root of the transactions.
    pub transactions_root: B256,
    /// List root of the receipts.
    pub receipts_root: B256,
    /// Union of the receipts' blooms.
    pub logs_bloom: Bloom,
    /// 1 on every block.
    pub block_score: U256,
    /// Height.
    pub number: u64,
    /// Gas used by all transactions.
    pub gas_used: u64,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Hundredths of a second, 0 to 99; never checked.
    pub timestamp_fos: u8,
    /// Vanity and Istanbul seals.
    pub extra: Bytes,
    /// Ratified governance parameters.
    pub governance: Bytes,
    /// The proposer's vote.
    pub vote: Bytes,
    /// From Magma, in peb.
    pub base_fee: Option<U256>,
    /// From Randao, 96 bytes.
    pub random_reveal: Option<Bytes>,
    /// From Randao, 32 bytes.
    pub mix_hash: Option<Bytes>,
    /// From Osaka.
    pub blob_gas_used: Option<u64>,
    /// From Osaka.
    pub excess_blob_gas: Option<u64>,
}

impl Header {
    /// The block hash: seals of the committee and the round do not take part.
    ///
    /// If the extra-data does not decode, the hash covers the header as it is.
    pub fn hash(&self) -> B256 {
        keccak256(self.hash_preimage())
    }

    /// The bytes that [`Self::hash`] covers.
    pub fn hash_preimage(&self) -> Vec<u8> {
        match extra::filtered(&self.extra, true) {
            Some(extra) => self.encode_with(&extra),
            None => self.encode(),
        }
    }

    /// What the proposer seals (before it is hashed once more, see [`Self::seal_digest`]).
    pub fn seal_hash(&self) -> B256 {
        match extra::filtered(&self.extra, false) {
            Some(extra) => keccak256(self.encode_with(&extra)),
            None => keccak256(self.encode()),
        }
    }

    /// The digest that the proposer's seal signs: the hash of [`Self::seal_hash`].
    pub fn seal_digest(&self) -> B256 {
        keccak256(self.seal_hash())
    }

    /// The account that sealed this header; `None` if it carries no recoverable seal (genesis).
    pub fn proposer(&self) -> Option<Address> {
        let seal: [u8; SEAL_LEN] = ExtraView::decode(&self.extra).ok()?.seal().try_into().ok()?;
        recover_compact(self.seal_digest(), &seal).ok().map(|key| key.address())
    }

    /// The accounts behind the committed seals, in order; `None` for a seal that yields no key.
    ///
    /// # Errors
    /// If the extra-data does not decode.
    pub fn committers(&self) -> Result<Vec<Option<Address>>, DecodeError> {
        let extra = ExtraView::decode(&self.extra)?;
        let digest = committed_seal_digest(self.hash());
        let signer = |seal: &[u8]| recover_compact(digest, seal.try_into().ok()?).ok().map(|key| key.address());
        Ok(extra.committed_seals().map(signer).collect())
    }

    /// The RLP list.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(&self.extra)
    }

    /// How many fields [`Self::encode`] writes: 14, 15 (Magma), 17 (Randao) or 19 (Osaka) in a valid header.
    pub const fn field_count(&self) -> usize {
        if self.excess_blob_gas.is_some() {
            19
        } else if self.blob_gas_used.is_some() {
            18
        } else if self.mix_hash.is_some() {
            17
        } else if self.random_reveal.is_some() {
            16
        } else if self.base_fee.is_some() {
            15
        } else {
            14
        }
    }

    /// Checks that the fields which came with a fork are set exactly when it is active, and have their lengths.
    ///
    /// # Errors
    /// The first field that is missing, too early, or of the wrong length.
    pub fn check_fork_fields(&self, rules: Rules) -> Result<(), ForkFieldError> {
        let (magma, randao, osaka) = (rules.has(Fork::Magma), rules.has(Fork::Randao), rules.has(Fork::Osaka));
        let fields = [
            ("baseFeePerGas", self.base_fee.is_some(), magma),
            ("randomReveal", self.random_reveal.is_some(), randao),
            ("mixHash", self.mix_hash.is_some(), randao),
            ("blobGasUsed", self.blob_gas_used.is_some(), osaka),
            ("excessBlobGas", self.excess_blob_gas.is_some(), osaka),
        ];
        for (field, is_set, expected) in fields {
            match (is_set, expected) {
                (true, false) => return Err(ForkFieldError::Unexpected { field }),
                (false, true) => return Err(ForkFieldError::Missing { field }),
                _ => {}
            }
        }
        let lengths = [("randomReveal", &self.random_reveal, 96), ("mixHash", &self.mix_hash, 32)];
        for (field, value, expected) in lengths {
            let got = value.as_ref().map_or(expected, |value| value.len());
            if got != expected {
                return Err(ForkFieldError::WrongLength { field, expected, got });
            }
        }
        Ok(())
    }

    /// Reads a header.
    ///
    /// # Errors
    /// If the next item is not a list of 14, 15, 17 or 19 canonical fields.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut list = reader.list("header")?;
        let mut header = Self {
            parent_hash: list.hash("header.parentHash")?,
            rewardbase: list.address("header.reward")?,
            state_root: list.hash("header.stateRoot")?,
            transactions_root: list.hash("header.transactionsRoot")?,
            receipts_root: list.hash("header.receiptsRoot")?,
            logs_bloom: Bloom::from(list.fixed::<256>("header.logsBloom")?),
            block_score: list.u256("header.blockScore")?,
            number: list.u64("header.number")?,
            gas_used: list.u64("header.gasUsed")?,
            timestamp: list.u64("header.timestamp")?,
            timestamp_fos: list.u8("header.timestampFoS")?,
            extra: Bytes::copy_from_slice(list.bytes("header.extraData")?),
            governance: Bytes::copy_from_slice(list.bytes("header.governanceData")?),
            vote: Bytes::copy_from_slice(list.bytes("header.voteData")?),
            ..Self::default()
        };
        if !list.is_empty() {
            header.base_fee = Some(list.u256("header.baseFeePerGas")?);
        }
        if !list.is_empty() {
            header.random_reveal = Some(Bytes::copy_from_slice(list.bytes("header.randomReveal")?));
            header.mix_hash = Some(Bytes::copy_from_slice(list.bytes("header.mixHash")?));
        }
        if !list.is_empty() {
            header.blob_gas_used = Some(list.u64("header.blobGasUsed")?);
            header.excess_blob_gas = Some(list.u64("header.excessBlobGas")?);
        }
        list.end("header")?;
        Ok(header)
    }

    /// Reads a header that is all of `bytes`.
    ///
    /// # Errors
    /// As [`Self::decode`], and if bytes follow.
    pub fn decode_all(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let header = Self::decode(&mut reader)?;
        reader.end("header")?;
        Ok(header)
    }

    /// Encodes with other extra-data. A field that is not set, before one that is, is written as zero or empty.
    fn encode_with(&self, extra: &[u8]) -> Vec<u8> {
        let variable = extra.len() + self.governance.len() + self.vote.len();
        let mut fields = Vec::with_capacity(variable + 680);
        put_bytes(self.parent_hash.as_slice(), &mut fields);
        put_bytes(self.rewardbase.as_slice(), &mut fields);
        put_bytes(self.state_root.as_slice(), &mut fields);
        put_bytes(self.transactions_root.as_slice(), &mut fields);
        put_bytes(self.receipts_root.as_slice(), &mut fields);
        put_bytes(self.logs_bloom.as_slice(), &mut fields);
        put_u256(self.block_score, &mut fields);
        put_u64(self.number, &mut fields);
        put_u64(self.gas_used, &mut fields);
        put_u64(self.timestamp, &mut fields);
        put_u64(u64::from(self.timestamp_fos), &mut fields);
        put_bytes(extra, &mut fields);
        put_bytes(&self.governance, &mut fields);
        put_bytes(&self.vote, &mut fields);
        let count = self.field_count();
        if count > 14 {
            put_u256(self.base_fee.unwrap_or_default(), &mut fields);
        }
        if count > 15 {
            put_bytes(self.random_reveal.as_ref().map_or(&[][..], |reveal| reveal), &mut fields);
        }
        if count > 16 {
            put_bytes(self.mix_hash.as_ref().map_or(&[][..], |mix| mix), &mut fields);
        }
        if count > 17 {
            put_u64(self.blob_gas_used.unwrap_or_default(), &mut fields);
        }
        if count > 18 {
            put_u64(self.excess_blob_gas.unwrap_or_default(), &mut fields);
        }
        let mut out = Vec::with_capacity(header_len(fields.len()) + fields.len());
        put_list_header(fields.len(), &mut out);
        out.extend_from_slice(&fields);
        out
    }
}

/// The digest that a committed seal signs for the block `hash`.
pub fn committed_seal_digest(hash: B256) -> B256 {
    const COMMIT: u8 = 0x02;
    let mut preimage = [COMMIT; 33];
    preimage[..32].copy_from_slice(hash.as_slice());
    keccak256(preimage)
}

/// A header does not have the fields of its fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForkFieldError {
    /// Set before the fork that introduced it.
    #[error("header field {field} is set before its fork")]
    Unexpected {
        /// JSON name of the field.
        field: &'static str,
    },
    /// Not set although its fork is active.
    #[error("header field {field} is missing")]
    Missing {
        /// JSON name of the field.
        field: &'static str,
    },
    /// Set with another length.
    #[error("header field {field} has {got} bytes, not {expected}")]
    WrongLength {
        /// JSON name of the field.
        field: &'static str,
        /// Bytes of the field.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
}
