//! A process between a test and its browser: when the test ends, in whatever way, so does the browser.
//!
//! Chromium starts processes in sessions and groups of their own, and its driver leaves them behind when it is killed.
//! So the driver is started by a keeper, which is a subreaper: every process below it stays below it. It holds the read
//! end of a pipe, whose write end only the test has. When the test closes it, panics, or is killed, the keeper kills
//! everything below it.

use crate::common::until;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use proclab::sys::procfs::tree;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Set in the environment of a keeper.
const KEEPER: &str = "PROCLAB_TEST_KEEPER";

/// A program and all of its descendants, which end with this value and with this process.
pub(super) struct Kept {
    keeper: Child,
    /// Temporary files of the program, which are removed after its end.
    pub(super) folder: PathBuf,
}

impl Kept {
    /// Starts the program, with its output. Its temporary files are in a folder of its own.
    pub(super) fn start(program: &[&str]) -> (Kept, ChildStdout) {
        let folder = std::env::temp_dir().join(format!("proclab-kept-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&folder).unwrap();
        let mut keeper = Command::new(std::env::current_exe().unwrap());
        keeper.args(program).env(KEEPER, &folder).env("TMPDIR", &folder);
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Ctrl-C at the terminal ends the test; the keeper has work to do then.
        let mut keeper = std::os::unix::process::CommandExt::process_group(&mut keeper, 0).spawn().unwrap();
        let output = keeper.stdout.take().unwrap();
        (Kept { keeper, folder }, output)
    }

    /// Ends all of it, and waits for that.
    pub(super) fn end(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }

    /// The keeper and everything below it.
    pub(super) fn processes(&self) -> Vec<proclab::Pid> {
        tree::with_descendants(crate::common::id_of(&self.keeper))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether this process is a keeper.
pub(crate) fn is_keeper() -> bool {
    std::env::var_os(KEEPER).is_some()
}

/// The main function of a keeper, whose arguments are the program.
pub(crate) fn keep() {
    let mut words = std::env::args_os().skip(1);
    let Some((program, folder)) = words.next().zip(std::env::var_os(KEEPER)) else { return };
    proclab::sys::task::set_subreaper(true).unwrap();
    let started = Command::new(program).args(words).env_remove(KEEPER).stdin(Stdio::null()).spawn();
    if started.is_ok() {
        // Nothing is written: it is the end that counts.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    }
    let own = proclab::Pid::this();
    // One that is being started is found by a later turn.
    until("everything below has ended", || {
        for process in tree::with_descendants(own).into_iter().filter(|one| *one != own) {
            let _ = kill(Pid::from_raw(process.as_raw()), Signal::SIGKILL);
        }
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_some()) {}
        waitpid(None, Some(WaitPidFlag::WNOHANG)) == Err(nix::errno::Errno::ECHILD)
    });
    remove(Path::new(&folder));
}

/// Removes the folder; files that appear meanwhile are removed in a later turn.
fn remove(folder: &Path) {
    for _ in 0..100 {
        if std::fs::remove_dir_all(folder).is_ok() || !folder.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
