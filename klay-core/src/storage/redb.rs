//! A store on redb 4.

use super::{Batch, KeyValue, StorageError, Table, Visit};
use redb::{Database, Durability, ReadableDatabase, TableDefinition, TableError};
use std::path::Path;

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("klay");

/// A store in one file, on redb.
///
/// # On disk
///
/// One redb table, `klay`, holds all tables. A key is the table's number, one byte, and then the key.
///
/// # Durability
///
/// A [write](KeyValue::write) is a transaction with durability "none": atomic, visible at once, lost if the process ends
/// before the next [`sync`](KeyValue::sync), which is an empty transaction with durability "immediate" and makes all
/// before it durable.
#[derive(Debug)]
pub struct Redb {
    db: Database,
}

impl Redb {
    /// Bytes of pages kept in memory unless told otherwise. The trie keeps hot state itself and blocks are read rarely.
    pub const DEFAULT_CACHE: usize = 64 << 20;

    /// Opens or creates the store in this file, with the [default cache](Self::DEFAULT_CACHE).
    ///
    /// # Errors
    /// If the file cannot be used, is open elsewhere or is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        Self::with_cache(path, Self::DEFAULT_CACHE)
    }

    /// Opens or creates the store in this file and keeps about `cache` bytes of its pages in memory.
    ///
    /// # Errors
    /// If the file cannot be used, is open elsewhere or is damaged.
    pub fn with_cache(path: impl AsRef<Path>, cache: usize) -> Result<Self, StorageError> {
        Ok(Self { db: Database::builder().set_cache_size(cache).create(path).map_err(failed)? })
    }
}

fn full_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(1 + key.len());
    full.push(table as u8);
    full.extend_from_slice(key);
    full
}

impl KeyValue for Redb {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let read = self.db.begin_read().map_err(failed)?;
        let entries = match read.open_table(TABLE) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            result => result.map_err(failed)?,
        };
        let value = entries.get(full_key(table, key).as_slice()).map_err(failed)?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    fn scan(&self, table: Table, start: &[u8], visit: &mut Visit<'_>) -> Result<(), StorageError> {
        let read = self.db.begin_read().map_err(failed)?;
        let entries = match read.open_table(TABLE) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            result => result.map_err(failed)?,
        };
        for entry in entries.range(full_key(table, start).as_slice()..).map_err(failed)? {
            let (key, value) = entry.map_err(failed)?;
            match key.value().split_first() {
                Some((found, key)) if *found == table as u8 && visit(key, value.value()).is_continue() => {}
                _ => break,
            }
        }
        Ok(())
    }

    fn write(&self, batch: Batch) -> Result<(), StorageError> {
        let mut transaction = self.db.begin_write().map_err(failed)?;
        transaction.set_durability(Durability::None).map_err(failed)?;
        {
            let mut entries = transaction.open_table(TABLE).map_err(failed)?;
            for (table, key, value) in batch.writes {
                let key = full_key(table, &key);
                match value {
                    Some(value) => entries.insert(key.as_slice(), value.as_slice()),
                    None => entries.remove(key.as_slice()),
                }
                .map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }

    fn sync(&self) -> Result<(), StorageError> {
        let mut transaction = self.db.begin_write().map_err(failed)?;
        transaction.set_durability(Durability::Immediate).map_err(failed)?;
        transaction.commit().map_err(failed)
    }
}

fn failed(error: impl Into<redb::Error>) -> StorageError {
    match error.into() {
        error @ redb::Error::Corrupted(_) => StorageError::Damaged(Box::new(error)),
        error => StorageError::Backend(Box::new(error)),
    }
}
