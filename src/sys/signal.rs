//! Signals: dispositions, masks, and an interrupt that can be polled.
//!
//! # Safety
//! The one handler that is installed only accesses atomics and calls `write(2)`, both of which are async-signal-safe
//! (`signal-safety(7)`), and preserves `errno`.
#![expect(unsafe_code, reason = "sigaction and a signal handler")]

use crate::sys::pid::Pid;
use nix::errno::Errno;
use nix::libc;
pub use nix::libc::{SIGCHLD, SIGKILL, SIGSTOP};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

/// The signals that ask a program to end.
const REQUESTS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

static EVENT: OnceLock<EventFd> = OnceLock::new();
static EVENT_FD: AtomicI32 = AtomicI32::new(-1);
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// SIGINT, SIGTERM and SIGHUP as a descriptor that becomes readable and stays readable.
///
/// It needs no thread, so `fork` stays possible. No wait can miss it, even if the signal arrives before the poll.
#[derive(Debug, Clone, Copy)]
pub struct Interrupt(());

impl Interrupt {
    /// Installs the handlers and unblocks the signals, even if the program that started this one had blocked them.
    /// SIGINT and SIGHUP stay ignored if they are (`nohup`).
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn install() -> io::Result<Interrupt> {
        if EVENT.get().is_none() {
            let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
            let event = EVENT.get_or_init(|| event);
            EVENT_FD.store(event.as_fd().as_raw_fd(), Ordering::Release);
        }
        for signal in REQUESTS {
            let action =
                SigAction::new(SigHandler::Handler(on_request), SaFlags::SA_RESTART, SigSet::empty());
            // SAFETY: the handler is async-signal-safe, see the head of this file.
            let before = unsafe { sigaction(signal, &action)? };
            if matches!(before.handler(), SigHandler::SigIgn) && signal != Signal::SIGTERM {
                // SAFETY: restores the previous disposition.
                unsafe { sigaction(signal, &before)? };
            }
        }
        let requests: SigSet = REQUESTS.into_iter().collect();
        sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&requests), None)?;
        Ok(Interrupt(()))
    }

    /// The interrupt, if it is installed.
    pub fn installed() -> Option<Interrupt> {
        EVENT.get().map(|_| Interrupt(()))
    }

    /// Makes the descriptor unreadable again after a signal, so that cleanup can wait. The next signal interrupts
    /// waits again.
    pub fn rearm(self) {
        if let Some(event) = EVENT.get() {
            // The read fails if no signal has arrived.
            let _ = event.read();
        }
    }

    /// Acts as on SIGINT, for a terminal in raw mode, where Ctrl-C is a key.
    pub fn request(self) {
        on_request(Signal::SIGINT as libc::c_int);
    }

    /// The number of the first signal received, if any.
    pub fn received(self) -> Option<i32> {
        Some(RECEIVED.load(Ordering::Acquire)).filter(|signal| *signal != 0)
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        EVENT.get().expect("`install` creates the event before the first Interrupt").as_fd()
    }
}

extern "C" fn on_request(signal: libc::c_int) {
    let errno = Errno::last_raw();
    let _ = RECEIVED.compare_exchange(0, signal, Ordering::AcqRel, Ordering::Relaxed);
    let one = 1_u64.to_ne_bytes();
    // SAFETY: writes eight bytes of a local; a full counter or a closed descriptor only makes it fail.
    unsafe { libc::write(EVENT_FD.load(Ordering::Acquire), one.as_ptr().cast(), one.len()) };
    Errno::set_raw(errno);
}

/// The signals whose disposition Rust's runtime, this library, or the program may change, but that must be unchanged
/// in a program that is run for the user.
const CHANGED: [Signal; 9] = [
    Signal::SIGPIPE,
    Signal::SIGXFSZ,
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCHLD,
];

/// The signal state and limits with which this program was started.
#[derive(Debug, Clone, Copy)]
pub struct Inherited {
    /// The blocked signals.
    pub mask: SigSet,
    /// Whether each signal that may have been changed since was ignored.
    pub is_ignored: [(Signal, bool); CHANGED.len()],
    /// The limits that may have been raised since.
    pub limits: [(Resource, libc::rlimit); RAISED.len()],
}

impl Inherited {
    /// Whether the signal was ignored or blocked.
    pub fn holds_back(&self, signal: i32) -> bool {
        let is_ignored = |(one, is_ignored): &(Signal, bool)| *is_ignored && *one as libc::c_int == signal;
        let is_blocked = |one| self.mask.contains(one);
        self.is_ignored.iter().any(is_ignored) || Signal::try_from(signal).is_ok_and(is_blocked)
    }
}

/// The limits that this program may raise for itself.
const RAISED: [Resource; 2] = [Resource::RLIMIT_STACK, Resource::RLIMIT_NOFILE];

static INHERITED: OnceLock<Inherited> = OnceLock::new();

/// Records the mask, dispositions and limits, before Rust's runtime or anything else changes them.
pub fn remember_inherited() {
    INHERITED.get_or_init(read_current);
}

/// The state with which this program was started, or the current state if that was not recorded.
pub fn inherited() -> Inherited {
    INHERITED.get().copied().unwrap_or_else(read_current)
}

fn read_current() -> Inherited {
    let mask = SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty());
    let limits = RAISED.map(|resource| {
        let (rlim_cur, rlim_max) = getrlimit(resource).unwrap_or((libc::RLIM_INFINITY, libc::RLIM_INFINITY));
        (resource, libc::rlimit { rlim_cur, rlim_max })
    });
    Inherited { mask, is_ignored: CHANGED.map(|signal| (signal, is_ignored(signal as libc::c_int))), limits }
}

/// Unblocks all signals and lets SIGTERM end this program, even if the program that started it had blocked or ignored
/// them. SIGINT and SIGHUP stay ignored if they are (`nohup`, a background job of a shell).
pub fn let_requests_through() {
    // Neither call can fail for these signals.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    if is_ignored(libc::SIGTERM) {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: the default action runs no handler.
        let _ = unsafe { sigaction(Signal::SIGTERM, &default) };
    }
}

/// Removes all signal handlers in a forked child, because they would act on objects that the child shares with its
/// parent, such as the pipe that reports Ctrl-C to the parent. Ignored signals stay ignored, as across an exec. The
/// handlers with which Rust reports a stack overflow stay.
pub fn reset_handlers_after_fork() {
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGSEGV | Signal::SIGBUS)) {
        let number = signal as libc::c_int;
        if !is_ignored(number) {
            // SAFETY: the default action runs no handler; the kernel refuses signals that cannot be changed.
            unsafe { libc::signal(number, libc::SIG_DFL) };
        }
    }
    for number in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        if !is_ignored(number) {
            // SAFETY: as above.
            unsafe { libc::signal(number, libc::SIG_DFL) };
        }
    }
}

fn action_of(signal: libc::c_int) -> libc::sigaction {
    // SAFETY: all-zero bytes are a valid sigaction, into which the call only reads the current one.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action);
        action
    }
}

pub(super) fn is_ignored(signal: libc::c_int) -> bool {
    action_of(signal).sa_sigaction == libc::SIG_IGN
}

/// Sets up the signals of a new child as a program expects them: none blocked, `SIGTERM` at its default, and no
/// handlers of [`Interrupt`].
///
/// # Errors
/// Never fails for these signals.
pub fn reset_for_child() -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in REQUESTS {
        // SAFETY: the default action runs no handler.
        let before = unsafe { sigaction(signal, &default)? };
        if matches!(before.handler(), SigHandler::SigIgn) && signal != Signal::SIGTERM {
            // SAFETY: restores the disposition, because the parent wants the signal ignored.
            unsafe { sigaction(signal, &before)? };
        }
    }
    RECEIVED.store(0, Ordering::Release);
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?)
}

/// Calls `action` with every signal blocked in this thread: one that it starts inherits that.
///
/// # Errors
/// Never fails for these arguments.
pub fn with_all_blocked<R>(action: impl FnOnce() -> R) -> io::Result<R> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let result = action();
    before.thread_set_mask()?;
    Ok(result)
}

/// Makes a write beyond the limit on file size (`RLIMIT_FSIZE`) fail with `EFBIG`, instead of killing the process by
/// `SIGXFSZ`. Programs that this process starts inherit this.
///
/// # Errors
/// Never fails for this signal.
pub fn outlive_file_size_limit() -> io::Result<()> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: an ignored signal runs no handler.
    unsafe { sigaction(Signal::SIGXFSZ, &ignore)? };
    Ok(())
}

/// Whether the kernel reaps children itself, so that `waitid` does not report them: `SIGCHLD` is ignored, or its action
/// has `SA_NOCLDWAIT` (`sigaction(2)`).
pub fn children_are_reaped_by_the_kernel() -> bool {
    let action = action_of(libc::SIGCHLD);
    action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0
}

/// Makes the kernel keep ended children until this process waits for them (`SIGCHLD` at its default). Returns whether
/// the kernel discarded them before, as the parent had set it up.
pub fn keep_ended_children() -> bool {
    let discarded = children_are_reaped_by_the_kernel();
    if discarded {
        // SAFETY: the default action runs no handler.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    }
    discarded
}

/// Sends `signal` to the process `pid` (`kill(2)`). Use it only for a child that is known to be unreaped.
///
/// # Errors
/// `ESRCH` when there is no such process, `EPERM` when it belongs to another user.
pub fn kill_process(pid: Pid, signal: i32) -> io::Result<()> {
    if pid.as_raw() <= 0 {
        // Such numbers denote process groups, or all processes.
        return Err(Errno::ESRCH.into());
    }
    // SAFETY: takes two integers.
    match unsafe { libc::kill(pid.as_raw(), signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sends `signal` to every process in the group `pgid` (`kill(2)` with a negative number).
///
/// # Errors
/// `ESRCH` when the group is empty.
pub fn kill_group(pgid: Pid, signal: i32) -> io::Result<()> {
    if pgid.as_raw() <= 1 {
        // 0 denotes the caller's own group, and -1 all processes.
        return Err(Errno::ESRCH.into());
    }
    // SAFETY: takes two integers.
    match unsafe { libc::kill(-pgid.as_raw(), signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends this process by the default action of `signal`, as a parent expects it that waits for it. No core is dumped.
pub fn die_of(signal: i32) -> ! {
    let _ = nix::sys::resource::setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    // SAFETY: the default action runs no handler, and the calls take integers. A signal whose default is to be ignored
    // does not end the process, and the last call does.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
        libc::_exit(128 + signal)
    }
}

/// Whether a process with this PID exists, zombies included.
pub fn process_exists(pid: Pid) -> bool {
    // SAFETY: takes two integers; signal 0 is never delivered.
    unsafe { libc::kill(pid.as_raw(), 0) == 0 || *libc::__errno_location() != libc::ESRCH }
}

/// The name of a signal, such as `SIGTERM` or `SIGRTMIN+3`, or `signal 70` for an invalid number.
pub fn signal_name(signal: i32) -> String {
    if let Ok(known) = Signal::try_from(signal) {
        return known.as_str().to_owned();
    }
    match signal - libc::SIGRTMIN() {
        offset @ 0.. if signal <= libc::SIGRTMAX() => format!("SIGRTMIN+{offset}"),
        _ => format!("signal {signal}"),
    }
}
