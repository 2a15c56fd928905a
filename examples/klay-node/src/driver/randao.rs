//! The proposer's share of the block's randomness (KIP-114).
//!
//! Source: spec 30, section 8.1.

use std::fmt;

use blst::min_pk::SecretKey;
use klay_core::{B256, keccak256};
use zeroize::Zeroizing;

const SUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
const POP_SUITE: &[u8] = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// The BLS key of a proposer. Erased when dropped.
pub struct RandaoKey(SecretKey);

impl RandaoKey {
    /// The key that belongs to a node key: the reference client derives it in the same way.
    ///
    /// `None` never happens for 32 bytes of key material.
    pub fn derive(node_key: &Zeroizing<[u8; 32]>) -> Option<Self> {
        SecretKey::key_gen(&**node_key, &[]).ok().map(Self)
    }

    /// From the bytes of a BLS secret key; `None` if they are not one.
    pub fn from_bytes(secret: &[u8]) -> Option<Self> {
        SecretKey::from_bytes(secret).ok().map(Self)
    }

    /// The public half, 48 bytes.
    pub fn public_key(&self) -> [u8; 48] {
        self.0.sk_to_pk().compress()
    }

    /// Proof that the holder of the public key knows the secret one, 96 bytes; the key registry asks for it.
    pub fn proof_of_possession(&self) -> [u8; 96] {
        self.0.sign(&self.public_key(), POP_SUITE, &[]).compress()
    }

    /// What the proposer of block `number` reveals, 96 bytes.
    pub fn reveal(&self, number: u64) -> [u8; 96] {
        let mut message = [0; 32];
        message[24..].copy_from_slice(&number.to_be_bytes());
        self.0.sign(&message, SUITE, &[]).compress()
    }
}

impl fmt::Debug for RandaoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RandaoKey")
    }
}

/// The randomness of a block, from its parent's and what its proposer reveals.
pub fn mix(previous: B256, reveal: &[u8]) -> B256 {
    previous ^ keccak256(reveal)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use klay_core::{b256, hex};

    use super::*;

    /// Vector of KIP-114.
    #[test]
    fn reveal_and_mix_are_those_of_the_proposal() {
        let secret = hex!("6c605527c8e4f31c959478801d51384d690a22dfc6438604646f7709032c893a");
        let key = RandaoKey::from_bytes(&secret).unwrap();
        let reveal = key.reveal(31337);
        assert_eq!(hex::encode(&reveal[..16]), "adfe25ced45819332cbf088f01cdd280");
        let previous = b256!("8019df1a2a9f833dc7f400a15b33e54a5c80295165c5953dc23891aab9203810");
        assert_eq!(mix(previous, &reveal), b256!("8772d58248bdf34e81ecbf36f28299cfa758b61ccf3f64e1dc0646687a55892f"));
        assert_eq!(hex::encode(&key.public_key()[..8]), "a12b439b8699a3f1");
        assert_eq!(hex::encode(&key.proof_of_possession()[..8]), "824ee734e7936a22");
    }
}
