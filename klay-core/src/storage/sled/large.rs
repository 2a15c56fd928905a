//! Values that are larger than one entry of sled should be.
//!
//! sled writes a leaf of more than 128 KiB to a file of its own, counts it with the few bytes of that file's name, and so
//! never drops it from its cache: bodies and receipts of busy blocks would stay in memory for good. A large value is
//! therefore cut into pieces so small that every leaf (17 entries at most) stays below that size. See
//! `docs/decisions/0007-large-values-in-sled.md`.

use crate::storage::{StorageError, Table};
use std::collections::BTreeMap;

/// The longest value that is kept whole, and the length of a piece.
const PIECE: usize = 6 << 10;

/// First byte of the keys of directories: then the table's number and the key of the value.
const DIRECTORIES: u8 = 0xff;

/// First byte of the keys of pieces: then the value's own number (8 bytes) and the piece's (4 bytes), big endian.
const PIECES: u8 = 0xfe;

/// Whether `value` is cut into pieces. Under its own key nothing is kept then.
pub(super) const fn is_large(value: &[u8]) -> bool {
    value.len() > PIECE
}

fn directory_key(table: Table, key: &[u8]) -> Vec<u8> {
    [&[DIRECTORIES, table as u8], key].concat()
}

/// Where the pieces of a value are. A value gets a new number whenever it is written, so pieces are never overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Directory {
    number: u64,
    pieces: u32,
}

impl Directory {
    fn read(db: &sled::Db, table: Table, key: &[u8]) -> Result<Option<Self>, StorageError> {
        let Some(bytes) = db.get(directory_key(table, key))? else { return Ok(None) };
        let parts = bytes.split_first_chunk::<8>().and_then(|(number, rest)| Some((*number, rest.try_into().ok()?)));
        let (number, pieces) = parts.ok_or_else(|| damaged(table, "directory of a large value has another length"))?;
        Ok(Some(Self { number: u64::from_be_bytes(number), pieces: u32::from_be_bytes(pieces) }))
    }

    fn bytes(self) -> Vec<u8> {
        [&self.number.to_be_bytes()[..], &self.pieces.to_be_bytes()].concat()
    }

    fn keys(self) -> impl Iterator<Item = Vec<u8>> {
        (0..self.pieces).map(move |piece| [&[PIECES][..], &self.number.to_be_bytes(), &piece.to_be_bytes()].concat())
    }
}

fn damaged(table: Table, what: &str) -> StorageError {
    StorageError::Damaged(format!("{what} in table {table:?}").into())
}

/// The large value at `key`, if there is one.
pub(super) fn get(db: &sled::Db, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
    let mut found = Directory::read(db, table, key)?;
    while let Some(directory) = found {
        if let Some(value) = assembled(db, directory)? {
            return Ok(Some(value));
        }
        // Written again, or deleted, between the two readings; otherwise a piece is gone.
        let now = Directory::read(db, table, key)?;
        if now == found {
            return Err(damaged(table, "a piece of a large value is missing"));
        }
        found = now;
    }
    Ok(None)
}

fn assembled(db: &sled::Db, directory: Directory) -> Result<Option<Vec<u8>>, StorageError> {
    let mut value = Vec::new();
    for key in directory.keys() {
        let Some(piece) = db.get(key)? else { return Ok(None) };
        value.extend_from_slice(&piece);
    }
    Ok(Some(value))
}

/// What a batch does to large values.
pub(super) struct LargeWrites<'a> {
    db: &'a sled::Db,
    /// Whether there are large values in a table: if not, nothing has to be looked for.
    tables: BTreeMap<Table, bool>,
    /// The large values of this batch.
    put: Vec<(Table, Vec<u8>, Directory)>,
}

impl<'a> LargeWrites<'a> {
    pub(super) const fn new(db: &'a sled::Db) -> Self {
        Self { db, tables: BTreeMap::new(), put: Vec::new() }
    }

    /// Takes away the pieces of what `key` has had until now, be it by an earlier write of the same batch.
    pub(super) fn remove(&mut self, table: Table, key: &[u8], writes: &mut sled::Batch) -> Result<(), StorageError> {
        let stored = if self.is_in(table)? { Directory::read(self.db, table, key)? } else { None };
        let at = self.put.iter().position(|(of, put, _)| *of == table && put == key);
        let earlier = at.map(|at| self.put.swap_remove(at).2);
        for directory in stored.into_iter().chain(earlier) {
            directory.keys().for_each(|piece| writes.remove(piece));
            writes.remove(directory_key(table, key));
        }
        Ok(())
    }

    pub(super) fn put(
        &mut self,
        table: Table,
        key: Vec<u8>,
        value: &[u8],
        writes: &mut sled::Batch,
    ) -> Result<(), StorageError> {
        let pieces = value.chunks(PIECE);
        let count = u32::try_from(pieces.len()).map_err(|_| damaged(table, "value of more than 24 TiB"))?;
        let directory = Directory { number: self.db.generate_id()?, pieces: count };
        writes.insert(directory_key(table, &key), directory.bytes());
        for (key, piece) in directory.keys().zip(pieces) {
            writes.insert(key, piece);
        }
        self.put.push((table, key, directory));
        Ok(())
    }

    fn is_in(&mut self, table: Table) -> Result<bool, StorageError> {
        if let Some(known) = self.tables.get(&table) {
            return Ok(*known);
        }
        let first = self.db.scan_prefix([DIRECTORIES, table as u8]).next().transpose()?;
        self.tables.insert(table, first.is_some());
        Ok(first.is_some())
    }
}
