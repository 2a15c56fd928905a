//! Ethereum's typed transactions inside the `0x78` envelope.
use crate::crypto::Signature;
use alloy_consensus::{TxEip1559, TxEip2930, TxEip4844, TxEip7702};

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
}
