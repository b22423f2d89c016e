//! Waiting for several descriptors.

use nix::libc;

use super::Arg::{Fd, Int};
use super::{Row, pipes, row, signals};
use crate::explore::step::Access::{self, Await, Read, Write};
use crate::explore::traced::objects::Opened;
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::world::World;
use crate::sys::ptrace::{arch, memory};

pub(super) const ROWS: &[Row] = &[
    row(arch::POLL, "poll", &[], |world, task| {
        let limit = i64::from(world.call(task).int(2));
        poll(world, task, limit, 0)
    }),
    row(libc::SYS_ppoll, "ppoll", &[], |world, task| {
        let limit = timespec(world, task, 2);
        poll(world, task, limit, world.call(task).args[3])
    }),
    row(arch::SELECT, "select", &[], |world, task| {
        let limit = timespec(world, task, 4);
        select(world, task, limit, 0)
    }),
    row(libc::SYS_pselect6, "pselect", &[], |world, task| {
        let limit = timespec(world, task, 4);
        // A pointer to a pointer to the mask, and its size.
        let mask =
            memory::array::<8>(world.tid(task), world.call(task).args[5]).map_or(0, u64::from_ne_bytes);
        select(world, task, limit, mask)
    }),
    row(libc::SYS_epoll_ctl, "epoll_ctl", &[Fd, Int, Fd], |world, task| {
        let fd = world.call(task).int(0);
        super::descriptors::flags_of(world, task, fd, Write)
    }),
    row(arch::EPOLL_WAIT, "epoll_wait", &[], epoll),
    row(libc::SYS_epoll_pwait, "epoll_wait", &[], epoll),
    row(libc::SYS_epoll_pwait2, "epoll_wait", &[], epoll),
];

/// The maximum number of descriptors.
const MOST: u64 = 1024;

/// -1: no limit; 0: do not wait.
pub(super) fn timespec(world: &World, task: usize, index: usize) -> i64 {
    let address = world.call(task).args[index];
    if address == 0 {
        return -1;
    }
    let zero = memory::array::<16>(world.tid(task), address).is_ok_and(|bytes| bytes == [0; 16]);
    i64::from(!zero)
}

fn poll(world: &mut World, task: usize, limit: i64, mask: u64) -> Plan {
    let call = world.call(task);
    let mut wanted = Vec::new();
    for index in 0..call.args[1].min(MOST) {
        if let Ok([a, b, c, d, e, f, ..]) = memory::array::<8>(world.tid(task), call.args[0] + 8 * index) {
            wanted.push((i32::from_ne_bytes([a, b, c, d]), i16::from_ne_bytes([e, f])));
        }
    }
    several(world, task, &wanted, limit, mask)
}

fn select(world: &mut World, task: usize, limit: i64, mask: u64) -> Plan {
    let call = world.call(task);
    let mut wanted = Vec::new();
    for (index, events) in [(1, libc::POLLIN), (2, libc::POLLOUT), (3, libc::POLLPRI)] {
        let count = call.args[0].min(MOST) as usize;
        if call.args[index] == 0 {
            continue;
        }
        let bits = memory::read(world.tid(task), call.args[index], count.div_ceil(8)).unwrap_or_default();
        let is_set = |fd: &usize| bits.get(fd / 8).is_some_and(|byte| byte & (1 << (fd % 8)) != 0);
        wanted.extend((0..count).filter(is_set).map(|fd| (fd as i32, events)));
    }
    several(world, task, &wanted, limit, mask)
}

fn several(world: &mut World, task: usize, wanted: &[(i32, i16)], limit: i64, mask: u64) -> Plan {
    let (mut plan, mut ready) = signals::with_mask(world, task, mask, Plan::invisible(), limit == 0);
    let access = if limit == 0 { Write } else { Await };
    for (fd, events) in wanted.iter().filter(|(fd, _)| *fd >= 0) {
        ready |= pipes::poll(world, task, *fd, *events);
        plan = touched(world, task, *fd, access, plan);
    }
    timed(world, task, plan, ready, limit, 0)
}

/// Adds the object that a descriptor refers to, on which its readiness depends.
fn touched(world: &mut World, task: usize, fd: i32, access: Access, plan: Plan) -> Plan {
    match world.opened(task, fd) {
        Opened::Pipe(name) => {
            plan.and(pipes::writers(&name), Read).and(pipes::readers(&name), Read).and(name, access)
        }
        Opened::Socket(_) => plan.and(super::sockets::OBJECT, access),
        Opened::Anonymous(_) => plan.and(pipes::EVENTS, access),
        _ => plan,
    }
}

/// The descriptors that an epoll instance watches, by the numbers with which they were added.
fn watched_by(world: &World, task: usize, fd: i32) -> Vec<i32> {
    let info =
        crate::sys::procfs::short_text(format!("/proc/{}/fdinfo/{fd}", world.tid(task))).unwrap_or_default();
    let watched = info.lines().filter_map(|line| line.strip_prefix("tfd:"));
    watched.filter_map(|line| line.split_ascii_whitespace().next()?.parse().ok()).collect()
}

/// A wait with a limit that is not ready times out once no other task can continue, and then returns `result`.
pub(super) fn timed(
    world: &mut World,
    task: usize,
    plan: Plan,
    ready: bool,
    limit: i64,
    result: i64,
) -> Plan {
    let name = format!("time {}", world.task(task).name);
    if ready {
        return plan;
    }
    let plan = if plan.is_visible() { plan } else { plan.and(&name, Await) };
    if limit < 0 {
        return plan.when(false).by(Act::MaySleep);
    }
    plan.and(name, Await).when(world.timeouts).by(Act::Skip(result))
}

fn epoll(world: &mut World, task: usize) -> Plan {
    let (fd, limit) = (world.call(task).int(0), world.call(task).int(3));
    let limit = if world.call(task).number == libc::SYS_epoll_pwait2 {
        timespec(world, task, 3)
    } else {
        i64::from(limit)
    };
    let ready = limit == 0 || pipes::poll(world, task, fd, libc::POLLIN);
    let access = if limit == 0 { Write } else { Await };
    let mut plan = Plan::of(pipes::EVENTS, access);
    let watched = watched_by(world, task, fd);
    let is_ready = |fd: &&i32| pipes::poll(world, task, **fd, libc::POLLIN);
    if watched.iter().filter(is_ready).count() > 1 {
        // The kernel lists them in that order, although nothing else depends on it.
        world.note("epoll: which of several descriptors became ready first");
    }
    for watched in watched {
        plan = touched(world, task, watched, access, plan);
    }
    let mask = if world.call(task).number == arch::EPOLL_WAIT { 0 } else { world.call(task).args[4] };
    let (plan, ready) = signals::with_mask(world, task, mask, plan, ready);
    timed(world, task, plan, ready, limit, 0)
}
