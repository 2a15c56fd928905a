//! Type `0x38`: replaces a pending transaction by nothing.

use alloy_primitives::Address;
use rlp::RlpStream;

use crate::codec::{AppendExt, DecodeError, Reader};

/// Spends the nonce and nothing else. Element: `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel;

impl Cancel {
    pub(super) fn encode(self, from: Address, out: &mut RlpStream) {
        out.append_address(from);
    }

    pub(super) fn decode(list: &mut Reader<'_>) -> Result<(Self, Address), DecodeError> {
        Ok((Self, list.address("from")?))
    }
}
