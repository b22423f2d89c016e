//! A temporary folder that is removed when its owner ends, in whatever way.
//!
//! Its owner removes it. If the owner is killed, the *janitor* does, a process that exists only for this. If the
//! janitor is killed too, the next owner removes it: the lock on a folder shows whether it is in use.

use super::unforked::Unforked;
use super::{Child, Family, Process, StartError, parent};
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable};
use crate::sys::private_dir::{Base, PrivateDir};
use crate::sys::signal::Interrupt;
use crate::wire::handle::Fd;
use std::ffi::OsString;
use std::io::{self, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A file system in memory; where it is missing or full, the usual place for temporary files is used.
const MEMORY: &str = "/dev/shm";
/// The common prefix of the names of these folders. All names have the same length, so paths into them do, too.
const PREFIX: &str = "proclab-run-";
/// The space that a command is likely to need.
const ROOM: u64 = 32 << 20;
/// The number of directory entries that are searched for folders that were left behind.
const ENTRIES: usize = 100_000;
/// How long children of the run, which are being killed, may still add files to a folder.
const SETTLE: Duration = Duration::from_secs(1);
/// The same for the janitor, for which no process waits.
const SETTLE_ALONE: Duration = Duration::from_secs(60);

/// A folder that is removed with its owner, with mode 0700 and a name that cannot be predicted.
///
/// # Guarantees under kill
/// If the owner is killed, a process of its own removes the folder. If that is killed as well, the next
/// `Scratch` of the same user does.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    base: PathBuf,
    dir: Unforked<PrivateDir>,
    janitor: Child<()>,
    /// Closed when the janitor has nothing left to do.
    alive: Option<Unforked<PipeWriter>>,
    /// The process that created it: a forked copy of this value removes nothing.
    owner: Pid,
}

/// A folder could not be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScratchError {
    /// The directory could not be created.
    #[error("no folder for the run can be made in {}", base.display())]
    Make {
        /// Where it should be.
        base: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// No process would remove it after a kill.
    #[error("the process that removes the run's folder cannot be started")]
    Janitor(#[from] StartError),
    /// The system refused what the janitor needs.
    #[error("the process that removes the run's folder cannot be set up")]
    Os(#[from] io::Error),
}

impl Scratch {
    /// Creates a folder: in memory if there is enough space, otherwise in the folder for temporary files.
    ///
    /// ```no_run
    /// let scratch = proclab::Scratch::new()?;
    /// std::fs::write(scratch.path().join("notes"), "temporary")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ScratchError`]; nothing is left then.
    pub fn new() -> Result<Self, ScratchError> {
        let places = places();
        for (_, base) in &places {
            sweep(base);
        }
        let name = format!("{PREFIX}{:016x}", rand::random::<u64>());
        let (alive, janitor) = hire(places.iter().map(|(path, _)| path.clone()).collect(), &name)?;
        // The janitor learns of the folder before it is created, so a kill at any moment leaves none.
        let (made, base) = match make(places, &name) {
            Ok(made) => made,
            Err(error) => {
                dismiss(alive, &janitor);
                return Err(error);
            }
        };
        Ok(Scratch {
            path: base.join(name),
            base,
            dir: Unforked::new(made),
            janitor,
            alive: Some(alive),
            owner: Pid::this(),
        })
    }

    /// Its path.
    ///
    /// ```no_run
    /// let scratch = proclab::Scratch::new()?;
    /// assert!(scratch.path().is_dir());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The process that removes it if this one is killed.
    ///
    /// ```no_run
    /// let scratch = proclab::Scratch::new()?;
    /// assert!(scratch.janitor().is_alive());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn janitor(&self) -> &super::Handle {
        self.janitor.handle()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.owner != Pid::this() {
            return;
        }
        if let Ok(base) = Base::open(&self.base) {
            let _ = base.remove(&self.dir, SETTLE);
        }
        // Only now, so that until here the janitor would have removed the folder of a killed process.
        if let Some(alive) = self.alive.take() {
            dismiss(alive, &self.janitor);
        }
    }
}

/// Ends the janitor, by closing the pipe on which it waits and by a signal, because it may be stopped. If a sandbox
/// refuses the signal, a stopped janitor ends when it is continued.
fn dismiss(alive: Unforked<PipeWriter>, janitor: &Child<()>) {
    drop(alive);
    let _ = janitor.kill();
    let _ = janitor.join_timeout(SETTLE);
}

/// Where folders can be created, the best place first.
fn places() -> Vec<(PathBuf, Base)> {
    let temporary = std::path::absolute(std::env::temp_dir()).unwrap_or_else(|_| std::env::temp_dir());
    let open = |path: PathBuf| Base::open(&path).ok().map(|base| (path, base));
    let mut places: Vec<_> = [PathBuf::from(MEMORY), temporary].into_iter().filter_map(open).collect();
    // The first place with enough space; if there is none, the one with the most.
    places.sort_by_key(|(_, base)| std::cmp::Reverse(base.free_bytes().unwrap_or(0).min(ROOM)));
    places
}

fn make(places: Vec<(PathBuf, Base)>, name: &str) -> Result<(PrivateDir, PathBuf), ScratchError> {
    let mut failed = None;
    for (path, base) in places {
        match base.create(name) {
            Ok(dir) => return Ok((dir, path)),
            Err(source) => failed = Some(ScratchError::Make { base: path, source }),
        }
    }
    Err(failed.unwrap_or_else(|| ScratchError::Make {
        base: std::env::temp_dir(),
        source: io::ErrorKind::NotFound.into(),
    }))
}

/// Starts the janitor, and returns the end of the pipe that shows it that this process is alive.
fn hire(bases: Vec<PathBuf>, name: &str) -> Result<(Unforked<PipeWriter>, Child<()>), ScratchError> {
    let (ended, alive) = io::pipe()?;
    let alive = Unforked::new(alive);
    let bases: Vec<OsString> = bases.into_iter().map(PathBuf::into_os_string).collect();
    // Not a daemon, and owned by no supervisor: it outlives its parent and every other child briefly.
    let janitor = Process::new(wait_and_remove)
        .args((bases, name.to_owned(), Fd::from(OwnedFd::from(ended))))
        .name("janitor")
        .daemon(false)
        .die_with_parent(false);
    let interrupt = Interrupt::installed().map(|interrupt| interrupt.as_fd().try_clone_to_owned());
    // A family for its start only, which Ctrl-C can interrupt.
    let family = Arc::new(Family::new(interrupt.transpose()?)?);
    Ok((alive, janitor.launch(Some(&family))?))
}

/// The janitor: waits for the end of its parent, then removes what that has left.
fn wait_and_remove(bases: Vec<OsString>, name: String, ended: Fd) {
    let Some(parent) = parent() else { return };
    loop {
        match readable(&[parent.as_fd(), ended.as_fd()], Deadline::NEVER) {
            Ok(ready) if ready.contains(&true) => break,
            Ok(_) => {}
            // Where a sandbox refuses the wait, it is polled.
            Err(_) if Pid::parent() != parent.pid() => break,
            Err(_) => std::thread::sleep(SETTLE),
        }
    }
    let deadline = Deadline::after(SETTLE_ALONE);
    for base in bases.iter().filter_map(|base| Base::open(Path::new(base)).ok()) {
        while !deadline.is_over() {
            match base.claim(name.as_ref()) {
                // A child that is being started may hold a copy of the lock, or a sweep has it.
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Ok(Some(left)) => {
                    let _ = base.remove(&left, SETTLE_ALONE);
                    break;
                }
                Err(_) => break,
            }
        }
    }
}

/// Removes the folders that killed processes of this user have left.
fn sweep(base: &Base) {
    for name in base.names(PREFIX, ENTRIES) {
        if let Ok(Some(left)) = base.claim(&name) {
            let _ = base.remove(&left, Duration::ZERO);
        }
    }
}
