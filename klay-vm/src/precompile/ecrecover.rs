//! Recovery of a signer, in the same implementation as signers of transactions.

use klay_core::{B256, Bytes, crypto::recover_compact};

/// The address behind `digest ‖ v ‖ r ‖ s`, 32 bytes each, in 32 bytes; nothing if there is none.
///
/// What is missing of the input is zero. `v` is 27 or 28, `s` may be high.
///
/// Source: spec 40, section 2; Ethereum's yellow paper, appendix E.1.
pub(super) fn run(input: &[u8]) -> Bytes {
    recovered(input).unwrap_or_default()
}

fn recovered(input: &[u8]) -> Option<Bytes> {
    let mut words = [[0; 32]; 4];
    for (byte, given) in words.as_flattened_mut().iter_mut().zip(input) {
        *byte = *given;
    }
    let [digest, v, r, s] = words;
    let (zeros, parity) = v.split_at(31);
    if zeros != [0; 31] || !matches!(parity, [27 | 28]) {
        return None;
    }
    let mut signature = [v[31] - 27; 65];
    signature[..32].copy_from_slice(&r);
    signature[32..64].copy_from_slice(&s);
    let key = recover_compact(B256::new(digest), &signature).ok()?;
    Some(Bytes::copy_from_slice(key.address().into_word().as_slice()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use klay_core::{U256, crypto};
    use proptest::prelude::*;
    use revm::precompile;

    use super::*;

    /// What the interpreter's own contract answers.
    fn expected(input: &[u8]) -> Bytes {
        precompile::secp256k1::ec_recover_run(input, u64::MAX).unwrap().bytes
    }

    fn signed(secret: u8, digest: B256) -> Vec<u8> {
        let signature = crypto::sign_digest(&[secret; 32], digest).unwrap();
        let v = U256::from(27) + signature.v;
        [digest.0, v.to_be_bytes(), signature.r.to_be_bytes(), signature.s.to_be_bytes()].concat()
    }

    #[test]
    fn a_high_s_is_taken_with_the_other_parity() {
        let mut input = signed(7, B256::repeat_byte(1));
        let answer = run(&input);
        assert_eq!(answer.len(), 32);
        let s = U256::from_be_slice(&input[96..]);
        input[96..].copy_from_slice(&(crypto::SECP256K1_N - s).to_be_bytes::<32>());
        input[63] ^= 27 ^ 28;
        assert_eq!((run(&input), expected(&input)), (answer.clone(), answer));
    }

    proptest! {
        #[test]
        fn answers_are_those_of_the_interpreters_own(
            secret in 1u8..255,
            digest: [u8; 32],
            v in prop_oneof![4 => Just(None), 1 => (0u8..32, any::<u8>()).prop_map(Some)],
            change in proptest::option::of((0usize..128, any::<u8>())),
            len in prop_oneof![4 => Just(128usize), 1 => 0usize..200],
        ) {
            let mut input = signed(secret, B256::new(digest));
            if let Some((at, byte)) = v {
                input[32 + usize::from(at)] = byte;
            }
            if let Some((at, byte)) = change {
                input[at] = byte;
            }
            input.resize(len, 0xee);
            prop_assert_eq!(run(&input), expected(&input));
        }
    }
}
