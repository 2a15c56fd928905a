//! A store on sled 0.34.

mod disk;
mod large;

use super::{Batch, KeyValue, StorageError, Table, Visit};
use disk::LogFile;
use large::LargeWrites;
use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// A store in a directory, on sled.
///
/// # On disk
///
/// One sled tree holds all tables, so that a batch over several of them is one sled batch and therefore atomic, also
/// across a crash. A key is the table's number, one byte, and then the key. A value of more than 6 KiB is kept in
/// pieces, as sled would never let go of its memory otherwise.
///
/// # Durability
///
/// A [write](KeyValue::write) goes to the log buffer; only [`sync`](KeyValue::sync) flushes it to disk and waits, also
/// for the disk's own cache. sled's own flush timer is off: what is durable and when is the caller's decision alone.
/// sled recovers the log up to the last complete batch, so unsynced batches are lost from the end, never from the
/// middle.
///
/// That holds whenever the process ends. Power loss between two syncs may take more, as sled writes over parts of its
/// log that it has copied elsewhere, and nothing tells the disk to keep to that order: the store may not open again.
///
/// sled applies a batch key by key and stops at the first that fails, and the system reports once that something could
/// not be written. So after a failure of a write or a sync nobody knows what is stored: reads go on, but the store is
/// [failed](StorageError::Failed) until it is opened again.
///
/// A directory is open in one process at a time.
#[derive(Debug)]
pub struct Sled {
    db: sled::Db,
    /// Held while a batch is made and applied: its pieces depend on what is stored.
    writer: Mutex<()>,
    /// Synced by one at a time: of two, the system would tell only one of a failure.
    log: Mutex<LogFile>,
    has_failed: AtomicBool,
}

impl Sled {
    /// Bytes of pages kept in memory unless told otherwise. The trie keeps hot state itself and blocks are read rarely.
    pub const DEFAULT_CACHE: u64 = 64 << 20;

    /// Opens or creates the store in this directory, with the [default cache](Self::DEFAULT_CACHE).
    ///
    /// # Errors
    /// If the directory cannot be used, is open elsewhere or is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        Self::with_cache(path, Self::DEFAULT_CACHE)
    }

    /// Opens or creates the store in this directory and keeps about `cache` bytes of its pages in memory.
    ///
    /// # Errors
    /// If the directory cannot be used, is open elsewhere or is damaged.
    pub fn with_cache(path: impl AsRef<Path>, cache: u64) -> Result<Self, StorageError> {
        let path = path.as_ref();
        let db = opened(&sled::Config::new().path(path).cache_capacity(cache).flush_every_ms(None))?;
        let log = LogFile::open(path).map_err(sled::Error::from)?;
        Ok(Self { db, writer: Mutex::default(), log: Mutex::new(log), has_failed: AtomicBool::new(false) })
    }

    /// The value at a key that was empty a moment ago: it is large, or empty, or another by now.
    fn not_whole(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        if let Some(value) = large::get(&self.db, table, key)? {
            return Ok(Some(value));
        }
        // Empty, or another value took its place between the two readings. Nobody writes now.
        let _writer = self.lock();
        match self.db.get(full_key(table, key))? {
            Some(value) if value.is_empty() => Ok(Some(large::get(&self.db, table, key)?.unwrap_or_default())),
            value => Ok(value.map(|value| value.to_vec())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self) -> Result<(), StorageError> {
        if self.has_failed() { Err(StorageError::Failed) } else { Ok(()) }
    }

    /// The result of something after whose failure nobody knows what is stored.
    fn noted<T>(&self, result: sled::Result<T>) -> Result<T, StorageError> {
        if result.is_err() {
            self.has_failed.store(true, Ordering::SeqCst);
        }
        Ok(result?)
    }
}

fn opened(config: &sled::Config) -> sled::Result<sled::Db> {
    for _ in 0..LOCK_TRIES {
        match config.open() {
            Err(error) if is_locked(&error) => thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
    config.open()
}

/// How often the directory is tried while somebody holds it: a store that was just closed lets go of it a moment after,
/// when its last thread has ended.
const LOCK_TRIES: u32 = 100;

/// Pause between two tries; 3 s in all.
const LOCK_PAUSE: Duration = Duration::from_millis(30);

/// sled tells this failure from others by its text only.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

fn full_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(1 + key.len());
    full.push(table as u8);
    full.extend_from_slice(key);
    full
}

impl KeyValue for Sled {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        match self.db.get(full_key(table, key))? {
            Some(value) if value.is_empty() => self.not_whole(table, key),
            value => Ok(value.map(|value| value.to_vec())),
        }
    }

    fn scan(&self, table: Table, start: &[u8], visit: &mut Visit<'_>) -> Result<(), StorageError> {
        for entry in self.db.range(full_key(table, start)..) {
            let (key, value) = entry?;
            let Some((_, key)) = key.split_first().filter(|(found, _)| **found == table as u8) else { break };
            let going_on = if value.is_empty() {
                // Large, or empty; or deleted since.
                let Some(value) = self.not_whole(table, key)? else { continue };
                visit(key, &value)
            } else {
                visit(key, &value)
            };
            if going_on.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: Batch) -> Result<(), StorageError> {
        let _writer = self.lock();
        self.check()?;
        let (mut writes, mut large) = (sled::Batch::default(), LargeWrites::new(&self.db));
        for (table, key, value) in batch.writes {
            large.remove(table, &key, &mut writes)?;
            match value {
                Some(value) if large::is_large(&value) => {
                    writes.insert(full_key(table, &key), &[]);
                    large.put(table, key, &value, &mut writes)?;
                }
                Some(value) => writes.insert(full_key(table, &key), value),
                None => writes.remove(full_key(table, &key)),
            }
        }
        self.noted(self.db.apply_batch(writes))
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.noted(self.db.flush())?;
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        self.check()?;
        self.noted(log.sync().map_err(sled::Error::from))
    }

    fn has_failed(&self) -> bool {
        // A writer that panicked is one that failed.
        self.has_failed.load(Ordering::SeqCst) || self.writer.is_poisoned()
    }
}

impl From<sled::Error> for StorageError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Corruption { .. } => Self::Damaged(Box::new(error)),
            _ => Self::Backend(Box::new(error)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn put(store: &Sled, key: u32, value: &[u8]) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.put(Table::Code, key.to_be_bytes(), value);
        store.write(batch)
    }

    fn assert_failed(store: &Sled) {
        assert!(store.has_failed());
        assert!(matches!(put(store, 77, b"new"), Err(StorageError::Failed)));
        assert!(matches!(store.sync(), Err(StorageError::Failed)));
        assert_eq!(store.get(Table::Code, &77u32.to_be_bytes()).unwrap(), None);
    }

    /// A pipe cannot be synced, which is an error of the operating system like any other.
    #[cfg(unix)]
    #[test]
    fn after_a_sync_that_failed_nothing_is_taken_and_all_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let (_, end) = std::io::pipe().unwrap();
        let mut store = Sled::open(directory.path()).unwrap();
        store.log = Mutex::new(LogFile::of(std::os::fd::OwnedFd::from(end).into()));
        put(&store, 1, b"old").unwrap();
        assert!(!store.has_failed());
        let error = store.sync().unwrap_err();
        assert!(matches!(error, StorageError::Backend(_)), "{error}");
        assert_failed(&store);
        assert_eq!(store.get(Table::Code, &1u32.to_be_bytes()).unwrap().as_deref(), Some(&b"old"[..]));

        drop(store);
        let store = Sled::open(directory.path()).unwrap();
        put(&store, 2, b"new").unwrap();
        store.sync().unwrap();
        assert_eq!(store.get(Table::Code, &1u32.to_be_bytes()).unwrap().as_deref(), Some(&b"old"[..]));
    }

    #[test]
    fn after_a_write_that_failed_nothing_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        {
            let store = Sled::open(directory.path()).unwrap();
            (0..4_000).for_each(|key| put(&store, key * 2, &[7; 1_000]).unwrap());
        }
        let store = Sled::open(directory.path()).unwrap();
        put(&store, 8_000, b"in the last leaf").unwrap();
        // Leaves that are read for the first time now are not there any more.
        std::fs::OpenOptions::new().write(true).open(directory.path().join("db")).unwrap().set_len(1 << 19).unwrap();
        let error = (0..4_000).find_map(|key| put(&store, key * 2 + 1, b"new").err()).unwrap();
        assert!(matches!(error, StorageError::Backend(_) | StorageError::Damaged(_)), "{error}");
        assert!(matches!(put(&store, 1, b"new"), Err(StorageError::Failed)));
        assert!(matches!(store.sync(), Err(StorageError::Failed)));
    }
}
