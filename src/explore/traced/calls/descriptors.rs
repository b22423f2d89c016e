//! Reading, writing, seeking and closing descriptors of any kind.

use crate::sys::pid::Pid;
use nix::libc;

use super::Arg::{Data, Fd, Int, Mode, Request};
use super::{Row, pipes, row, sockets, then};
use crate::explore::step::Access::{self, Read, Release, Write};
use crate::explore::traced::objects::Opened;
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::world::World;
use crate::sys::ptrace::memory;

pub(super) const ROWS: &[Row] = &[
    row(libc::SYS_read, "read", &[Fd, Data(false)], |w, t| reading(w, t, true)),
    row(libc::SYS_readv, "readv", &[Fd], |w, t| reading(w, t, true)),
    row(libc::SYS_pread64, "pread", &[Fd, Data(false), Int, Int], |w, t| reading(w, t, false)),
    row(libc::SYS_preadv, "preadv", &[Fd], |w, t| reading(w, t, false)),
    row(libc::SYS_preadv2, "preadv", &[Fd], |w, t| reading(w, t, false)),
    row(libc::SYS_write, "write", &[Fd, Data(true)], |w, t| writing(w, t, true)),
    row(libc::SYS_writev, "writev", &[Fd], |w, t| writing(w, t, true)),
    row(libc::SYS_pwrite64, "pwrite", &[Fd, Data(true), Int, Int], |w, t| writing(w, t, false)),
    row(libc::SYS_pwritev, "pwritev", &[Fd], |w, t| writing(w, t, false)),
    row(libc::SYS_pwritev2, "pwritev", &[Fd], |w, t| writing(w, t, false)),
    row(libc::SYS_lseek, "lseek", &[Fd, Int, Int], seek),
    row(libc::SYS_ftruncate, "ftruncate", &[Fd, Int], |w, t| writing(w, t, false)),
    row(libc::SYS_fallocate, "fallocate", &[Fd], |w, t| writing(w, t, false)),
    row(libc::SYS_fchmod, "fchmod", &[Fd, Mode], attributes),
    row(libc::SYS_fchown, "fchown", &[Fd], attributes),
    row(libc::SYS_ioctl, "ioctl", &[Fd, Request], ioctl),
    row(libc::SYS_copy_file_range, "copy_file_range", &[Fd, Int, Fd], |w, t| two(w, t, 0, 2)),
    row(libc::SYS_sendfile, "sendfile", &[Fd, Fd], |w, t| two(w, t, 1, 0)),
    row(libc::SYS_splice, "splice", &[Fd, Int, Fd], |w, t| two(w, t, 0, 2)),
    row(libc::SYS_tee, "tee", &[Fd, Fd], |w, t| two(w, t, 0, 1)),
    then(
        row(libc::SYS_close, "close", &[Fd], |w, t| {
            let fd = w.call(t).int(0);
            closing(w, t, fd)
        }),
        closed,
    ),
    then(row(libc::SYS_close_range, "close_range", &[Int, Int], close_range), closed_range),
    then(row(libc::SYS_dup, "dup", &[Fd], |_, _| Plan::invisible()), shared),
    then(
        row(crate::sys::ptrace::arch::DUP2, "dup2", &[Fd, Int], |w, t| {
            let fd = w.call(t).int(1);
            closing(w, t, fd)
        }),
        shared,
    ),
    then(
        row(libc::SYS_dup3, "dup3", &[Fd, Int], |w, t| {
            let fd = w.call(t).int(1);
            closing(w, t, fd)
        }),
        shared,
    ),
];

/// Adds the file offset, which is a separate object if two processes share it.
fn offset(world: &World, task: usize, fd: i32, object: &str, plan: Plan) -> Plan {
    if world.process(task).own.contains(&fd) { plan } else { plan.and(format!("offset {object}"), Write) }
}

pub(super) fn reading(world: &mut World, task: usize, moves: bool) -> Plan {
    let fd = world.call(task).int(0);
    match world.opened(task, fd) {
        Opened::File(object) => {
            let plan = Plan::of(format!("file {object}"), Read);
            if moves { offset(world, task, fd, &object, plan) } else { plan }
        }
        Opened::Pipe(pipe) => pipes::reading(world, task, fd, &pipe),
        Opened::Socket(socket) => sockets::receiving(world, task, fd, &socket),
        Opened::Anonymous(name) => pipes::anonymous(world, task, fd, &name, true),
        Opened::Device(1, 8 | 9) => random(world, task),
        Opened::Device(1, _) => Plan::invisible(),
        Opened::Device(..) => {
            world.note("read from a device");
            Plan::invisible()
        }
        _ => Plan::invisible(),
    }
}

/// Emulates reads of `/dev/random` and `/dev/urandom`, as `getrandom`.
fn random(world: &mut World, task: usize) -> Plan {
    let call = world.call(task);
    if call.number != libc::SYS_read {
        world.note("random numbers from a device");
        return Plan::invisible();
    }
    super::time::random_bytes(world, task, call.args[1], call.args[2])
}

pub(super) fn writing(world: &mut World, task: usize, moves: bool) -> Plan {
    let fd = world.call(task).int(0);
    match world.opened(task, fd) {
        Opened::Stream(stream) => output(world, task, stream),
        Opened::File(object) => {
            let plan = Plan::of(format!("file {object}"), Write);
            if moves { offset(world, task, fd, &object, plan) } else { plan }
        }
        Opened::Pipe(pipe) => pipes::writing(world, task, fd, &pipe),
        Opened::Socket(socket) => sockets::sending(world, task, fd, &socket),
        Opened::Anonymous(name) => pipes::anonymous(world, task, fd, &name, false),
        Opened::Elsewhere(path) => {
            world.note(format!("written outside of the folder: {}", path.display()));
            world.forbids_copies = true;
            Plan::invisible()
        }
        Opened::Device(major, _) if major != 1 => {
            world.note("written to a device");
            Plan::invisible()
        }
        _ => Plan::invisible(),
    }
}

/// Whether a call returns the number of bytes that it has written.
pub(in crate::explore::traced) fn is_write(row: &Row) -> bool {
    matches!(
        row.name,
        "write" | "writev" | "pwrite" | "pwritev" | "copy_file_range" | "sendfile" | "splice" | "tee"
    )
}

/// Whether the call in which the task sleeps has written a part of its bytes to a pipe.
pub(in crate::explore::traced) fn writes_in_pieces(world: &mut World, task: usize) -> bool {
    let call = world.call(task);
    let writes = [libc::SYS_write, libc::SYS_writev, libc::SYS_splice, libc::SYS_sendfile, libc::SYS_tee];
    let fds = if call.number == libc::SYS_splice { [call.int(2); 2] } else { [call.int(0), call.int(1)] };
    writes.contains(&call.number) && fds.iter().any(|fd| matches!(world.opened(task, *fd), Opened::Pipe(_)))
}

/// Changes mode or owner.
fn attributes(world: &mut World, task: usize) -> Plan {
    let fd = world.call(task).int(0);
    match world.opened(task, fd) {
        Opened::File(object) => Plan::of(format!("attributes {object}"), Write),
        Opened::Directory(name) => Plan::of(format!("attributes {name}"), Write),
        Opened::Elsewhere(path) => {
            world.note(format!("changed outside of the folder: {}", path.display()));
            world.forbids_copies = true;
            Plan::invisible()
        }
        _ => Plan::invisible(),
    }
}

/// Output is recorded per process and is not a step: the order of lines across processes is not part of an outcome.
fn output(world: &World, task: usize, stream: usize) -> Plan {
    match world.call(task).number {
        libc::SYS_write | libc::SYS_pwrite64 | libc::SYS_writev => Plan::invisible().by(Act::Output(stream)),
        _ => Plan::invisible(),
    }
}

/// Records what the pending call writes to a stream, and returns the result of the call.
pub(in crate::explore::traced) fn keep_output(world: &mut World, task: usize, stream: usize) -> i64 {
    let call = world.call(task);
    let tid = world.tid(task);
    let name = world.process(task).name.clone();
    let most = world.limits.output;
    let had = world.output.get(&name).map_or(0, |streams| streams[0].len() + streams[1].len());
    let room = most.saturating_sub(had);
    let (bytes, length) = if call.number == libc::SYS_writev {
        vector(tid, call.args[1], call.args[2], room)
    } else {
        let length = call.args[2].min(i64::MAX as u64);
        (memory::read(tid, call.args[1], (length as usize).min(room)).unwrap_or_default(), length)
    };
    if length as usize > room {
        world.cut = Some(format!("{name} writes more than {most} bytes of output"));
    }
    world.output.entry(name).or_default()[stream].extend(bytes);
    length.cast_signed()
}

/// The bytes of an array of `struct iovec`.
fn vector(tid: Pid, address: u64, count: u64, room: usize) -> (Vec<u8>, u64) {
    let (mut bytes, mut length) = (Vec::new(), 0_u64);
    for index in 0..count.min(1024) {
        let Ok(entry) = memory::array::<16>(tid, address + 16 * index) else { break };
        let word = |at: usize| u64::from_ne_bytes(entry[at..at + 8].try_into().unwrap_or_default());
        let left = room.saturating_sub(bytes.len());
        bytes.extend(memory::read(tid, word(0), (word(8) as usize).min(left)).unwrap_or_default());
        length += word(8);
    }
    (bytes, length)
}

fn seek(world: &mut World, task: usize) -> Plan {
    let fd = world.call(task).int(0);
    match world.opened(task, fd) {
        Opened::File(object) => {
            let at_end =
                world.call(task).int(2) != libc::SEEK_SET && world.call(task).int(2) != libc::SEEK_CUR;
            let plan = Plan::invisible();
            let plan = if at_end { plan.and(format!("file {object}"), Read) } else { plan };
            offset(world, task, fd, &object, plan)
        }
        _ => Plan::invisible(),
    }
}

/// `_IOW(0x94, 9, int)`: the whole of another file, by reference where the file system can.
pub(in crate::explore::traced) const FICLONE: u64 = 0x4004_9409;

/// Requests that affect only the descriptor, or that fail because it is not a terminal, are invisible.
fn ioctl(world: &mut World, task: usize) -> Plan {
    const TERMINAL: std::ops::RangeInclusive<u64> = 0x5401..=0x541a;
    let (fd, request) = (world.call(task).int(0), world.call(task).args[1] & 0xffff_ffff);
    if request == libc::FIONBIO {
        return flags_of(world, task, fd, Write);
    }
    let of_descriptor = [libc::FIOCLEX, libc::FIONCLEX].contains(&request);
    let is_terminal = TERMINAL.contains(&request);
    let opened = world.opened(task, fd);
    // `/dev/null` and its like, major number 1, are no terminals.
    let is_none = !matches!(opened, Opened::Device(major, _) if major != 1);
    if of_descriptor || is_terminal && is_none {
        return Plan::invisible();
    }
    if request == FICLONE {
        return two(world, task, 2, 0);
    }
    match opened {
        Opened::Pipe(pipe) if request == libc::FIONREAD => Plan::of(pipe, Read),
        Opened::File(object) if request == libc::FIONREAD => {
            offset(world, task, fd, &object, Plan::of(format!("file {object}"), Read))
        }
        Opened::File(object) => {
            world.note(format!("ioctl {request:#x} on a file"));
            Plan::of(format!("file {object}"), Write)
        }
        _ => {
            world.note(format!("ioctl {request:#x}"));
            Plan::invisible()
        }
    }
}

/// An access to the flags of an open file description, such as `O_NONBLOCK`, which matter to the processes that share it.
pub(super) fn flags_of(world: &mut World, task: usize, fd: i32, access: Access) -> Plan {
    if world.process(task).own.contains(&fd) {
        return Plan::invisible();
    }
    match world.opened(task, fd) {
        Opened::File(object) => Plan::of(format!("file {object}"), access),
        Opened::Pipe(pipe) => Plan::of(pipe, access),
        Opened::Socket(_) => Plan::of(sockets::OBJECT, access),
        Opened::Anonymous(_) => Plan::of(pipes::EVENTS, access),
        _ => Plan::invisible(),
    }
}

/// One call that reads from one descriptor and writes to another.
fn two(world: &mut World, task: usize, from: usize, to: usize) -> Plan {
    let fds = [world.call(task).int(from), world.call(task).int(to)];
    let mut plan = Plan::invisible();
    for (fd, access) in fds.into_iter().zip([Read, Write]) {
        match world.opened(task, fd) {
            Opened::File(object) => {
                plan = offset(world, task, fd, &object, plan.and(format!("file {object}"), access));
            }
            Opened::Pipe(pipe) if access == Read => plan = plan.with(pipes::reading(world, task, fd, &pipe)),
            Opened::Pipe(pipe) => plan = plan.with(pipes::writing(world, task, fd, &pipe)),
            Opened::Stream(_) => {
                // Refused, so that it is written with `write`, whose bytes can be seen.
                return Plan::answered(-i64::from(libc::EINVAL));
            }
            Opened::Socket(name) => {
                world.note(format!("{name}: data that was not copied"));
            }
            _ => {}
        }
    }
    plan
}

/// What closing a descriptor releases: locks, and the end of a pipe.
pub(super) fn closing(world: &mut World, task: usize, fd: i32) -> Plan {
    match world.opened(task, fd) {
        Opened::Elsewhere(_) | Opened::Device(..) => {
            world.forget(task, fd);
            Plan::outside()
        }
        Opened::File(object) => {
            let lock = format!("lock {object}");
            let process = world.process(task);
            // A lock of this process ends here; one that another has through the same description may.
            let holds = process.holds(&lock);
            let shares = !process.own.contains(&fd) && world.learned.contains(&shared_lock(&lock));
            world.tasks[task].gives_up = holds.then(|| lock.clone());
            if holds || shares { Plan::of(lock, Release) } else { Plan::invisible() }
        }
        Opened::Pipe(pipe) => pipes::closing(world, task, fd, &pipe),
        Opened::Socket(socket) => sockets::closing(world, task, fd, &socket),
        _ => Plan::invisible(),
    }
}

fn closed(world: &mut World, task: usize, result: i64) {
    let fd = world.call(task).int(0);
    // It is closed even if the call fails (`close(2)`).
    world.forget(task, fd);
    if result != 0 {
        return;
    }
    let lock = world.tasks[task].gives_up.take();
    let process = world.process_mut(task);
    process.own.remove(&fd);
    if let Some(lock) = lock {
        process.locks.retain(|(held, _)| *held != lock);
    }
}

/// The fact that the lock was acquired through a description that several processes share.
pub(in crate::explore::traced) fn shared_lock(lock: &str) -> String {
    format!("{lock} through a shared description")
}

fn close_range(world: &mut World, task: usize) -> Plan {
    let (first, last) = (world.call(task).args[0], world.call(task).args[1]);
    let fds = world.open_descriptors(task).into_iter();
    let fds: Vec<i32> = fds.filter(|fd| (first..=last).contains(&u64::from(fd.cast_unsigned()))).collect();
    let mut plan = Plan::invisible();
    for fd in fds {
        plan.touches.extend(closing(world, task, fd).touches);
        world.process_mut(task).own.remove(&fd);
    }
    plan
}

fn closed_range(world: &mut World, task: usize, _: i64) {
    let (first, last) = (world.call(task).args[0], world.call(task).args[1]);
    let is_open = |fd: i32| !(first..=last).contains(&u64::from(fd.cast_unsigned()));
    world.process_mut(task).descriptors.retain(is_open);
}

/// Records that two descriptors refer to one description, which remains private to this process if it was.
fn shared(world: &mut World, task: usize, result: i64) {
    let (from, to) = (world.call(task).int(0), result as i32);
    if result < 0 {
        return;
    }
    world.forget(task, to);
    let process = world.process_mut(task);
    if process.own.contains(&from) {
        process.own.insert(to);
    } else {
        process.own.remove(&to);
    }
}
