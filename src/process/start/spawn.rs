//! `Spawn`: a fresh copy of the executable.

use super::Birth;
use super::early::SERVE;
use super::lasting::on_lasting_thread;
use crate::process::entry::MARK;
use crate::sys::spawn::spawn_isolated;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// Runs this executable again as `name`, with `socket` as its standard input and this environment.
///
/// The C library makes the child with `posix_spawn`, which copies no page tables. All that a child must do for
/// itself it does in [`super::early`] and in `child_entry`, so nothing of ours runs between fork and exec.
pub(crate) fn spawn(
    name: &str,
    socket: OwnedFd,
    environment: Vec<(OsString, OsString)>,
    leads_session: bool,
) -> io::Result<Birth> {
    run_again(vec![label(name)], socket, environment, leads_session)
}

/// Runs this executable again as the fork server, which takes its orders from `socket`.
pub(super) fn spawn_server(socket: OwnedFd) -> io::Result<Birth> {
    run_again(vec![label("forkserver"), label(SERVE)], socket, std::env::vars_os().collect(), false)
}

fn run_again(
    more: Vec<CString>,
    socket: OwnedFd,
    environment: Vec<(OsString, OsString)>,
    leads_session: bool,
) -> io::Result<Birth> {
    let own_name = std::env::args_os().next().map_or_else(|| b"proclab".to_vec(), OsStringExt::into_vec);
    let mut argv = vec![CString::new(own_name)?, label(MARK)];
    argv.extend(more);
    on_lasting_thread(move || {
        let pid = spawn_isolated(c"/proc/self/exe", &argv, socket.as_fd(), environment, leads_session)?;
        // No other code knows the child, so it cannot have been reaped. If the kernel reaps by itself
        // (SIGCHLD ignored), the child waits for its first message, which comes after this.
        Birth::hold(pid)
    })
}

/// The name as an argument, for a reader of the command line: no NUL byte, and not over long. The
/// name itself travels in the child's identity.
fn label(name: &str) -> CString {
    let bytes: String = name.chars().filter(|c| *c != '\0').take(64).collect();
    CString::new(bytes).unwrap_or_default()
}
