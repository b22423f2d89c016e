//! Sockets. All of them are one object, so that every two calls on sockets depend on each other; whether one can go on
//! is asked of the kernel, as for pipes. Once a program is known to use the network, each execution has one of its own,
//! with the loopback interface only. What would go to other machines or programs is named.

use nix::libc;

use super::Arg::{Fd, Int};
use super::{Row, pipes, row};
use crate::explore::step::Access::{Await, Read, Write};
use crate::explore::traced::objects::Opened;
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::world::World;
use crate::sys::ptrace::memory;

/// The object that stands for all sockets.
pub(super) const OBJECT: &str = "sockets";
/// The fact that the program uses the network.
pub(in crate::explore::traced) const NETWORK: &str = "the network is used";

pub(super) const ROWS: &[Row] = &[
    row(libc::SYS_socket, "socket", &[Int], socket),
    row(libc::SYS_connect, "connect", &[Fd], connect),
    row(libc::SYS_bind, "bind", &[Fd], bind),
    row(libc::SYS_listen, "listen", &[Fd], |_, _| Plan::of(OBJECT, Write)),
    row(libc::SYS_accept, "accept", &[Fd], |w, t| on(w, t, libc::POLLIN)),
    row(libc::SYS_accept4, "accept", &[Fd], |w, t| on(w, t, libc::POLLIN)),
    row(libc::SYS_recvfrom, "recv", &[Fd], |w, t| on(w, t, libc::POLLIN)),
    row(libc::SYS_recvmsg, "recvmsg", &[Fd], |w, t| on(w, t, libc::POLLIN)),
    row(libc::SYS_sendto, "send", &[Fd], |w, t| {
        let call = w.call(t);
        let peer = peer(w, t, call.args[4], call.args[5]);
        on(w, t, libc::POLLOUT).with(peer)
    }),
    row(libc::SYS_sendmsg, "sendmsg", &[Fd], |w, t| {
        // `struct msghdr`: the address and its length, and the length of control messages.
        let word = |at| memory::array::<8>(w.tid(t), w.call(t).args[1] + at).map_or(0, u64::from_ne_bytes);
        let (name, length, control) = (word(0), word(8) & 0xffff_ffff, word(40));
        let peer = peer(w, t, name, length);
        if control > 0 {
            w.note("descriptors or credentials that are sent through a socket");
        }
        on(w, t, libc::POLLOUT).with(peer)
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

/// A `struct sockaddr` in the memory of the program, and its family.
fn address(world: &World, task: usize, at: u64, length: u64) -> (i32, Vec<u8>) {
    const LONGEST: u64 = 128;
    let address = memory::read(world.tid(task), at, length.min(LONGEST) as usize).unwrap_or_default();
    let family = address.first_chunk().map_or(0, |family| i32::from(u16::from_ne_bytes(*family)));
    (family, address)
}

/// The path of a Unix socket's address; empty for one without a name in the file system.
fn path_of(address: &[u8]) -> &[u8] {
    address.get(2..).and_then(|path| path.split(|byte| *byte == 0).next()).unwrap_or_default()
}

/// An internet socket, or one that queries the state of the network.
fn socket(world: &mut World, task: usize) -> Plan {
    match world.call(task).int(0) {
        libc::AF_UNIX => {}
        libc::AF_INET | libc::AF_INET6 | libc::AF_NETLINK => uses_network(world),
        family => world.note(format!("a socket of the address family {family}")),
    }
    Plan::invisible()
}

/// From now on each execution has a separate network, if that is allowed.
fn uses_network(world: &mut World) {
    if world.numbers.is_some() {
        world.learn(NETWORK.to_owned());
    } else {
        world.note("the network of this machine, which other programs use");
    }
}

/// Binding a socket to a path creates a name.
fn bind(world: &mut World, task: usize) -> Plan {
    let call = world.call(task);
    let (family, address) = address(world, task, call.args[1], call.args[2]);
    let plan = Plan::of(OBJECT, Write);
    if family != libc::AF_UNIX {
        return plan;
    }
    if path_of(&address).is_empty() {
        uses_network(world);
        return plan;
    }
    let resolved = world.resolve(task, libc::AT_FDCWD, path_of(&address), false);
    plan.with(super::files::changed(world, &resolved))
}

fn connect(world: &mut World, task: usize) -> Plan {
    let call = world.call(task);
    let plan = Plan::of(OBJECT, Write).by(Act::MaySleep);
    let peer = peer(world, task, call.args[1], call.args[2]);
    plan.with(peer)
}

/// The name of the socket at the other end. What is not this program's own is named: paths outside of the folder, and
/// other machines.
fn peer(world: &mut World, task: usize, at: u64, length: u64) -> Plan {
    if at == 0 || length == 0 {
        return Plan::invisible();
    }
    let (family, address) = address(world, task, at, length);
    let is_loopback = match family {
        libc::AF_INET => matches!(address.get(4), Some(127 | 0)),
        libc::AF_INET6 => address.get(8..23) == Some(&[0; 15]),
        libc::AF_UNIX => {
            if path_of(&address).is_empty() {
                uses_network(world);
                return Plan::invisible();
            }
            let resolved = world.resolve(task, libc::AT_FDCWD, path_of(&address), true);
            return match &resolved.inside {
                Some(name) => Plan::of(format!("name {name}"), Read),
                None => {
                    world.note(format!("a connection to another program: {}", resolved.path.display()));
                    Plan::invisible()
                }
            };
        }
        // The other end is the kernel, or nothing.
        libc::AF_NETLINK | libc::AF_UNSPEC => true,
        _ => false,
    };
    if !is_loopback {
        world.note("a connection to another machine");
    }
    Plan::invisible()
}
