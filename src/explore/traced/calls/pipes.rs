//! Pipes, named pipes, and descriptors for events, such as eventfd.

use nix::libc;

use super::{Row, row, then};
use crate::explore::step::Access::{Add, Await, Read, Write};
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::world::World;
use crate::sys::ptrace::probe::{descriptor_of, poll_now};
use crate::sys::ptrace::{arch, memory};

pub(super) const ROWS: &[Row] = &[
    then(row(arch::PIPE, "pipe", &[], |_, _| Plan::invisible()), made),
    then(row(libc::SYS_pipe2, "pipe", &[], |_, _| Plan::invisible()), made),
];

/// A pipe is named after its creator.
fn made(world: &mut World, task: usize, result: i64) {
    if result != 0 {
        return;
    }
    if let Ok(ends) = memory::array::<8>(world.tid(task), world.call(task).args[0]) {
        let end = i32::from_ne_bytes([ends[0], ends[1], ends[2], ends[3]]);
        let _ = world.opened(task, end);
    }
}

/// The object for all descriptors for events, which cannot be told apart across a fork.
pub(super) const EVENTS: &str = "event descriptors";

/// Whether one of `events` holds at a descriptor now.
pub(super) fn poll(world: &World, task: usize, fd: i32, events: i16) -> bool {
    // A descriptor that cannot be copied is tried by the program itself.
    descriptor_of(world.process(task).tid, fd).map_or(true, |copy| poll_now(&copy, events) != 0)
}

/// The flags of the open file description, and `O_CLOEXEC` of the descriptor.
pub(super) fn flags(world: &World, task: usize, fd: i32) -> Option<i32> {
    let info = crate::sys::procfs::short_text(format!("/proc/{}/fdinfo/{fd}", world.tid(task))).ok()?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    i32::from_str_radix(flags.trim(), 8).ok()
}

/// Whether the descriptor never blocks (`O_NONBLOCK`).
pub(super) fn is_nonblocking(world: &World, task: usize, fd: i32) -> bool {
    flags(world, task, fd).is_some_and(|flags| flags & libc::O_NONBLOCK != 0)
}

/// A read of available bytes is independent of the writers; the end of the file depends on them.
pub(super) fn reading(world: &mut World, task: usize, fd: i32, pipe: &str) -> Plan {
    let Ok(copy) = descriptor_of(world.process(task).tid, fd) else { return Plan::of(pipe, Write) };
    let events = poll_now(&copy, libc::POLLIN);
    if events & libc::POLLIN != 0 {
        return Plan::of(pipe, Await);
    }
    let plan = Plan::of(pipe, Await).and(writers(pipe), Read);
    plan.when(events != 0 || is_nonblocking(world, task, fd))
}

pub(super) fn writing(world: &mut World, task: usize, fd: i32, pipe: &str) -> Plan {
    let plan = Plan::of(pipe, Await).and(readers(pipe), Read);
    if is_nonblocking(world, task, fd) {
        return plan;
    }
    let plan = plan.when(poll(world, task, fd, libc::POLLOUT));
    // A page fits, since one is free. A write of more than fits blocks half-way, which only the kernel can tell.
    let call = world.call(task);
    let fits = call.number == libc::SYS_write && call.args[2] <= libc::PIPE_BUF as u64;
    if fits { plan } else { plan.by(Act::MaySleep) }
}

/// The processes that can write to a pipe.
pub(super) fn writers(pipe: &str) -> String {
    format!("writers of {pipe}")
}

/// The processes that can read from a pipe.
pub(super) fn readers(pipe: &str) -> String {
    format!("readers of {pipe}")
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
    Plan::of(EVENTS, Await).when(ready)
}

/// What the others see of a process that gives up its last descriptor of an end: a reader may meet the end,
/// a writer a broken pipe.
///
/// Those that go are not ordered among each other. A read that finds no byte depends on each writer, a write
/// on each reader: which of them is the last to go is decided by all.
pub(super) fn closing(world: &mut World, task: usize, fd: i32, pipe: &str) -> Plan {
    let Some(end) = world.pipe_end(task, fd) else { return Plan::invisible() };
    let others = world.open_descriptors(task).into_iter().filter(|other| *other != fd);
    let others: Vec<_> = others.filter_map(|other| world.pipe_end(task, other)).collect();
    let mut plan = Plan::invisible();
    for (mode, object) in [(1, writers(pipe)), (0, readers(pipe))] {
        let keeps = others.iter().any(|other| other.inode == end.inode && other.modes[mode]);
        if end.modes[mode] && !keeps {
            plan = plan.and(object, Add);
        }
    }
    plan
}

/// Opening a named pipe waits for the other end, which only the kernel knows.
pub(super) fn open_fifo(world: &mut World, _task: usize, name: &str, inode: (u64, u64), _flags: i32) -> Plan {
    let pipe = world.objects.name(inode, &format!("pipe {name}"));
    Plan::of(pipe, Await).by(Act::MaySleep)
}
