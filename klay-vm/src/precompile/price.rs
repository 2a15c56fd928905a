//! Gas and computation cost of each contract.
//!
//! Source: spec 40, section 2.3.

use revm::precompile::bls12_381_const::{DISCOUNT_TABLE_G1_MSM, DISCOUNT_TABLE_G2_MSM};

use super::Builtin;

/// Length of an item in the input of a multiplication over G1 and G2, and of a pairing.
const G1_MSM_ITEM: usize = 160;
const G2_MSM_ITEM: usize = 288;
const BLS_PAIR: usize = 384;
const BN254_PAIR: usize = 192;
/// Length of one signature for validateSender.
const SIGNATURE: usize = 65;
/// The only length of input that blake2F takes.
const BLAKE2F_INPUT: usize = 213;

impl Builtin {
    /// Gas and computation cost for `input`.
    pub(super) fn price(self, input: &[u8]) -> (u64, u64) {
        let len = input.len();
        match self {
            Self::EcRecover => (3000, 113_150),
            Self::Sha256 => (60 + 12 * words(len), 1000 + 100 * words(len)),
            Self::Ripemd160 => (600 + 120 * words(len), 100 + 10 * words(len)),
            Self::Identity => (15 + 3 * words(len), 0),
            Self::ModExp(pricing) => pricing.price(input),
            Self::Bn254Add { istanbul } => (if istanbul { 150 } else { 500 }, 8000),
            Self::Bn254Mul { istanbul } => (if istanbul { 6000 } else { 40_000 }, 100_000),
            Self::Bn254Pairing { istanbul } => {
                let k = (len / BN254_PAIR) as u64;
                let gas = if istanbul { 45_000 + 34_000 * k } else { 100_000 + 80_000 * k };
                (gas, 2_000_000 + 1_000_000 * k)
            }
            Self::Blake2F => match input.first_chunk::<4>() {
                Some(rounds) if len == BLAKE2F_INPUT => {
                    let rounds = u64::from(u32::from_be_bytes(*rounds));
                    (rounds, 10_000 + 10 * rounds)
                }
                _ => (0, 0),
            },
            Self::Kzg => (50_000, 2_200_000),
            Self::BlsG1Add => (375, 18_750),
            Self::BlsG1Msm => msm(len / G1_MSM_ITEM, 12_000, 600_000, &DISCOUNT_TABLE_G1_MSM),
            Self::BlsG2Add => (600, 30_000),
            Self::BlsG2Msm => msm(len / G2_MSM_ITEM, 22_500, 1_125_000, &DISCOUNT_TABLE_G2_MSM),
            Self::BlsPairing => {
                let k = (len / BLS_PAIR) as u64;
                (37_700 + 32_600 * k, 1_885_000 + 1_630_000 * k)
            }
            Self::BlsMapG1 => (5500, 275_000),
            Self::BlsMapG2 => (23_800, 1_190_000),
            Self::P256Verify => (6900, 235_000),
            Self::VmLog => (100 + 20 * len as u64, 10),
            Self::FeePayer => (300, 10),
            Self::ValidateSender => {
                let n = (len / SIGNATURE) as u64;
                (5000 * n, 10_000 + 180_000 * n)
            }
        }
    }
}

const fn words(len: usize) -> u64 {
    len.div_ceil(32) as u64
}

/// Price of a multiplication of `k` items at these base prices, discounted in thousandths.
fn msm(k: usize, gas: u64, cost: u64, discounts: &[u16; 128]) -> (u64, u64) {
    if k == 0 {
        return (0, 0);
    }
    let discount = u64::from(discounts[(k - 1).min(discounts.len() - 1)]);
    let k = k as u64;
    (k * gas * discount / 1000, k * cost * discount / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discounts_end_where_the_specification_ends() {
        assert_eq!(msm(1, 12_000, 600_000, &DISCOUNT_TABLE_G1_MSM), (12_000, 600_000));
        assert_eq!(msm(200, 12_000, 600_000, &DISCOUNT_TABLE_G1_MSM).0, 200 * 12_000 * 519 / 1000);
        assert_eq!(msm(200, 22_500, 1_125_000, &DISCOUNT_TABLE_G2_MSM).0, 200 * 22_500 * 524 / 1000);
    }

    #[test]
    fn klaytn_contracts_cost_what_the_table_of_expected_calls_says() {
        assert_eq!(Builtin::VmLog.price(b"Hello"), (200, 10));
        assert_eq!(Builtin::FeePayer.price(b""), (300, 10));
        assert_eq!(Builtin::ValidateSender.price(&[0; 117]), (5000, 190_000));
    }
}
