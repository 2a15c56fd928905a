//! Type `0x28`: deploys a contract.

use alloy_primitives::{Address, Bytes, U256};
use rlp::RlpStream;

use crate::{
    codec::{AppendExt, DecodeError, Reader},
    tx::fee::FeeRatio,
};

/// Deploys a contract at the address that follows from sender and nonce.
///
/// Elements: `to`, `value`, `from`, `input`, `humanReadable`, *the ratio if there is one*, `codeFormat`. This is the
/// only payload in which the ratio is not the last element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractDeploy {
    /// Must be none to be valid.
    pub to: Option<Address>,
    /// Amount that the new contract receives, in peb.
    pub value: U256,
    /// Init code.
    pub input: Bytes,
    /// Must be false to be valid.
    pub human_readable: bool,
    /// Must be 0 (EVM) to be valid.
    pub code_format: u8,
}

impl ContractDeploy {
    /// A deployment that validation accepts: no recipient, not human-readable, EVM code.
    pub const fn new(input: Bytes, value: U256) -> Self {
        Self { to: None, value, input, human_readable: false, code_format: 0 }
    }

    pub(super) fn encode(&self, from: Address, ratio: Option<FeeRatio>, out: &mut RlpStream) {
        out.append_opt_address(self.to).append_u256(self.value).append_address(from);
        out.append_bytes(&self.input).append_bool(self.human_readable);
        if let Some(ratio) = ratio {
            out.append(&ratio.percent());
        }
        out.append(&self.code_format);
    }

    pub(super) fn decode(
        has_ratio: bool,
        list: &mut Reader<'_>,
    ) -> Result<(Self, Address, Option<FeeRatio>), DecodeError> {
        let (to, value, from) = (list.opt_address("to")?, list.u256("value")?, list.address("from")?);
        let input = Bytes::copy_from_slice(list.bytes("input")?);
        let human_readable = list.bool("humanReadable")?;
        let ratio = has_ratio.then(|| list.u8("feeRatio")).transpose()?.map(FeeRatio::new_unchecked);
        let code_format = list.u8("codeFormat")?;
        Ok((Self { to, value, input, human_readable, code_format }, from, ratio))
    }
}
