//! `Spawn`: a fresh copy of the executable.

use super::Birth;
use super::lasting::on_lasting_thread;
use crate::process::entry::MARK;
use crate::sys::pidfd;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Runs this executable again as `name`, with `socket` as its standard input.
///
/// The standard library makes the child with `posix_spawn`, which copies no page tables. All that a
/// child must do for itself (its group is set here) it does in `child_entry`, so nothing of ours runs
/// between fork and exec.
pub(crate) fn spawn(name: &str, socket: OwnedFd) -> io::Result<Birth> {
    let name = label(name);
    on_lasting_thread(move || {
        let mut command = Command::new("/proc/self/exe");
        command.arg0(std::env::args_os().next().unwrap_or_else(|| OsString::from("proclab")));
        let child = command.arg(MARK).arg(&name).stdin(Stdio::from(socket)).process_group(0).spawn()?;
        let pid = child.id().cast_signed();
        // The child cannot have been reaped: nobody but us knows of it. If the kernel reaps by itself
        // (SIGCHLD ignored), the child waits for its first message, which comes after this.
        Ok(Birth { pid, pidfd: pidfd::open(pid)? })
    })
}

/// The name as an argument, for whoever looks at the command line: no NUL byte, and not over long. The
/// name itself travels in the child's identity.
fn label(name: &str) -> String {
    name.chars().filter(|c| *c != '\0').take(64).collect()
}
