//! The locks of the cabinet, made of files, descriptors and memory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, TryLockError as TryMutexError};
use std::time::Duration;

use crate::scenario::tickets::cabinet::LockKind;
use crate::scenario::world::Lock;
use crate::shm::region::Region;
use crate::sync::file_lock::FileLock;
use crate::sync::robust_mutex;
use crate::sys::poll::Deadline;
use crate::sys::record_lock;

/// How often a waiter looks whether the lock file is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What the locks of one run share. Every process makes its locks from its own copy.
#[derive(Debug)]
pub struct Shared {
    /// The lock file.
    pub lock: PathBuf,
    /// The file with the stock.
    pub stock: PathBuf,
    /// What the parent has opened: the lock file for `inherited`, memory for `mutex`.
    pub opened: Option<Opened>,
    /// Which process this is.
    pub process: usize,
}

/// What the parent opens before the children share it.
#[derive(Debug)]
pub enum Opened {
    /// A descriptor of the lock file.
    File(File),
    /// The memory in which the lock lies.
    Memory(Region),
}

impl Shared {
    /// A lock of this kind, which nobody holds through it yet.
    ///
    /// # Errors
    /// When the parent has not opened what the lock needs.
    pub fn make(&self, kind: LockKind) -> io::Result<Box<dyn Lock + '_>> {
        let missing = || io::Error::other(format!("the parent has opened nothing for `{kind}`"));
        Ok(match (kind, &self.opened) {
            (LockKind::Posix, _) => Box::new(Posix::new(&self.lock, "lock")),
            (LockKind::PosixClosed, _) => Box::new(Posix::new(&self.stock, "stock")),
            (LockKind::ExclusiveFile, _) => Box::new(ExclusiveFile { path: self.lock.clone(), held: false }),
            (LockKind::UnlinkedFile, _) => Box::new(UnlinkedFile { path: self.lock.clone(), file: None }),
            (LockKind::Inherited, Some(Opened::File(file))) => {
                Box::new(Inherited { file: file.try_clone()?, held: false })
            }
            (LockKind::ThreadMutex, _) => {
                Box::new(ThreadMutex { resource: format!("mutex of {}", self.process), guard: None })
            }
            (LockKind::Mutex, Some(Opened::Memory(region))) => Box::new(Robust { region, held: None }),
            (LockKind::Inherited | LockKind::Mutex, _) => return Err(missing()),
            _ => Box::new(Flock { path: self.lock.clone(), held: None }),
        })
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn taken(result: Result<(), TryLockError>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The file lock; dropping what is open lets go.
struct Flock {
    path: PathBuf,
    held: Option<FileLock>,
}

impl Lock for Flock {
    fn acquire(&mut self) -> io::Result<()> {
        let lock = FileLock::open(&self.path).map_err(io::Error::other)?;
        lock.take().map_err(io::Error::other)?;
        self.held = Some(lock);
        Ok(())
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        let lock = FileLock::open(&self.path).map_err(io::Error::other)?;
        let taken = lock.try_take().map_err(io::Error::other)?;
        self.held = taken.then_some(lock);
        Ok(taken)
    }

    fn release(&mut self) -> io::Result<()> {
        if let Some(lock) = self.held.take() {
            lock.give_back();
        }
        Ok(())
    }
}

/// A record lock: on the lock file, or on the stock file itself.
struct Posix {
    path: PathBuf,
    resource: &'static str,
    file: Option<File>,
}

impl Posix {
    fn new(path: &Path, resource: &'static str) -> Self {
        Self { path: path.to_owned(), resource, file: None }
    }
}

impl Lock for Posix {
    fn resource(&self) -> &str {
        self.resource
    }

    fn acquire(&mut self) -> io::Result<()> {
        let file = open(&self.path)?;
        record_lock::lock(&file)?;
        self.file = Some(file);
        Ok(())
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        let file = open(&self.path)?;
        let taken = record_lock::try_lock(&file)?;
        self.file = taken.then_some(file);
        Ok(taken)
    }

    fn release(&mut self) -> io::Result<()> {
        self.file.take().map_or(Ok(()), |file| record_lock::unlock(&file))
    }
}

/// The file itself is the lock. It is removed by who holds it, also when its body unwinds, but not
/// when it is killed.
struct ExclusiveFile {
    path: PathBuf,
    held: bool,
}

impl Lock for ExclusiveFile {
    fn acquire(&mut self) -> io::Result<()> {
        while !self.try_acquire()? {
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        match OpenOptions::new().write(true).create_new(true).open(&self.path) {
            Ok(_) => self.held = true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(self.held)
    }

    fn release(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.held) { fs::remove_file(&self.path) } else { Ok(()) }
    }
}

impl Drop for ExclusiveFile {
    fn drop(&mut self) {
        let _ = self.release();
    }
}

/// Everybody locks a file that it has just made.
struct UnlinkedFile {
    path: PathBuf,
    file: Option<File>,
}

impl UnlinkedFile {
    fn make_anew(&self) -> io::Result<File> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => open(&self.path),
        }
    }
}

impl Lock for UnlinkedFile {
    fn acquire(&mut self) -> io::Result<()> {
        let file = self.make_anew()?;
        file.lock()?;
        self.file = Some(file);
        Ok(())
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        let file = self.make_anew()?;
        let taken = taken(file.try_lock())?;
        self.file = taken.then_some(file);
        Ok(taken)
    }

    fn release(&mut self) -> io::Result<()> {
        self.file.take().map_or(Ok(()), |file| file.unlock())
    }
}

/// A duplicate of the parent's descriptor: all duplicates are one open file description.
struct Inherited {
    file: File,
    held: bool,
}

impl Lock for Inherited {
    fn acquire(&mut self) -> io::Result<()> {
        self.held = true;
        self.file.lock()
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        self.held = taken(self.file.try_lock())?;
        Ok(self.held)
    }

    fn release(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.held) { self.file.unlock() } else { Ok(()) }
    }
}

impl Drop for Inherited {
    fn drop(&mut self) {
        let _ = self.release();
    }
}

/// The one that every process has for itself.
static OWN: Mutex<()> = Mutex::new(());

struct ThreadMutex {
    resource: String,
    guard: Option<MutexGuard<'static, ()>>,
}

impl Lock for ThreadMutex {
    fn resource(&self) -> &str {
        &self.resource
    }

    fn acquire(&mut self) -> io::Result<()> {
        self.guard = Some(OWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        Ok(())
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        self.guard = match OWN.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryMutexError::Poisoned(guard)) => Some(guard.into_inner()),
            Err(TryMutexError::WouldBlock) => None,
        };
        Ok(self.guard.is_some())
    }

    fn release(&mut self) -> io::Result<()> {
        self.guard = None;
        Ok(())
    }
}

/// A word in memory that the kernel watches.
struct Robust<'a> {
    region: &'a Region,
    held: Option<robust_mutex::Held<'a>>,
}

impl Robust<'_> {
    fn take(&mut self, deadline: Deadline) -> io::Result<bool> {
        match robust_mutex::lock(self.region.words32(0), deadline) {
            Ok(locked) => self.held = Some(locked.held),
            Err(robust_mutex::LockError::TimedOut) => {}
            Err(robust_mutex::LockError::Unwatched(error)) => return Err(error),
        }
        Ok(self.held.is_some())
    }
}

impl Lock for Robust<'_> {
    fn acquire(&mut self) -> io::Result<()> {
        self.take(Deadline::NEVER).map(drop)
    }

    fn try_acquire(&mut self) -> io::Result<bool> {
        self.take(Deadline::after(Duration::ZERO))
    }

    fn release(&mut self) -> io::Result<()> {
        self.held = None;
        Ok(())
    }
}
