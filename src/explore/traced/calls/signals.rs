//! Sending signals, and waiting for them.

use nix::libc;

use super::Arg::{Int, Pid, Signal};
use super::waits::{timed, timespec};
use super::{Row, row};
use crate::explore::step::Access::{Await, Read, Write};
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::signals::{Masks, signals_of};
use crate::explore::traced::world::World;
use crate::sys::pid::Pid as Number;
use crate::sys::procfs::stat;
use crate::sys::ptrace::{arch, memory, stops};

pub(super) const ROWS: &[Row] = &[
    row(libc::SYS_kill, "kill", &[Pid, Signal], kill),
    row(libc::SYS_tkill, "tkill", &[Pid, Signal], kill),
    row(libc::SYS_tgkill, "tgkill", &[Pid, Int, Signal], kill),
    row(libc::SYS_pidfd_send_signal, "pidfd_send_signal", &[], |world, _| {
        world.note("a signal through a pidfd");
        Plan::invisible()
    }),
    row(libc::SYS_rt_sigreturn, "handler", &[], |_, _| Plan::invisible()),
    row(libc::SYS_rt_sigaction, "sigaction", &[Signal], action),
    row(arch::PAUSE, "pause", &[], |world, task| {
        let blocked = world.masks(task).blocked;
        for_signal(world, task, blocked)
    }),
    row(libc::SYS_rt_sigsuspend, "sigsuspend", &[], |world, task| {
        let mask = set_at(world, task, world.call(task).args[0]).unwrap_or(0);
        for_signal(world, task, mask)
    }),
    row(libc::SYS_rt_sigpending, "sigpending", &[], |world, task| {
        let name = world.process(task).name.clone();
        Plan::of(signals_of(&name), Read).and(format!("children of {name}"), Read)
    }),
    row(libc::SYS_rt_sigtimedwait, "sigtimedwait", &[], |world, task| {
        let set = set_at(world, task, world.call(task).args[0]).unwrap_or(0);
        let (limit, name) = (timespec(world, task, 2), world.process(task).name.clone());
        let pending = Masks::of(world.tid(task)).pending & set;
        let plan = Plan::of(signals_of(&name), Await).and(format!("children of {name}"), Await);
        timed(world, task, plan, pending != 0 || limit == 0, limit, -i64::from(libc::EAGAIN))
    }),
];

/// A signal set in the memory of the program.
pub(super) fn set_at(world: &World, task: usize, address: u64) -> Option<u64> {
    memory::array::<8>(world.tid(task), address).ok().map(u64::from_ne_bytes)
}

/// A handler for SIGCHLD changes the effect of the end of a child.
fn action(world: &mut World, task: usize) -> Plan {
    let call = world.call(task);
    if call.int(0) == libc::SIGCHLD {
        // `SIG_DFL` is 0, `SIG_IGN` 1.
        let handler = memory::array::<8>(world.tid(task), call.args[1]).map_or(0, u64::from_ne_bytes);
        let process = world.tasks[task].process;
        // The flags follow the handler.
        let flags =
            memory::array::<8>(world.tid(task), call.args[1] + 8).map_or(u64::MAX, u64::from_ne_bytes);
        world.tasks[process].catches_children = handler > 1;
        world.tasks[process].sees_sender = flags & libc::SA_SIGINFO as u64 != 0;
        if handler > 1 && world.tasks[process].born[0] > 0 {
            world.received(process);
        }
        // Whether a child that ends becomes a zombie.
        let ignores = handler == 1 || flags & libc::SA_NOCLDWAIT as u64 != 0;
        let ignored = world.masks(task).ignores(libc::SIGCHLD);
        if call.args[1] != 0 && (ignores || ignored) && world.tasks[process].born[0] > 0 {
            let name = world.tasks[process].name.clone();
            return Plan::of(format!("children of {name}"), Write);
        }
    }
    Plan::outside()
}

/// The signal that the pending call sends, and its receivers.
struct Sending {
    /// Processes of the program.
    targets: Vec<usize>,
    signal: i32,
    /// Whether the sender is a receiver, too.
    own: bool,
    is_group: bool,
    to_thread: bool,
}

fn sending(world: &World, task: usize) -> Sending {
    let call = world.call(task);
    let is_tgkill = call.number == libc::SYS_tgkill;
    let (number, signal) = if is_tgkill { (call.int(1), call.int(2)) } else { (call.int(0), call.int(1)) };
    let to_thread = call.number != libc::SYS_kill;
    let own = world.tasks[task].process;
    let targets: Vec<usize> = if number > 0 || to_thread {
        let target = world.by_tid.get(&Number::from_raw(number)).copied();
        target.map(|target| world.tasks[target].process).into_iter().collect()
    } else {
        let group =
            |process: usize| stat::of_thread(world.tid(process), world.tid(process)).map(|stat| stat.pgid);
        let meant = if number == 0 { group(own) } else { Some(Number::from_raw(-number)) };
        let is_meant = |process: &usize| {
            let task = world.task(*process);
            task.process == *process && task.is_alive() && group(*process) == meant
        };
        (0..world.tasks.len()).filter(is_meant).collect()
    };
    Sending {
        own: targets.contains(&own),
        targets: targets.into_iter().filter(|target| *target != own).collect(),
        signal,
        is_group: number <= 0 && !to_thread,
        to_thread,
    }
}

/// Sends a signal, whose effect depends on the state of its receiver.
fn kill(world: &mut World, task: usize) -> Plan {
    let Sending { targets, signal, own, is_group, .. } = sending(world, task);
    if world.call(task).int(0) == -1 && is_group {
        world.note("a signal to all processes was refused");
        return Plan::answered(-i64::from(libc::EPERM));
    }
    if targets.is_empty() {
        if own {
            // A signal to itself arrives before the call returns.
            return Plan::invisible();
        }
        let call = world.call(task);
        let number = call.int(usize::from(call.number == libc::SYS_tgkill));
        if let Some(process) = world.by_number_of_process(number).filter(|_| !is_group) {
            // It is gone.
            let plan = super::processes::presence(world, Plan::invisible(), process);
            return plan.by(Act::Skip(-i64::from(libc::ESRCH)));
        }
        if is_group && number < -1 && world.numbers.is_some() {
            // All processes of the namespace are the program's: none is in that group, not yet or not any more.
            let plan = Plan::of(super::groups::GROUPS, Read);
            return of_members(world, task, plan, &targets).by(Act::Skip(-i64::from(libc::ESRCH)));
        }
        if signal == 0 {
            world.note("asked whether a process of that number lives");
            return Plan::invisible();
        }
        // No process of the program: nothing outside is harmed by it.
        world.note("a signal to a process outside of the program was refused");
        return Plan::answered(-i64::from(libc::ESRCH));
    }
    let mut plan = Plan::invisible();
    if own && signal == libc::SIGKILL {
        plan = super::ending(world, task);
    }
    if is_group {
        plan = of_members(world, task, plan, &targets);
    }
    for target in targets {
        let name = world.tasks[target].name.clone();
        if is_group {
            plan = plan.and(super::groups::GROUPS, Read);
        }
        if signal == 0 {
            plan = super::processes::presence(world, plan, target);
            continue;
        }
        let arriving = world.arriving(target, signal);
        plan = plan.and(signals_of(&name), Write).and(format!("exit {name}"), Read);
        plan = arriving
            .touches
            .into_iter()
            .fold(plan, |plan, touch| plan.and(touch.object.as_str(), touch.access));
    }
    if signal == 0 { plan } else { plan.by(Act::Send) }
}

/// The presence of the processes that a signal to a group does not reach. Each may have been in the group before it ended,
/// so its end depends on the signal in either order.
fn of_members(world: &World, task: usize, plan: Plan, targets: &[usize]) -> Plan {
    let own = world.task(task).process;
    let others = (0..world.tasks.len()).filter(|other| {
        let is_process = world.task(*other).process == *other && *other != own;
        is_process && !targets.contains(other)
    });
    others.fold(plan, |plan, other| super::processes::presence(world, plan, other))
}

/// Sends the signal and returns the result of the call; `None` if the kernel must execute it.
pub(in crate::explore::traced) fn send(world: &mut World, task: usize) -> Option<i64> {
    let Sending { targets, signal, own, is_group, to_thread } = sending(world, task);
    let left: Vec<usize> =
        targets.into_iter().filter(|target| world.send(task, *target, signal, to_thread)).collect();
    if !is_group {
        return left.is_empty().then_some(0);
    }
    for target in left {
        stops::send(world.tid(target), signal);
    }
    if own {
        stops::send(world.tid(task), signal);
    }
    Some(0)
}

/// Whether the call of the task kills its own process, so that it does not return.
pub(in crate::explore::traced) fn kills_itself(world: &World, task: usize) -> bool {
    let Sending { signal, own, .. } = sending(world, task);
    own && signal == libc::SIGKILL
}

/// Sleeps until a signal that is not in `blocked` has been handled.
fn for_signal(world: &mut World, task: usize, blocked: u64) -> Plan {
    let plan = Plan::of(signals_of(&world.process(task).name.clone()), Await).by(Act::MaySleep);
    if world.decides_signals() {
        return plan;
    }
    let pending = Masks::of(world.tid(task)).pending & !blocked;
    let name = world.process(task).name.clone();
    plan.and(format!("children of {name}"), Await).when(pending != 0)
}

/// Adds the call's own signal mask: the plan depends on signals, and is ready if one that it does not block is pending.
pub(super) fn with_mask(world: &World, task: usize, address: u64, plan: Plan, ready: bool) -> (Plan, bool) {
    let Some(mask) = (address != 0).then(|| set_at(world, task, address)).flatten() else {
        return (plan, ready);
    };
    let name = world.process(task).name.clone();
    let pending = Masks::of(world.tid(task)).pending & !mask;
    (plan.and(signals_of(&name), Await).and(format!("children of {name}"), Await), ready || pending != 0)
}
