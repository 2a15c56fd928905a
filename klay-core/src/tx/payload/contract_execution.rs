//! Type `0x30`: calls a contract.

use alloy_primitives::{Address, Bytes, U256};
use rlp::RlpStream;

use crate::codec::{AppendExt, DecodeError, Reader};

/// Calls an account with code. Elements: `to`, `value`, `from`, `input`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractExecution {
    /// The contract.
    pub to: Address,
    /// Amount sent with the call, in peb.
    pub value: U256,
    /// Call data.
    pub input: Bytes,
}

impl ContractExecution {
    pub(super) fn encode(&self, from: Address, out: &mut RlpStream) {
        out.append_address(self.to).append_u256(self.value).append_address(from).append_bytes(&self.input);
    }

    pub(super) fn decode(list: &mut Reader<'_>) -> Result<(Self, Address), DecodeError> {
        let (to, value, from) = (list.address("to")?, list.u256("value")?, list.address("from")?);
        let input = Bytes::copy_from_slice(list.bytes("input")?);
        Ok((Self { to, value, input }, from))
    }
}
