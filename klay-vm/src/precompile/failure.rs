//! What the reference client says of a precompiled contract that failed; traces show it.

use revm::precompile::PrecompileHalt;

/// The reference client's text.
pub(super) const fn text(halt: &PrecompileHalt) -> &'static str {
    use PrecompileHalt as H;
    match halt {
        H::Blake2WrongFinalIndicatorFlag => "invalid final flag",
        H::ModexpEip7823LimitSize => "one or more of base/exponent/modulus length exceeded 1024 bytes",
        H::Bn254FieldPointNotAMember | H::NonCanonicalFp => "invalid fp.Element encoding",
        H::Bn254AffineGFailedToCreate => "point is not on curve",
        H::Bn254PairLength => "bad elliptic curve pairing size",
        H::BlobMismatchedVersion => "mismatched versioned hash",
        H::BlobVerifyKzgProofFailed => "error verifying kzg proof",
        H::Bls12381G1NotOnCurve | H::Bls12381G2NotOnCurve => "invalid point: not on curve",
        H::Bls12381G1NotInSubgroup => "g1 point is not on correct subgroup",
        H::Bls12381G2NotInSubgroup => "g2 point is not on correct subgroup",
        H::Bls12381FpPaddingInvalid => "invalid field element top bytes",
        H::OutOfGas => "out of gas",
        _ => "invalid input length",
    }
}
