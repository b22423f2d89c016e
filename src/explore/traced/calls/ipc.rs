//! System V semaphores, message queues and shared memory, and POSIX message queues.
//!
//! All semaphores and queues are one object. Only the kernel knows whether a call must wait, so the call is executed and may
//! sleep. Each execution begins without any of them, in a separate IPC namespace.

use nix::libc;

use super::{Row, row, then};
use crate::explore::step::Access::Write;
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::shared::Map;
use crate::explore::traced::world::World;
use crate::sys::procfs::maps;

/// The object that stands for all of them.
const OBJECT: &str = "System V IPC and message queues";
/// The fact that the program uses them.
pub(in crate::explore::traced) const IPC: &str = "System V IPC or message queues are used";

pub(super) const ROWS: &[Row] = &[
    row(libc::SYS_semget, "semget", &[], changes),
    row(libc::SYS_semctl, "semctl", &[], changes),
    row(libc::SYS_semop, "semop", &[], waits),
    row(libc::SYS_semtimedop, "semtimedop", &[], waits),
    row(libc::SYS_msgget, "msgget", &[], changes),
    row(libc::SYS_msgctl, "msgctl", &[], changes),
    row(libc::SYS_msgsnd, "msgsnd", &[], waits),
    row(libc::SYS_msgrcv, "msgrcv", &[], waits),
    row(libc::SYS_shmget, "shmget", &[], changes),
    row(libc::SYS_shmctl, "shmctl", &[], changes),
    then(row(libc::SYS_shmat, "shmat", &[], changes), attached),
    row(libc::SYS_shmdt, "shmdt", &[], |world, task| {
        let address = world.call(task).args[0];
        let process = world.process_mut(task);
        let end = process.maps.iter().find(|map| map.start == address).map(|map| map.end);
        process.maps.retain(|map| Some(map.end) != end);
        changes(world, task)
    }),
    row(libc::SYS_mq_open, "mq_open", &[], changes),
    row(libc::SYS_mq_unlink, "mq_unlink", &[], changes),
    row(libc::SYS_mq_getsetattr, "mq_getsetattr", &[], changes),
    row(libc::SYS_mq_timedsend, "mq_send", &[], waits),
    row(libc::SYS_mq_timedreceive, "mq_receive", &[], waits),
];

fn uses(world: &mut World) {
    if world.numbers.is_some() {
        world.learn(IPC.to_owned());
    } else {
        world.note("System V IPC or message queues, which other programs could use");
    }
}

fn changes(world: &mut World, _: usize) -> Plan {
    uses(world);
    Plan::of(OBJECT, Write)
}

fn waits(world: &mut World, task: usize) -> Plan {
    uses(world);
    Plan::of(OBJECT, world.waits(task)).by(Act::MaySleep)
}

/// A process that ends undoes its semaphore operations (`SEM_UNDO`) and detaches shared memory.
pub(super) fn ending(world: &World, plan: Plan) -> Plan {
    if world.learned.contains(IPC) { plan.and(OBJECT, Write) } else { plan }
}

/// Shared memory is controlled like other shared mappings.
fn attached(world: &mut World, task: usize, result: i64) {
    if result < 0 {
        return;
    }
    let (start, number) = (result.cast_unsigned(), world.call(task).int(0));
    let Some(map) = maps::of(world.tid(task)).into_iter().find(|map| map.start == start) else {
        world.note("shared memory that could not be found");
        return;
    };
    if !map.is_writable {
        world.note("memory that processes share, and that one of them may only read");
        return;
    }
    let object = format!("shared memory {number}");
    world.mapped(task, Map { start, end: map.end, object, offset: 0, file: None, is_private: false });
}
