//! Shared memory and futexes.
//!
//! A futex call is a step, and so is an access to memory that processes share.

use nix::libc;

use super::Arg::Int;
use super::{Row, row, then};
use crate::explore::step::Access::{Await, Read, Write};
use crate::explore::traced::objects::Opened;
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::shared::Map;
use crate::explore::traced::world::World;
use crate::sys::ptrace::memory;

pub(super) const ROWS: &[Row] = &[
    then(row(libc::SYS_mmap, "mmap", &[], map), mapped),
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

/// A mapping of a file reads it, or shares what is written to it. Private memory does not stop here.
fn map(world: &mut World, task: usize) -> Plan {
    let call = world.call(task);
    let (protection, flags, fd) = (call.int(2), call.int(3), call.int(4));
    let is_shared = flags & libc::MAP_SHARED != 0;
    if flags & libc::MAP_ANONYMOUS != 0 {
        return Plan::invisible();
    }
    let Opened::File(object) = world.opened(task, fd) else { return Plan::invisible() };
    if is_shared && protection & libc::PROT_WRITE == 0 {
        world.note("a file of the folder that is read through a shared mapping");
    }
    Plan::of(
        format!("file {object}"),
        if protection & libc::PROT_WRITE != 0 && is_shared { Write } else { Read },
    )
}

/// A shared mapping that can be written is remembered, for others may come to have it.
fn mapped(world: &mut World, task: usize, result: i64) {
    let call = world.call(task);
    let (protection, flags, fd) = (call.int(2), call.int(3), call.int(4));
    if result < 0 || flags & libc::MAP_SHARED == 0 || protection & libc::PROT_WRITE == 0 {
        return;
    }
    let (start, length) = (result.cast_unsigned(), call.args[1].next_multiple_of(4096));
    let (object, file) = if flags & libc::MAP_ANONYMOUS != 0 {
        let maker = world.process_mut(task);
        maker.shared_memories += 1;
        (format!("memory {} of {}", maker.shared_memories, maker.name), None)
    } else {
        match world.opened(task, fd) {
            Opened::File(name) if name.starts_with("/dev/shm/") => (format!("memory of {name}"), None),
            Opened::File(name) => (format!("memory of {name}"), Some(name)),
            _ => {
                world.note("memory that processes share, of a file outside of the folder");
                return;
            }
        }
    };
    world.mapped(
        task,
        Map { start, end: start + length, object, offset: call.args[5], file, is_private: false },
    );
}

/// The step of an access to protected memory: no call, so its number is none.
pub(in crate::explore::traced) const ACCESS: &Row =
    &row(crate::sys::ptrace::arch::ABSENT, "access", &[], |world, task| world.access(task, Write));

fn refuse(_: &mut World, _: usize) -> Plan {
    Plan::answered(-i64::from(libc::ENOSYS))
}

const OPERATION: i32 = 127;

/// The object of a futex in the memory of one process.
pub(super) fn futex_of(world: &World, task: usize, address: u64) -> String {
    format!("futex {address:#x} of {}", world.process(task).name)
}

fn futex(world: &mut World, task: usize) -> Plan {
    let call = world.call(task);
    let (address, operation) = (call.args[0], call.int(1));
    // Outside of memory that is shared a futex is one process's, whatever the call says.
    let object = world.word_at(task, address).unwrap_or_else(|| futex_of(world, task, address));
    match operation & OPERATION {
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET => {
            let word = memory::protected_word(world.tid(task), address).unwrap_or(0);
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
