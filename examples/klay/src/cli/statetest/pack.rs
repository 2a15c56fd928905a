//! Where test files lie: a directory, a file, or an archive that is read without unpacking it.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use klay_vm::statetest::Case;

use super::expected::{Expected, LIST};

/// Largest file that is read.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// Test files that belong together, with the list of how they end.
#[derive(Debug)]
pub(super) struct Pack {
    files: Vec<TestFile>,
    expected: Expected,
}

/// A file of tests.
#[derive(Debug)]
pub(super) struct TestFile {
    /// Its path inside of the pack.
    pub(super) name: String,
    text: Text,
}

#[derive(Debug)]
enum Text {
    At(PathBuf),
    Here(String),
}

impl TestFile {
    /// The file's text.
    pub(super) fn read(&self) -> io::Result<String> {
        match &self.text {
            Text::At(path) => fs::read_to_string(path),
            Text::Here(text) => Ok(text.clone()),
        }
    }
}

impl Pack {
    /// Opens what lies at `path`.
    ///
    /// # Errors
    /// If it cannot be read, or holds no test.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn core::fmt::Display| format!("{}: {error}", path.display());
        let kind = fs::metadata(path).map_err(|error| failed(&error))?;
        let mut pack = match kind.is_dir() {
            true => Self::of_directory(path),
            false if is_archive(path) => Self::of_archive(path),
            false => Self::of_file(path),
        }
        .map_err(|error| failed(&error))?;
        if pack.files.is_empty() {
            return Err(failed(&"no tests are there"));
        }
        pack.files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(pack)
    }

    /// The files by name.
    pub(super) fn files(&self) -> &[TestFile] {
        &self.files
    }

    /// How the list says that a case ends.
    pub(super) fn expected(&self, file: &str, case: &Case) -> Option<&str> {
        self.expected.of(file, case)
    }

    fn of_file(path: &Path) -> Result<Self, String> {
        let (root, expected) = list_above(path)?;
        let name = name_in(&root, path).unwrap_or_else(|| path.display().to_string());
        Ok(Self { files: vec![TestFile { name, text: Text::At(path.to_owned()) }], expected })
    }

    fn of_directory(path: &Path) -> Result<Self, String> {
        let (root, expected) = list_above(path)?;
        let mut files = Vec::new();
        let mut rest = vec![path.to_owned()];
        while let Some(directory) = rest.pop() {
            let failed = |error: io::Error| format!("{}: {error}", directory.display());
            for entry in fs::read_dir(&directory).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let path = entry.path();
                if entry.file_name().to_string_lossy().starts_with('.') {
                    // Indexes and the like of those who made the suite.
                    continue;
                }
                if path.is_dir() {
                    rest.push(path);
                } else if path.extension().is_some_and(|extension| extension == "json") {
                    let name = name_in(&root, &path).unwrap_or_else(|| path.display().to_string());
                    files.push(TestFile { name, text: Text::At(path) });
                }
            }
        }
        Ok(Self { files, expected })
    }

    fn of_archive(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let is_plain = path.extension().is_some_and(|extension| extension == "tar");
        let reader: Box<dyn Read> = if is_plain { Box::new(file) } else { Box::new(GzDecoder::new(file)) };
        let mut archive = tar::Archive::new(reader);
        let (mut files, mut expected) = (Vec::new(), Expected::default());
        for entry in archive.entries().map_err(|error| error.to_string())? {
            let mut entry = entry.map_err(|error| error.to_string())?;
            let name = entry.path().map_err(|error| error.to_string())?.display().to_string();
            let name = name.trim_start_matches("./").to_owned();
            let is_list = name == LIST;
            if !is_list && !name.ends_with(".json") {
                continue;
            }
            let mut text = String::new();
            entry.by_ref().take(MAX_FILE).read_to_string(&mut text).map_err(|error| format!("{name}: {error}"))?;
            if is_list {
                expected = Expected::parse(&text)?;
            } else {
                files.push(TestFile { name, text: Text::Here(text) });
            }
        }
        Ok(Self { files, expected })
    }
}

fn is_archive(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    [".tar", ".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end))
}

/// The nearest list at or above `path`, and the directory that it lies in; without a list, `path` itself or the
/// directory of the file.
fn list_above(path: &Path) -> Result<(PathBuf, Expected), String> {
    let full = path.canonicalize().map_err(|error| error.to_string())?;
    for directory in full.ancestors().filter(|directory| directory.is_dir()) {
        let list = directory.join(LIST);
        if list.is_file() {
            let text = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
            return Ok((directory.to_owned(), Expected::parse(&text)?));
        }
    }
    let root = if full.is_dir() { full } else { full.parent().map_or_else(PathBuf::new, Path::to_owned) };
    Ok((root, Expected::default()))
}

fn name_in(root: &Path, path: &Path) -> Option<String> {
    let full = path.canonicalize().ok()?;
    Some(
        full.strip_prefix(root)
            .ok()?
            .components()
            .map(|c| c.as_os_str().to_string_lossy())
            .collect::<Vec<_>>()
            .join("/"),
    )
}
