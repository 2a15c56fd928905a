//! What sled leaves to the disk.
//!
//! On Linux sled's flush writes the log and waits (`sync_file_range`), but the length of a file that has grown and what
//! the disk itself holds back are not written by that: both are gone after power loss. See
//! `docs/decisions/0008-what-a-sync-of-sled-means.md`.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    path::Path,
};

/// The file of sled's log, to make it durable.
#[derive(Debug)]
pub(super) struct LogFile(File);

impl LogFile {
    /// The log of the store in `folder`, which sled has opened. The names of its files are durable then.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        // Windows syncs only what is open for writing.
        let file = OpenOptions::new().write(true).open(folder.join("db"))?;
        file.sync_all()?;
        sync_names(&folder.join("blobs"))?;
        sync_names(folder)?;
        match folder.canonicalize()?.parent().map_or(Ok(()), sync_names) {
            // A folder that others own need not be readable.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
        Ok(Self(file))
    }

    /// `file` in the place of the log.
    #[cfg(test)]
    pub(super) const fn of(file: File) -> Self {
        Self(file)
    }

    /// Returns when everything that was written to the file survives power loss.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Makes the names in `folder` durable. Folders cannot be opened as files on Windows; there the file system keeps a
/// journal of names.
fn sync_names(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
