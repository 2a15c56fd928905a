//! Common fields of any transaction, borrowed, made by a single match.

use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, U256};

use super::{
    ethereum::{EthereumFields, EthereumKind, EthereumTx},
    fee::{FeeMode, FeeRatio},
    legacy::LegacyTx,
    payload::PayloadType,
    tx_type::TxType,
    typed::Tx,
};
use crate::{
    auth::Role,
    config::{Fork, Rules},
    crypto::Signature,
};

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
    /// Whether a human-readable address is asked for (contract deployments only; never valid).
    pub human_readable: bool,
    /// EIP-2930 list.
    pub access_list: Option<&'a AccessList>,
    /// EIP-7702 list.
    pub authorization_list: Option<&'a [SignedAuthorization]>,
    /// EIP-4844 hashes.
    pub blob_hashes: &'a [B256],
    /// EIP-4844 price cap, in peb.
    pub max_fee_per_blob_gas: Option<U256>,
    /// Chain id: the field of Ethereum's types, otherwise the one in the first signature's `v` (0 for a Klaytn type
    /// with 27 or 28); none for an unprotected legacy transaction. Beyond 64 bits, where no chain is, `u64::MAX`.
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

impl<'a> TxView<'a> {
    /// Whether the transaction creates a contract: a deployment, or a legacy or Ethereum transaction without recipient.
    pub const fn is_creation(&self) -> bool {
        match self.tx_type.code() {
            0 | 0x7801..=0x7804 => self.to.is_none(),
            _ => self.tx_type.family() == 0x28,
        }
    }

    /// Whether the reference client sees no recipient: there is none, or a payload sends to the zero address.
    ///
    /// The rule on the size of init code, `contractAddress` in receipts and `to` in the `eth_` methods depend on it.
    ///
    /// Source: spec 10, section 3.2.
    pub fn reports_no_recipient(&self) -> bool {
        self.to.is_none_or(|to| self.tx_type.is_klaytn() && to.is_zero())
    }

    /// The price per gas that is paid in a block with `base_fee` (none before Magma), in peb.
    ///
    /// From Magma to Kaia every transaction pays the base fee; from Kaia on the tip comes on top, up to the cap, which
    /// for types with one price makes it that price.
    ///
    /// Source: spec 10, section 4.3.
    pub fn effective_gas_price(&self, base_fee: Option<U256>, rules: Rules) -> U256 {
        match base_fee {
            None => self.fee_cap,
            Some(base_fee) if rules.has(Fork::Kaia) => {
                base_fee.saturating_add(self.tip_cap.min(self.fee_cap.saturating_sub(base_fee)))
            }
            Some(base_fee) => base_fee,
        }
    }

    pub(super) fn legacy(tx: &'a LegacyTx) -> Self {
        Self {
            tx_type: TxType::LEGACY,
            nonce: tx.nonce,
            gas_limit: tx.gas_limit,
            fee_cap: tx.gas_price,
            tip_cap: tx.gas_price,
            is_dynamic: false,
            from: None,
            to: tx.to,
            value: tx.value,
            input: &tx.input,
            human_readable: false,
            access_list: None,
            authorization_list: None,
            blob_hashes: &[],
            max_fee_per_blob_gas: None,
            chain_id: tx.signature.chain_id().map(|id| id.saturating_to()),
            role: Role::Transaction,
            signatures: core::slice::from_ref(&tx.signature),
            fee_payer: None,
            fee_ratio: None,
            fee_payer_signatures: &[],
        }
    }

    pub(super) fn ethereum(tx: &'a EthereumTx) -> Self {
        let EthereumFields { chain_id, nonce, gas_limit, to, value, input, access_list, kind } = &tx.fields;
        let (price, gas_price) = match kind {
            EthereumKind::AccessList { gas_price } => (None, *gas_price),
            kind => (kind.dynamic_price(), U256::ZERO),
        };
        let (blob_hashes, max_fee_per_blob_gas) = match kind {
            EthereumKind::Blob { versioned_hashes, max_fee_per_blob_gas, .. } => {
                (&versioned_hashes[..], Some(*max_fee_per_blob_gas))
            }
            _ => (&[][..], None),
        };
        Self {
            tx_type: kind.tx_type(),
            nonce: *nonce,
            gas_limit: *gas_limit,
            fee_cap: price.map_or(gas_price, |price| price.cap),
            tip_cap: price.map_or(gas_price, |price| price.tip),
            is_dynamic: price.is_some(),
            from: None,
            to: *to,
            value: *value,
            input,
            human_readable: false,
            access_list: Some(access_list),
            authorization_list: match kind {
                EthereumKind::SetCode { authorizations, .. } => Some(authorizations),
                _ => None,
            },
            blob_hashes,
            max_fee_per_blob_gas,
            chain_id: Some(chain_id.saturating_to()),
            role: Role::Transaction,
            signatures: core::slice::from_ref(&tx.signature),
            fee_payer: None,
            fee_ratio: None,
            fee_payer_signatures: &[],
        }
    }

    pub(super) fn klaytn<F: FeeMode, P: PayloadType>(tx: &'a Tx<F, P>) -> Self {
        let payload = &tx.body.payload;
        let chain_id = tx.signatures.first().map(|first| first.chain_id().unwrap_or_default().saturating_to());
        Self {
            tx_type: tx.tx_type(),
            nonce: tx.body.nonce,
            gas_limit: tx.body.gas_limit,
            fee_cap: tx.body.gas_price,
            tip_cap: tx.body.gas_price,
            is_dynamic: false,
            from: Some(tx.body.from),
            to: payload.to(),
            value: payload.value(),
            input: payload.input(),
            human_readable: payload.is_human_readable(),
            access_list: None,
            authorization_list: None,
            blob_hashes: &[],
            max_fee_per_blob_gas: None,
            chain_id,
            role: payload.role(),
            signatures: &tx.signatures,
            fee_payer: tx.fee.payer(),
            fee_ratio: tx.fee.ratio(),
            fee_payer_signatures: tx.fee.payer_signatures(),
        }
    }
}
