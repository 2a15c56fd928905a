//! The few file operations that a log needs, so that it can be tried on a disk that loses things.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// A folder of files in which nothing is safe before it is synced: file contents by [`Disk::sync`], names by
/// [`Disk::sync_dir`].
pub trait Disk: Debug + Send {
    /// The names in the folder, in order.
    ///
    /// # Errors
    /// As the operating system reports.
    fn list(&self) -> io::Result<Vec<String>>;

    /// The whole content of a file.
    ///
    /// # Errors
    /// As the operating system reports.
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;

    /// Makes an empty file, replacing one of that name.
    ///
    /// # Errors
    /// As the operating system reports.
    fn create(&mut self, name: &str) -> io::Result<()>;

    /// Adds bytes at the end of a file.
    ///
    /// # Errors
    /// As the operating system reports.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file to `len` bytes.
    ///
    /// # Errors
    /// As the operating system reports.
    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()>;

    /// Makes a file's content safe.
    ///
    /// # Errors
    /// As the operating system reports. What was written since the last success must be taken as lost.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Gives a file another name, replacing one of that name in a single step.
    ///
    /// # Errors
    /// As the operating system reports.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the operating system reports.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes names safe: creations, renames and removals.
    ///
    /// # Errors
    /// As the operating system reports.
    fn sync_dir(&mut self) -> io::Result<()>;
}

/// A folder of the file system.
#[derive(Debug)]
pub struct FsDisk {
    folder: PathBuf,
    open: BTreeMap<String, File>,
    /// Held locked, if nobody else may use the folder.
    lock: Option<File>,
}

impl FsDisk {
    /// Uses `folder`, making it if it is missing; its own name is safe then.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        make(&folder)?;
        Ok(Self { folder, open: BTreeMap::new(), lock: None })
    }

    /// As [`Self::new`], for one at a time: by a file `lock` in the folder.
    ///
    /// # Errors
    /// As there; [`io::ErrorKind::WouldBlock`] if somebody else has it.
    pub fn alone(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let mut disk = Self::new(folder)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(disk.folder.join("lock"))?;
        match lock.try_lock() {
            Err(fs::TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "another process uses this folder"));
            }
            Err(fs::TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => return Err(error),
            _ => disk.lock = Some(lock),
        }
        Ok(disk)
    }

    fn handle(&mut self, name: &str) -> io::Result<&mut File> {
        if !self.open.contains_key(name) {
            let file = OpenOptions::new().read(true).write(true).open(self.folder.join(name))?;
            self.open.insert(name.to_owned(), file);
        }
        self.open.get_mut(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for FsDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.handle(name)?;
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.folder.join(name))?;
        self.open.insert(name.to_owned(), file);
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self.handle(name)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(bytes)
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        self.handle(name)?.set_len(len)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.handle(name)?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.folder.join(from), self.folder.join(to))?;
        self.open.remove(to);
        if let Some(file) = self.open.remove(from) {
            self.open.insert(to.to_owned(), file);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open.remove(name);
        fs::remove_file(self.folder.join(name))
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        sync_names(&self.folder)
    }
}

/// Makes a folder and those above it that are missing, each name safe before the next one: a folder that is there has
/// one that is safe, but for the last, whose maker may have ended before its sync.
fn make(folder: &Path) -> io::Result<()> {
    if !folder.try_exists()? {
        if let Some(parent) = folder.parent().filter(|parent| *parent != Path::new("")) {
            make(parent)?;
        }
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        return folder.canonicalize()?.parent().map_or(Ok(()), sync_names);
    }
    // Made by an earlier process, or not ours: a folder above that cannot be read or synced is no reason to refuse.
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    match folder.canonicalize()?.parent().map_or(Ok(()), sync_names) {
        Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported) => {
            Ok(())
        }
        synced => synced,
    }
}

/// Folders cannot be opened as files on Windows; there, names are journaled by the file system.
fn sync_names(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
