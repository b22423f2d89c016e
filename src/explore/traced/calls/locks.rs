//! Locks on files: flock, record locks and open file description locks.

use nix::libc;

use super::Arg::{Fd, Flock, Int};
use super::{Row, row, then};
use crate::explore::step::Access::{Acquire, Await, Read, Release, Write};
use crate::explore::traced::objects::Opened;
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::world::{LockOwner, State, World};
use crate::sys::pid::Pid;
use crate::sys::procfs::locks;
use crate::sys::ptrace::memory;
use crate::sys::ptrace::probe::would_lock;

pub(super) const ROWS: &[Row] = &[
    then(row(libc::SYS_flock, "flock", &[Fd, Flock], flock), flocked),
    then(row(libc::SYS_fcntl, "fcntl", &[Fd, Int], fcntl), fcntled),
];

/// The object of the lock on the file that `fd` refers to.
fn lock_of(world: &mut World, task: usize, fd: i32) -> Option<String> {
    match world.opened(task, fd) {
        Opened::File(object) => Some(format!("lock {object}")),
        Opened::Directory(name) => Some(format!("lock {name}/")),
        Opened::Elsewhere(path) => Some(format!("lock {}", path.display())),
        _ => None,
    }
}

fn flock(world: &mut World, task: usize) -> Plan {
    let (fd, operation) = (world.call(task).int(0), world.call(task).int(1));
    let Some(lock) = lock_of(world, task, fd) else { return Plan::invisible() };
    match operation & !libc::LOCK_NB {
        libc::LOCK_UN => Plan::of(lock, Release),
        _ if operation & libc::LOCK_NB != 0 => Plan::of(lock, Write),
        kind => {
            // A description that holds the lock already only changes its kind.
            let path = format!("/proc/{}/fd/{fd}", world.tid(task));
            let info = format!("/proc/{}/fdinfo/{fd}", world.tid(task));
            let held = crate::sys::procfs::short_text(info).unwrap_or_default();
            let holds = held.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK"));
            let ready = if holds { others(world, task, fd, "FLOCK") == 0 } else { would_lock(&path, kind) };
            let access = if kind == libc::LOCK_SH { Read } else { Acquire };
            Plan::of(lock, access).when(ready)
        }
    }
}

/// The number of locks of this kind that other processes hold on the file.
fn others(world: &World, task: usize, fd: i32, kind: &str) -> usize {
    let pid = world.process(task).tid;
    let Some(file) = locks::file_of(pid, u64::from(fd.cast_unsigned())) else { return 0 };
    let all = locks::all();
    let held = all.iter().filter(|lock| !lock.waiting && lock.kind == kind && lock.file == file);
    let own = |lock: &&locks::Lock| kind == "FLOCK" || lock.pid == Some(pid);
    let (total, own) = (held.clone().count(), held.filter(own).count().min(1));
    total - own
}

fn flocked(world: &mut World, task: usize, result: i64) {
    if result != 0 {
        return;
    }
    let (fd, operation) = (world.call(task).int(0), world.call(task).int(1));
    if let Some(lock) = lock_of(world, task, fd) {
        if !world.process(task).own.contains(&fd) {
            world.learn(super::descriptors::shared_lock(&lock));
        }
        let holds = operation & !libc::LOCK_NB != libc::LOCK_UN;
        hold(world, task, lock, LockOwner::Description, holds);
    }
}

fn hold(world: &mut World, task: usize, lock: String, owner: LockOwner, holds: bool) {
    let locks = &mut world.process_mut(task).locks;
    if holds {
        locks.insert((lock, owner));
    } else {
        locks.remove(&(lock, owner));
    }
}

/// The kind of a `struct flock`: its first field.
fn kind(world: &World, task: usize) -> i32 {
    memory::array::<2>(world.tid(task), world.call(task).args[2])
        .map_or(-1, |kind| i16::from_ne_bytes(kind).into())
}

fn fcntl(world: &mut World, task: usize) -> Plan {
    let (fd, command) = (world.call(task).int(0), world.call(task).int(1));
    let waits = matches!(command, libc::F_SETLKW | libc::F_OFD_SETLKW);
    let tries = matches!(command, libc::F_SETLK | libc::F_OFD_SETLK | libc::F_GETLK | libc::F_OFD_GETLK);
    if !waits && !tries {
        return other_fcntl(world, task, fd, command);
    }
    let Some(lock) = lock_of(world, task, fd) else { return Plan::invisible() };
    match kind(world, task) {
        libc::F_UNLCK if !matches!(command, libc::F_GETLK | libc::F_OFD_GETLK) => Plan::of(lock, Release),
        kind if waits => {
            let access = if kind == libc::F_RDLCK { Read } else { Await };
            let plan = Plan::of(lock, access);
            if blockers(world, task).is_empty() {
                plan
            } else if is_deadlock(world, task) {
                // As the kernel answers the last one to wait, which here may be any of them.
                plan.by(Act::Skip(-i64::from(libc::EDEADLK)))
            } else {
                plan.when(false)
            }
        }
        _ => Plan::of(lock, Write),
    }
}

/// Operations of `fcntl(2)` other than locks, most of which affect only the descriptor.
fn other_fcntl(world: &mut World, task: usize, fd: i32, command: i32) -> Plan {
    const SET_OWNER_EX: i32 = 15;
    const SET_SIGNAL: i32 = 10;
    match command {
        libc::F_SETFL => {
            // Only flags that change matter to those that have the same description.
            const MEANT: i32 = libc::O_NONBLOCK | libc::O_APPEND;
            let asked = world.call(task).int(2);
            if asked & libc::O_ASYNC != 0 {
                world.note("signals that tell of input (O_ASYNC)");
            }
            let known = super::pipes::flags(world, task, fd).unwrap_or(0);
            if (asked ^ known) & MEANT == 0 {
                return Plan::invisible();
            }
            super::descriptors::flags_of(world, task, fd, Write)
        }
        libc::F_SETPIPE_SZ | libc::F_ADD_SEALS => super::descriptors::flags_of(world, task, fd, Write),
        libc::F_GETFL => super::descriptors::flags_of(world, task, fd, Read),
        libc::F_SETOWN | SET_OWNER_EX | SET_SIGNAL | libc::F_SETLEASE | libc::F_NOTIFY => {
            world.note("signals that tell of files (F_SETOWN, F_SETLEASE, F_NOTIFY)");
            Plan::invisible()
        }
        _ => Plan::invisible(),
    }
}

/// The processes that have a record lock which conflicts with the one that the task waits for; unknown for one of an
/// open file description.
fn blockers(world: &World, task: usize) -> Vec<Pid> {
    let pid = world.process(task).tid;
    let call = world.call(task);
    let Some(file) = locks::file_of(pid, u64::from(call.int(0).cast_unsigned())) else { return Vec::new() };
    let Ok(lock) = memory::array::<24>(world.tid(task), call.args[2]) else { return Vec::new() };
    let word = |at: usize| u64::from_ne_bytes(lock[at..at + 8].try_into().unwrap_or_default());
    let kind = i32::from(i16::from_ne_bytes([lock[0], lock[1]]));
    let whence = i16::from_ne_bytes([lock[2], lock[3]]);
    // From the current offset or the end: the whole file is asked about, which can only wait longer.
    let (start, length) = if i32::from(whence) == libc::SEEK_SET { (word(8), word(16)) } else { (0, 0) };
    let end = if length == 0 { u64::MAX } else { start.saturating_add(length - 1) };
    let is_ofd = call.int(1) == libc::F_OFD_SETLKW;
    let conflicts = |lock: &&locks::Lock| {
        let is_held = !lock.waiting && matches!(lock.kind.as_str(), "POSIX" | "OFDLCK") && lock.file == file;
        let overlaps = lock.range.0 <= end && start <= lock.range.1;
        let mine = !is_ofd && lock.pid == Some(pid);
        is_held && overlaps && !mine && (lock.exclusive || kind == libc::F_WRLCK)
    };
    locks::all().iter().filter(conflicts).map(|lock| lock.pid.unwrap_or(Pid::UNKNOWN)).collect()
}

/// Whether those that the task waits for wait, in turn, for its process.
fn is_deadlock(world: &World, task: usize) -> bool {
    let own = world.process(task).tid;
    let mut seen = Vec::new();
    let mut todo = vec![task];
    while let Some(task) = todo.pop() {
        for pid in blockers(world, task) {
            if pid == own && !seen.is_empty() {
                return true;
            }
            if seen.contains(&pid) {
                continue;
            }
            seen.push(pid);
            let waits = |task: &usize| {
                let call = world.call(*task);
                world.task(*task).state == State::Entry
                    && call.number == libc::SYS_fcntl
                    && call.int(1) == libc::F_SETLKW
                    && world.process(*task).tid == pid
            };
            todo.extend((0..world.tasks.len()).filter(waits));
        }
    }
    false
}

fn fcntled(world: &mut World, task: usize, result: i64) {
    let (fd, command) = (world.call(task).int(0), world.call(task).int(1));
    if result < 0 {
        return;
    }
    match command {
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => {
            let process = world.process_mut(task);
            if process.own.contains(&fd) {
                process.own.insert(result as i32);
            }
        }
        libc::F_SETLK | libc::F_SETLKW | libc::F_OFD_SETLK | libc::F_OFD_SETLKW => {
            let holds = kind(world, task) != libc::F_UNLCK;
            if let Some(lock) = lock_of(world, task, fd) {
                let is_ofd = matches!(command, libc::F_OFD_SETLK | libc::F_OFD_SETLKW);
                if is_ofd && !world.process(task).own.contains(&fd) {
                    world.learn(super::descriptors::shared_lock(&lock));
                }
                let owner = if is_ofd { LockOwner::Description } else { LockOwner::Process };
                hold(world, task, lock, owner, holds);
            }
        }
        _ => {}
    }
}
