//! Process groups, sessions, priorities and limits, which one process may change for another.

use nix::libc;

use super::Arg::{Int, Pid};
use super::{Row, processes, row, then};
use crate::explore::step::Access::{self, Read, Write};
use crate::explore::traced::plan::Plan;
use crate::explore::traced::world::World;
use crate::sys::pid::Pid as Number;
use crate::sys::ptrace::arch;

/// Which process is in which group and session.
pub(super) const GROUPS: &str = "process groups";
/// The fact that a process sets the group of another, which fails once the other has executed a program.
pub(super) const SET_FOR_OTHERS: &str = "a process chooses the group of another";
/// The priorities and the processors of all processes.
const PRIORITIES: &str = "priorities";

pub(super) const ROWS: &[Row] = &[
    then(
        row(libc::SYS_setpgid, "setpgid", &[Pid, Int], |world, task| {
            let plan = of_another(world, task, 0, GROUPS, Write);
            if plan.touches.len() > 1 {
                world.learn(SET_FOR_OTHERS.to_owned());
            }
            plan
        }),
        |world, task, _| {
            let process = another(world, task, 0).unwrap_or(world.tasks[task].process);
            world.tasks[process].has_left_group = true;
        },
    ),
    then(row(libc::SYS_setsid, "setsid", &[], |_, _| Plan::of(GROUPS, Write)), |world, task, _| {
        world.process_mut(task).has_left_group = true;
    }),
    row(libc::SYS_getpgid, "getpgid", &[Pid], |world, task| of_another(world, task, 0, GROUPS, Read)),
    row(libc::SYS_getsid, "getsid", &[Pid], |world, task| of_another(world, task, 0, GROUPS, Read)),
    row(arch::GETPGRP, "getpgrp", &[], |_, _| Plan::of(GROUPS, Read)),
    row(libc::SYS_setpriority, "setpriority", &[Int, Pid, Int], |_, _| Plan::of(PRIORITIES, Write)),
    row(libc::SYS_getpriority, "getpriority", &[Int, Pid], |_, _| Plan::of(PRIORITIES, Read)),
    row(libc::SYS_ioprio_set, "ioprio_set", &[Int, Pid], |_, _| Plan::of(PRIORITIES, Write)),
    row(libc::SYS_ioprio_get, "ioprio_get", &[Int, Pid], |_, _| Plan::of(PRIORITIES, Read)),
    row(libc::SYS_sched_setaffinity, "sched_setaffinity", &[Pid], scheduling),
    row(libc::SYS_sched_setparam, "sched_setparam", &[Pid], scheduling),
    row(libc::SYS_sched_setscheduler, "sched_setscheduler", &[Pid], scheduling),
    row(libc::SYS_sched_setattr, "sched_setattr", &[Pid], scheduling),
    row(libc::SYS_prlimit64, "prlimit", &[Pid], |world, task| {
        if another(world, task, 0).is_some() {
            world.note("limits of another process");
        }
        Plan::invisible()
    }),
];

/// The process whose PID is this argument, unless it is the caller.
fn another(world: &World, task: usize, arg: usize) -> Option<usize> {
    let number = Number::from_raw(world.call(task).int(arg));
    let process = world.by_tid.get(&number).map(|other| world.tasks[*other].process)?;
    (process != world.tasks[task].process).then_some(process)
}

/// An access to `object`, and to the existence of the process that the argument names.
fn of_another(world: &mut World, task: usize, arg: usize, object: &str, access: Access) -> Plan {
    let plan = Plan::of(object, access);
    match another(world, task, arg) {
        Some(process) => processes::presence(world, plan, process),
        None => plan,
    }
}

/// Scheduling parameters matter only to the process itself, unless another process sets them.
fn scheduling(world: &mut World, task: usize) -> Plan {
    if another(world, task, 0).is_some() {
        world.note("the scheduling of another process");
    }
    Plan::invisible()
}
