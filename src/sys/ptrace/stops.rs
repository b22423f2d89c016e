//! `PTRACE_SEIZE`, `waitpid(2)` with `__WALL`, and going on: the stops of traced tasks as values.
//!
//! # Safety
//! `waitpid` fills one local integer; the timer's handler does nothing.
#![expect(unsafe_code, reason = "nix's waitpid loses stops by real-time signals")]

use crate::sys::pid::Pid;
use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// What a task was stopped by, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The filter stopped it at the entry of a call.
    Entry,
    /// It returns from the call that it was let into by [`resume_to_exit`].
    Exit,
    /// It made a process or thread, with this TID; the call is `fork`, `vfork` or `clone`.
    Born {
        /// The new task.
        tid: Pid,
        /// Its maker waits until it has gone on to another program or ended.
        vfork: bool,
    },
    /// The maker of a `vfork` may go on.
    VforkDone,
    /// It has become another program; its TID was this before.
    Exec(Pid),
    /// It is about to end with this wait status; its descriptors are still open.
    Ending(i32),
    /// It has ended, and is reaped as far as the tracer is concerned.
    Ended(i32),
    /// A signal is about to be delivered.
    Signal(i32),
    /// The whole process was stopped by a job-control signal, or a new task reports for the first time.
    Group(i32),
}

/// What the tracer asks for: every way in which a task comes, changes or ends, and its death with the tracer.
fn options() -> Options {
    Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACEEXIT
        | Options::PTRACE_O_TRACEVFORKDONE
        | Options::PTRACE_O_TRACESECCOMP
        | Options::PTRACE_O_EXITKILL
}

/// Takes hold of the process `pid` without stopping it.
///
/// # Errors
/// `EPERM` where tracing is not allowed (Yama, a container's seccomp) or another process traces it already.
pub fn seize(pid: Pid) -> io::Result<()> {
    Ok(ptrace::seize(pid.as_nix(), options())?)
}

/// Lets it go on to the next stop, with `signal` delivered (0: none). One that was killed meanwhile is told of
/// by its end, and is no error.
///
/// # Errors
/// None of a task that this process traces.
pub fn resume(tid: Pid, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_CONT, tid, signal)
}

/// Lets it into the call at whose entry it is, and stops it at its exit.
///
/// # Errors
/// As [`resume`].
pub fn resume_to_exit(tid: Pid, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_SYSCALL, tid, signal)
}

/// Lets it carry out one instruction.
///
/// # Errors
/// As [`resume`].
pub fn step(tid: Pid) -> io::Result<()> {
    request(libc::PTRACE_SINGLESTEP, tid, 0)
}

/// Leaves a task stopped together with its whole process, until a SIGCONT.
///
/// # Errors
/// As [`resume`].
pub fn listen(tid: Pid) -> io::Result<()> {
    request(libc::PTRACE_LISTEN, tid, 0)
}

fn request(request: libc::c_uint, tid: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: these requests take no address; the last argument is an integer.
    let result =
        unsafe { libc::ptrace(request, tid.as_raw(), std::ptr::null_mut::<libc::c_void>(), signal as usize) };
    match Errno::result(result) {
        Err(Errno::ESRCH) => Ok(()),
        result => result.map(drop).map_err(Into::into),
    }
}

/// Whether a task that stopped on its way into or out of a call is on its way into it.
///
/// # Errors
/// As [`resume`].
pub fn is_at_entry(tid: Pid) -> io::Result<bool> {
    Ok(ptrace::syscall_info(tid.as_nix())?.op == libc::PTRACE_SYSCALL_INFO_ENTRY)
}

/// The address whose access was refused, of a task that stopped for a `SIGSEGV`; `None` for any other cause.
///
/// # Errors
/// As [`resume`].
pub fn fault_address(tid: Pid) -> io::Result<Option<u64>> {
    const SEGV_ACCERR: i32 = 2;
    let info = ptrace::getsiginfo(tid.as_nix())?;
    // SAFETY: a SIGSEGV that the kernel raised has an address.
    let address = || unsafe { info.si_addr() } as u64;
    Ok((info.si_signo == libc::SIGSEGV && info.si_code == SEGV_ACCERR).then(address))
}

/// The next stop of any traced task: `None` if `block` is false and there is none, or a signal (the
/// [`Watchdog`]'s) broke the wait off.
///
/// # Errors
/// `ECHILD` when there is no traced task left.
pub fn next(block: bool) -> io::Result<Option<(Pid, Stop)>> {
    let mut status = 0;
    let flags = libc::__WALL | if block { 0 } else { libc::WNOHANG };
    // SAFETY: the kernel writes one integer to a local.
    let tid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
    match tid {
        0 => Ok(None),
        -1 if Errno::last() == Errno::EINTR => Ok(None),
        -1 => Err(io::Error::last_os_error()),
        tid => {
            let tid = Pid::from_raw(tid);
            Ok(Some((tid, decode(tid, status))))
        }
    }
}

fn decode(tid: Pid, status: i32) -> Stop {
    if !libc::WIFSTOPPED(status) {
        return Stop::Ended(status);
    }
    let message = || ptrace::getevent(tid.as_nix()).unwrap_or(0);
    let signal = libc::WSTOPSIG(status);
    match status >> 16 {
        libc::PTRACE_EVENT_SECCOMP => Stop::Entry,
        libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_CLONE => {
            Stop::Born { tid: Pid::from_raw(message() as i32), vfork: false }
        }
        libc::PTRACE_EVENT_VFORK => Stop::Born { tid: Pid::from_raw(message() as i32), vfork: true },
        libc::PTRACE_EVENT_VFORK_DONE => Stop::VforkDone,
        libc::PTRACE_EVENT_EXEC => Stop::Exec(Pid::from_raw(message() as i32)),
        libc::PTRACE_EVENT_EXIT => Stop::Ending(message() as i32),
        libc::PTRACE_EVENT_STOP => Stop::Group(signal),
        _ if signal == libc::SIGTRAP | 0x80 => Stop::Exit,
        _ => Stop::Signal(signal),
    }
}

/// A timer that breaks off a wait again and again, so that a task that neither stops nor ends is noticed.
///
/// Its signal says nothing of the tasks: the caller asks the kernel for each task's state.
#[derive(Debug)]
pub struct Watchdog(());

extern "C" fn bark(_: libc::c_int) {}

impl Watchdog {
    /// Starts it. `SIGALRM` and the real-time timer of this process are its own from now on.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn start(period: Duration) -> io::Result<Self> {
        let action = SigAction::new(SigHandler::Handler(bark), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing, so it may interrupt anything.
        unsafe { sigaction(Signal::SIGALRM, &action) }?;
        let period = libc::timeval { tv_sec: 0, tv_usec: period.as_micros().min(999_999) as i64 };
        let timer = libc::itimerval { it_interval: period, it_value: period };
        // SAFETY: the kernel reads one local structure.
        let result = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
        Errno::result(result)?;
        Ok(Self(()))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let none = libc::timeval { tv_sec: 0, tv_usec: 0 };
        let timer = libc::itimerval { it_interval: none, it_value: none };
        // SAFETY: as above.
        unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    }
}

/// Ends a traced task's process at once; one that is gone already is no error.
pub fn kill(tid: Pid) {
    let _ = nix::sys::signal::kill(tid.as_nix(), Signal::SIGKILL);
}
