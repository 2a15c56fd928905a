//! Type `0x08`: moves value.

use alloy_primitives::{Address, U256};
use rlp::RlpStream;

use crate::codec::{AppendExt, DecodeError, Reader};

/// Moves value to an account without code. Elements: `to`, `value`, `from`.
///
/// The zero address is a recipient like any other; nothing is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueTransfer {
    /// Recipient.
    pub to: Address,
    /// Amount, in peb.
    pub value: U256,
}

impl ValueTransfer {
    pub(super) fn encode(&self, from: Address, out: &mut RlpStream) {
        out.append_address(self.to).append_u256(self.value).append_address(from);
    }

    pub(super) fn decode(list: &mut Reader<'_>) -> Result<(Self, Address), DecodeError> {
        let (to, value, from) = (list.address("to")?, list.u256("value")?, list.address("from")?);
        Ok((Self { to, value }, from))
    }
}
