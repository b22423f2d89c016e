//! A directory of its own for a run, which is gone afterwards, however the run ends.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Child, Process, StartError, parent};
use crate::supervisor::Supervisor;

/// Memory that has the look of a directory; where it is missing, the usual place for such things.
const MEMORY: &str = "/dev/shm";

/// A directory that is removed with its owner. If the owner is killed, a process that has nothing
/// else to do removes it.
#[derive(Debug)]
pub struct Scratch {
    dir: Option<TempDir>,
    janitor: Child<()>,
}

/// There is no directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScratchError {
    /// It cannot be made.
    #[error("no directory can be made for the run: set TMPDIR to one that can be written to")]
    Make(#[from] io::Error),
    /// Nobody would remove it after a kill.
    #[error("the process that removes the run's directory cannot be started")]
    Janitor(#[from] StartError),
}

impl Scratch {
    /// A new directory.
    ///
    /// # Errors
    /// [`ScratchError`].
    pub fn new(supervisor: &Supervisor) -> Result<Self, ScratchError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("proclab-");
        let dir = builder.tempdir_in(MEMORY).or_else(|_| builder.tempdir())?;
        // No daemon: it must outlive its parent by a moment.
        let janitor = Process::new(sweep).args(dir.path().to_owned()).name("janitor").daemon(false);
        Ok(Self { janitor: supervisor.start(janitor)?, dir: Some(dir) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.dir.take());
        let _ = self.janitor.kill();
        let _ = self.janitor.join();
    }
}

/// Waits for the parent's end, then removes what it has left. The parent's children die with it, but
/// perhaps a moment later, so a file may appear while the directory is emptied.
fn sweep(dir: PathBuf) {
    const TRIES: u32 = 100;
    let Some(parent) = parent() else { return };
    while !parent.ended_within(Duration::from_secs(3600)) {}
    for _ in 0..TRIES {
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                std::thread::sleep(Duration::from_millis(10));
            }
            _ => return,
        }
    }
}
