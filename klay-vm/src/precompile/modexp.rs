//! Modular exponentiation at three price lists.
//!
//! Source: spec 40, section 2.3; EIP-198, EIP-2565, EIP-7823 and EIP-7883.

use klay_core::U256;
use revm::precompile::{EthPrecompileResult, modexp};

use super::PrecompileSet;

/// How an exponentiation is priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pricing {
    Byzantium,
    Kore,
    Osaka,
}

/// Bytes ahead of the operands: three lengths.
const HEADER: usize = 96;

impl Pricing {
    pub(super) const fn of(set: PrecompileSet) -> Self {
        match set {
            PrecompileSet::Byzantium | PrecompileSet::Istanbul => Self::Byzantium,
            PrecompileSet::Kore | PrecompileSet::Cancun | PrecompileSet::Prague => Self::Kore,
            PrecompileSet::Osaka => Self::Osaka,
        }
    }

    pub(super) fn run(self, input: &[u8]) -> EthPrecompileResult {
        match self {
            Self::Byzantium => modexp::byzantium_run(input, u64::MAX),
            Self::Kore => modexp::berlin_run(input, u64::MAX),
            Self::Osaka => modexp::osaka_run(input, u64::MAX),
        }
    }

    /// Gas and computation cost. Before Osaka a price that does not fit 64 bits has a cost of 2^64-1, which the
    /// sum of costs wraps around.
    pub(super) fn price(self, input: &[u8]) -> (u64, u64) {
        let base_len = length(word(input, 0));
        let exponent_len = length(word(input, 32));
        let modulus_len = length(word(input, 64));
        let operands = input.get(HEADER..).unwrap_or_default();
        let head = match usize::try_from(base_len) {
            Ok(base_len) => {
                let shift = 32 - exponent_len.min(32) as usize;
                word(operands, base_len) >> (8 * shift)
            }
            Err(_) => U256::ZERO,
        };
        let gas = match self {
            Self::Byzantium => modexp::byzantium_gas_calc(base_len, exponent_len, modulus_len, &head),
            Self::Kore => modexp::berlin_gas_calc(base_len, exponent_len, modulus_len, &head),
            Self::Osaka => modexp::osaka_gas_calc(base_len, exponent_len, modulus_len, &head),
        };
        let cost = if gas == u64::MAX && self != Self::Osaka { u64::MAX } else { gas / 100 + 100 };
        (gas, cost)
    }
}

/// The 32 bytes at `offset`, with zeros behind the end of `bytes`.
fn word(bytes: &[u8], offset: usize) -> U256 {
    let bytes = bytes.get(offset..).unwrap_or_default();
    let mut word = [0; 32];
    let n = bytes.len().min(32);
    word[..n].copy_from_slice(&bytes[..n]);
    U256::from_be_bytes(word)
}

fn length(word: U256) -> u64 {
    u64::try_from(word).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(lengths: [u64; 3], operands: &[u8]) -> Vec<u8> {
        let mut input = Vec::new();
        for length in lengths {
            input.extend(U256::from(length).to_be_bytes::<32>());
        }
        input.extend(operands);
        input
    }

    #[test]
    fn the_price_is_what_the_contract_takes() {
        let cases = [
            input([1, 1, 1], &[3, 5, 7]),
            input([32, 32, 32], &[0xff; 96]),
            input([64, 40, 64], &[0x11; 168]),
            input([1, 3, 1], &[3]),
            input([0, 0, 0], &[]),
            vec![],
        ];
        for case in &cases {
            for pricing in [Pricing::Byzantium, Pricing::Kore, Pricing::Osaka] {
                let taken = pricing.run(case).map(|output| output.gas_used);
                assert_eq!(taken, Ok(pricing.price(case).0), "{pricing:?} {case:02x?}");
            }
        }
    }

    #[test]
    fn an_impossible_exponentiation_lowers_the_cost_sum_by_one_before_osaka() {
        let case = input([u64::MAX, u64::MAX, u64::MAX], &[]);
        assert_eq!(Pricing::Byzantium.price(&case), (u64::MAX, u64::MAX));
        assert_eq!(Pricing::Kore.price(&case), (u64::MAX, u64::MAX));
        assert_eq!(Pricing::Osaka.price(&case), (u64::MAX, u64::MAX / 100 + 100));
    }
}
