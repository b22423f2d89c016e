//! Files without a name (`O_TMPFILE` in `open(2)`) and the one step that gives them one (`linkat(2)`).
//!
//! Every name is taken relative to a folder that was opened once, so a folder that is moved or
//! replaced meanwhile cannot redirect a file.

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

/// Opens a regular file to read it. Any other kind of file is refused without waiting: a pipe
/// without a writer would block `open(2)` forever.
///
/// # Errors
/// `InvalidInput` for anything but a regular file; else as `open(2)`.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

/// Opens a file of any kind to read it; neither this nor a later read blocks, so a reader waits with `ppoll(2)`, where
/// something else can end the wait. Until a pipe has had a writer it is not readable.
///
/// # Errors
/// As `open(2)`.
pub fn open_to_read_at_once(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// The error of [`open_to_write_at_once`] for a pipe without a reader.
pub const ENXIO: i32 = nix::libc::ENXIO;

/// Opens an existing file for writing; neither this nor a later write blocks.
///
/// # Errors
/// As `open(2)`; [`ENXIO`] for a pipe without a reader.
pub fn open_to_write_at_once(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// A folder, held open.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
}

impl Folder {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// When it does not exist, is not a folder, or may not be entered.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        Ok(Self { fd: open(path, flags, Mode::empty())? })
    }

    /// Whether this folder has an entry `name`, dangling symbolic links included.
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

    /// A new file in this folder that has no name: it is gone when its last descriptor is, however
    /// the process ends. `None` where the file system cannot do that.
    ///
    /// # Errors
    /// When the folder may not be written, or the file system is full.
    pub fn nameless(&self) -> io::Result<Option<File>> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        match openat(&self.fd, ".", flags, Mode::from_bits_truncate(0o666)) {
            Ok(fd) => Ok(Some(File::from(fd))),
            // EISDIR is what a kernel says that does not know the flag.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// A new file called `name`, for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, also by a symbolic link; else as `open(2)`.
    pub fn create(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        self.open_file(name, OFlag::O_CREAT | OFlag::O_EXCL)
    }

    /// Opens the regular file `name` for reading and writing; never through a symbolic link.
    ///
    /// # Errors
    /// When there is none, or it cannot be written.
    pub fn open_existing(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        self.open_file(name, OFlag::empty())
    }

    /// Opens `name` for reading and writing, and creates it if it does not exist; never through a symbolic
    /// link. In a folder that others can write to, the file may be another user's, or a further name of a
    /// file elsewhere: both are refused.
    ///
    /// # Errors
    /// When it is not a regular file of this user with one name, or cannot be written.
    pub fn open_or_create(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let file = self.open_file(name, OFlag::O_CREAT)?;
        let about = file.metadata()?;
        if about.uid() != geteuid().as_raw() || about.nlink() > 1 {
            let why = "a file of that name is another user's, or has further names";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(file)
    }

    fn open_file(&self, name: impl AsRef<OsStr>, how: OFlag) -> io::Result<File> {
        let flags = how | OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.fd, name.as_ref(), flags, Mode::from_bits_truncate(0o666))?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        Ok(file)
    }

    /// Gives a nameless file the name `name`, in one step, never over what has that name.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken.
    pub fn publish(&self, file: &File, name: impl AsRef<OsStr>) -> io::Result<()> {
        let through_proc = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(linkat(AT_FDCWD, through_proc.as_str(), &self.fd, name.as_ref(), LinkatFlags::AT_SYMLINK_FOLLOW)?)
    }

    /// Gives the file at `from` the further name `to`, never over what has that name.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken.
    pub fn link(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(linkat(&self.fd, from.as_ref(), &self.fd, to.as_ref(), LinkatFlags::empty())?)
    }

    /// Renames `from` to `to`, over what had that name.
    ///
    /// # Errors
    /// When `from` is not there or the folder may not be written.
    pub fn rename(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(renameat(&self.fd, from.as_ref(), &self.fd, to.as_ref())?)
    }

    /// Removes the name `name`.
    ///
    /// # Errors
    /// When it does not exist, or the folder may not be written.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name.as_ref(), UnlinkatFlags::NoRemoveDir)?)
    }
}
