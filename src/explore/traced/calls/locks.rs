//! Locks on files: flock, record locks and open file description locks.

use nix::libc;

use super::Arg::{Fd, Flock, Int};
use super::{Row, row, then};
use crate::explore::traced::objects::Opened;
use crate::explore::traced::plan::Plan;
use crate::explore::step::Access::{Acquire, Read, Release, Write};
use crate::explore::traced::world::World;
use crate::sys::procfs::locks;
use crate::sys::ptrace::memory;
use crate::sys::ptrace::probe::would_lock;

pub(super) const ROWS: &[Row] = &[
    then(row(libc::SYS_flock, "flock", &[Fd, Flock], flock), flocked),
    then(row(libc::SYS_fcntl, "fcntl", &[Fd, Int], fcntl), fcntled),
];

/// The object of the lock on what `fd` is open on.
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
            let held = std::fs::read_to_string(info).unwrap_or_default();
            let holds = held.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK"));
            let ready = if holds { others(world, task, fd, "FLOCK") == 0 } else { would_lock(&path, kind) };
            let access = if kind == libc::LOCK_SH { Read } else { Acquire };
            Plan::of(lock, access).when(ready)
        }
    }
}

/// How many locks of this kind others than the process hold on the file.
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
        hold(world, task, lock, operation & !libc::LOCK_NB != libc::LOCK_UN);
    }
}

fn hold(world: &mut World, task: usize, lock: String, holds: bool) {
    let locks = &mut world.process_mut(task).locks;
    if holds {
        locks.insert(lock);
    } else {
        locks.remove(&lock);
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
        return Plan::invisible();
    }
    let Some(lock) = lock_of(world, task, fd) else { return Plan::invisible() };
    match kind(world, task) {
        libc::F_UNLCK if !matches!(command, libc::F_GETLK | libc::F_OFD_GETLK) => Plan::of(lock, Release),
        kind if waits => {
            let ready = record_lock_is_free(world, task, fd, kind);
            Plan::of(lock, if kind == libc::F_RDLCK { Read } else { Acquire }).when(ready)
        }
        _ => Plan::of(lock, Write),
    }
}

/// Whether no other process has a record lock that conflicts.
fn record_lock_is_free(world: &World, task: usize, fd: i32, kind: i32) -> bool {
    let pid = world.process(task).tid;
    let Some(file) = locks::file_of(pid, u64::from(fd.cast_unsigned())) else { return true };
    let Ok(lock) = memory::array::<24>(world.tid(task), world.call(task).args[2]) else { return true };
    let word = |at: usize| u64::from_ne_bytes(lock[at..at + 8].try_into().unwrap_or_default());
    let whence = i16::from_ne_bytes([lock[2], lock[3]]);
    // From the current offset or the end: the whole file is asked about, which can only wait longer.
    let (start, length) = if i32::from(whence) == libc::SEEK_SET { (word(8), word(16)) } else { (0, 0) };
    let end = if length == 0 { u64::MAX } else { start.saturating_add(length - 1) };
    let is_ofd = world.call(task).int(1) == libc::F_OFD_SETLKW;
    !locks::all().iter().any(|lock| {
        let conflicts =
            !lock.waiting && matches!(lock.kind.as_str(), "POSIX" | "OFDLCK") && lock.file == file;
        let overlaps = lock.range.0 <= end && start <= lock.range.1;
        let mine = !is_ofd && lock.pid == Some(pid);
        conflicts && overlaps && !mine && (lock.exclusive || kind == libc::F_WRLCK)
    })
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
                hold(world, task, lock, holds);
            }
        }
        _ => {}
    }
}
