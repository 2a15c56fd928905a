//! The write-ahead log: what a node must remember to speak with one voice across crashes.
//!
//! Every statement, lock and decision is written and synced before anybody hears of it. A log belongs to one chain, one
//! key and one engine. After a failed sync nothing more is taken: the node may follow, but not speak.
//!
//! | Guarantee | By |
//! |---|---|
//! | a segment that has a name has a header | written under another name, synced, renamed, folder synced |
//! | a record is whole or absent | checksum over place, slot, kind and body; a cut record at the very end is removed |
//! | damage elsewhere is never skipped | refused with file and offset; elsewhere is where a whole record stands behind |
//! | no segment is missing | each one names the record before it |
//!
//! Source: chapter 50, section 5.5.

mod disk;
mod format;
mod log;
mod memory;

pub use disk::{Disk, FsDisk};
pub(crate) use format::crc32c;
pub use format::{Entry, Identity, MAX_BODY};
pub use log::{Log, LogError, OpenError};
pub use memory::{Kept, MemoryDisk};
