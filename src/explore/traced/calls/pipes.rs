//! Pipes, named pipes, and descriptors that count or tell of events.

use nix::libc;
use std::os::unix::fs::MetadataExt;

use super::{Row, row, then};
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::step::Access::{Add, Await, Write};
use crate::explore::traced::world::World;
use crate::sys::ptrace::probe::{descriptor_of, poll_now};
use crate::sys::ptrace::{arch, memory};

pub(super) const ROWS: &[Row] = &[
    then(row(arch::PIPE, "pipe", &[], |_, _| Plan::invisible()), made),
    then(row(libc::SYS_pipe2, "pipe", &[], |_, _| Plan::invisible()), made),
];

/// A pipe is named by its maker.
fn made(world: &mut World, task: usize, result: i64) {
    if result != 0 {
        return;
    }
    if let Ok(ends) = memory::array::<8>(world.tid(task), world.call(task).args[0]) {
        let end = i32::from_ne_bytes([ends[0], ends[1], ends[2], ends[3]]);
        let _ = world.opened(task, end);
    }
}

/// Whether one of `events` holds at a descriptor now.
pub(super) fn poll(world: &World, task: usize, fd: i32, events: i16) -> bool {
    // A descriptor that cannot be copied is tried by the program itself.
    descriptor_of(world.process(task).tid, fd).map_or(true, |copy| poll_now(&copy, events) != 0)
}

/// Whether the descriptor never blocks (`O_NONBLOCK`).
pub(super) fn is_nonblocking(world: &World, task: usize, fd: i32) -> bool {
    let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/{fd}", world.tid(task)));
    let info = info.unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_NONBLOCK != 0)
}

pub(super) fn reading(world: &mut World, task: usize, fd: i32, pipe: &str) -> Plan {
    if is_nonblocking(world, task, fd) {
        return Plan::of(pipe, Write);
    }
    Plan::of(pipe, Await).when(poll(world, task, fd, libc::POLLIN))
}

pub(super) fn writing(world: &mut World, task: usize, fd: i32, pipe: &str) -> Plan {
    if is_nonblocking(world, task, fd) {
        return Plan::of(pipe, Write);
    }
    // A write of more than fits blocks half-way, which only the kernel can tell.
    Plan::of(pipe, Await).when(poll(world, task, fd, libc::POLLOUT)).by(Act::MaySleep)
}

/// eventfd, timerfd, inotify and the like.
pub(super) fn anonymous(world: &mut World, task: usize, fd: i32, name: &str, reads: bool) -> Plan {
    let link = std::fs::read_link(format!("/proc/{}/fd/{fd}", world.tid(task))).unwrap_or_default();
    let kind = link.to_string_lossy().into_owned();
    if !kind.contains("eventfd") {
        world.note(format!("{} is not controlled", kind.trim_start_matches("anon_inode:")));
    }
    let _ = name;
    let events = if reads { libc::POLLIN } else { libc::POLLOUT };
    let ready = is_nonblocking(world, task, fd) || poll(world, task, fd, events);
    // One object stands for all of them: which is which is not known across a fork.
    Plan::of("event descriptors", Await).when(ready)
}

/// Whether another descriptor of a living process is open on the same pipe, for the same direction.
fn is_shared(world: &World, task: usize, fd: i32, writes: bool) -> bool {
    let own = world.tid(task);
    let Ok(meta) = std::fs::metadata(format!("/proc/{own}/fd/{fd}")) else { return false };
    let bit = if writes { 0o200 } else { 0o400 };
    let mut processes: Vec<usize> =
        world.tasks.iter().filter(|task| task.is_alive()).map(|task| task.process).collect();
    processes.sort_unstable();
    processes.dedup();
    processes.into_iter().any(|process| {
        let pid = world.tasks[process].tid;
        let folder = format!("/proc/{pid}/fd");
        std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok).any(|entry| {
            let is_it = world.tasks[process].process == world.tasks[task].process
                && entry.file_name().to_str().is_some_and(|name| name.parse() == Ok(fd));
            !is_it
                && entry.metadata().is_ok_and(|link| link.mode() & bit != 0)
                && std::fs::metadata(entry.path())
                    .is_ok_and(|other| (other.dev(), other.ino()) == (meta.dev(), meta.ino()))
        })
    })
}

/// Closing the last end of a direction is what others see: a reader meets the end, a writer a broken pipe.
/// Which end is the last one follows from the state, so an end that is not the last is no step.
pub(super) fn closing(world: &mut World, task: usize, fd: i32, pipe: &str) -> Plan {
    let link = std::fs::symlink_metadata(format!("/proc/{}/fd/{fd}", world.tid(task)));
    let mode = link.map_or(0, |link| link.mode());
    let (reads, writes) = (mode & 0o400 != 0, mode & 0o200 != 0);
    let mut plan = Plan::invisible();
    if writes && !is_shared(world, task, fd, true) && is_shared(world, task, fd, false) {
        plan = plan.and(pipe, Add);
    }
    if reads && !is_shared(world, task, fd, false) && is_shared(world, task, fd, true) {
        plan = plan.and(pipe, Write);
    }
    plan
}

/// A named pipe opens once both ends are wanted, which only the kernel can tell.
pub(super) fn open_fifo(world: &mut World, _task: usize, name: &str, inode: (u64, u64), _flags: i32) -> Plan {
    let pipe = world.objects.name(inode, &format!("pipe {name}"));
    Plan::of(pipe, Await).by(Act::MaySleep)
}
