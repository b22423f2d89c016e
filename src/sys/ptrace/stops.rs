//! The stops of traced tasks as values: `PTRACE_SEIZE`, `waitpid(2)` with `__WALL`, and resuming.
//!
//! # Safety
//! `waitpid` fills one local integer; the timer's signal handler does nothing; signal information is plain integers.
#![expect(unsafe_code, reason = "nix's waitpid loses stops by real-time signals")]

use crate::sys::pid::Pid;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Why a task stopped, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The filter stopped it at the entry of a call.
    Entry,
    /// It is at the exit of the call into which [`resume_to_exit`] let it.
    Exit,
    /// It created a process or thread with `fork`, `vfork` or `clone`.
    Born {
        /// The new task.
        tid: Pid,
        /// Whether its creator is suspended until it has executed another program or ended.
        vfork: bool,
    },
    /// The creator of a `vfork` child is no longer suspended.
    VforkDone,
    /// It has executed another program; this was its TID before.
    Exec(Pid),
    /// It is about to exit with this wait status; its descriptors are still open.
    Ending(i32),
    /// It has ended with this wait status, and was reaped for the tracer.
    Ended(i32),
    /// A signal is about to be delivered.
    Signal(i32),
    /// Its process was stopped by a job-control signal, or it is a new task that stops for the first time.
    Group(i32),
}

/// Stops whenever a task is created, executes a program or ends, and kills all tasks when the tracer dies.
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

/// Attaches to the process `pid` without stopping it.
///
/// # Errors
/// `EPERM` if tracing is not allowed (Yama, a container's seccomp filter) or another process already traces it.
pub fn seize(pid: Pid) -> io::Result<()> {
    Ok(ptrace::seize(pid.as_nix(), options())?)
}

/// Resumes a task until its next stop, and delivers `signal` unless it is 0. A task that was killed meanwhile is not
/// an error: its end will be reported.
///
/// # Errors
/// None for a task that this process traces.
pub fn resume(tid: Pid, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_CONT, tid, signal)
}

/// Resumes a task that is at the entry of a call, and stops it at the exit of the call.
///
/// # Errors
/// As [`resume`].
pub fn resume_to_exit(tid: Pid, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_SYSCALL, tid, signal)
}

/// Interrupts a task: a call in which it sleeps returns, and then it stops.
///
/// # Errors
/// As [`resume`].
pub fn interrupt(tid: Pid) -> io::Result<()> {
    request(libc::PTRACE_INTERRUPT, tid, 0)
}

/// Lets a task execute one instruction.
///
/// # Errors
/// As [`resume`].
pub fn step(tid: Pid) -> io::Result<()> {
    step_with(tid, 0)
}

/// Delivers `signal` unless it is 0, and lets a task execute one instruction; if a handler begins, none of it.
///
/// # Errors
/// As [`resume`].
pub fn step_with(tid: Pid, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_SINGLESTEP, tid, signal)
}

/// Leaves a task in the job-control stop of its process, until SIGCONT.
///
/// # Errors
/// As [`resume`].
pub fn listen(tid: Pid) -> io::Result<()> {
    request(libc::PTRACE_LISTEN, tid, 0)
}

thread_local! {
    /// How often each task has stopped or been resumed.
    static TURNS: RefCell<HashMap<Pid, u64>> = RefCell::default();
}

/// A number that is another after each stop of the task and each time that it is resumed. What the kernel tells of the task
/// alone, such as its signal mask, stays as it is meanwhile.
pub fn turn(tid: Pid) -> u64 {
    TURNS.with_borrow(|turns| turns.get(&tid).copied().unwrap_or(0))
}

fn next_turn(tid: Pid) {
    TURNS.with_borrow_mut(|turns| *turns.entry(tid).or_insert(0) += 1);
}

fn request(request: libc::c_uint, tid: Pid, signal: i32) -> io::Result<()> {
    next_turn(tid);
    // SAFETY: these requests take no address; the last argument is an integer.
    let result =
        unsafe { libc::ptrace(request, tid.as_raw(), std::ptr::null_mut::<libc::c_void>(), signal as usize) };
    match Errno::result(result) {
        Err(Errno::ESRCH) => Ok(()),
        result => result.map(drop).map_err(Into::into),
    }
}

/// Whether a task in a system call stop is at the entry of the call, not at its exit.
///
/// # Errors
/// As [`resume`].
pub fn is_at_entry(tid: Pid) -> io::Result<bool> {
    Ok(ptrace::syscall_info(tid.as_nix())?.op == libc::PTRACE_SYSCALL_INFO_ENTRY)
}

/// The address of the access that raised the `SIGSEGV` for which a task stopped, if its page forbids the access; `None`
/// for any other cause.
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

/// The sender and the cause of a signal, as its handler receives them.
#[derive(Clone, Copy)]
pub struct SignalInfo(libc::siginfo_t);

impl std::fmt::Debug for SignalInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignalInfo").field("signal", &self.0.si_signo).finish_non_exhaustive()
    }
}

impl SignalInfo {
    /// Of the signal that a task is about to be delivered.
    ///
    /// # Errors
    /// `EINVAL` for a task that did not stop for a signal.
    pub fn of(tid: Pid) -> io::Result<Self> {
        Ok(Self(ptrace::getsiginfo(tid.as_nix())?))
    }

    /// Of a signal that the process `sender` sent by `kill(2)`, or to one thread by `tgkill(2)`.
    pub fn sent(signal: i32, sender: Pid, to_thread: bool) -> Self {
        const SI_TKILL: i32 = -6;
        // `si_pid` and `si_uid` of `struct siginfo`, in bytes from its beginning.
        const SENDER: usize = 16;
        // SAFETY: a structure of integers, for which zeros are a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        info.si_signo = signal;
        info.si_code = if to_thread { SI_TKILL } else { 0 };
        let user = nix::unistd::getuid().as_raw();
        // SAFETY: both fields lie within the structure, which has 128 bytes, and are aligned.
        unsafe {
            let place = (&raw mut info).cast::<u8>().add(SENDER);
            place.cast::<i32>().write(sender.as_raw());
            place.cast::<u32>().add(1).write(user);
        }
        Self(info)
    }

    /// Sets the information for the signal that is about to be delivered to the task.
    ///
    /// # Errors
    /// As [`SignalInfo::of`].
    pub fn tell(&self, tid: Pid) -> io::Result<()> {
        Ok(ptrace::setsiginfo(tid.as_nix(), &self.0)?)
    }
}

/// Sends a signal to a traced process; one that is gone already is no error.
pub fn send(pid: Pid, signal: i32) {
    // SAFETY: takes two integers.
    unsafe { libc::kill(pid.as_raw(), signal) };
}

/// The next stop of any traced task; `None` if `block` is false and there is none, or if a signal, such as that of
/// the [`Watchdog`], interrupted the wait.
///
/// # Errors
/// `ECHILD` when no traced task is left.
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
            let stop = decode(tid, status);
            match stop {
                Stop::Ended(_) => drop(TURNS.with_borrow_mut(|turns| turns.remove(&tid))),
                _ => next_turn(tid),
            }
            Ok(Some((tid, stop)))
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

/// A timer that interrupts waits periodically, so that a task that neither stops nor ends is detected.
///
/// Its signal carries no information about tasks; the caller asks the kernel for the state of each task.
#[derive(Debug)]
pub struct Watchdog(());

extern "C" fn on_alarm(_: libc::c_int) {}

impl Watchdog {
    /// Starts the timer, which uses `SIGALRM` and the real-time timer of this process.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn start(period: Duration) -> io::Result<Self> {
        let action = SigAction::new(SigHandler::Handler(on_alarm), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing, so it can interrupt anything.
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

/// Kills the process of a traced task. A process that is already gone is not an error.
pub fn kill(tid: Pid) {
    let _ = nix::sys::signal::kill(tid.as_nix(), Signal::SIGKILL);
}
