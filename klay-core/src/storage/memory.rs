//! A store that forgets.

use super::{Batch, KeyValue, StorageError, Table, Visit};
use core::ops::Bound;
use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

type Map = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// A store in memory, gone when dropped.
///
/// ```
/// use klay_core::storage::{Batch, KeyValue, Memory, Table};
///
/// let store = Memory::new();
/// let mut batch = Batch::default();
/// batch.put(Table::Code, [1], [0x60, 0x00]);
/// store.write(batch)?;
/// assert_eq!(store.get(Table::Code, &[1])?, Some(vec![0x60, 0x00]));
/// # Ok::<_, klay_core::storage::StorageError>(())
/// ```
#[derive(Debug, Default)]
pub struct Memory {
    map: RwLock<Map>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

// No code panics while it holds the lock, and a map is whole between two operations: poison says nothing here.
impl KeyValue for Memory {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.map.read().unwrap_or_else(PoisonError::into_inner).get(&(table, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table, start: &[u8], visit: &mut Visit<'_>) -> Result<(), StorageError> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        for ((found, key), value) in map.range((Bound::Included((table, start.to_vec())), Bound::Unbounded)) {
            if *found != table || visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: Batch) -> Result<(), StorageError> {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        for (table, key, value) in batch.writes {
            match value {
                Some(value) => map.insert((table, key), value),
                None => map.remove(&(table, key)),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }
}
