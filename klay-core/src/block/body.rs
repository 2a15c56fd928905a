//! A block: header and transactions.
use super::header::Header;
use crate::{
    codec::{DecodeError, Reader},
    tx::{FeeMode, Payload, TxEnvelope, payload::PayloadType},
};

/// A block whose transactions are `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<T> {
    /// The header.
    pub header: Header,
    /// The transactions in order of execution.
    pub transactions: Vec<T>,
}

impl<F: FeeMode, P: PayloadType> Block<TxEnvelope<F, P>> {
    /// `[header, [tx...]]` with transactions spliced.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }
    /// Reads a block.
    ///
    /// # Errors
    /// If the bytes are not one block.
    pub fn decode(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        todo!()
    }
}
#[allow(unused)]
type Default_ = Payload;
