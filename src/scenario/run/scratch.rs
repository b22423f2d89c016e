//! A directory of its own for a run, which is gone afterwards, however the run ends.

use crate::process::{Child, Family, Handle, Process, StartError, parent};
use crate::sys::signal::Interrupt;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Memory that has the look of a directory; where it is missing, the usual place for such things.
const MEMORY: &str = "/dev/shm";

/// A directory that is removed with its owner. If the owner is killed, a process that has nothing else
/// to do removes it: the janitor, who is told of the directory before it is made.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    janitor: Child<()>,
}

/// There is no directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScratchError {
    /// It cannot be made.
    #[error("no directory can be made for the run")]
    Make(#[from] io::Error),
    /// Nobody would remove it after a kill.
    #[error("the process that removes the run's directory cannot be started")]
    Janitor(#[from] StartError),
}

impl Scratch {
    /// A new directory that only this user can enter.
    ///
    /// # Errors
    /// [`ScratchError`].
    pub fn new() -> Result<Self, ScratchError> {
        Self::new_in(Path::new(MEMORY)).or_else(|_| Self::new_in(&std::env::temp_dir()))
    }

    fn new_in(base: &Path) -> Result<Self, ScratchError> {
        let path = base.join(format!("proclab-{:016x}", rand::random::<u64>()));
        // Not a daemon, and owned by no supervisor: it outlives its parent by a moment, and every other child.
        let janitor =
            Process::new(sweep).args(path.clone()).name("janitor").daemon(false).die_with_parent(false);
        let interrupt = Interrupt::installed().map(|interrupt| interrupt.as_fd().try_clone_to_owned());
        // A family for its start only, which Ctrl-C can break off.
        let family = Arc::new(Family::new(interrupt.transpose()?)?);
        let janitor = janitor.launch(Some(&family))?;
        let scratch = Scratch { path, janitor };
        fs::DirBuilder::new().mode(0o700).create(&scratch.path)?;
        Ok(scratch)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who removes it if we cannot.
    pub fn janitor(&self) -> &Handle {
        self.janitor.handle()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.path);
        // Only now: until here a kill of this process would have left the directory to the janitor.
        let _ = self.janitor.kill();
        let _ = self.janitor.join();
    }
}

/// Waits for the parent's end, then removes what it has left.
fn sweep(path: PathBuf) {
    let Some(parent) = parent() else { return };
    while !parent.wait_timeout(Duration::from_secs(3600)) {}
    remove(&path);
}

/// Removes the directory. Children of the run may die a moment later than we begin, and make a file while
/// it is emptied, so it is tried again; once it is gone, nothing can be made in it.
fn remove(path: &Path) {
    const TRIES: u32 = 200;
    for _ in 0..TRIES {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(Duration::from_millis(5));
            }
            _ => return,
        }
    }
}
