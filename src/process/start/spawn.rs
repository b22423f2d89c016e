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
/// The C library creates the child with `posix_spawn`, which copies no page tables. What a child must do itself
/// happens in [`super::early`] and `child_entry`, so no code of this library runs between fork and exec.
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
        // No other code knows the child, so it cannot have been reaped. If the kernel reaps children automatically
        // (SIGCHLD ignored), the child still exists: it waits for its first message, which is sent after this.
        Birth::hold(pid)
    })
}

/// The name as an argument, for people who read the command line: without NUL bytes, and shortened. The complete name
/// is part of the child's identity.
fn label(name: &str) -> CString {
    let bytes: String = name.chars().filter(|c| *c != '\0').take(64).collect();
    CString::new(bytes).unwrap_or_default()
}
