//! A small file beside the key that says how far the key has spoken.
//!
//! It outlives the log: a key whose log is missing or shorter than its anchor does not sign. One line of 20 bytes is
//! added for each slot, and the file is begun anew when it has grown.
//!
//! ```text
//! slot:u64 | chain id:u64 | crc32c:u32      little-endian, the last whole line counts
//! ```

use std::io;

use crate::{
    types::Slot,
    wal::{Disk, crc32c},
};

const LINE: usize = 20;
const LONGEST: u64 = 4096;
const FILE: &str = "anchor";
const FRESH: &str = "anchor-new";

/// The anchor of one key on one chain.
#[derive(Debug)]
pub(super) struct Anchor<D> {
    disk: D,
    chain_id: u64,
    slot: Option<Slot>,
    lines: u64,
    exists: bool,
}

/// The highest slot that the anchor in a folder holds for a chain: what [`GateOptions::anchored`] takes if a key may have
/// anchors in several places.
///
/// # Errors
/// As the folder reports.
///
/// [`GateOptions::anchored`]: super::GateOptions::anchored
pub fn anchored<D: Disk>(disk: D, chain_id: u64) -> io::Result<Option<Slot>> {
    Ok(Anchor::open(disk, chain_id)?.slot)
}

impl<D: Disk> Anchor<D> {
    pub(super) fn open(mut disk: D, chain_id: u64) -> io::Result<Self> {
        let exists = disk.list()?.iter().any(|name| name == FILE);
        let bytes = if exists { disk.read(FILE)? } else { Vec::new() };
        let mut slot = None;
        for line in bytes.chunks_exact(LINE) {
            let (content, crc) = line.split_at(LINE - 4);
            if crc == crc32c(&[content]).to_le_bytes() && content[8..] == chain_id.to_le_bytes() {
                slot = content[..8].try_into().ok().map(|s| Slot::new(u64::from_le_bytes(s))).max(slot);
            }
        }
        // A cut line would shift the ones after it; begin anew at the next write.
        let lines = if bytes.len() % LINE == 0 { (bytes.len() / LINE) as u64 } else { LONGEST };
        Ok(Self { disk, chain_id, slot, lines, exists })
    }

    pub(super) const fn slot(&self) -> Option<Slot> {
        self.slot
    }

    /// Makes what was read durable: the process that wrote it may have ended before its sync.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if self.exists {
            self.disk.sync(FILE)?;
            self.disk.sync_dir()?;
        }
        Ok(())
    }

    /// Raises the anchor durably.
    pub(super) fn raise(&mut self, slot: Slot) -> io::Result<()> {
        if self.slot.is_some_and(|s| s >= slot) {
            return Ok(());
        }
        let mut line = slot.get().to_le_bytes().to_vec();
        line.extend_from_slice(&self.chain_id.to_le_bytes());
        line.extend_from_slice(&crc32c(&[&line]).to_le_bytes());
        if self.exists && self.lines < LONGEST {
            self.disk.append(FILE, &line)?;
            self.disk.sync(FILE)?;
            self.lines += 1;
        } else {
            self.disk.create(FRESH)?;
            self.disk.append(FRESH, &line)?;
            self.disk.sync(FRESH)?;
            self.disk.rename(FRESH, FILE)?;
            self.disk.sync_dir()?;
            (self.exists, self.lines) = (true, 1);
        }
        self.slot = Some(slot);
        Ok(())
    }
}
