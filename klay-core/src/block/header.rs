//! The block header and its hash.
use crate::codec::{DecodeError, Reader};
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};

/// A header of any fork. The last five fields are trailing optionals: set or not set, zero is a value.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Hundredths of a second, 0 to 99.
    pub timestamp_fos: u8,
    /// Vanity and Istanbul seals.
    pub extra: Bytes,
    /// Ratified governance parameters.
    pub governance: Bytes,
    /// The proposer's vote.
    pub vote: Bytes,
    /// From Magma.
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
    pub fn hash(&self) -> B256 {
        todo!()
    }
    /// What the proposer seals (before it is hashed once more).
    pub fn seal_hash(&self) -> B256 {
        todo!()
    }
    /// The RLP list.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }
    /// Reads a header.
    ///
    /// # Errors
    /// If the next item is not one.
    pub fn decode(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        todo!()
    }
    /// The account that sealed this header; `None` if it carries no recoverable seal (genesis).
    pub fn proposer(&self) -> Option<Address> {
        todo!()
    }
}
