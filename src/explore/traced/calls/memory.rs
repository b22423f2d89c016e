//! Shared memory and futexes.
//!
//! A futex call is a step. Plain loads and stores of shared memory are not, and are named.

use nix::libc;

use super::Arg::Int;
use super::{Row, row};
use crate::explore::step::Access::{Await, Read, Write};
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::world::World;
use crate::sys::ptrace::memory;

pub(super) const ROWS: &[Row] = &[
    row(libc::SYS_mmap, "mmap", &[], map),
    row(libc::SYS_futex, "futex", &[Int], futex),
    row(libc::SYS_futex_waitv, "futex_waitv", &[], refuse),
    row(libc::SYS_shmat, "shmat", &[], |world, _| {
        world.note("memory that processes share: its loads and stores are no steps");
        Plan::invisible()
    }),
    row(libc::SYS_semop, "semop", &[], system_v),
    row(libc::SYS_semtimedop, "semtimedop", &[], system_v),
    row(libc::SYS_semctl, "semctl", &[], system_v),
    row(libc::SYS_msgsnd, "msgsnd", &[], system_v),
    row(libc::SYS_msgrcv, "msgrcv", &[], system_v),
    row(libc::SYS_mq_timedsend, "mq_send", &[], system_v),
    row(libc::SYS_mq_timedreceive, "mq_receive", &[], system_v),
];

/// Only shared mappings stop here.
fn map(world: &mut World, task: usize) -> Plan {
    let call = world.call(task);
    let (protection, flags) = (call.int(2), call.int(3));
    let fd = call.int(4);
    if protection & libc::PROT_WRITE != 0 {
        world.note("memory that processes share: its loads and stores are no steps");
    } else if flags & libc::MAP_ANONYMOUS == 0 && world.process(task).own.contains(&fd) {
        // A file that is mapped and read only: its content is seen without a call, if it is ours.
        if matches!(world.opened(task, fd), crate::explore::traced::objects::Opened::File(_)) {
            world.note("a file of the folder that is read through a mapping");
        }
    }
    Plan::invisible()
}

fn refuse(_: &mut World, _: usize) -> Plan {
    Plan::answered(-i64::from(libc::ENOSYS))
}

const OPERATION: i32 = 127;

fn futex(world: &mut World, task: usize) -> Plan {
    let call = world.call(task);
    let (address, operation) = (call.args[0], call.int(1));
    // A private futex is one process's; a shared one is at the same address in all that forked from its maker.
    let object = if operation & libc::FUTEX_PRIVATE_FLAG != 0 {
        format!("futex {address:#x} of {}", world.process(task).name)
    } else {
        format!("futex {address:#x}")
    };
    match operation & OPERATION {
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET => {
            let word = memory::array::<4>(world.tid(task), address).map_or(0, u32::from_ne_bytes);
            if word != call.args[2] as u32 {
                return Plan::of(object, Read);
            }
            if call.args[3] != 0 {
                world.note("a wait for a futex with a time limit");
            }
            Plan::of(object, Await).by(Act::MaySleep)
        }
        _ => Plan::of(object, Write).by(Act::MaySleep),
    }
}

fn system_v(world: &mut World, _: usize) -> Plan {
    world.note("System V or POSIX message queues and semaphores");
    Plan::of("System V IPC", Await).by(Act::MaySleep)
}
