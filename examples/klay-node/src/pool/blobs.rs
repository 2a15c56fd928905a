//! The sidecar of a blob transaction: does it hold the blobs that the transaction names?
//!
//! Source: spec 10, sections 1.7 and 6.1; KIP-279; `ValidateWithBlobHashes` in the reference client.

use c_kzg::{Blob, Bytes48, CELLS_PER_EXT_BLOB, ethereum_kzg_settings};
use klay_core::{B256, tx::BlobSidecar};

/// Why a sidecar does not belong to its transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// More or fewer blobs than hashes.
    #[error("invalid number of {got} blobs compared to {expected} blob hashes")]
    Blobs {
        /// Hashes in the transaction.
        expected: usize,
        /// Blobs in the sidecar.
        got: usize,
    },
    /// More or fewer commitments than hashes.
    #[error("invalid number of {got} blob commitments compared to {expected} blob hashes")]
    Commitments {
        /// Hashes in the transaction.
        expected: usize,
        /// Commitments in the sidecar.
        got: usize,
    },
    /// A commitment has another hash than the transaction says.
    #[error("blob {index}: computed hash {computed} mismatches transaction one {expected}")]
    Hash {
        /// Which one.
        index: usize,
        /// In the transaction.
        expected: B256,
        /// Of the commitment.
        computed: B256,
    },
    /// Only sidecars with cell proofs are taken.
    #[error("blob sidecar version {0} not supported")]
    Version(u8),
    /// Not 128 proofs for each blob.
    #[error("invalid number of {got} blob proofs expected {expected}")]
    Proofs {
        /// Needed.
        expected: usize,
        /// Given.
        got: usize,
    },
    /// A blob, commitment or proof is malformed, or a proof does not verify.
    #[error("invalid blob proof")]
    Proof,
}

/// Checks everything about `sidecar`, proofs last: they take milliseconds.
pub(super) fn check(sidecar: &BlobSidecar, hashes: &[B256]) -> Result<(), BlobError> {
    let expected = hashes.len();
    if sidecar.blobs.len() != expected {
        return Err(BlobError::Blobs { expected, got: sidecar.blobs.len() });
    }
    if sidecar.commitments.len() != expected {
        return Err(BlobError::Commitments { expected, got: sidecar.commitments.len() });
    }
    for (index, (computed, expected)) in sidecar.versioned_hashes().zip(hashes).enumerate() {
        if computed != *expected {
            return Err(BlobError::Hash { index, expected: *expected, computed });
        }
    }
    if sidecar.version != 1 {
        return Err(BlobError::Version(sidecar.version));
    }
    let expected = expected * CELLS_PER_EXT_BLOB;
    if sidecar.proofs.len() != expected {
        return Err(BlobError::Proofs { expected, got: sidecar.proofs.len() });
    }
    match proofs_verify(sidecar) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(BlobError::Proof),
    }
}

fn proofs_verify(sidecar: &BlobSidecar) -> Result<bool, c_kzg::Error> {
    let settings = ethereum_kzg_settings(0);
    let (mut cells, mut commitments, mut indices) = (Vec::new(), Vec::new(), Vec::new());
    for (blob, commitment) in sidecar.blobs.iter().zip(&sidecar.commitments) {
        cells.extend_from_slice(&settings.compute_cells(&Box::new(Blob::from_bytes(blob)?))?[..]);
        commitments.resize(commitments.len() + CELLS_PER_EXT_BLOB, Bytes48::new(*commitment));
        indices.extend(0..CELLS_PER_EXT_BLOB as u64);
    }
    let proofs: Vec<Bytes48> = sidecar.proofs.iter().map(|proof| Bytes48::new(*proof)).collect();
    settings.verify_cell_kzg_proof_batch(&commitments, &indices, &cells, &proofs)
}
