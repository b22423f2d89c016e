//! From the system call that a thread sleeps in to a description and to what could end it.

use crate::sys::pid::Pid;
use nix::libc;

use super::poll::Beside;
use super::restarted::interrupted;
use super::{Ends, Kind, Scene, Wait, descriptor, fifo, lock, poll, signal, words};
use crate::sys::procfs::descriptors::pid_of_pidfd;
use crate::sys::procfs::memory::read;
use crate::sys::procfs::syscall::{InCall, current, wchan};

/// What thread `tid` of `pid` is blocked on now; `None` if it is not blocked, or nothing is known.
///
/// The system call is readable with the permissions of `ptrace(2)` (same user, dumpable); without them only the kernel
/// function (`wchan`) may be.
pub fn probe(pid: Pid, tid: Pid, scene: &Scene) -> Option<Wait> {
    probe_call(pid, tid, current(pid, tid), scene)
}

/// The same of a call that was read before, if it was readable.
pub fn probe_call(pid: Pid, tid: Pid, call: Option<InCall>, scene: &Scene) -> Option<Wait> {
    match call {
        Some(call) => in_call(pid, tid, call, scene).or_else(|| by_wchan(pid, tid)),
        None => by_wchan(pid, tid),
    }
}

fn in_call(pid: Pid, tid: Pid, call: InCall, scene: &Scene) -> Option<Wait> {
    let [first, second, third, fourth, fifth, _] = call.args;
    let beside = |times_out| Beside { times_out, child: signal::child_beside(pid, tid, scene) };
    let wait = match call.number {
        libc::SYS_wait4 => match (first as u32).cast_signed() {
            child @ 1.. => child_wait(scene, vec![Pid::from_raw(child)]),
            _ => child_wait(scene, scene.children(pid)),
        },
        libc::SYS_waitid => match first as u32 {
            libc::P_PID => child_wait(scene, vec![Pid::from_raw(second as i32)]),
            libc::P_PIDFD => child_wait(scene, vec![pid_of_pidfd(pid, second)?]),
            _ => child_wait(scene, scene.children(pid)),
        },
        libc::SYS_clone if first & VFORK != 0 => vfork(),
        libc::SYS_clone3
            if read::<8>(pid, first).is_some_and(|flags| u64::from_ne_bytes(flags) & VFORK != 0) =>
        {
            vfork()
        }
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => Wait::outside(Kind::Timer, "timer"),
        libc::SYS_futex => lock::futex(pid, tid, call.args, scene),
        libc::SYS_flock => lock::file(pid, first, scene),
        libc::SYS_fcntl => match (second as u32).cast_signed() {
            libc::F_SETLKW | libc::F_OFD_SETLKW => lock::file(pid, first, scene),
            _ => return None,
        },
        libc::SYS_read
        | libc::SYS_readv
        | libc::SYS_recvfrom
        | libc::SYS_recvmsg
        | libc::SYS_recvmmsg
        | libc::SYS_pread64
        | libc::SYS_preadv
        | libc::SYS_splice
        | libc::SYS_accept
        | libc::SYS_accept4 => descriptor::wait(pid, first, false, scene)?,
        libc::SYS_write
        | libc::SYS_writev
        | libc::SYS_sendto
        | libc::SYS_sendmsg
        | libc::SYS_sendmmsg
        | libc::SYS_pwrite64
        | libc::SYS_pwritev
        | libc::SYS_connect
        | libc::SYS_sendfile => descriptor::wait(pid, first, true, scene)?,
        libc::SYS_ppoll => poll::poll(pid, first, second, beside(third != 0), scene),
        libc::SYS_pselect6 => poll::select(pid, first, [second, third, fourth], beside(fifth != 0), scene),
        libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => {
            // `epoll_pwait` has milliseconds here, `epoll_pwait2` a pointer.
            let times_out = if call.number == libc::SYS_epoll_pwait2 {
                fourth != 0
            } else {
                (fourth as u32).cast_signed() >= 0
            };
            poll::epoll(pid, first, beside(times_out), scene)
        }
        libc::SYS_rt_sigtimedwait => signal::timed(pid, first, third != 0, scene),
        libc::SYS_rt_sigsuspend => signal::suspended(pid, tid, first, scene),
        libc::SYS_semop | libc::SYS_semtimedop => {
            Wait::outside(Kind::Lock, format!("System V semaphore {first}"))
        }
        libc::SYS_msgrcv | libc::SYS_msgsnd => {
            Wait::outside(Kind::Other, format!("System V message queue {first}"))
        }
        libc::SYS_mq_timedreceive | libc::SYS_mq_timedsend => {
            Wait::outside(Kind::Other, "POSIX message queue")
        }
        libc::SYS_openat => fifo::wait(pid, call, scene)?,
        libc::SYS_restart_syscall => return in_call(pid, tid, interrupted(call)?, scene),
        libc::SYS_io_uring_enter => Wait::outside(Kind::Other, "io_uring"),
        libc::SYS_fsync | libc::SYS_fdatasync | libc::SYS_sync => Wait::outside(Kind::Device, "disk (sync)"),
        number => older_call(pid, tid, number, call, scene)?,
    };
    Some(wait)
}

/// System calls that newer architectures do not have.
#[cfg(target_arch = "x86_64")]
fn older_call(pid: Pid, tid: Pid, number: i64, call: InCall, scene: &Scene) -> Option<Wait> {
    let [first, second, third, fourth, fifth, _] = call.args;
    let beside = |times_out| Beside { times_out, child: signal::child_beside(pid, tid, scene) };
    Some(match number {
        libc::SYS_poll => poll::poll(pid, first, second, beside((third as u32).cast_signed() >= 0), scene),
        libc::SYS_select => poll::select(pid, first, [second, third, fourth], beside(fifth != 0), scene),
        libc::SYS_epoll_wait => poll::epoll(pid, first, beside((fourth as u32).cast_signed() >= 0), scene),
        libc::SYS_open => fifo::wait(pid, call, scene)?,
        libc::SYS_pause => signal::paused(pid, tid, scene),
        libc::SYS_vfork => vfork(),
        _ => return None,
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn older_call(_: Pid, _: Pid, _: i64, _: InCall, _: &Scene) -> Option<Wait> {
    None
}

/// `CLONE_VFORK`, with which `posix_spawn(3)` waits too.
const VFORK: u64 = libc::CLONE_VFORK as u64;

fn vfork() -> Wait {
    Wait::outside(Kind::Child, "child, until it execs or exits (vfork)")
}

fn child_wait(scene: &Scene, children: Vec<Pid>) -> Wait {
    let on = match &children[..] {
        [] => "a child".to_owned(),
        [only] => format!("child {}", words::process(*only)),
        several => format!("any of its children {}", scene.labels(several)),
    };
    let ends = if children.is_empty() || children.iter().any(|pid| !scene.is_actor(*pid)) {
        Ends::Outside
    } else {
        Ends::Only(children)
    };
    Wait { on, kind: Kind::Child, ends }
}

/// A thread that sleeps in one of these functions is stopped, or on its way back to the program.
const OUTSIDE: [&str; 6] =
    ["syscall", "do_signal_stop", "ptrace_stop", "get_signal", "exit_to_user_mode", "irqentry"];

fn by_wchan(pid: Pid, tid: Pid) -> Option<Wait> {
    // Outside any call: a stop, or the way back to the program.
    let function = wchan(pid, tid).filter(|function| !OUTSIDE.iter().any(|part| function.contains(part)))?;
    let known = [
        ("do_wait", Kind::Child, "child"),
        ("nanosleep", Kind::Timer, "timer"),
        ("futex", Kind::Lock, "lock"),
        ("pipe", Kind::Pipe, "pipe"),
        ("lock_inode", Kind::FileLock, "file lock"),
        ("sk_wait", Kind::Socket, "socket"),
        ("sk_stream", Kind::Socket, "socket"),
        ("skb_wait", Kind::Socket, "socket"),
        ("unix_stream", Kind::Socket, "socket"),
        ("inet_csk_accept", Kind::Socket, "socket"),
        ("poll", Kind::Several, "descriptors"),
        ("select", Kind::Several, "descriptors"),
        ("n_tty", Kind::Terminal, "terminal"),
        ("sigsuspend", Kind::Signal, "signal"),
        // A part of a file or of a program that is read from a disk, or written to it.
        ("folio_wait", Kind::Device, "disk"),
        ("wait_on_page", Kind::Device, "disk"),
        ("wait_on_buffer", Kind::Device, "disk"),
        ("submit_bio_wait", Kind::Device, "disk"),
        ("io_schedule", Kind::Device, "disk"),
    ];
    let found = known.into_iter().find(|(part, ..)| function.contains(part));
    let (kind, word) = found.map_or((Kind::Other, "kernel"), |(_, kind, word)| (kind, word));
    Some(Wait::outside(kind, format!("{word} ({function})")))
}
