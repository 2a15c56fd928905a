//! Precompiled contracts: which exist for whom, what they cost, and what they answer.
//!
//! Two sets exist side by side in every block: contracts of machine version 0 keep the set from before Istanbul for
//! ever, everyone else has the set of the block's fork.
//!
//! Source: spec 40, section 2; `contracts.go` in the reference client.

mod ecrecover;
mod failure;
mod fee_payer;
mod modexp;
mod names;
mod price;
mod validate_sender;
mod vm_log;

pub use names::precompiles;

use klay_core::{Address, Bytes};
use revm::{
    handler::PrecompileProvider,
    interpreter::{CallInputs, Gas, InstructionResult, InterpreterResult},
    precompile::{self, EthPrecompileOutput, EthPrecompileResult, u64_to_address},
    primitives::AddressSet,
};

use crate::{
    machine::{Accounts, KlvmContext, MachineError},
    spec::Level,
    state::StateError,
};

/// A set of precompiled contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PrecompileSet {
    /// Before Istanbul, and machine version 0 in every block.
    Byzantium,
    Istanbul,
    Kore,
    Cancun,
    Prague,
    Osaka,
}

/// A precompiled contract, with the variant of its prices where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    EcRecover,
    Sha256,
    Ripemd160,
    Identity,
    ModExp(modexp::Pricing),
    Bn254Add { istanbul: bool },
    Bn254Mul { istanbul: bool },
    Bn254Pairing { istanbul: bool },
    Blake2F,
    Kzg,
    BlsG1Add,
    BlsG1Msm,
    BlsG2Add,
    BlsG2Msm,
    BlsPairing,
    BlsMapG1,
    BlsMapG2,
    P256Verify,
    VmLog,
    FeePayer,
    ValidateSender,
}

/// Last address of the range that is kept for precompiled contracts; the first is 1.
pub(crate) const LAST_RESERVED: u16 = 0x3ff;

/// The number of an address in the reserved range 0x1..0x3ff.
pub(crate) fn reserved(address: Address) -> Option<u16> {
    let (head, tail) = address.0.split_at(18);
    let number = u16::from_be_bytes([tail[0], tail[1]]);
    ((1..=LAST_RESERVED).contains(&number) && head.iter().all(|b| *b == 0)).then_some(number)
}

impl PrecompileSet {
    /// The set of a block.
    pub(crate) const fn of(level: Level) -> Self {
        match level {
            Level::Genesis => Self::Byzantium,
            Level::Istanbul | Level::London => Self::Istanbul,
            Level::Kore | Level::Shanghai => Self::Kore,
            Level::Cancun => Self::Cancun,
            Level::Prague => Self::Prague,
            Level::Osaka => Self::Osaka,
        }
    }

    /// What the set has at a number of the reserved range.
    pub(crate) fn at(self, number: u16) -> Option<Builtin> {
        use Builtin as B;
        let istanbul = self >= Self::Istanbul;
        let klaytn = if istanbul { 0x3fd..=0x3ff } else { 0x09..=0x0b };
        if klaytn.contains(&number) {
            return Some(match number - klaytn.start() {
                0 => B::VmLog,
                1 => B::FeePayer,
                _ => B::ValidateSender,
            });
        }
        let builtin = match number {
            0x01 => B::EcRecover,
            0x02 => B::Sha256,
            0x03 => B::Ripemd160,
            0x04 => B::Identity,
            0x05 => B::ModExp(modexp::Pricing::of(self)),
            0x06 => B::Bn254Add { istanbul },
            0x07 => B::Bn254Mul { istanbul },
            0x08 => B::Bn254Pairing { istanbul },
            0x09 => B::Blake2F,
            0x0a if self >= Self::Cancun => B::Kzg,
            0x0b if self >= Self::Prague => B::BlsG1Add,
            0x0c if self >= Self::Prague => B::BlsG1Msm,
            0x0d if self >= Self::Prague => B::BlsG2Add,
            0x0e if self >= Self::Prague => B::BlsG2Msm,
            0x0f if self >= Self::Prague => B::BlsPairing,
            0x10 if self >= Self::Prague => B::BlsMapG1,
            0x11 if self >= Self::Prague => B::BlsMapG2,
            0x100 if self >= Self::Osaka => B::P256Verify,
            _ => return None,
        };
        Some(builtin)
    }

    /// Numbers that are warm from the start of a transaction, this set being the block's.
    ///
    /// 0x0a and 0x0b are warm from Kore on although only version 0 has something there before Cancun.
    fn warm(self) -> impl Iterator<Item = u16> {
        (0x01..=0x0b)
            .chain((self >= Self::Prague).then_some(0x0c..=0x11).into_iter().flatten())
            .chain((self >= Self::Osaka).then_some(0x100))
            .chain(0x3fd..=0x3ff)
    }
}

/// The precompiled contracts of a block.
#[derive(Debug, Clone)]
pub struct KlvmPrecompiles {
    warm: AddressSet,
}

impl KlvmPrecompiles {
    /// The contracts under `level`.
    pub fn new(level: Level) -> Self {
        Self { warm: PrecompileSet::of(level).warm().map(|n| u64_to_address(n.into())).collect() }
    }

    /// What is warm from the start of a transaction.
    pub(crate) const fn warm(&self) -> &AddressSet {
        &self.warm
    }
}

impl PrecompileProvider<KlvmContext> for KlvmPrecompiles {
    type Output = InterpreterResult;

    fn set_spec(&mut self, _level: Level) -> bool {
        false
    }

    /// Runs what is at the called address for the account that the new frame names as its caller.
    fn run(&mut self, ctx: &mut KlvmContext, inputs: &CallInputs) -> Result<Option<InterpreterResult>, String> {
        let Some(number) = reserved(inputs.bytecode_address) else { return Ok(None) };
        let called = ctx.precompile_set(inputs.caller).and_then(|set| {
            let Some(builtin) = set.at(number) else { return Ok(None) };
            let input = inputs.input.bytes(ctx);
            builtin.call(ctx, &input, inputs.gas_limit).map(Some)
        });
        Ok(called.unwrap_or_else(|error| {
            ctx.error = Err(MachineError::Db(error.into()));
            let gas = Gas::new_spent_with_reservoir(inputs.gas_limit, 0);
            Some(InterpreterResult::new(InstructionResult::FatalExternalError, Bytes::new(), gas))
        }))
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.warm
    }
}

impl Builtin {
    /// Charges gas and computation cost and gives the result of the frame.
    ///
    /// The computation cost is added even if the gas does not suffice; the limit is looked at by the next
    /// instruction.
    fn call(self, ctx: &mut KlvmContext, input: &[u8], gas_limit: u64) -> Result<InterpreterResult, StateError> {
        let (price, cost) = self.price(input);
        ctx.chain.meter.add(cost);
        let mut gas = Gas::new(gas_limit);
        if !gas.record_regular_cost(price) {
            gas.spend_all();
            return Ok(InterpreterResult::new(InstructionResult::PrecompileOOG, Bytes::new(), gas));
        }
        let output = match self {
            Self::VmLog => Some(vm_log::run(input)),
            Self::FeePayer => Some(fee_payer::run(ctx.tx.payer)),
            Self::ValidateSender => Some(validate_sender::run(ctx, input)?),
            _ => match self.compute(input) {
                Ok(output) => Some(output.bytes),
                Err(halt) => {
                    ctx.chain.precompile_failure = Some(failure::text(&halt));
                    None
                }
            },
        };
        Ok(match output {
            Some(output) => InterpreterResult::new(InstructionResult::Return, output, gas),
            None => {
                gas.spend_all();
                InterpreterResult::new(InstructionResult::PrecompileError, Bytes::new(), gas)
            }
        })
    }

    /// The answer of a contract that depends on nothing but its input. Gas is charged by the caller.
    fn compute(self, input: &[u8]) -> EthPrecompileResult {
        const GAS: u64 = u64::MAX;
        match self {
            Self::EcRecover => Ok(EthPrecompileOutput::new(0, ecrecover::run(input))),
            Self::Sha256 => precompile::hash::sha256_run(input, GAS),
            Self::Ripemd160 => precompile::hash::ripemd160_run(input, GAS),
            Self::Identity => precompile::identity::identity_run(input, GAS),
            Self::ModExp(pricing) => pricing.run(input),
            Self::Bn254Add { .. } => precompile::bn254::run_add(input, 0, GAS),
            Self::Bn254Mul { .. } => precompile::bn254::run_mul(input, 0, GAS),
            Self::Bn254Pairing { .. } => precompile::bn254::run_pair(input, 0, 0, GAS),
            Self::Blake2F => precompile::blake2::run(input, GAS),
            Self::Kzg => precompile::kzg_point_evaluation::run(input, GAS),
            Self::BlsG1Add => precompile::bls12_381::g1_add::g1_add(input, GAS),
            Self::BlsG1Msm => precompile::bls12_381::g1_msm::g1_msm(input, GAS),
            Self::BlsG2Add => precompile::bls12_381::g2_add::g2_add(input, GAS),
            Self::BlsG2Msm => precompile::bls12_381::g2_msm::g2_msm(input, GAS),
            Self::BlsPairing => precompile::bls12_381::pairing::pairing(input, GAS),
            Self::BlsMapG1 => precompile::bls12_381::map_fp_to_g1::map_fp_to_g1(input, GAS),
            Self::BlsMapG2 => precompile::bls12_381::map_fp2_to_g2::map_fp2_to_g2(input, GAS),
            Self::P256Verify => precompile::secp256r1::p256_verify_osaka(input, GAS),
            Self::VmLog | Self::FeePayer | Self::ValidateSender => {
                Err(precompile::PrecompileHalt::other_static("needs a context"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn klaytn_contracts_moved_to_the_end_of_the_range_at_istanbul() {
        assert_eq!(PrecompileSet::Byzantium.at(0x09), Some(Builtin::VmLog));
        assert_eq!(PrecompileSet::Byzantium.at(0x0b), Some(Builtin::ValidateSender));
        assert_eq!(PrecompileSet::Byzantium.at(0x3fd), None);
        assert_eq!(PrecompileSet::Istanbul.at(0x09), Some(Builtin::Blake2F));
        assert_eq!(PrecompileSet::Istanbul.at(0x0a), None);
        assert_eq!(PrecompileSet::Istanbul.at(0x3fe), Some(Builtin::FeePayer));
        assert_eq!(PrecompileSet::Cancun.at(0x0a), Some(Builtin::Kzg));
        assert_eq!(PrecompileSet::Prague.at(0x100), None);
        assert_eq!(PrecompileSet::Osaka.at(0x100), Some(Builtin::P256Verify));
    }

    #[test]
    fn the_reserved_range_ends_at_0x3ff_and_leaves_zero_out() {
        assert_eq!(reserved(Address::ZERO), None);
        assert_eq!(reserved(u64_to_address(1)), Some(1));
        assert_eq!(reserved(u64_to_address(0x3ff)), Some(0x3ff));
        assert_eq!(reserved(u64_to_address(0x400)), None);
        assert_eq!(reserved(Address::repeat_byte(1)), None);
    }
}
