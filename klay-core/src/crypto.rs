//! Keccak-256, secp256k1 signatures and the recovery of their signers.
//!
//! The hash is that of [`sha3`]; with the feature `asm-keccak` it is written in assembly, a fifth faster.
//!
//! Recovery runs on [`k256`]; with the feature `secp256k1` it runs on libsecp256k1, which is about twice as fast and
//! gives the same answers.

use alloy_primitives::{Address, B256, U256};
use k256::elliptic_curve::sec1::ToSec1Point;

use crate::auth::SignError;

/// Order of the group of secp256k1.
pub const SECP256K1_N: U256 =
    U256::from_limbs([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, 0xffff_ffff_ffff_ffff]);

/// Half of [`SECP256K1_N`]; a larger `s` is "high" and not accepted from signers.
pub const SECP256K1_HALF_N: U256 =
    U256::from_limbs([0xdfe9_2f46_681b_20a0, 0x5d57_6e73_57a4_501d, 0xffff_ffff_ffff_ffff, 0x7fff_ffff_ffff_ffff]);

/// Keccak-256 of `bytes`.
pub fn keccak256(bytes: impl AsRef<[u8]>) -> B256 {
    #[cfg(feature = "asm-keccak")]
    return alloy_primitives::keccak256(bytes);
    #[cfg(not(feature = "asm-keccak"))]
    portable_keccak256(bytes.as_ref())
}

#[cfg(any(test, not(feature = "asm-keccak")))]
fn portable_keccak256(bytes: &[u8]) -> B256 {
    use sha3::{Digest, Keccak256};
    B256::new(Keccak256::digest(bytes).into())
}

/// A point on secp256k1 that is not the identity.
///
/// Kept in the uncompressed form (`x ‖ y`, 64 bytes) so that the address costs one hash.
///
/// ```
/// use klay_core::{PublicKey, address};
///
/// let key = PublicKey::from_secret(&[0x46; 32]).expect("a scalar in range");
/// assert_eq!(key.address(), address!("0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"));
/// assert_eq!(PublicKey::from_compressed(&key.to_compressed()), Some(key));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 64]);

impl PublicKey {
    /// From `x ‖ y`, if that is a point of the curve.
    pub fn from_uncompressed(bytes: [u8; 64]) -> Option<Self> {
        let mut tagged = [4; 65];
        tagged[1..].copy_from_slice(&bytes);
        k256::PublicKey::from_sec1_bytes(&tagged).ok().map(|_| Self(bytes))
    }

    /// From 33 bytes, `02` or `03` and `x`, if `x` belongs to a point of the curve.
    pub fn from_compressed(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != 33 || !matches!(bytes[0], 2 | 3) {
            return None;
        }
        k256::PublicKey::from_sec1_bytes(bytes).ok().map(|key| Self::from_k256(&key))
    }

    /// The public half of `secret`, if that is a scalar between 1 and the order of the curve.
    pub fn from_secret(secret: &[u8; 32]) -> Option<Self> {
        let secret = k256::SecretKey::from_slice(secret).ok()?;
        Some(Self::from_k256(&secret.public_key()))
    }

    /// `x ‖ y`.
    pub const fn as_uncompressed(&self) -> &[u8; 64] {
        &self.0
    }

    /// `02` or `03`, then `x`.
    pub fn to_compressed(&self) -> [u8; 33] {
        let mut out = [0; 33];
        out[0] = 2 + (self.0[63] & 1);
        out[1..].copy_from_slice(&self.0[..32]);
        out
    }

    /// Last 20 bytes of the Keccak-256 of `x ‖ y`.
    pub fn address(&self) -> Address {
        Address::from_slice(&keccak256(self.0)[12..])
    }

    fn from_k256(key: &k256::PublicKey) -> Self {
        let point = key.to_sec1_point(false);
        Self::from_tagged(point.as_bytes())
    }

    fn from_tagged(bytes: &[u8]) -> Self {
        let mut out = [0; 64];
        out.copy_from_slice(&bytes[1..]);
        Self(out)
    }
}

impl core::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PublicKey({})", alloy_primitives::hex::encode(self.to_compressed()))
    }
}

/// One signature as it stands on the wire: three integers.
///
/// `v` is `35 + 2 * chain_id + y` in Klaytn and protected legacy transactions, 27 or 28 in unprotected ones and `y`
/// in Ethereum typed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Signature {
    /// Parity of the nonce point and, mostly, the chain id.
    pub v: U256,
    /// x coordinate of the nonce point.
    pub r: U256,
    /// The proof.
    pub s: U256,
}

impl Signature {
    /// From the three integers, unchecked.
    pub const fn new_unchecked(v: U256, r: U256, s: U256) -> Self {
        Self { v, r, s }
    }

    /// The parity of `y` under `chain_id`, if `v` is `35 + 2 * chain_id` or one more.
    ///
    /// ```
    /// # use klay_core::{Signature, U256};
    /// let signature = Signature { v: U256::from(2037), ..Default::default() };
    /// assert_eq!(signature.parity(1001), Some(false));
    /// assert_eq!(signature.parity(8217), None);
    /// ```
    pub fn parity(&self, chain_id: u64) -> Option<bool> {
        match self.v.checked_sub(protected_v(chain_id))?.try_into() {
            Ok(0u64) => Some(false),
            Ok(1) => Some(true),
            _ => None,
        }
    }

    /// The parity of `y` of an unprotected signature, if `v` is 27 or 28.
    pub fn unprotected_parity(&self) -> Option<bool> {
        match self.v.try_into() {
            Ok(27u64) => Some(false),
            Ok(28) => Some(true),
            _ => None,
        }
    }

    /// The parity of `y` where `v` is nothing else: 0 or 1.
    pub fn bare_parity(&self) -> Option<bool> {
        match self.v.try_into() {
            Ok(0u64) => Some(false),
            Ok(1) => Some(true),
            _ => None,
        }
    }

    /// The chain id in `v`; `None` for 27 and 28, which carry none.
    ///
    /// A `v` below 35 gives a number beyond 2^62 (the reference client subtracts in 64 bits), which no chain has.
    pub fn chain_id(&self) -> Option<U256> {
        match u64::try_from(self.v) {
            Ok(27 | 28) => None,
            Ok(v) => Some(U256::from(v.wrapping_sub(35) / 2)),
            Err(_) => Some((self.v - U256::from(35)) >> 1),
        }
    }

    /// A signature of a Klaytn or protected legacy transaction out of one whose `v` is the parity.
    #[must_use]
    pub fn with_chain_id(self, chain_id: u64) -> Self {
        Self { v: protected_v(chain_id) + self.v, ..self }
    }

    /// Whether `r` and `s` are between 1 and the order of the curve, exclusive.
    pub fn is_in_range(&self) -> bool {
        let range = U256::from(1)..SECP256K1_N;
        range.contains(&self.r) && range.contains(&self.s)
    }

    /// Whether `s` is at most half of the order.
    pub fn is_low_s(&self) -> bool {
        self.s <= SECP256K1_HALF_N
    }
}

fn protected_v(chain_id: u64) -> U256 {
    (U256::from(chain_id) << 1) + U256::from(35)
}

/// The signatures of one party, in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Signatures(Vec<Signature>);

impl Signatures {
    /// No signature.
    pub const EMPTY: Self = Self(Vec::new());

    /// Wraps a list; an empty one is allowed while a transaction is being built.
    pub const fn new(list: Vec<Signature>) -> Self {
        Self(list)
    }

    /// The signatures in order.
    pub fn as_slice(&self) -> &[Signature] {
        &self.0
    }

    /// Adds one at the end.
    pub fn push(&mut self, signature: Signature) {
        self.0.push(signature);
    }
}

impl core::ops::Deref for Signatures {
    type Target = [Signature];

    fn deref(&self) -> &[Signature] {
        &self.0
    }
}

impl From<Vec<Signature>> for Signatures {
    fn from(list: Vec<Signature>) -> Self {
        Self(list)
    }
}

impl FromIterator<Signature> for Signatures {
    fn from_iter<T: IntoIterator<Item = Signature>>(iter: T) -> Self {
        Self(iter.into_iter().collect())
    }
}

/// Why a signature does not yield a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// Not one of the values that recovery accepts: `r` or `s` out of range, high `s`, `y` neither 0 nor 1.
    #[error("invalid transaction v, r, s values")]
    InvalidSignature,
    /// `v` belongs to another chain.
    #[error("invalid chain id for signer")]
    InvalidChainId {
        /// Chain id wanted.
        expected: u64,
        /// Chain id that `v` or the transaction carries.
        got: U256,
    },
    /// More or fewer than one signature where the format has exactly one.
    #[error("the number of signatures should be one")]
    NotSingle {
        /// How many.
        got: usize,
    },
}

/// The key that made a signature with the given parity over `digest`. Refuses high `s`.
///
/// ```
/// use klay_core::{B256, PublicKey, crypto};
///
/// let digest = crypto::keccak256(b"message");
/// let signature = crypto::sign_digest(&[0x46; 32], digest)?;
/// let odd = signature.bare_parity() == Some(true);
/// let key = crypto::recover(digest, odd, signature.r, signature.s)?;
/// assert_eq!(Some(key), PublicKey::from_secret(&[0x46; 32]));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the values are out of range or yield no point.
pub fn recover(digest: B256, odd_y: bool, r: U256, s: U256) -> Result<PublicKey, RecoverError> {
    if s > SECP256K1_HALF_N {
        return Err(RecoverError::InvalidSignature);
    }
    backend::recover(&digest.0, u8::from(odd_y), &r.to_be_bytes(), &s.to_be_bytes())
        .ok_or(RecoverError::InvalidSignature)
}

/// As [`recover`] for the 65-byte form `r ‖ s ‖ v` with `v` 0 to 3 (seals, precompiles), without the low-`s` rule.
///
/// A `v` of 2 or 3 says that `r` stands for an x coordinate of at least the curve's order; no signature of a
/// transaction can say that.
///
/// # Errors
/// If the values are out of range or yield no point.
pub fn recover_compact(digest: B256, signature: &[u8; 65]) -> Result<PublicKey, RecoverError> {
    let (r, rest) = signature.split_first_chunk::<32>().ok_or(RecoverError::InvalidSignature)?;
    let (s, v) = rest.split_first_chunk::<32>().ok_or(RecoverError::InvalidSignature)?;
    backend::recover(&digest.0, v[0], r, s).ok_or(RecoverError::InvalidSignature)
}

/// Signs `digest` with `secret`: deterministic nonce (RFC 6979), low `s`, `v` the parity of `y`.
///
/// # Errors
/// If `secret` is zero or not below the order of the curve.
pub fn sign_digest(secret: &[u8; 32], digest: B256) -> Result<Signature, SignError> {
    let key = k256::ecdsa::SigningKey::from_slice(secret).map_err(|_| SignError::Failed)?;
    let (signature, id) = key.sign_prehash_recoverable(&digest.0);
    let (r, s) = signature.split_bytes();
    Ok(Signature { v: U256::from(id.is_y_odd() as u8), r: U256::from_be_slice(&r), s: U256::from_be_slice(&s) })
}

#[cfg(feature = "secp256k1")]
use native as backend;
#[cfg(not(feature = "secp256k1"))]
use pure as backend;

/// Recovery in Rust.
#[cfg(any(test, not(feature = "secp256k1")))]
mod pure {
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

    use super::PublicKey;

    pub(super) fn recover(digest: &[u8; 32], id: u8, r: &[u8; 32], s: &[u8; 32]) -> Option<PublicKey> {
        let signature = Signature::from_scalars(*r, *s).ok()?;
        let key = VerifyingKey::recover_from_prehash(digest, &signature, RecoveryId::from_byte(id)?).ok()?;
        Some(PublicKey::from_tagged(key.to_sec1_point(false).as_bytes()))
    }
}

/// Recovery in libsecp256k1.
#[cfg(feature = "secp256k1")]
mod native {
    use secp256k1::{
        Message,
        ecdsa::{RecoverableSignature, RecoveryId},
    };

    use super::PublicKey;

    pub(super) fn recover(digest: &[u8; 32], id: u8, r: &[u8; 32], s: &[u8; 32]) -> Option<PublicKey> {
        let id = RecoveryId::try_from(i32::from(id)).ok()?;
        let mut compact = [0; 64];
        compact[..32].copy_from_slice(r);
        compact[32..].copy_from_slice(s);
        let signature = RecoverableSignature::from_compact(&compact, id).ok()?;
        let key = signature.recover(Message::from_digest(*digest)).ok()?;
        Some(PublicKey::from_tagged(&key.serialize_uncompressed()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_order_and_its_half_are_those_of_the_curve() {
        let n = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        assert_eq!(SECP256K1_N, n.parse::<U256>().unwrap());
        assert_eq!(SECP256K1_HALF_N, SECP256K1_N >> 1);
    }

    #[test]
    #[cfg(feature = "asm-keccak")]
    fn both_implementations_of_the_hash_give_the_same() {
        let bytes: Vec<_> = (0..600u32).map(|at| ((at * at) >> 3) as u8).collect();
        for len in 0..=bytes.len() {
            assert_eq!(keccak256(&bytes[..len]), portable_keccak256(&bytes[..len]), "{len} bytes");
        }
    }

    #[test]
    fn a_signature_is_deterministic_and_has_low_s() {
        for seed in 1..40u8 {
            let digest = keccak256([seed]);
            let one = sign_digest(&[seed; 32], digest).unwrap();
            assert_eq!(one, sign_digest(&[seed; 32], digest).unwrap());
            assert!(one.is_low_s() && one.is_in_range());
            let odd = one.bare_parity().unwrap();
            let key = recover(digest, odd, one.r, one.s).unwrap();
            assert_eq!(key, PublicKey::from_secret(&[seed; 32]).unwrap());
            assert_eq!(recover(digest, !odd, one.r, SECP256K1_N - one.s), Err(RecoverError::InvalidSignature));
        }
    }

    #[test]
    fn secrets_out_of_range_do_not_sign() {
        assert_eq!(sign_digest(&[0; 32], B256::ZERO), Err(SignError::Failed));
        assert_eq!(sign_digest(&SECP256K1_N.to_be_bytes(), B256::ZERO), Err(SignError::Failed));
        assert_eq!(PublicKey::from_secret(&[0; 32]), None);
    }

    #[test]
    fn a_chain_id_of_a_small_v_belongs_to_no_chain() {
        let with_v = |v: u64| Signature { v: U256::from(v), ..Default::default() };
        assert_eq!(with_v(27).chain_id(), None);
        assert_eq!(with_v(28).chain_id(), None);
        assert_eq!(with_v(35).chain_id(), Some(U256::ZERO));
        assert_eq!(with_v(2038).chain_id(), Some(U256::from(1001)));
        assert!(with_v(34).chain_id().unwrap() > U256::from(1u64 << 62));
        let large = Signature { v: U256::MAX, ..Default::default() };
        assert_eq!(large.chain_id(), Some((U256::MAX - U256::from(35)) >> 1));
        assert_eq!(large.parity(1), None);
    }

    #[test]
    fn points_off_the_curve_are_no_keys() {
        assert_eq!(PublicKey::from_compressed(&[0xff; 33]), None);
        let mut bytes = [0xff; 33];
        bytes[0] = 2;
        assert_eq!(PublicKey::from_compressed(&bytes), None);
        assert_eq!(PublicKey::from_compressed(&[2; 32]), None);
        assert_eq!(PublicKey::from_uncompressed([1; 64]), None);
        let key = PublicKey::from_secret(&[7; 32]).unwrap();
        assert_eq!(PublicKey::from_uncompressed(*key.as_uncompressed()), Some(key));
    }

    #[cfg(feature = "secp256k1")]
    mod agreement {
        use proptest::prelude::*;

        use super::*;

        fn scalar() -> impl Strategy<Value = [u8; 32]> {
            prop_oneof![
                4 => any::<[u8; 32]>(),
                1 => Just([0; 32]),
                1 => (0u64..4).prop_map(|d| (SECP256K1_N - U256::from(d)).to_be_bytes()),
                1 => (0u64..4).prop_map(|d| (SECP256K1_N + U256::from(d)).to_be_bytes()),
                1 => (0u64..4).prop_map(|d| (SECP256K1_HALF_N + U256::from(d)).to_be_bytes()),
                1 => (1u64..9).prop_map(|d| U256::from(d).to_be_bytes()),
                1 => Just([0xff; 32]),
            ]
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(2000))]
            #[test]
            fn both_backends_give_the_same_answer(digest: [u8; 32], id in 0u8..6, r in scalar(), s in scalar()) {
                prop_assert_eq!(pure::recover(&digest, id, &r, &s), native::recover(&digest, id, &r, &s));
            }

            #[test]
            fn both_backends_recover_real_signatures(digest: [u8; 32], seed in 1u8..255, high: bool) {
                let signature = sign_digest(&[seed; 32], B256::new(digest)).unwrap();
                let odd = signature.bare_parity().unwrap() ^ high;
                let s = if high { SECP256K1_N - signature.s } else { signature.s };
                let (r, s) = (signature.r.to_be_bytes(), s.to_be_bytes());
                let expected = PublicKey::from_secret(&[seed; 32]);
                prop_assert_eq!(pure::recover(&digest, u8::from(odd), &r, &s), expected);
                prop_assert_eq!(native::recover(&digest, u8::from(odd), &r, &s), expected);
            }
        }
    }
}
