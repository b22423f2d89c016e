//! Attributes of the calling process: its name, group, processors, and whether it dies with its parent.
//!
//! # Safety
//! The raw calls take integers and pointers to locals that outlive them.
#![expect(unsafe_code, reason = "nix does not wrap sched_setscheduler and similar calls")]

use super::pid::Pid;
use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, gettid, setpgid, setsid};
use std::ffi::CString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The processor on which the calling thread is running; `None` if it is unavailable. Takes a few nanoseconds
/// (`getcpu(2)` through the vDSO).
pub fn processor() -> Option<usize> {
    sched_getcpu().ok()
}

/// Whether the calling thread is the main thread.
pub fn is_main_thread() -> bool {
    gettid() == getpid()
}

/// The number of threads of this process (`/proc/self/task`), without those that are exiting, because a joined thread
/// stays listed until the kernel has cleaned up after it.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn n_threads() -> io::Result<usize> {
    // The number of links is the number of threads, plus two for the directory itself. If there is one thread, it is
    // the caller, which is not exiting.
    if std::fs::metadata("/proc/self/task")?.nlink() == 3 {
        return Ok(1);
    }
    let threads = std::fs::read_dir("/proc/self/task")?.filter_map(Result::ok);
    Ok(threads.filter(|thread| !has_left(&thread.path().join("stat"))).count())
}

/// Whether the thread of this `stat` file is gone or exiting (`PF_EXITING` in the ninth field, `proc_pid_stat(5)`).
fn has_left(stat: &Path) -> bool {
    const PF_EXITING: u32 = 0x4;
    let Ok(line) = std::fs::read(stat) else { return true };
    let line = String::from_utf8_lossy(&line);
    let flags = line.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(6)?.parse::<u32>().ok());
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

/// Sets whether the kernel sends SIGKILL to this process when its parent dies (`PR_SET_PDEATHSIG(2const)`).
///
/// "Parent" means the *thread* that created it. The parent may already have died, so compare [`Pid::parent`] with the
/// expected PID after this call.
///
/// # Errors
/// Never fails on supported kernels.
pub fn die_with_parent(die: bool) -> io::Result<()> {
    Ok(prctl::set_pdeathsig(die.then_some(Signal::SIGKILL))?)
}

/// Makes the kernel send SIGTERM instead of SIGKILL to this process when its parent dies, so that it can end the
/// processes that it has started (`PR_SET_PDEATHSIG(2const)`).
///
/// # Errors
/// `ESRCH` if the parent has already died.
pub fn hear_of_parents_death(parent: Pid) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    if Pid::parent() == parent { Ok(()) } else { Err(nix::errno::Errno::ESRCH.into()) }
}

/// Sets whether orphaned descendants of this process become its children (`PR_SET_CHILD_SUBREAPER(2const)`).
///
/// # Errors
/// Never fails on supported kernels.
pub fn set_subreaper(on: bool) -> io::Result<()> {
    Ok(prctl::set_child_subreaper(on)?)
}

/// Sets the name that `ps` and `/proc/PID/comm` show, truncated to 15 bytes (`PR_SET_NAME(2const)`).
pub fn set_name(name: &str) {
    let bytes: Vec<u8> = name.bytes().filter(|byte| *byte != 0).collect();
    if let Ok(name) = CString::new(bytes) {
        // The call cannot fail for a valid string.
        let _ = prctl::set_name(&name);
    }
}

/// Makes this process the leader of a new process group (`setpgid(2)`).
///
/// # Errors
/// `EPERM` for a session leader, which already leads a process group.
pub fn lead_group() -> io::Result<()> {
    Ok(setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0))?)
}

/// Moves this process to the process group `pgid`, which must exist in its session (`setpgid(2)`).
///
/// # Errors
/// `EPERM` when there is no such group in the session.
pub fn join_group(pgid: Pid) -> io::Result<()> {
    Ok(setpgid(nix::unistd::Pid::from_raw(0), pgid.as_nix())?)
}

/// Makes this process the leader of a new session without a controlling terminal (`setsid(2)`).
///
/// # Errors
/// `EPERM` for a process group leader.
pub fn lead_session() -> io::Result<()> {
    Ok(setsid().map(drop)?)
}

/// The scheduling policy of this process, its static priority, and its nice value (`sched(7)`).
pub fn scheduling() -> (i32, i32, i32) {
    let mut parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: PID 0 is the caller, and the pointer is to a local.
    unsafe {
        libc::sched_getparam(0, &raw mut parameters);
        (libc::sched_getscheduler(0), parameters.sched_priority, libc::getpriority(libc::PRIO_PROCESS, 0))
    }
}

/// The session of this process (`getsid(2)`).
pub fn session() -> Pid {
    nix::unistd::getsid(None).map_or(Pid::UNKNOWN, |pid| Pid::from_raw(pid.as_raw()))
}

/// The processors on which this process may run (`sched_getaffinity(2)`).
///
/// # Errors
/// None that the caller can cause.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(nix::unistd::Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
}

/// Restricts this process to one processor (`sched_setaffinity(2)`).
///
/// # Errors
/// `EINVAL` for a processor that it may not use.
pub fn pin_to_cpu(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)?)
}

/// Lets this process run on these processors only (`sched_setaffinity(2)`).
///
/// # Errors
/// `EINVAL` when it may use none of them, or one has no such number.
pub fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu)?;
    }
    Ok(sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)?)
}

/// Adds `increment` to the nice value of this process, within -20 to 19 (`nice(2)`).
///
/// # Errors
/// `EPERM` or `EACCES` when the value would be lowered without the privilege.
pub fn nice(increment: i32) -> io::Result<()> {
    // SAFETY: two integers; PID 0 is the caller. The old value is read by a call that cannot fail for the caller.
    let result = unsafe {
        let now = libc::getpriority(libc::PRIO_PROCESS, 0);
        libc::setpriority(libc::PRIO_PROCESS, 0, now.saturating_add(increment).clamp(-20, 19))
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks for turns on the CPU of 0.1 ms, the shortest that Linux gives, for the calling thread (`sched_setattr(2)`): it
/// gets no more CPU time than before, and sooner after it was woken where many processes want the CPU.
///
/// Changes nothing before Linux 6.12 or for a thread with another policy than `SCHED_OTHER`.
pub fn ask_for_short_turns() {
    const TURN_NS: u64 = 100_000;
    const NO_FLAGS: libc::c_uint = 0;
    let size = size_of::<libc::sched_attr>() as libc::c_uint;
    // SAFETY: all fields are integers, for which zero is a value.
    let mut attr: libc::sched_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes `size` bytes at most into a structure that outlives the call.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, NO_FLAGS) };
    if got != 0 || attr.sched_policy != libc::SCHED_OTHER.cast_unsigned() {
        return;
    }
    // The nice value stays as it was read.
    attr.sched_runtime = TURN_NS;
    // SAFETY: the structure outlives the call, and says its own size.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, NO_FLAGS) };
}

/// Makes this process run only when no other process wants the processor (`SCHED_IDLE`, `sched(7)`). On the same
/// processor as a busy process it is almost always ready and rarely running. Undoing this requires privileges.
///
/// # Errors
/// Never fails on supported kernels.
pub fn run_only_when_idle() -> io::Result<()> {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameter outlives the call; PID 0 is the caller.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
