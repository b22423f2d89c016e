//! The files of a lab, in memory: read once, before any student's program runs.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use include_dir::{Dir, DirEntry};
use serde::{Deserialize, Serialize};

use crate::sys::tmpfile::open_to_read;

/// The largest file of a lab or of a student, in bytes.
pub const LARGEST: u64 = 1 << 20;
/// The maximum number of files of a lab.
const MOST: usize = 500;

/// A file's bytes.
pub type Bytes = Vec<u8>;

/// Files by their path below a folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Files(pub BTreeMap<String, Bytes>);

impl Files {
    /// The files of a folder that is embedded in this program.
    pub fn embedded(folder: &Dir<'_>) -> Self {
        fn take(folder: &Dir<'_>, root: &Path, all: &mut BTreeMap<String, Bytes>) {
            for entry in folder.entries() {
                match entry {
                    DirEntry::Dir(inner) => take(inner, root, all),
                    DirEntry::File(file) => {
                        let path = file.path().strip_prefix(root).unwrap_or(file.path());
                        all.insert(path.to_string_lossy().into_owned(), file.contents().to_vec());
                    }
                }
            }
        }
        let mut all = BTreeMap::new();
        take(folder, folder.path(), &mut all);
        Self(all)
    }

    /// The files of a folder on disk, without links and without files whose names begin with a dot.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds too many or too large files.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut all = BTreeMap::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(root.join(&folder))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') || name == "__pycache__" {
                    continue;
                }
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    let bytes = read_file(&entry.path())?;
                    all.insert(path, bytes);
                }
                if all.len() + folders.len() > MOST {
                    return Err(io::Error::other(format!("it holds more than {MOST} files")));
                }
            }
        }
        Ok(Self(all))
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The files below the folder `name`, by their path below it.
    pub fn below(&self, name: &str) -> Self {
        let prefix = format!("{name}/");
        let inner = self
            .0
            .iter()
            .filter_map(|(path, bytes)| Some((path.strip_prefix(&prefix)?.to_owned(), bytes.clone())));
        Self(inner.collect())
    }

    /// Adds files, which replace those with the same path.
    #[must_use]
    pub fn with(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Applies `change` to each text file. Files that are not UTF-8 stay as they are.
    #[must_use]
    pub fn map(mut self, change: impl Fn(&str) -> String) -> Self {
        for bytes in self.0.values_mut() {
            if let Ok(text) = std::str::from_utf8(bytes) {
                *bytes = change(text).into_bytes();
            }
        }
        self
    }

    /// Writes all files below `root`. Scripts that begin with `#!` and ELF files are made executable.
    ///
    /// # Errors
    /// As `open(2)` and `write(2)`.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        for (path, bytes) in &self.0 {
            let path = root.join(path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, bytes)?;
            let is_program = bytes.starts_with(b"#!") || bytes.starts_with(b"\x7fELF");
            let mode = if is_program { 0o755 } else { 0o644 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }
}

/// Reads a regular file of limited size, never through a symbolic link.
///
/// # Errors
/// `FileTooLarge`; `InvalidInput` if it is not a regular file.
pub fn read_file(path: &Path) -> io::Result<Bytes> {
    if std::fs::symlink_metadata(path)?.is_symlink() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link"));
    }
    let mut bytes = Vec::new();
    open_to_read(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        let what = format!("it is larger than {} KiB", LARGEST >> 10);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}
