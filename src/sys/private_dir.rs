//! Directories that a process creates for itself: under a new name, accessible to its user only, locked while in use
//! (`flock(2)`), and removed with their contents, without following symbolic links.
//!
//! The lock distinguishes a directory in use from one that was left behind: the kernel releases it with the last
//! descriptor of its holder, however that ends.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, fchmodat, fstat, fstatat, mkdirat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use super::poll::Deadline;

/// The mode of a private directory: only its user may enter and change it.
const PRIVATE: u32 = 0o700;
/// The number of names that are read at a time, so that a directory of any size uses little memory.
const NAMES: usize = 1024;
/// The interval between attempts while another process is changing a directory.
const RETRY_INTERVAL: Duration = Duration::from_millis(2);

/// A directory in which private directories are created.
#[derive(Debug)]
pub struct Base {
    fd: OwnedFd,
    about: FileStat,
}

/// A private directory whose lock this process holds.
#[derive(Debug)]
pub struct PrivateDir {
    file: File,
    name: OsString,
}

impl Base {
    /// Opens a directory, which this process must be able to search but not to read.
    ///
    /// # Errors
    /// When it does not exist or is not a directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = openat(AT_FDCWD, path, flags, Mode::empty())?;
        let about = fstat(&fd)?;
        Ok(Self { fd, about })
    }

    /// The number of bytes that an unprivileged process can still write to its file system.
    ///
    /// # Errors
    /// `ENOSYS` if the file system does not support the query.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let about = fstatvfs(&self.fd)?;
        Ok(about.blocks_available().saturating_mul(about.fragment_size()))
    }

    /// Creates the directory `name`, which must not exist, with mode 0700 regardless of the umask, and locks it. If
    /// this fails, nothing is left behind.
    ///
    /// # Errors
    /// `AlreadyExists`; otherwise as `mkdir(2)`, `open(2)` and `flock(2)`.
    pub fn create(&self, name: &str) -> io::Result<PrivateDir> {
        let deadline = Deadline::after(Duration::from_secs(1));
        loop {
            mkdirat(&self.fd, name, Mode::from_bits_truncate(PRIVATE))?;
            match self.hold(name.as_ref()) {
                // Until it is locked, it looks like a directory that was left behind, and another process may remove it.
                Ok(Some(made)) if self.still_has(&made) => {
                    // A directory that cannot be listed could not be emptied later.
                    let listed = list(made.as_fd(), 1, |_| true);
                    return listed.map(|_| made).inspect_err(|_| {
                        let _ = unlink(self.fd.as_fd(), name.as_ref(), UnlinkatFlags::RemoveDir);
                    });
                }
                Ok(_) if !deadline.is_over() => {}
                held => {
                    let _ = unlink(self.fd.as_fd(), name.as_ref(), UnlinkatFlags::RemoveDir);
                    return Err(held.err().unwrap_or_else(|| io::ErrorKind::WouldBlock.into()));
                }
            }
            while !deadline.is_over() && fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok() {
                std::thread::sleep(RETRY_INTERVAL);
            }
        }
    }

    /// Locks the directory `name` if its owner is gone; `None` if a process holds the lock.
    ///
    /// # Errors
    /// `PermissionDenied` if it belongs to another user or is not private; otherwise as `open(2)` and `flock(2)`.
    pub fn claim(&self, name: &OsStr) -> io::Result<Option<PrivateDir>> {
        let about = fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if about.st_mode & 0o077 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the directory is accessible to other users",
            ));
        }
        self.hold(name)
    }

    /// Opens and locks the directory `name`; `None` if a process holds the lock.
    fn hold(&self, name: &OsStr) -> io::Result<Option<PrivateDir>> {
        let held = open_unfollowed(self.fd.as_fd(), name.as_bytes())?;
        let about = fstat(&held)?;
        if about.st_uid != geteuid().as_raw() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the directory belongs to another user",
            ));
        }
        if about.st_mode & 0o777 != PRIVATE {
            set_mode(held.as_fd(), PRIVATE)?;
        }
        let file = File::from(open_to_list(held.as_fd())?);
        match file.try_lock() {
            Ok(()) => Ok(Some(PrivateDir { file, name: name.to_owned() })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether the directory still has its name.
    fn still_has(&self, dir: &PrivateDir) -> bool {
        let there = fstatat(&self.fd, dir.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
        let held = fstat(&dir.file);
        matches!((there, held), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
    }

    /// Removes the directory and its contents. Processes that are about to end may still add to it, so this retries
    /// for up to `timeout`.
    ///
    /// # Errors
    /// The error of the last attempt.
    pub fn remove(&self, dir: &PrivateDir, timeout: Duration) -> io::Result<()> {
        let deadline = Deadline::after(timeout);
        loop {
            let emptied = empty(dir.file.as_fd());
            let removed = emptied.and_then(|()| {
                unlink(self.fd.as_fd(), &dir.name, UnlinkatFlags::RemoveDir).map_err(io::Error::from)
            });
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(_) if !deadline.is_over() => std::thread::sleep(RETRY_INTERVAL),
                removed => return removed,
            }
        }
    }

    /// The names that begin with `prefix` among the first `most` entries. None if other users may rename entries that
    /// are not theirs, because the names cannot be trusted then.
    pub fn names(&self, prefix: &str, most: usize) -> Vec<OsString> {
        const STICKY: u32 = 0o1000;
        if self.about.st_mode & 0o022 != 0 && self.about.st_mode & STICKY == 0 {
            return Vec::new();
        }
        let names = list(self.fd.as_fd(), most, |name| name.to_bytes().starts_with(prefix.as_bytes()));
        names.unwrap_or_default().into_iter().map(|name| OsString::from_vec(name.into_bytes())).collect()
    }
}

impl AsFd for PrivateDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Opens a directory with `O_PATH`, which needs no permission on it, without following a symbolic link.
fn open_unfollowed(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(parent, OsStr::from_bytes(name), flags, Mode::empty())?)
}

fn open_to_list(held: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(openat(held, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// Changes the mode of an open directory through `/proc`, because `fchmod(2)` refuses descriptors opened with
/// `O_PATH`.
fn set_mode(held: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    let name = format!("/proc/self/fd/{}", held.as_raw_fd());
    let mode = Mode::from_bits_truncate(mode);
    Ok(fchmodat(AT_FDCWD, name.as_str(), mode, FchmodatFlags::FollowSymlink)?)
}

/// The wanted names among the first `most` entries of a directory.
fn list(dir: BorrowedFd<'_>, most: usize, wanted: impl Fn(&CStr) -> bool) -> io::Result<Vec<CString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut names = Vec::new();
    for entry in Dir::openat(dir, ".", flags, Mode::empty())?.into_iter().take(most.saturating_add(2)) {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") && wanted(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Removes everything in `root`. A tree of any depth needs no recursion and no more than two descriptors, because
/// the subdirectories of a directory that is not empty are moved up to `root`.
fn empty(root: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        let names = list(root, NAMES, |_| true)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            while !unlinked(root, &name)? {
                let inner = open_writable(root, &name)?;
                for entry in list(inner.as_fd(), NAMES, |_| true)? {
                    if !unlinked(inner.as_fd(), &entry)? {
                        // A directory must be writable itself to be moved to another parent.
                        open_writable(inner.as_fd(), &entry)?;
                        let aside = format!("{:032x}", rand::random::<u128>());
                        renameat(&inner, entry.as_c_str(), root, aside.as_str())?;
                    }
                }
            }
        }
    }
}

/// `unlinkat(2)`, or the older calls if a sandbox refuses it.
fn unlink(dir: BorrowedFd<'_>, name: &OsStr, what: UnlinkatFlags) -> nix::Result<()> {
    match unlinkat(dir, name, what) {
        Err(errno @ (Errno::EPERM | Errno::ENOSYS)) => {
            let path = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name);
            let removed = match what {
                UnlinkatFlags::RemoveDir => std::fs::remove_dir(path),
                UnlinkatFlags::NoRemoveDir => std::fs::remove_file(path),
            };
            removed.map_err(|error| error.raw_os_error().map_or(errno, Errno::from_raw))
        }
        done => done,
    }
}

/// Removes a file or an empty directory; false for a directory that is not empty.
fn unlinked(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    let name = OsStr::from_bytes(name.to_bytes());
    match unlink(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(true),
        // The error for a directory depends on the file system.
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    match unlink(dir, name, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Opens a directory of the tree, and gives its owner permission to empty it.
fn open_writable(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let held = open_unfollowed(parent, name.to_bytes())?;
    let mode = fstat(&held)?.st_mode & 0o7777;
    if mode & PRIVATE != PRIVATE {
        set_mode(held.as_fd(), mode | PRIVATE)?;
    }
    open_to_list(held.as_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    const NO_WAIT: Duration = Duration::ZERO;

    /// Creates a base directory for one test.
    fn base(name: &str) -> (Base, PathBuf) {
        let path = std::env::temp_dir().join(format!("proclab-base-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        (Base::open(&path).unwrap(), path)
    }

    #[test]
    fn only_a_directory_that_is_not_in_use_can_be_claimed() {
        let (base, path) = base("claim");
        let dir = base.create("one").unwrap();
        assert_eq!(fs::metadata(path.join("one")).unwrap().permissions().mode() & 0o777, PRIVATE);
        assert_eq!(base.create("one").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(base.claim("one".as_ref()).unwrap().is_none());
        drop(dir);
        let left = base.claim("one".as_ref()).unwrap().unwrap();
        base.remove(&left, NO_WAIT).unwrap();
        fs::remove_dir(path).unwrap();
    }

    #[test]
    fn a_directory_that_others_may_have_created_is_not_claimed() {
        let (base, path) = base("others");
        fs::create_dir(path.join("open")).unwrap();
        fs::set_permissions(path.join("open"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(path.join("victim")).unwrap();
        symlink("victim", path.join("link")).unwrap();
        for name in ["open", "link"] {
            assert!(base.claim(name.as_ref()).is_err(), "{name}");
        }
        assert_eq!(base.names("o", 10), ["open"]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(Base::open(&path).unwrap().names("o", 10), [""; 0]);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_deep_tree_without_permissions_is_removed_without_following_links() {
        let (base, path) = base("deep");
        let dir = base.create("one").unwrap();
        fs::write(path.join("kept"), "bytes").unwrap();
        let mut inner = path.join("one");
        let mut folders = Vec::new();
        for depth in 0..150 {
            symlink(path.join("kept"), inner.join("link")).unwrap();
            symlink(&path, inner.join("out")).unwrap();
            fs::write(inner.join("file"), "bytes").unwrap();
            inner = inner.join(format!("level {depth}"));
            fs::create_dir(&inner).unwrap();
            folders.push(inner.clone());
        }
        for folder in folders.iter().rev() {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o0)).unwrap();
        }
        base.remove(&dir, NO_WAIT).unwrap();
        let left: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["kept"]);
        fs::remove_dir_all(path).unwrap();
    }
}
