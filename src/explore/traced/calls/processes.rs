//! Processes: fork, exit, wait, kill.

use nix::libc;

use super::Arg::{Int, Pid};
use super::memory::futex_of;
use super::{Row, descriptors, row, then};
use crate::explore::step::Access::{Add, Await, Read, Release, Write};
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::signals::signals_of;
use crate::explore::traced::world::{State, World};
use crate::sys::ptrace::arch;

pub(super) const ROWS: &[Row] = &[
    row(arch::FORK, "fork", &[], fork),
    row(arch::VFORK, "vfork", &[], fork),
    row(libc::SYS_clone, "clone", &[], fork),
    row(libc::SYS_exit, "exit", &[Int], exit),
    row(libc::SYS_exit_group, "exit", &[Int], exit),
    then(row(libc::SYS_wait4, "wait", &[Pid], wait4), waited),
    then(row(libc::SYS_waitid, "waitid", &[Int, Pid], waitid), waited_by_id),
    row(libc::SYS_prctl, "prctl", &[Int], |world, task| {
        let option = world.call(task).int(0);
        if matches!(option, libc::PR_SET_CHILD_SUBREAPER | libc::PR_SET_PDEATHSIG | libc::PR_SET_TSC) {
            world.note(
                "a process that becomes the parent of orphans, dies with its parent, or reads the counter",
            );
        }
        Plan::invisible()
    }),
    row(libc::SYS_getppid, "getppid", &[], getppid),
];

/// `EAGAIN` at the limit of tasks, as the system would say at its own.
fn fork(world: &mut World, _: usize) -> Plan {
    let alive = world.tasks.iter().filter(|task| task.is_alive()).count();
    if alive >= world.limits.tasks {
        world.cut = Some(format!("more than {} processes at once", world.limits.tasks));
        return Plan::answered(-i64::from(libc::EAGAIN));
    }
    Plan::invisible()
}

/// Whether a call makes a process or thread.
pub(in crate::explore::traced) fn is_fork(row: &Row) -> bool {
    [arch::FORK, arch::VFORK, libc::SYS_clone].contains(&row.number)
}

/// The number of the process that the task is about to make follows from its place.
pub(in crate::explore::traced) fn number_child(world: &mut World, task: usize) {
    let call = world.call(task);
    let is_thread = call.number == libc::SYS_clone && call.args[0] & libc::CLONE_THREAD as u64 != 0;
    let name = world.next_name(task, is_thread);
    world.number_next(&name);
}

/// The end of a process: its parent can see it, its locks and the ends of its pipes are given up.
fn exit(world: &mut World, task: usize) -> Plan {
    let process = world.tasks[task].process;
    let is_last = world.call(task).number == libc::SYS_exit_group || world.threads(process).count() == 1;
    if !is_last {
        // The kernel wakes those that wait for the thread at the word that holds its number.
        let plan = Plan::of(format!("thread {}", world.tasks[task].name), Write).by(Act::Leave);
        let word = world.tasks[task].clears.map(|address| futex_of(world, task, address));
        return word.into_iter().fold(plan, |plan, word| plan.and(word, Write));
    }
    ending(world, task).by(Act::Leave)
}

/// What the end of the process touches.
pub(in crate::explore::traced) fn ending(world: &mut World, task: usize) -> Plan {
    let process = world.tasks[task].process;
    let mut plan = Plan::invisible();
    if let Some(maker) = world.tasks[process].maker {
        let (name, parent) = (world.tasks[process].name.clone(), world.process(maker).name.clone());
        plan = plan.and(format!("exit {name}"), Write).and(format!("children of {parent}"), Add);
        if world.is_receiver(maker) {
            plan = plan.and(signals_of(&parent), Write);
        }
    }
    for lock in world.tasks[process].locks.clone() {
        plan = plan.and(lock, Release);
    }
    let folder = format!("/proc/{}/fd", world.tid(task));
    let fds = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let fds: Vec<i32> = fds.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in fds {
        for touch in descriptors::closing(world, task, fd).touches {
            plan = plan.and(touch.object.to_string(), touch.access);
        }
    }
    plan
}

/// Whether a wait for `pid` (as in `waitpid(2)`) means the child.
pub(in crate::explore::traced) fn wait_matches(world: &World, child: usize, pid: i32) -> bool {
    // Groups are taken as all children: it can only make more steps depend on each other.
    pid <= 0 || world.tasks[child].tid.as_raw() == pid
}

fn wait4(world: &mut World, task: usize) -> Plan {
    let (pid, options) = (world.call(task).int(0), world.call(task).int(2));
    waiting(world, task, pid, options)
}

fn waitid(world: &mut World, task: usize) -> Plan {
    let (kind, id, options) = (world.call(task).int(0), world.call(task).int(1), world.call(task).int(3));
    let pid = if kind.cast_unsigned() == libc::P_PID { id } else { -1 };
    waiting(world, task, pid, options)
}

fn waiting(world: &mut World, task: usize, pid: i32, options: i32) -> Plan {
    let process = world.tasks[task].process;
    let name = world.tasks[process].name.clone();
    let children: Vec<usize> =
        world.children(process).filter(|child| wait_matches(world, *child, pid)).collect();
    if children.is_empty() {
        // ECHILD, whatever happens.
        return Plan::invisible();
    }
    let is_over = children.iter().any(|child| world.tasks[*child].state == State::Zombie);
    let object = match children.as_slice() {
        [child] if pid > 0 => format!("exit {}", world.tasks[*child].name),
        _ => format!("children of {name}"),
    };
    if options & libc::WNOHANG != 0 {
        let access = if pid > 0 { Read } else { Write };
        return Plan::of(object, access);
    }
    let plan = Plan::of(object, Await).when(is_over);
    if options & (libc::WUNTRACED | libc::WCONTINUED) != 0 { plan.by(Act::MaySleep) } else { plan }
}

fn waited(world: &mut World, task: usize, result: i64) {
    if result > 0 {
        super::time::no_usage(world, task, world.call(task).args[3]);
    }
    reaped(world, task, result as i32);
}

fn waited_by_id(world: &mut World, task: usize, result: i64) {
    let call = world.call(task);
    if result != 0 || call.int(3) & libc::WNOWAIT != 0 || call.args[2] == 0 {
        return;
    }
    // `si_pid` of `siginfo_t`.
    if let Ok(info) = crate::sys::ptrace::memory::array::<16>(world.tid(task), call.args[2]) {
        reaped(world, task, i32::from_ne_bytes([info[12], info[13], info[14], info[15]]));
    }
}

fn reaped(world: &mut World, task: usize, pid: i32) {
    let process = world.tasks[task].process;
    let child = world.children(process).find(|child| pid > 0 && world.tasks[*child].tid.as_raw() == pid);
    if let Some(child) = child.filter(|child| world.tasks[*child].state == State::Zombie) {
        world.tasks[child].state = State::Gone;
        world.tasks[child].reaped = true;
        let tid = world.tasks[child].tid;
        world.by_tid.remove(&tid);
    }
}

/// A parent's end gives its children another one.
fn getppid(world: &mut World, task: usize) -> Plan {
    let process = world.tasks[task].process;
    match world.tasks[process].maker {
        Some(maker) => Plan::of(format!("exit {}", world.process(maker).name), Read),
        None => Plan::invisible(),
    }
}
