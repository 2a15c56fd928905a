//! Writes blocks in the reference client's export format: RLP of one block after the other, ascending, nothing between.
//!
//! Bodies are copied as they are stored, so that nothing is decoded on the way.
//!
//! Source: spec 30, section 10.

use std::{
    io::{self, Write},
    ops::RangeInclusive,
};

use klay_core::{
    codec::{Reader, put_list_header},
    storage::StorageError,
};

use crate::{Chain, chain::ChainError};

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The chain cannot be read, or has no such block.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Nothing more can be written.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

/// Writes `blocks` of `chain`, each with its seals, and returns how many there were. Blobs are not part of a block.
///
/// # Errors
/// If a block is missing, the store fails, or `out` does.
pub fn export(chain: &Chain, blocks: RangeInclusive<u64>, mut out: impl Write) -> Result<u64, ExportError> {
    let mut written = 0;
    for number in blocks {
        out.write_all(&chain.block_rlp(number)?.ok_or(ChainError::NoBlock { number })?)?;
        written += 1;
    }
    out.flush()?;
    Ok(written)
}

/// `[header, [tx...]]` from the stored forms: the body is `[[tx...]]`, and more may follow it.
pub(crate) fn block_rlp(header: &[u8], body: &[u8]) -> Result<Vec<u8>, StorageError> {
    let corrupt = |source| StorageError::Corrupt { what: "body", source };
    let transactions = Reader::new(body).list("body").map_err(corrupt)?.rest();
    let content = header.len() + transactions.len();
    let mut block = Vec::with_capacity(content + 9);
    put_list_header(content, &mut block);
    block.extend_from_slice(header);
    block.extend_from_slice(transactions);
    Ok(block)
}
