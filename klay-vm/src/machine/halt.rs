//! How frames end that end in a way only Klaytn knows, and what receipts say about it.
//!
//! revm's results are a closed list. The ends below borrow entries that no instruction of a Klaytn fork produces, of
//! the class that treats the remaining gas as Klaytn does: a "revert" gives it back, a "halt" consumes it.

use klay_core::block::Status;
use revm::interpreter::InstructionResult;

/// The sum of computation cost went over the limit. All gas is consumed.
pub(crate) const COST_LIMIT: InstructionResult = InstructionResult::InvalidImmediateEncoding;
/// The price of storing a new contract's code was not left. All gas is consumed.
pub(crate) const DEPOSIT_OUT_OF_GAS: InstructionResult = InstructionResult::NonceOverflow;
/// A reserved address without a contract behind it, or with value for it. The gas comes back.
pub(crate) const RESERVED_ADDRESS: InstructionResult = InstructionResult::InvalidExtDelegateCallTarget;
/// The creator's nonce cannot grow. The gas comes back.
pub(crate) const NONCE_OVERFLOW: InstructionResult = InstructionResult::InvalidEOFInitCode;
/// The contract's code begins with 0xEF, between Kore and Prague: the creation fails and everything stays.
pub(crate) const EF_CODE_KEPT: InstructionResult = InstructionResult::CreateInitCodeStartingEF00;

/// The receipt status of a transaction whose outermost frame ended so.
///
/// Source: spec 40, section 4.10.
pub(crate) const fn status_of(result: InstructionResult) -> Status {
    use InstructionResult as R;
    Status(match result {
        R::Stop | R::Return | R::SelfDestruct | R::Suspend => 0x01,
        R::CallTooDeep => 0x03,
        R::CreateCollision => 0x04,
        DEPOSIT_OUT_OF_GAS => 0x05,
        R::CreateContractSizeLimit => 0x06,
        R::OutOfGas
        | R::MemoryOOG
        | R::MemoryLimitOOG
        | R::PrecompileOOG
        | R::ReentrancySentryOOG
        | R::CreateInitCodeSizeLimit => 0x07,
        R::CallNotAllowedInsideStatic | R::StateChangeDuringStaticCall => 0x08,
        R::Revert => 0x09,
        COST_LIMIT => 0x0a,
        _ => 0x02,
    })
}

/// The reference client's text for the end of a frame, as traces show it; `None` for success.
pub(crate) const fn error_text(result: InstructionResult) -> Option<&'static str> {
    use InstructionResult as R;
    Some(match result {
        R::Stop | R::Return | R::SelfDestruct | R::Suspend => return None,
        R::Revert => "execution reverted",
        R::CallTooDeep => "max call depth exceeded",
        R::OutOfFunds | R::OverflowPayment => "insufficient balance for transfer",
        R::CreateCollision => "contract address collision",
        DEPOSIT_OUT_OF_GAS => "contract creation code storage out of gas",
        R::CreateContractSizeLimit => "evm: max code size exceeded",
        R::CallNotAllowedInsideStatic | R::StateChangeDuringStaticCall => "evm: write protection",
        COST_LIMIT => "reached the opcode computation cost limit",
        RESERVED_ADDRESS => "the address is reserved for pre-compiled contracts",
        NONCE_OVERFLOW => "nonce uint64 overflow",
        EF_CODE_KEPT | R::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        R::InvalidOperandOOG => "gas uint64 overflow",
        R::InvalidJump => "evm: invalid jump destination",
        R::OutOfOffset => "evm: return data out of bounds",
        R::StackUnderflow => "stack underflow",
        R::StackOverflow => "stack limit reached",
        R::OpcodeNotFound | R::InvalidFEOpcode | R::NotActivated => "invalid opcode",
        R::PrecompileError => "precompiled contract failed",
        _ => "out of gas",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borrowed_ends_are_of_the_class_that_their_gas_needs() {
        assert!(COST_LIMIT.is_halt() && DEPOSIT_OUT_OF_GAS.is_halt());
        assert!(RESERVED_ADDRESS.is_revert() && NONCE_OVERFLOW.is_revert() && EF_CODE_KEPT.is_revert());
    }
}
