//! Which precompiled contracts a block has, by the names of EIP-7910 and KIP-276.

use klay_core::{Address, Rules};
use revm::precompile::u64_to_address;

use super::{Builtin, LAST_RESERVED, PrecompileSet};
use crate::spec::Level;

/// The precompiled contracts under `rules` in the order of their addresses, for code that is not of machine version 0.
///
/// ```
/// use klay_core::{Fork, Rules};
///
/// let istanbul = klay_vm::precompiles(Rules::up_to(Fork::Istanbul));
/// assert_eq!(istanbul.last().map(|(_, name)| *name), Some("VALIDATE_SENDER"));
/// ```
pub fn precompiles(rules: Rules) -> Vec<(Address, &'static str)> {
    let set = PrecompileSet::of(Level::of(rules));
    let named = |number| Some((u64_to_address(u64::from(number)), set.at(number)?.name()));
    (1..=LAST_RESERVED).filter_map(named).collect()
}

impl Builtin {
    const fn name(self) -> &'static str {
        match self {
            Self::EcRecover => "ECREC",
            Self::Sha256 => "SHA256",
            Self::Ripemd160 => "RIPEMD160",
            Self::Identity => "ID",
            Self::ModExp(_) => "MODEXP",
            Self::Bn254Add { .. } => "BN254_ADD",
            Self::Bn254Mul { .. } => "BN254_MUL",
            Self::Bn254Pairing { .. } => "BN254_PAIRING",
            Self::Blake2F => "BLAKE2F",
            Self::Kzg => "KZG_POINT_EVALUATION",
            Self::BlsG1Add => "BLS12_G1ADD",
            Self::BlsG1Msm => "BLS12_G1MSM",
            Self::BlsG2Add => "BLS12_G2ADD",
            Self::BlsG2Msm => "BLS12_G2MSM",
            Self::BlsPairing => "BLS12_PAIRING_CHECK",
            Self::BlsMapG1 => "BLS12_MAP_FP_TO_G1",
            Self::BlsMapG2 => "BLS12_MAP_FP2_TO_G2",
            Self::P256Verify => "P256VERIFY",
            Self::VmLog => "VMLOG",
            Self::FeePayer => "FEE_PAYER",
            Self::ValidateSender => "VALIDATE_SENDER",
        }
    }
}
