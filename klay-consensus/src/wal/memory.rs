//! A disk in memory that forgets what was not synced, for tests, simulations and ephemeral chains.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Disk;

#[derive(Debug, Clone, Default)]
struct FileState {
    bytes: Vec<u8>,
    synced: usize,
}

#[derive(Debug, Clone)]
enum DirOp {
    Link(String, usize),
    Unlink(String),
}

#[derive(Debug, Default)]
struct State {
    files: Vec<FileState>,
    names: BTreeMap<String, usize>,
    safe_names: BTreeMap<String, usize>,
    pending: Vec<DirOp>,
    operations: u64,
    cut_at: Option<u64>,
    fail_syncs: bool,
    syncs: u64,
}

/// What is left of unsynced data after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Everything, as if it had been synced.
    All,
    /// Nothing.
    Nothing,
    /// The first so many thousandths of the unsynced bytes of each file and of the pending names.
    Part(u16),
}

/// A folder in memory. Clones share it, as processes share a disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

impl MemoryDisk {
    /// An empty folder.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power fails: returns the folder as the next process finds it. This one keeps its own view.
    #[must_use]
    pub fn crash(&self, kept: Kept) -> Self {
        let state = self.state();
        let share = |n: usize| match kept {
            Kept::All => n,
            Kept::Nothing => 0,
            Kept::Part(thousandths) => n * usize::from(thousandths.min(1000)) / 1000,
        };
        let mut names = state.safe_names.clone();
        for op in state.pending.iter().take(share(state.pending.len())) {
            apply(&mut names, op);
        }
        let files = state
            .files
            .iter()
            .map(|file| {
                let len = file.synced + share(file.bytes.len() - file.synced);
                FileState { bytes: file.bytes[..len].to_vec(), synced: len }
            })
            .collect();
        let next = State { files, safe_names: names.clone(), names, ..State::default() };
        drop(state);
        Self { state: Arc::new(Mutex::new(next)) }
    }

    /// An independent copy, for instance to restore an old state later.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        self.crash(Kept::All)
    }

    /// Lets the operation after the next `operations` writing ones fail, and all later ones too.
    pub fn cut_after(&self, operations: u64) {
        let mut state = self.state();
        state.cut_at = Some(state.operations + operations);
    }

    /// Lets every sync fail from now on, or no longer.
    pub fn fail_syncs(&self, fail: bool) {
        self.state().fail_syncs = fail;
    }

    /// Writing operations so far: creations, appends, truncations, renames, removals, syncs.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Syncs of files so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    fn write(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        if state.cut_at.is_some_and(|at| state.operations >= at) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        state.operations += 1;
        Ok(state)
    }
}

fn apply(names: &mut BTreeMap<String, usize>, op: &DirOp) {
    match op {
        DirOp::Link(name, file) => names.insert(name.clone(), *file),
        DirOp::Unlink(name) => names.remove(name),
    };
}

impl State {
    fn file(&mut self, name: &str) -> io::Result<&mut FileState> {
        let index = *self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        self.files.get_mut(index).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, op: DirOp) {
        apply(&mut self.names, &op);
        self.pending.push(op);
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        self.state().file(name).map(|file| file.bytes.clone())
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.write()?;
        state.files.push(FileState::default());
        let index = state.files.len() - 1;
        state.change(DirOp::Link(name.to_owned(), index));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write()?.file(name)?.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        let mut state = self.write()?;
        let file = state.file(name)?;
        file.bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        file.synced = file.synced.min(file.bytes.len());
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.write()?;
        if state.fail_syncs {
            return Err(io::ErrorKind::Other.into());
        }
        state.syncs += 1;
        let file = state.file(name)?;
        file.synced = file.bytes.len();
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.write()?;
        let index = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        // One step on disk: both halves are kept or lost together only if nothing lies between them.
        state.change(DirOp::Link(to.to_owned(), index));
        state.change(DirOp::Unlink(from.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.write()?;
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(DirOp::Unlink(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        let mut state = self.write()?;
        if state.fail_syncs {
            return Err(io::ErrorKind::Other.into());
        }
        state.safe_names = state.names.clone();
        state.pending.clear();
        Ok(())
    }
}
