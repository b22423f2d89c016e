//! Files without a name (`O_TMPFILE` in `open(2)`), and giving them a name atomically (`linkat(2)`).
//!
//! Every name is relative to a folder that is held open, so moving or replacing the folder meanwhile cannot redirect
//! a file.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{LinkatFlags, UnlinkatFlags, geteuid, linkat, unlinkat};

/// Opens a regular file for reading. Any other type of file is refused without blocking: a pipe without a writer
/// would block `open(2)` forever.
///
/// # Errors
/// `IsADirectory` for a directory, `InvalidInput` for any other type of file; otherwise as `open(2)`.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// Opens a file of any type for reading. Neither this nor a later read blocks, so that a reader can wait with `ppoll(2)`,
/// which other descriptors can interrupt. A pipe is not readable until it has had a writer.
///
/// # Errors
/// As `open(2)`.
pub fn open_to_read_at_once(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// The error number of [`open_to_write_at_once`] for a pipe without a reader.
pub const ENXIO: i32 = nix::libc::ENXIO;

/// Opens an existing file for writing. Neither this nor a later write blocks.
///
/// # Errors
/// As `open(2)`; [`ENXIO`] for a pipe without a reader.
pub fn open_to_write_at_once(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
}

impl Folder {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// When it does not exist, is not a folder, or may not be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        Ok(Self { fd: open(path, flags, Mode::empty())? })
    }

    /// Whether this folder has an entry `name`, including dangling symbolic links.
    ///
    /// # Errors
    /// When the folder cannot be searched.
    pub fn contains(&self, name: impl AsRef<OsStr>) -> io::Result<bool> {
        match fstatat(&self.fd, name.as_ref(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Creates a file in this folder that has no name, and disappears with its last descriptor, however the process
    /// ends. `None` if the file system does not support that.
    ///
    /// # Errors
    /// When the folder is not writable or the file system is full.
    pub fn nameless(&self) -> io::Result<Option<File>> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        match openat(&self.fd, ".", flags, Mode::from_bits_truncate(0o666)) {
            Ok(fd) => Ok(Some(File::from(fd))),
            // EISDIR is the error of a kernel that does not know the flag.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Creates the file `name`, for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, even by a symbolic link; otherwise as `open(2)`.
    pub fn create(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        self.open_file(name, OFlag::O_CREAT | OFlag::O_EXCL)
    }

    /// Opens the regular file `name` for reading and writing, without following a symbolic link.
    ///
    /// # Errors
    /// When it does not exist, is not a regular file, or is not writable.
    pub fn open_existing(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        self.open_file(name, OFlag::empty())
    }

    /// Opens `name` for reading and writing, without following a symbolic link, and creates it if it does not exist. In a
    /// folder to which others can write, the file may belong to another user or be a hard link to a file elsewhere;
    /// both are refused.
    ///
    /// # Errors
    /// When it is not a regular file of this user with a single link, or is not writable.
    pub fn open_or_create(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let file = self.open_file(name, OFlag::O_CREAT)?;
        let about = file.metadata()?;
        if about.uid() != geteuid().as_raw() || about.nlink() > 1 {
            let why = "a file of that name belongs to another user or has other hard links";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(file)
    }

    fn open_file(&self, name: impl AsRef<OsStr>, how: OFlag) -> io::Result<File> {
        let flags = how | OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.fd, name.as_ref(), flags, Mode::from_bits_truncate(0o666))?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(file)
    }

    /// Gives a file without a name the name `name`, atomically, and never replaces an existing file.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken.
    pub fn publish(&self, file: &File, name: impl AsRef<OsStr>) -> io::Result<()> {
        let through_proc = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(linkat(AT_FDCWD, through_proc.as_str(), &self.fd, name.as_ref(), LinkatFlags::AT_SYMLINK_FOLLOW)?)
    }

    /// Creates the hard link `to` to the file `from`, and never replaces an existing file.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken.
    pub fn link(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(linkat(&self.fd, from.as_ref(), &self.fd, to.as_ref(), LinkatFlags::empty())?)
    }

    /// Renames `from` to `to`, replacing an existing file.
    ///
    /// # Errors
    /// When `from` does not exist or the folder is not writable.
    pub fn rename(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(renameat(&self.fd, from.as_ref(), &self.fd, to.as_ref())?)
    }

    /// Removes the file `name`.
    ///
    /// # Errors
    /// When it does not exist or the folder is not writable.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name.as_ref(), UnlinkatFlags::NoRemoveDir)?)
    }
}
