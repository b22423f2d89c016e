//! `fork(2)` and `execvp(3)` of any program, with a gate before the exec that holds the child until it is watched.
//!
//! # Safety
//! Between fork and exec the child calls only functions that `signal-safety(7)` allows (and `execvpe`, which
//! does not allocate in glibc and musl). Everything it needs is prepared before the fork.
#![expect(unsafe_code, reason = "fork, exec, and descriptors by number in the child")]

use crate::sys::pid::Pid;
use std::ffi::{CStr, CString, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::pipe2;

use super::fork::{Forked, fork};
use super::notes_pipe;
use super::signal::{self, Inherited};

/// The streams and the environment of the program.
#[derive(Debug, Default)]
pub struct Streams<'fd> {
    /// Its standard input, output, and error; `None` for those of this process.
    pub stdio: [Option<BorrowedFd<'fd>>; 3],
    /// Its working directory; `None` for that of this process.
    pub directory: Option<&'fd CStr>,
    /// Environment variables that are added, or that replace those of this process.
    pub variables: &'fd [(OsString, OsString)],
    /// Whether it leads a new session without a terminal.
    pub own_session: bool,
    /// Whether it leads a new session whose terminal is its standard output.
    pub own_terminal: bool,
    /// A pipe that it inherits, whose number is in its environment (see [`notes_pipe`]).
    pub notes: Option<BorrowedFd<'fd>>,
}

/// A child that does not execute the program until its gate is opened.
#[derive(Debug)]
pub struct AtGate {
    pid: Pid,
    gate: File,
    failure: File,
}

/// Forks the child, which starts with the signal mask, the signal dispositions and the limits with which this process
/// was started. `argv` must not be empty; its first string is looked up in `PATH`.
///
/// If this process dies before [`AtGate::open`], the child's end of the gate is closed and the child exits.
///
/// # Errors
/// `EAGAIN` at the limit on processes, `EMFILE` at the limit on descriptors, `EINVAL` for an empty `argv`.
pub fn fork_at_gate(argv: &[CString], streams: &Streams<'_>) -> io::Result<AtGate> {
    if argv.is_empty() {
        return Err(Errno::EINVAL.into());
    }
    let mut pointers: Vec<*const libc::c_char> = argv.iter().map(|arg| arg.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let notes = streams.notes.map_or(-1, |fd| fd.as_raw_fd());
    let environment = environment(notes, streams.variables)?;
    let mut variables: Vec<*const libc::c_char> = environment.iter().map(|entry| entry.as_ptr()).collect();
    variables.push(std::ptr::null());
    let stdio = streams.stdio.map(|fd| fd.map_or(-1, |fd| fd.as_raw_fd()));
    let (gate_out, gate_in) = pipe2(OFlag::O_CLOEXEC)?;
    let (failure_out, failure_in) = pipe2(OFlag::O_CLOEXEC)?;
    let plan = Plan {
        gate: gate_out.as_raw_fd(),
        our_gate: gate_in.as_raw_fd(),
        failure: failure_in.as_raw_fd(),
        stdio,
        notes,
        own_terminal: streams.own_terminal,
        inherited: signal::inherited(),
        own_session: streams.own_session,
        directory: streams.directory.map_or(std::ptr::null(), CStr::as_ptr),
    };
    // SAFETY: the child immediately calls `run_child`, which takes no lock and never returns.
    match unsafe { fork() }? {
        // SAFETY: the strings and the pointers to them were copied with the rest of the memory.
        Forked::Child => unsafe { run_child(&plan, &pointers, &variables) },
        Forked::Parent(pid) => Ok(AtGate { pid, gate: gate_in.into(), failure: failure_out.into() }),
    }
}

impl AtGate {
    /// The child's PID, which the exec does not change.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Lets the child execute the program, and returns once `execve` has succeeded.
    ///
    /// # Errors
    /// The error of `execvp` in the child, usually `ENOENT` or `EACCES`. The child has then exited with 127 and
    /// must be reaped.
    pub fn open(mut self) -> io::Result<()> {
        // If the child was killed at the gate, this fails with EPIPE and the read below reports nothing; the
        // exit status shows it.
        let _ = self.gate.write_all(&[1]);
        let mut errno = [0; 4];
        // A successful exec closes the child's end of this pipe, which ends the read without a byte.
        match self.failure.read_exact(&mut errno) {
            Ok(()) => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(error),
        }
    }
}

struct Plan {
    gate: RawFd,
    our_gate: RawFd,
    failure: RawFd,
    stdio: [RawFd; 3],
    notes: RawFd,
    own_terminal: bool,
    inherited: Inherited,
    own_session: bool,
    /// Null for the working directory of this process.
    directory: *const libc::c_char,
}

/// The environment of this process with `variables` and the number of the notes pipe.
fn environment(notes: RawFd, variables: &[(OsString, OsString)]) -> io::Result<Vec<CString>> {
    let mut entries = Vec::new();
    let is_kept = |name: &OsString| {
        name != notes_pipe::VARIABLE && variables.iter().all(|(replaced, _)| replaced != name)
    };
    let inherited = std::env::vars_os().filter(|(name, _)| is_kept(name));
    for (name, value) in inherited.chain(variables.iter().cloned()) {
        let mut entry = name.into_vec();
        entry.push(b'=');
        entry.extend(value.into_vec());
        entries.push(CString::new(entry)?);
    }
    if notes >= 0 {
        entries.push(CString::new(format!("{}={notes}", notes_pipe::VARIABLE))?);
    }
    Ok(entries)
}

/// # Safety
/// Must be called in a freshly forked child; `argv` and `envp` are null-terminated arrays of valid strings.
unsafe fn run_child(plan: &Plan, argv: &[*const libc::c_char], envp: &[*const libc::c_char]) -> ! {
    // SAFETY: async-signal-safe calls on integers and on memory prepared before the fork.
    unsafe {
        // Otherwise the child would hold its own gate open after its parent dies.
        libc::close(plan.our_gate);
        let mut go = 0_u8;
        loop {
            match libc::read(plan.gate, (&raw mut go).cast(), 1) {
                1 => break,
                -1 if Errno::last() == Errno::EINTR => {}
                _ => libc::_exit(127),
            }
        }
        // From here on, the command is killed with the watching process. If that died before it opened the gate, the
        // read above has ended this child.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // Restore what Rust's runtime and this program have changed.
        for (signal, is_ignored) in plan.inherited.is_ignored {
            libc::signal(signal as libc::c_int, if is_ignored { libc::SIG_IGN } else { libc::SIG_DFL });
        }
        for (resource, limit) in &plan.inherited.limits {
            libc::setrlimit(*resource as _, limit);
        }
        libc::sigprocmask(libc::SIG_SETMASK, plan.inherited.mask.as_ref(), std::ptr::null_mut());
        if plan.own_terminal {
            libc::setsid();
            libc::ioctl(plan.stdio[1], libc::TIOCSCTTY, 0);
        }
        if plan.own_session {
            libc::setsid();
        }
        if !plan.directory.is_null() && libc::chdir(plan.directory) < 0 {
            fail(plan.failure);
        }
        for (number, &fd) in (0..).zip(&plan.stdio) {
            // dup2 of a descriptor onto itself would leave it close-on-exec, but none of these is 0, 1 or 2.
            if fd >= 0 && libc::dup2(fd, number) < 0 {
                fail(plan.failure);
            }
        }
        if plan.notes >= 0 {
            libc::fcntl(plan.notes, libc::F_SETFD, 0);
        }
        libc::execvpe(argv[0], argv.as_ptr(), envp.as_ptr());
        fail(plan.failure)
    }
}

/// Reports the error of the last call, and exits.
///
/// # Safety
/// Must be called in a freshly forked child.
unsafe fn fail(failure: RawFd) -> ! {
    let errno = Errno::last_raw().to_ne_bytes();
    // SAFETY: writes four bytes of a local, then exits without running destructors.
    unsafe {
        libc::write(failure, errno.as_ptr().cast(), errno.len());
        libc::_exit(127)
    }
}

/// Opens a pseudo-terminal, and returns its master, non-blocking, and its slave, for the program's standard streams
/// (`openpty(3)`).
///
/// # Errors
/// `ENOENT` or `ENOSPC` when no pseudo-terminal is left.
pub fn open_terminal(rows: u16, columns: u16) -> io::Result<(OwnedFd, OwnedFd)> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let ends = nix::pty::openpty(Some(&size), None)?;
    for end in [&ends.master, &ends.slave] {
        nix::fcntl::fcntl(end, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    }
    let nonblocking = nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK);
    nix::fcntl::fcntl(&ends.master, nonblocking)?;
    Ok((ends.master, ends.slave))
}

/// Sets the window size of a pseudo-terminal, of which the kernel notifies the program on its other end.
pub fn resize_terminal(master: BorrowedFd<'_>, rows: u16, columns: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads one local structure; a failure only keeps the old size.
    unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
}
