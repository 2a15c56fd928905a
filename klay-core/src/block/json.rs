//! JSON form of a header: the reference client's names, quantities in hex. The hash is not part of it.

use alloy_primitives::{Address, B256, Bloom, Bytes, U64, U256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::header::Header;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    parent_hash: B256,
    reward: Address,
    state_root: B256,
    transactions_root: B256,
    receipts_root: B256,
    logs_bloom: Bloom,
    block_score: U256,
    number: U64,
    gas_used: U64,
    timestamp: U64,
    #[serde(rename = "timestampFoS")]
    timestamp_fos: U64,
    extra_data: Bytes,
    governance_data: Bytes,
    #[serde(default)]
    vote_data: Bytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_fee_per_gas: Option<U256>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    random_reveal: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mix_hash: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blob_gas_used: Option<U64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    excess_blob_gas: Option<U64>,
}

impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire {
            parent_hash: self.parent_hash,
            reward: self.rewardbase,
            state_root: self.state_root,
            transactions_root: self.transactions_root,
            receipts_root: self.receipts_root,
            logs_bloom: self.logs_bloom,
            block_score: self.block_score,
            number: U64::from(self.number),
            gas_used: U64::from(self.gas_used),
            timestamp: U64::from(self.timestamp),
            timestamp_fos: U64::from(self.timestamp_fos),
            extra_data: self.extra.clone(),
            governance_data: self.governance.clone(),
            vote_data: self.vote.clone(),
            base_fee_per_gas: self.base_fee,
            random_reveal: self.random_reveal.clone(),
            mix_hash: self.mix_hash.clone(),
            blob_gas_used: self.blob_gas_used.map(U64::from),
            excess_blob_gas: self.excess_blob_gas.map(U64::from),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let timestamp_fos = u8::try_from(wire.timestamp_fos.to::<u64>())
            .map_err(|_| D::Error::custom("timestampFoS does not fit a byte"))?;
        Ok(Self {
            parent_hash: wire.parent_hash,
            rewardbase: wire.reward,
            state_root: wire.state_root,
            transactions_root: wire.transactions_root,
            receipts_root: wire.receipts_root,
            logs_bloom: wire.logs_bloom,
            block_score: wire.block_score,
            number: wire.number.to(),
            gas_used: wire.gas_used.to(),
            timestamp: wire.timestamp.to(),
            timestamp_fos,
            extra: wire.extra_data,
            governance: wire.governance_data,
            vote: wire.vote_data,
            base_fee: wire.base_fee_per_gas,
            random_reveal: wire.random_reveal,
            mix_hash: wire.mix_hash,
            blob_gas_used: wire.blob_gas_used.map(|gas| gas.to()),
            excess_blob_gas: wire.excess_blob_gas.map(|gas| gas.to()),
        })
    }
}
