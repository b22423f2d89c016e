//! The folder in which every execution begins anew: a copy of the user's, which itself is only read.
//!
//! The copy is held in memory, bounded, and written out before each execution, so that a program that runs
//! beside the search and changes the folder changes nothing here.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How much a folder may hold to be copied for every execution.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Files, folders and links together.
    pub entries: usize,
    /// Bytes of all files.
    pub bytes: u64,
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A regular file with these bytes.
    File(Vec<u8>),
    /// A folder.
    Directory,
    /// A symbolic link to this text.
    Link(String),
    /// A named pipe.
    Fifo,
    /// A socket or a device: only its being there is compared.
    Other,
}

/// A file of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Its permission bits.
    pub mode: u32,
    /// What it is.
    pub kind: Kind,
}

/// A tree of files as a value, by path below its root.
pub type Tree = BTreeMap<PathBuf, Entry>;

/// A folder could not be taken as the one in which executions begin.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What cannot be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds too much.
    #[error("{} holds more than {limit}, and it is copied for every execution", path.display())]
    TooLarge {
        /// The folder.
        path: PathBuf,
        /// The limit in words.
        limit: String,
    },
    /// The copy cannot be written.
    #[error("cannot write the copy at {}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads the tree below `root`.
///
/// # Errors
/// When it is larger than `limits`, or something in it cannot be read.
pub fn read_tree(root: &Path, limits: Limits) -> Result<Tree, ScratchError> {
    let mut tree = Tree::new();
    let mut bytes = 0;
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let at = root.join(&folder);
        let failed = |source| ScratchError::Read { path: at.clone(), source };
        for entry in fs::read_dir(&at).map_err(failed)? {
            let name = folder.join(entry.map_err(failed)?.file_name());
            let path = root.join(&name);
            let entry =
                read_entry(&path, limits.bytes.saturating_sub(bytes)).map_err(|source| {
                    match source.kind() {
                        io::ErrorKind::FileTooLarge => too_large(root, limits),
                        _ => ScratchError::Read { path: path.clone(), source },
                    }
                })?;
            match &entry.kind {
                Kind::Directory => folders.push(name.clone()),
                Kind::File(content) => bytes += content.len() as u64,
                _ => {}
            }
            tree.insert(name, entry);
            if tree.len() > limits.entries {
                return Err(too_large(root, limits));
            }
        }
    }
    Ok(tree)
}

fn too_large(root: &Path, limits: Limits) -> ScratchError {
    let limit = format!("{} files or {} MiB", limits.entries, limits.bytes >> 20);
    ScratchError::TooLarge { path: root.to_owned(), limit }
}

fn read_entry(path: &Path, most: u64) -> io::Result<Entry> {
    let meta = fs::symlink_metadata(path)?;
    let kind = match meta.file_type() {
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_symlink() => Kind::Link(fs::read_link(path)?.to_string_lossy().into_owned()),
        kind if kind.is_file() => {
            let mut content = Vec::new();
            // A file whose permissions forbid even its owner to read it is opened for a moment.
            let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)?;
            file.take(most + 1).read_to_end(&mut content)?;
            if content.len() as u64 > most {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            Kind::File(content)
        }
        _ if meta.mode() & nix::libc::S_IFMT == nix::libc::S_IFIFO => Kind::Fifo,
        _ => Kind::Other,
    };
    Ok(Entry { mode: meta.mode() & 0o7777, kind })
}

/// Makes `root` hold exactly `tree`: what was there before is removed.
///
/// # Errors
/// `ENOSPC` and the like.
pub(super) fn write_tree(root: &Path, tree: &Tree) -> Result<(), ScratchError> {
    let failed = |source| ScratchError::Write { path: root.to_owned(), source };
    clear(root).map_err(failed)?;
    let mut folders = Vec::new();
    for (name, entry) in tree {
        let path = root.join(name);
        let failed = |source| ScratchError::Write { path: path.clone(), source };
        match &entry.kind {
            Kind::Directory => {
                DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
                folders.push((path.clone(), entry.mode));
            }
            Kind::Link(to) => symlink(to, &path).map_err(failed)?,
            Kind::File(content) => {
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
                    .map_err(failed)?;
                file.write_all(content).map_err(failed)?;
                file.set_permissions(Permissions::from_mode(entry.mode)).map_err(failed)?;
            }
            Kind::Fifo => {
                let mode = nix::sys::stat::Mode::from_bits_truncate(entry.mode);
                nix::unistd::mkfifo(&path, mode).map_err(|errno| failed(errno.into()))?;
            }
            Kind::Other => {}
        }
    }
    // Inner folders first: a folder without write permission could not be filled any more.
    for (path, mode) in folders.into_iter().rev() {
        let failed = |source| ScratchError::Write { path: path.clone(), source };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(())
}

/// Removes all that lies in `root`, whatever its permissions.
///
/// # Errors
/// When the folder itself cannot be read or changed.
pub(super) fn clear(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if fs::symlink_metadata(&path)?.is_dir() {
            let _ = fs::set_permissions(&path, Permissions::from_mode(0o700));
            clear(&path)?;
            fs::remove_dir(&path)?;
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Removes what lies in `folder`, but for `kept`.
pub(super) fn clear_beside(kept: &Path, folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path == kept {
            continue;
        }
        if fs::remove_file(&path).is_err() {
            let _ = clear(&path);
            let _ = fs::remove_dir(&path);
        }
    }
}
