//! The log: segments in a folder, the last one growing.

use std::io;

use super::{
    Disk, Entry, Identity,
    format::{Broken, Header, MAX_BODY, record_behind},
};
use crate::types::{Lsn, RecordKind, Slot};

/// Why a log cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The operating system refused.
    #[error("{file}: {kind}")]
    Io {
        /// The file, or the folder if empty.
        file: String,
        /// What it said.
        kind: io::ErrorKind,
    },
    /// The log belongs to somebody else.
    #[error("{file} belongs to {found}, not to {expected}")]
    Foreign {
        /// The file.
        file: String,
        /// Whose log was asked for.
        expected: Box<Identity>,
        /// Whose log it is.
        found: Box<Identity>,
    },
    /// A record or header in the middle is damaged: something other than a cut write happened.
    #[error("{file}: damaged at byte {offset}")]
    Damaged {
        /// The file.
        file: String,
        /// Where.
        offset: usize,
    },
    /// A segment is missing between two others.
    #[error("{file} continues after record {before}, but the log ends at {last}")]
    Gap {
        /// The later segment.
        file: String,
        /// What it continues.
        before: Lsn,
        /// What there is.
        last: Lsn,
    },
}

/// Why the log did not take a record. After an input/output error it takes nothing any more: whoever cannot remember
/// what it said must not speak.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The operating system refused a write or a sync.
    #[error("the log cannot be written: {0}")]
    Io(io::ErrorKind),
    /// An earlier error has switched the log off.
    #[error("the log has failed earlier")]
    Failed,
    /// The record's place is not after the last one.
    #[error("record {got} after record {last}")]
    OutOfOrder {
        /// The last record's place.
        last: Lsn,
        /// The place asked for.
        got: Lsn,
    },
    /// The record is too long.
    #[error("record of {got} bytes exceeds {limit}")]
    TooLong {
        /// Bytes of the record.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

#[derive(Debug)]
struct Segment {
    file: String,
    highest_slot: Slot,
    bytes: usize,
    has_records: bool,
}

/// A write-ahead log.
#[derive(Debug)]
pub struct Log<D> {
    disk: D,
    identity: Identity,
    segments: Vec<Segment>,
    last: Lsn,
    durable: Lsn,
    buffer: Vec<u8>,
    segment_size: usize,
    failed: Option<io::ErrorKind>,
}

const PREFIX: &str = "consensus-";
const SUFFIX: &str = ".wal";
const FRESH: &str = "consensus-new";

impl<D: Disk> Log<D> {
    /// Size after which a new segment begins, in bytes.
    pub const SEGMENT_SIZE: usize = 16 << 20;

    /// Opens the log in a folder, or begins one, and returns its records.
    ///
    /// A record at the very end that was cut by a crash is removed; nobody can have acted on it. If a whole record
    /// stands behind it, it was not cut there: its length is damaged, or a power cut has kept a later part of one write
    /// and lost an earlier one. These cannot be told apart, and the former hides what was said, so both are refused.
    ///
    /// # Errors
    /// If the files cannot be read, are damaged elsewhere, or belong to another chain, key or engine.
    pub fn open(disk: D, identity: Identity) -> Result<(Self, Vec<Entry>), OpenError> {
        Self::open_with(disk, identity, Self::SEGMENT_SIZE)
    }

    /// As [`Self::open`], with another segment size.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(disk: D, identity: Identity, segment_size: usize) -> Result<(Self, Vec<Entry>), OpenError> {
        let mut log = Self {
            disk,
            identity,
            segments: Vec::new(),
            last: Lsn::ZERO,
            durable: Lsn::ZERO,
            buffer: Vec::new(),
            segment_size,
            failed: None,
        };
        let mut entries = Vec::new();
        let names = log.disk.list().map_err(|e| io_error("", &e))?;
        if names.iter().any(|name| name == FRESH) {
            log.disk.remove(FRESH).map_err(|e| io_error(FRESH, &e))?;
        }
        let files: Vec<_> = names.into_iter().filter(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX)).collect();
        let newest = files.len().saturating_sub(1);
        for (index, file) in files.into_iter().enumerate() {
            log.load(file, index == newest, &mut entries)?;
        }
        if let Some(newest) = log.segments.last() {
            // What was read may only have been written: the process before may have ended ahead of its sync, of the
            // content as well as of the name.
            log.disk.sync(&newest.file).map_err(|e| io_error(&newest.file, &e))?;
            log.disk.sync_dir().map_err(|e| io_error("", &e))?;
        } else {
            log.begin_segment(Lsn::new(1)).map_err(|e| io_error(FRESH, &e))?;
        }
        log.durable = log.last;
        Ok((log, entries))
    }

    /// Makes a log that holds these records from the first, in a folder without any: it has all of them, or is not there.
    ///
    /// # Errors
    /// If the disk fails, or a record is too long.
    pub fn create(
        mut disk: D,
        identity: Identity,
        records: impl IntoIterator<Item = (Slot, RecordKind, Vec<u8>)>,
    ) -> Result<(), LogError> {
        let first = Lsn::new(1);
        let mut bytes = Header { identity, first, before: Lsn::ZERO }.encode();
        let mut lsn = first;
        for (slot, kind, body) in records {
            if body.len() > MAX_BODY {
                return Err(LogError::TooLong { got: body.len(), limit: MAX_BODY });
            }
            Entry { lsn, slot, kind, body }.encode(&mut bytes);
            lsn = lsn.saturating_add(1);
        }
        place(&mut disk, first, &bytes).map_err(|error| LogError::Io(error.kind()))?;
        Ok(())
    }

    /// Whether a folder holds any log.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub fn exists(disk: &D) -> io::Result<bool> {
        Ok(disk.list()?.iter().any(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX)))
    }

    fn load(&mut self, file: String, newest: bool, entries: &mut Vec<Entry>) -> Result<(), OpenError> {
        let bytes = self.disk.read(&file).map_err(|e| io_error(&file, &e))?;
        // Segments get their name only after their header is safe.
        let Some((header, mut at)) = Header::decode(&bytes) else {
            return Err(OpenError::Damaged { file, offset: 0 });
        };
        if header.identity != self.identity {
            let (expected, found) = (Box::new(self.identity.clone()), Box::new(header.identity));
            return Err(OpenError::Foreign { file, expected, found });
        }
        if !self.segments.is_empty() && header.before != self.last {
            return Err(OpenError::Gap { file, before: header.before, last: self.last });
        }
        self.last = header.before.max(header.first.saturating_sub(1));
        let (mut highest_slot, mut has_records) = (Slot::ZERO, false);
        while at < bytes.len() {
            match Entry::decode(&bytes[at..]) {
                Ok((entry, len)) if entry.lsn > self.last => {
                    self.last = entry.lsn;
                    highest_slot = highest_slot.max(entry.slot);
                    has_records = true;
                    entries.push(entry);
                    at += len;
                }
                Err(Broken::ReachesEnd) if newest && !record_behind(&bytes[at..], self.last) => {
                    // Synced by the caller.
                    self.disk.truncate(&file, at as u64).map_err(|e| io_error(&file, &e))?;
                    break;
                }
                _ => return Err(OpenError::Damaged { file, offset: at }),
            }
        }
        self.segments.push(Segment { file, highest_slot, bytes: at, has_records });
        Ok(())
    }

    /// The place for the next record.
    pub const fn next_lsn(&self) -> Lsn {
        self.last.saturating_add(1)
    }

    /// Everything up to this place survives a crash.
    pub const fn durable(&self) -> Lsn {
        self.durable
    }

    /// Whether everything taken so far survives a crash.
    pub const fn is_durable(&self) -> bool {
        self.durable.get() == self.last.get()
    }

    /// The error that has switched the log off, if one has.
    pub const fn failure(&self) -> Option<io::ErrorKind> {
        self.failed
    }

    /// Whose log this is.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Takes a record. It is not durable before [`Self::sync`].
    ///
    /// # Errors
    /// If the record is too long, its place is taken, or the log has failed.
    pub fn append(&mut self, lsn: Lsn, slot: Slot, kind: RecordKind, body: Vec<u8>) -> Result<(), LogError> {
        if self.failed.is_some() {
            return Err(LogError::Failed);
        }
        if lsn <= self.last {
            return Err(LogError::OutOfOrder { last: self.last, got: lsn });
        }
        if body.len() > MAX_BODY {
            return Err(LogError::TooLong { got: body.len(), limit: MAX_BODY });
        }
        if self.segments.last().is_some_and(|s| s.has_records && s.bytes >= self.segment_size) {
            self.sync()?;
            self.begin_segment(lsn).map_err(|e| self.fail(&e))?;
        }
        let before = self.buffer.len();
        Entry { lsn, slot, kind, body }.encode(&mut self.buffer);
        self.last = lsn;
        if let Some(segment) = self.segments.last_mut() {
            segment.bytes += self.buffer.len() - before;
            segment.highest_slot = segment.highest_slot.max(slot);
            segment.has_records = true;
        }
        Ok(())
    }

    /// Makes everything taken so far durable and returns the place of the last record.
    ///
    /// # Errors
    /// If it cannot be made durable; the log is switched off then.
    pub fn sync(&mut self) -> Result<Lsn, LogError> {
        if self.failed.is_some() {
            return Err(LogError::Failed);
        }
        if !self.buffer.is_empty() {
            let Some(segment) = self.segments.last() else {
                return Err(LogError::Failed);
            };
            let written = self.disk.append(&segment.file, &self.buffer).and_then(|()| self.disk.sync(&segment.file));
            written.map_err(|e| self.fail(&e))?;
            self.buffer.clear();
        }
        self.durable = self.last;
        Ok(self.durable)
    }

    /// Removes segments that hold only records of slots below `below`. The newest one stays.
    ///
    /// # Errors
    /// If a file cannot be removed; the log is switched off then.
    pub fn prune(&mut self, below: Slot) -> Result<(), LogError> {
        if self.failed.is_some() {
            return Err(LogError::Failed);
        }
        let unneeded = self.unneeded(below);
        if unneeded == 0 {
            return Ok(());
        }
        for segment in self.segments.drain(..unneeded) {
            if let Err(e) = self.disk.remove(&segment.file) {
                self.failed = Some(e.kind());
                return Err(LogError::Io(e.kind()));
            }
        }
        self.disk.sync_dir().map_err(|e| self.fail(&e))
    }

    /// Whether [`Self::prune`] would remove anything.
    pub fn can_prune(&self, below: Slot) -> bool {
        self.unneeded(below) > 0
    }

    fn unneeded(&self, below: Slot) -> usize {
        let older = self.segments.len().saturating_sub(1);
        self.segments.iter().take(older).take_while(|s| s.highest_slot < below).count()
    }

    fn begin_segment(&mut self, first: Lsn) -> io::Result<()> {
        let header = Header { identity: self.identity.clone(), first, before: self.last }.encode();
        let file = place(&mut self.disk, first, &header)?;
        self.segments.push(Segment { file, highest_slot: Slot::ZERO, bytes: header.len(), has_records: false });
        Ok(())
    }

    fn fail(&mut self, error: &io::Error) -> LogError {
        self.failed = Some(error.kind());
        LogError::Io(error.kind())
    }
}

/// Makes the segment that begins with this record. It has its name only when all of it is safe.
fn place(disk: &mut impl Disk, first: Lsn, bytes: &[u8]) -> io::Result<String> {
    let file = format!("{PREFIX}{:020}{SUFFIX}", first.get());
    disk.create(FRESH)?;
    disk.append(FRESH, bytes)?;
    disk.sync(FRESH)?;
    disk.rename(FRESH, &file)?;
    disk.sync_dir()?;
    Ok(file)
}

fn io_error(file: &str, error: &io::Error) -> OpenError {
    OpenError::Io { file: file.to_owned(), kind: error.kind() }
}
