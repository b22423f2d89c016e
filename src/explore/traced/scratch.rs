//! The folder of an execution: a fresh copy of the user's folder, which itself is only read.
//!
//! The content is kept in memory, bounded, and written out before each execution, so that changes to the user's folder
//! during the search have no effect.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How much a folder may contain to be copied for every execution.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Files, folders and links together.
    pub entries: usize,
    /// Bytes of all files.
    pub bytes: u64,
}

/// A kind of file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A regular file with these bytes.
    File(Vec<u8>),
    /// A folder.
    Directory,
    /// A symbolic link with this target.
    Link(String),
    /// A named pipe.
    Fifo,
    /// A socket or a device, of which only the existence is compared.
    Other,
}

/// A file of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Its permission bits.
    pub mode: u32,
    /// Its kind and content.
    pub kind: Kind,
}

/// A tree of files as a value, by path below its root.
pub type Tree = BTreeMap<PathBuf, Entry>;

/// A folder could not be read or written.
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
    /// It contains too much.
    #[error("{} contains more than {limit}, and is copied for every execution", path.display())]
    TooLarge {
        /// The folder.
        path: PathBuf,
        /// The limit in words.
        limit: String,
    },
    /// Folders in it are nested too deeply for their paths.
    #[error("{} contains folders that are nested so deeply that their paths are too long", path.display())]
    TooDeep {
        /// The folder.
        path: PathBuf,
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

/// The longest path, and the longest name in a folder (`PATH_MAX`, `NAME_MAX`).
const PATH_MAX: usize = 4096;
const LONGEST_NAME: usize = 256;

/// Reads the tree below `root`.
///
/// # Errors
/// When it exceeds `limits`, or something in it cannot be read.
pub fn read_tree(root: &Path, limits: Limits) -> Result<Tree, ScratchError> {
    let mut tree = Tree::new();
    let mut bytes = 0;
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let at = root.join(&folder);
        if at.as_os_str().len() + LONGEST_NAME >= PATH_MAX {
            return Err(ScratchError::TooDeep { path: root.to_owned() });
        }
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
            // Fails for a file that even its owner may not read.
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

/// Replaces the content of `root` by `tree`. The file `kept`, which is as in `tree`, remains the same file.
///
/// # Errors
/// `ENOSPC` and the like.
pub(super) fn write_tree(root: &Path, tree: &Tree, kept: Option<&Path>) -> Result<(), ScratchError> {
    let failed = |source| ScratchError::Write { path: root.to_owned(), source };
    let aside = kept.map(|kept| set_aside(root, kept, tree)).transpose().map_err(failed)?;
    clear_but(root, aside.as_deref()).map_err(failed)?;
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
            Kind::File(_) if kept == Some(name) => {
                let aside = aside.as_deref().unwrap_or(root);
                fs::rename(aside, &path).map_err(failed)?;
            }
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
    // Inner folders first, because a folder without write permission can no longer be filled.
    for (path, mode) in folders.into_iter().rev() {
        let failed = |source| ScratchError::Write { path: path.clone(), source };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(())
}

/// Removes everything in `root`, whatever its permissions and however deeply nested. Folders in a folder are moved up before
/// it is removed, so that no path becomes too long.
///
/// # Errors
/// When the folder itself cannot be read or changed.
pub(super) fn clear(root: &Path) -> io::Result<()> {
    clear_but(root, None)
}

/// Moves the file to a name in `root` itself that is not used otherwise.
fn set_aside(root: &Path, file: &Path, tree: &Tree) -> io::Result<PathBuf> {
    let names = (0_u64..).map(|number| PathBuf::from(format!(".kept-{number}")));
    let is_free = |name: &PathBuf| !tree.contains_key(name) && fs::symlink_metadata(root.join(name)).is_err();
    let aside = root.join(names.into_iter().find(is_free).unwrap_or_default());
    let _ = fs::set_permissions(root, Permissions::from_mode(0o700));
    fs::rename(root.join(file), &aside)?;
    Ok(aside)
}

fn clear_but(root: &Path, kept: Option<&Path>) -> io::Result<()> {
    let is_folder = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.is_dir());
    let _ = fs::set_permissions(root, Permissions::from_mode(0o700));
    let mut folders = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if kept == Some(&path) {
            continue;
        }
        if is_folder(&path)? {
            folders.push(path);
        } else {
            fs::remove_file(&path)?;
        }
    }
    let mut moved = 0_u64;
    while let Some(folder) = folders.pop() {
        let _ = fs::set_permissions(&folder, Permissions::from_mode(0o700));
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if !is_folder(&path)? {
                fs::remove_file(&path)?;
                continue;
            }
            let free = loop {
                moved += 1;
                let free = root.join(format!(".removed-{moved}"));
                if fs::symlink_metadata(&free).is_err() {
                    break free;
                }
            };
            // Moving a folder requires permission to write to it.
            let _ = fs::set_permissions(&path, Permissions::from_mode(0o700));
            fs::rename(&path, &free)?;
            folders.push(free);
        }
        fs::remove_dir(&folder)?;
    }
    Ok(())
}

/// Removes everything in `folder` except `kept`.
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
