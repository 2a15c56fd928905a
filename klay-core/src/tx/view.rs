//! Common fields of any transaction, borrowed, made by a single match.
use super::{fee::FeeRatio, tx_type::TxType};
use crate::{auth::Role, crypto::Signature};
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, U256};

/// What a pool, an executor or an RPC server asks of any transaction.
#[derive(Debug, Clone, Copy)]
pub struct TxView<'a> {
    /// The type.
    pub tx_type: TxType,
    /// Sender's nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// `gasPrice`, or `maxFeePerGas` for the dynamic types, in peb.
    pub fee_cap: U256,
    /// `maxPriorityFeePerGas` for the dynamic types; `gasPrice` otherwise.
    pub tip_cap: U256,
    /// Whether the type has separate cap and tip.
    pub is_dynamic: bool,
    /// The sender, where the type writes it down (Klaytn types).
    pub from: Option<Address>,
    /// Recipient.
    pub to: Option<Address>,
    /// Amount, in peb.
    pub value: U256,
    /// Input data.
    pub input: &'a [u8],
    /// EIP-2930 list.
    pub access_list: Option<&'a AccessList>,
    /// EIP-7702 list.
    pub authorization_list: Option<&'a [SignedAuthorization]>,
    /// EIP-4844 hashes.
    pub blob_hashes: &'a [B256],
    /// EIP-4844 price cap.
    pub max_fee_per_blob_gas: Option<u128>,
    /// Chain id: the field of Ethereum's types, otherwise the one in the first signature's `v`; none if unprotected.
    pub chain_id: Option<u64>,
    /// Role of the sender's signatures.
    pub role: Role,
    /// Sender's signatures.
    pub signatures: &'a [Signature],
    /// Fee payer.
    pub fee_payer: Option<Address>,
    /// Percentage the fee payer takes.
    pub fee_ratio: Option<FeeRatio>,
    /// Fee payer's signatures.
    pub fee_payer_signatures: &'a [Signature],
}
