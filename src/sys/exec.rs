//! `fork(2)` and `execvp(3)` of a foreign program, held at a gate until it can be watched.
//!
//! # Safety
//! Between fork and exec the child calls only what `signal-safety(7)` allows (and `execvpe`, which glibc and
//! musl keep free of allocation); everything it needs is prepared before the fork.
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

/// Where the standard streams of the program go; `None` leaves ours.
#[derive(Debug, Default)]
pub struct Streams<'fd> {
    /// Standard input, output, and error.
    pub stdio: [Option<BorrowedFd<'fd>>; 3],
    /// Its working directory; `None` for ours.
    pub directory: Option<&'fd CStr>,
    /// Variables that it finds in place of ours of the same name.
    pub variables: &'fd [(OsString, OsString)],
    /// It leads a session of its own, without a terminal.
    pub own_session: bool,
    /// The program leads a session of its own whose terminal is its standard output.
    pub own_terminal: bool,
    /// A pipe that it inherits, with its number in the environment (see [`notes_pipe`]).
    pub notes: Option<BorrowedFd<'fd>>,
}

/// A child that exists, and runs nothing of the program's until the gate opens.
#[derive(Debug)]
pub struct AtGate {
    pid: Pid,
    gate: File,
    failure: File,
}

/// Makes the child, which starts with the signal mask, the dispositions and the limits that this process was started
/// with. `argv` must not be empty; its first string is looked up in `PATH`.
///
/// Should this process die before [`AtGate::open`], the child sees its end of the gate close and exits.
///
/// # Errors
/// `EAGAIN` at the limit of processes, `EMFILE` at the limit of descriptors, `EINVAL` for an empty `argv`.
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
    // SAFETY: the child goes straight into `run_child`, which takes no lock and never returns.
    match unsafe { fork() }? {
        // SAFETY: the strings and the pointers to them were copied with the rest of this memory.
        Forked::Child => unsafe { run_child(&plan, &pointers, &variables) },
        Forked::Parent(pid) => Ok(AtGate { pid, gate: gate_in.into(), failure: failure_out.into() }),
    }
}

impl AtGate {
    /// The child's PID; it stays its PID through the exec.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Lets the program begin, and returns once its `execve` has succeeded.
    ///
    /// # Errors
    /// What `execvp` said in the child, `ENOENT` or `EACCES` mostly; the child has then exited with 127 and
    /// waits to be reaped.
    pub fn open(mut self) -> io::Result<()> {
        // A child that was killed at the gate makes this fail with EPIPE, and the read below says nothing:
        // its exit status will tell.
        let _ = self.gate.write_all(&[1]);
        let mut errno = [0; 4];
        // The program's end of this pipe is closed by a successful exec, which ends the read without a byte.
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
    /// Null for the directory of this process.
    directory: *const libc::c_char,
}

/// This process's environment with these variables, and the number of the pipe for notes in it.
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
/// Only in a fresh child; `argv` and `envp` are null-terminated arrays of valid strings.
unsafe fn run_child(plan: &Plan, argv: &[*const libc::c_char], envp: &[*const libc::c_char]) -> ! {
    // SAFETY: async-signal-safe calls on integers and on memory prepared before the fork.
    unsafe {
        // Without this the child would hold its own gate open when its parent dies.
        libc::close(plan.our_gate);
        let mut go = 0_u8;
        loop {
            match libc::read(plan.gate, (&raw mut go).cast(), 1) {
                1 => break,
                -1 if Errno::last() == Errno::EINTR => {}
                _ => libc::_exit(127),
            }
        }
        // If the watcher is killed its command goes too. It may be dead already: then the gate has not opened.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // What Rust's runtime and this program have changed is put back.
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
            // dup2 of a number onto itself would leave it close-on-exec; none of ours is 0, 1 or 2.
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

/// # Safety
/// Only in a fresh child.
unsafe fn fail(failure: RawFd) -> ! {
    let errno = Errno::last_raw().to_ne_bytes();
    // SAFETY: four bytes of a local, then the end of this process without any destructor.
    unsafe {
        libc::write(failure, errno.as_ptr().cast(), errno.len());
        libc::_exit(127)
    }
}

/// A terminal of the program's own: our end, and the end for its standard streams (`openpty(3)`).
///
/// # Errors
/// `ENOENT` or `ENOSPC` when the machine has no more pseudo-terminals.
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

/// Tells the program on the other end of a terminal that its window has changed.
pub fn resize_terminal(master: BorrowedFd<'_>, rows: u16, columns: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads one structure of ours; a failure only leaves the old size.
    unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
}
