//! Sockets. All of them are one object, so that every two calls on sockets depend on each other; whether one
//! can go on is asked of the kernel, as for pipes. What goes to other machines or programs is named.

use nix::libc;

use super::Arg::Fd;
use super::{Row, pipes, row};
use crate::explore::step::Access::{Await, Write};
use crate::explore::traced::objects::Opened;
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::world::World;
use crate::sys::ptrace::memory;

const OBJECT: &str = "sockets";

pub(super) const ROWS: &[Row] = &[
    row(libc::SYS_connect, "connect", &[Fd], connect),
    row(libc::SYS_bind, "bind", &[Fd], |_, _| Plan::of(OBJECT, Write)),
    row(libc::SYS_listen, "listen", &[Fd], |_, _| Plan::of(OBJECT, Write)),
    row(libc::SYS_accept, "accept", &[Fd], |w, t| on(w, t, libc::POLLIN)),
    row(libc::SYS_accept4, "accept", &[Fd], |w, t| on(w, t, libc::POLLIN)),
    row(libc::SYS_recvfrom, "recv", &[Fd], |w, t| on(w, t, libc::POLLIN)),
    row(libc::SYS_recvmsg, "recvmsg", &[Fd], |w, t| on(w, t, libc::POLLIN)),
    row(libc::SYS_sendto, "send", &[Fd], |w, t| on(w, t, libc::POLLOUT)),
    row(libc::SYS_sendmsg, "sendmsg", &[Fd], |w, t| {
        // `msg_controllen` of `struct msghdr`.
        let control = memory::array::<8>(w.tid(t), w.call(t).args[1] + 40).map_or(0, u64::from_ne_bytes);
        if control > 0 {
            w.note("descriptors or credentials that are sent through a socket");
        }
        on(w, t, libc::POLLOUT)
    }),
    row(libc::SYS_shutdown, "shutdown", &[Fd], |_, _| Plan::of(OBJECT, Write)),
];

fn on(world: &mut World, task: usize, events: i16) -> Plan {
    let fd = world.call(task).int(0);
    if !matches!(world.opened(task, fd), Opened::Socket(_)) {
        return Plan::invisible();
    }
    // `MSG_DONTWAIT` is the fourth argument of the calls without a header, the third of those with one.
    let flags = match world.call(task).number {
        libc::SYS_recvfrom | libc::SYS_sendto => world.call(task).int(3),
        libc::SYS_recvmsg | libc::SYS_sendmsg => world.call(task).int(2),
        _ => 0,
    };
    if flags & libc::MSG_DONTWAIT != 0 || pipes::is_nonblocking(world, task, fd) {
        return Plan::of(OBJECT, Write);
    }
    Plan::of(OBJECT, Await).when(pipes::poll(world, task, fd, events)).by(Act::MaySleep)
}

pub(super) fn receiving(world: &mut World, task: usize, _fd: i32, _name: &str) -> Plan {
    on(world, task, libc::POLLIN)
}

pub(super) fn sending(world: &mut World, task: usize, _fd: i32, _name: &str) -> Plan {
    on(world, task, libc::POLLOUT)
}

pub(super) fn closing(_world: &mut World, _task: usize, _fd: i32, _name: &str) -> Plan {
    Plan::of(OBJECT, Write)
}

/// Only what the program opens to itself is controlled; who listens is not known, so every address but
/// those of this machine is named.
fn connect(world: &mut World, task: usize) -> Plan {
    let call = world.call(task);
    let address =
        memory::read(world.tid(task), call.args[1], 28.min(call.args[2] as usize)).unwrap_or_default();
    let family = address.first_chunk().map_or(0, |family| i32::from(u16::from_ne_bytes(*family)));
    let is_loopback = match family {
        libc::AF_INET => address.get(4) == Some(&127),
        libc::AF_INET6 => address.get(8..24) == Some(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        libc::AF_UNIX => true,
        _ => false,
    };
    world.note(if is_loopback {
        "a connection whose other end may be another program's"
    } else {
        "a connection to another machine"
    });
    Plan::of(OBJECT, Write).by(Act::MaySleep)
}
