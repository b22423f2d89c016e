//! The files of a lab, in memory: read once, before anything of a student's runs.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use include_dir::{Dir, DirEntry};
use serde::{Deserialize, Serialize};

use crate::sys::tmpfile::open_to_read;

/// The largest file of a lab, or of a student.
pub const LARGEST: u64 = 1 << 20;
/// The most files of a lab.
const MOST: usize = 500;

/// A file's bytes.
pub type Bytes = Vec<u8>;

/// Files by their path below the folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Files(pub BTreeMap<String, Bytes>);

impl Files {
    /// Of a folder that is part of this program.
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

    /// Of a folder on disk. Links are not followed, and files whose name begins with a dot are left out.
    ///
    /// # Errors
    /// When it cannot be read, or holds too much.
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

    /// With these files as well, which replace those of the same path.
    #[must_use]
    pub fn with(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Each text with `change` applied to it; what is no text is left as it is.
    #[must_use]
    pub fn map(mut self, change: impl Fn(&str) -> String) -> Self {
        for bytes in self.0.values_mut() {
            if let Ok(text) = std::str::from_utf8(bytes) {
                *bytes = change(text).into_bytes();
            }
        }
        self
    }

    /// Writes all of them below `root`; a file that begins with `#!` may be executed.
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

/// Reads a regular file that is not too large; never through a link at its end.
///
/// # Errors
/// `FileTooLarge`; `InvalidInput` for what is no regular file.
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
