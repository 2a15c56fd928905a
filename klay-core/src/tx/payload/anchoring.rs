//! Type `0x48`: records data of a service chain.

use alloy_primitives::{Address, Bytes};
use rlp::RlpStream;

use crate::codec::{AppendExt, DecodeError, Reader};

/// Records data of a service chain on its parent chain. Elements: `from`, `input`.
///
/// Any bytes are accepted and charged; what they mean is the business of `klay-anchor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainDataAnchoring {
    /// The record.
    pub input: Bytes,
}

impl ChainDataAnchoring {
    pub(super) fn encode(&self, from: Address, out: &mut RlpStream) {
        out.append_address(from).append_bytes(&self.input);
    }

    pub(super) fn decode(list: &mut Reader<'_>) -> Result<(Self, Address), DecodeError> {
        let from = list.address("from")?;
        Ok((Self { input: Bytes::copy_from_slice(list.bytes("input")?) }, from))
    }
}
