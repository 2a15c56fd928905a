//! The bytes of a log segment.
//!
//! ```text
//! segment  "KLAYWAL" version:u8 | chain id:u64 | first lsn:u64 | last lsn before:u64
//!          | key length:u8 key | engine length:u8 engine | crc32c:u32      over everything before it
//! record   body length:u32 | crc32c:u32 | lsn:u64 | slot:u64 | kind:u8 | body   crc over lsn to body
//! ```
//!
//! All integers are little-endian. The slot stands in the frame so that a segment can be dropped without knowing what
//! its records mean.

use core::fmt;

use alloy_primitives::hex;

use crate::types::{Lsn, RecordKind, Slot};

pub(super) const MAGIC: &[u8; 8] = b"KLAYWAL\x01";
/// Length, checksum, lsn, slot and kind.
pub(super) const FRAME: usize = 4 + 4 + 8 + 8 + 1;
/// Longest body of a record, in bytes.
pub const MAX_BODY: usize = 64 << 20;
/// How far ahead of the last record's place that of one behind it is looked for.
const NEAR: u64 = 1 << 32;

/// Whose log this is. A log of another chain, key or engine is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The chain.
    pub chain_id: u64,
    /// The key that speaks in it, at most 255 bytes (an address).
    pub key: Vec<u8>,
    /// The engine, at most 255 bytes.
    pub engine: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} on chain {} with engine {}", hex::encode_prefixed(&self.key), self.chain_id, self.engine)
    }
}

/// A record as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub lsn: Lsn,
    /// The slot it belongs to.
    pub slot: Slot,
    /// What it is.
    pub kind: RecordKind,
    /// Its content.
    pub body: Vec<u8>,
}

pub(super) struct Header {
    pub(super) identity: Identity,
    pub(super) first: Lsn,
    pub(super) before: Lsn,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for n in [self.identity.chain_id, self.first.get(), self.before.get()] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        for text in [self.identity.key.as_slice(), self.identity.engine.as_bytes()] {
            let text = text.get(..255).unwrap_or(text);
            out.push(text.len() as u8);
            out.extend_from_slice(text);
        }
        let crc = crc32c(&[&out]);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header and its length; `None` if the bytes are not one.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut at = MAGIC.len();
        if bytes.get(..at)? != MAGIC {
            return None;
        }
        let [chain_id, first, before] =
            [take_u64(bytes, &mut at)?, take_u64(bytes, &mut at)?, take_u64(bytes, &mut at)?];
        let key = take_text(bytes, &mut at)?;
        let engine = String::from_utf8(take_text(bytes, &mut at)?).ok()?;
        let crc = crc32c(&[bytes.get(..at)?]);
        if take_u32(bytes, &mut at)? != crc {
            return None;
        }
        let identity = Identity { chain_id, key, engine };
        Some((Self { identity, first: Lsn::new(first), before: Lsn::new(before) }, at))
    }
}

impl Entry {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        // Bodies are bounded by `MAX_BODY` before they get here.
        out.extend_from_slice(&(self.body.len() as u32).to_le_bytes());
        let crc_at = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.lsn.get().to_le_bytes());
        out.extend_from_slice(&self.slot.get().to_le_bytes());
        out.push(self.kind as u8);
        out.extend_from_slice(&self.body);
        let crc = crc32c(&[&out[crc_at + 4..]]);
        out[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
    }

    /// The record at the start of `bytes` and its length in the file.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, usize), Broken> {
        let frame = bytes.get(..FRAME).ok_or(Broken::ReachesEnd)?;
        let mut at = 0;
        let len = take_u32(frame, &mut at).ok_or(Broken::ReachesEnd)? as usize;
        if len > MAX_BODY {
            return Err(Broken::Inside); // Never written, so not a cut write either.
        }
        if bytes.len() - FRAME < len {
            return Err(Broken::ReachesEnd);
        }
        let total = FRAME + len;
        // Zeros stand where a cut write never came.
        let broken = if bytes[total..].iter().all(|b| *b == 0) { Broken::ReachesEnd } else { Broken::Inside };
        let crc = take_u32(frame, &mut at).ok_or(broken)?;
        if crc != crc32c(&[&bytes[at..total]]) {
            return Err(if bytes.iter().all(|b| *b == 0) { Broken::ReachesEnd } else { broken });
        }
        let lsn = Lsn::new(take_u64(frame, &mut at).ok_or(broken)?);
        let slot = Slot::new(take_u64(frame, &mut at).ok_or(broken)?);
        let kind = RecordKind::from_byte(frame[at]).ok_or(broken)?;
        Ok((Self { lsn, slot, kind, body: bytes[FRAME..total].to_vec() }, total))
    }
}

/// Whether a record later than `last` stands anywhere behind the start of `bytes`, where a broken one begins.
///
/// A cut write leaves nothing whole behind it: then the broken record's length is wrong, or an earlier part of a write was
/// lost and a later one was not. What a cut record holds may look like a record; that is taken for one, and so is more
/// of what looks like the beginning of records than [`MAX_BODY`] bytes can be tried.
pub(super) fn record_behind(bytes: &[u8], last: Lsn) -> bool {
    let mut left = MAX_BODY;
    (1..bytes.len()).any(|at| {
        let Some(total) = promised(&bytes[at..], last) else { return false };
        let Some(rest) = left.checked_sub(total) else { return true };
        left = rest;
        Entry::decode(&bytes[at..]).is_ok()
    })
}

/// The length of a record that may stand at the start of `bytes`, by what its frame says.
fn promised(bytes: &[u8], last: Lsn) -> Option<usize> {
    let mut at = 0;
    let total = (take_u32(bytes, &mut at)? as usize).checked_add(FRAME).filter(|total| *total <= bytes.len())?;
    take_u32(bytes, &mut at)?;
    let ahead = take_u64(bytes, &mut at)?.checked_sub(last.get())?;
    take_u64(bytes, &mut at)?;
    RecordKind::from_byte(*bytes.get(at)?)?;
    (1..=NEAR).contains(&ahead).then_some(total)
}

/// How a record is unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// By its length it reaches the end of the file, as after a cut write.
    ReachesEnd,
    /// Something stands after it.
    Inside,
}

fn take_u32(bytes: &[u8], at: &mut usize) -> Option<u32> {
    let field = bytes.get(*at..*at + 4)?;
    *at += 4;
    field.try_into().ok().map(u32::from_le_bytes)
}

fn take_u64(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let field = bytes.get(*at..*at + 8)?;
    *at += 8;
    field.try_into().ok().map(u64::from_le_bytes)
}

fn take_text(bytes: &[u8], at: &mut usize) -> Option<Vec<u8>> {
    let len = usize::from(*bytes.get(*at)?);
    let text = bytes.get(*at + 1..*at + 1 + len)?;
    *at += 1 + len;
    Some(text.to_vec())
}

/// CRC-32C (Castagnoli) of the concatenation of `parts`.
pub(crate) fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut crc = !0u32;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        crc = TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    }
    !crc
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn the_check_value_of_the_polynomial() {
        assert_eq!(crc32c(&[b"1234", b"56789"]), 0xe306_9283);
    }
}
