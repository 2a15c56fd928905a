//! Blobs and proofs that travel with a blob transaction between nodes.

use alloy_primitives::{B256, Bytes};
use k256::sha2::{Digest, Sha256};
use rlp::RlpStream;

use crate::codec::{AppendExt, DecodeError, DecodeErrorKind, Reader};

/// Bytes of a blob.
pub const BLOB_LEN: usize = 131_072;
/// Bytes of a commitment or proof.
pub const COMMITMENT_LEN: usize = 48;

/// The part of a blob transaction that neither its hash nor a block covers.
///
/// Nothing is proven by having one: commitments and proofs are checked by whoever needs the blobs.
///
/// Source: spec 10, section 1.7.
#[derive(Clone, PartialEq, Eq)]
pub struct BlobSidecar {
    /// 0 with one proof per blob (which the pool refuses), 1 with 128 cell proofs per blob.
    pub version: u8,
    /// The data, [`BLOB_LEN`] bytes each.
    pub blobs: Vec<Bytes>,
    /// One per blob.
    pub commitments: Vec<[u8; COMMITMENT_LEN]>,
    /// Of blobs or cells, by version.
    pub proofs: Vec<[u8; COMMITMENT_LEN]>,
}

impl BlobSidecar {
    /// What the transaction must say about its blobs: `01`, then the SHA-256 of each commitment without its first byte.
    pub fn versioned_hashes(&self) -> impl Iterator<Item = B256> {
        self.commitments.iter().map(|commitment| {
            let mut hash: [u8; 32] = Sha256::digest(commitment).into();
            hash[0] = 1;
            B256::new(hash)
        })
    }

    pub(super) fn append_to(&self, out: &mut RlpStream) {
        if self.version != 0 {
            out.append(&self.version);
        }
        out.begin_list(self.blobs.len());
        for blob in &self.blobs {
            out.append_bytes(blob);
        }
        for list in [&self.commitments, &self.proofs] {
            out.begin_list(list.len());
            for bytes in list {
                out.append_bytes(bytes);
            }
        }
    }

    pub(super) fn decode(list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = list.offset();
        let version = if list.next_is_list() { 0 } else { list.u8("sidecar version")? };
        if version != u8::from(list.offset() != at) {
            return Err(DecodeError::new("sidecar version", at, DecodeErrorKind::Invalid("unknown sidecar version")));
        }
        let mut reader = list.list("blobs")?;
        let mut blobs = Vec::new();
        while !reader.is_empty() {
            let at = reader.offset();
            let blob = reader.bytes("blobs")?;
            if blob.len() != BLOB_LEN {
                let kind = DecodeErrorKind::WrongLength { expected: BLOB_LEN, got: blob.len() };
                return Err(DecodeError::new("blobs", at, kind));
            }
            blobs.push(Bytes::copy_from_slice(blob));
        }
        let (commitments, proofs) = (decode_points("commitments", list)?, decode_points("proofs", list)?);
        Ok(Self { version, blobs, commitments, proofs })
    }
}

fn decode_points(field: &'static str, list: &mut Reader<'_>) -> Result<Vec<[u8; COMMITMENT_LEN]>, DecodeError> {
    let mut reader = list.list(field)?;
    let mut points = Vec::new();
    while !reader.is_empty() {
        points.push(reader.fixed(field)?);
    }
    Ok(points)
}

impl core::fmt::Debug for BlobSidecar {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (version, blobs) = (self.version, self.blobs.len());
        f.debug_struct("BlobSidecar").field("version", &version).field("blobs", &blobs).finish_non_exhaustive()
    }
}
