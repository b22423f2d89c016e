//! Processes: fork, exit, wait, kill.

use nix::libc;

use super::Arg::{Int, Pid};
use super::memory::futex_of;
use super::{Row, descriptors, row, then};
use crate::explore::step::Access::{Add, Await, Read, Release, Write};
use crate::explore::step::Touch;
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::signals::signals_of;
use crate::explore::traced::world::{State, Task, World};
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
        if matches!(option, libc::PR_SET_SECCOMP | libc::PR_SET_DUMPABLE) {
            world.note("a process that would not be traced any more (prctl), which was refused");
            return Plan::answered(-i64::from(libc::EINVAL));
        }
        if matches!(option, libc::PR_SET_CHILD_SUBREAPER | libc::PR_SET_PDEATHSIG | libc::PR_SET_TSC) {
            world.note(
                "a process that becomes the parent of orphans, dies with its parent, or reads the counter",
            );
        }
        Plan::invisible()
    }),
    row(libc::SYS_getppid, "getppid", &[], getppid),
];

/// Fails with `EAGAIN` at the limit of tasks, as the system does at its own limit.
fn fork(world: &mut World, task: usize) -> Plan {
    let alive = world.tasks.iter().filter(|task| task.is_alive()).count();
    if alive >= world.limits.tasks {
        world.cut = Some(format!("more than {} processes at once", world.limits.tasks));
        return Plan::answered(-i64::from(libc::EAGAIN));
    }
    if world.call(task).number == libc::SYS_clone { clone(world, task) } else { Plan::invisible() }
}

/// Checks what a new process shares with its creator without being a thread.
fn clone(world: &mut World, task: usize) -> Plan {
    /// New namespaces, which need privileges that the program does not have.
    const NAMESPACES: i32 = libc::CLONE_NEWNS
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWCGROUP;
    const SHARED: i32 = libc::CLONE_FILES | libc::CLONE_FS | libc::CLONE_SIGHAND | libc::CLONE_PARENT;
    let flags = world.call(task).int(0);
    if flags & NAMESPACES != 0 {
        return Plan::answered(-i64::from(libc::EINVAL));
    }
    if flags & libc::CLONE_UNTRACED != 0 {
        world.note("a process that would not be traced (CLONE_UNTRACED), which was refused");
        return Plan::answered(-i64::from(libc::EINVAL));
    }
    if flags & libc::CLONE_PIDFD != 0 {
        world.note("a pidfd");
    }
    if flags & libc::CLONE_THREAD != 0 {
        return Plan::invisible();
    }
    let is_vfork = flags & (libc::CLONE_VM | libc::CLONE_VFORK) == libc::CLONE_VM | libc::CLONE_VFORK;
    if flags & SHARED != 0 || flags & libc::CLONE_VM != 0 && !is_vfork {
        world.note("processes that share memory, descriptors or their parent without being threads (clone)");
    }
    if flags & 0xff != libc::SIGCHLD {
        world.note("a child that tells of its end by another signal than SIGCHLD");
    }
    Plan::invisible()
}

/// Whether a call creates a process or thread.
pub(in crate::explore::traced) fn is_fork(row: &Row) -> bool {
    [arch::FORK, arch::VFORK, libc::SYS_clone].contains(&row.number)
}

/// Chooses the PID of the process that the task is about to create, which depends on its place in the tree.
pub(in crate::explore::traced) fn number_child(world: &mut World, task: usize) {
    let call = world.call(task);
    let is_thread = call.number == libc::SYS_clone && call.args[0] & libc::CLONE_THREAD as u64 != 0;
    let name = world.next_name(task, is_thread);
    world.number_next(&name);
}

/// The end of a process: its parent can observe it, and its locks and the ends of its pipes are released.
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

/// The accesses of the end of the process.
pub(in crate::explore::traced) fn ending(world: &mut World, task: usize) -> Plan {
    let process = world.tasks[task].process;
    let mut plan = Plan::invisible();
    if let Some(maker) = world.tasks[process].maker {
        let (name, parent) = (world.tasks[process].name.clone(), world.process(maker).name.clone());
        plan = plan.and(format!("exit {name}"), Write).and(format!("children of {parent}"), Add);
        if world.is_receiver(maker) {
            plan = plan.and(signals_of(&parent), world.telling_of_child(maker));
        }
    }
    for (lock, _) in world.tasks[process].locks.clone() {
        plan = plan.and(lock, Release);
    }
    plan = super::ipc::ending(world, plan);
    for address in super::memory::robust_words(world, task) {
        if let Some(word) = world.word_at(task, address) {
            plan = plan.and(word, Write);
        }
    }
    for fd in world.open_descriptors(task) {
        for touch in descriptors::closing(world, task, fd).touches {
            plan = plan.and(touch.object.to_string(), touch.access);
        }
    }
    plan
}

/// The step of a process that dies of a signal, which is not a call and has no number.
pub(in crate::explore::traced) const DEATH: &Row = &row(arch::ABSENT, DIES, &[], ending);

const DIES: &str = "dies";

/// Whether the row is that of a death by a signal.
pub(in crate::explore::traced) fn is_death(row: &Row) -> bool {
    row.name == DIES
}

/// Adds a dependence on the existence of the process, which lasts until it has been reaped.
pub(super) fn presence(world: &World, plan: Plan, process: usize) -> Plan {
    plan.and(format!("exit {}", world.tasks[process].name), Read)
}

/// Whether a wait for `pid` (as in `waitpid(2)`) includes the child.
pub(in crate::explore::traced) fn wait_matches(world: &World, child: usize, pid: i32) -> bool {
    // Groups are taken as all children: it can only make more steps depend on each other.
    pid <= 0 || world.tasks[child].tid.as_raw() == pid
}

/// Whether the call waits for the end of any child, or of the only one, and for nothing else.
pub(in crate::explore::traced) fn waits_for_all(world: &World, task: usize) -> bool {
    let call = world.call(task);
    let (pid, options) = match call.number {
        libc::SYS_wait4 => (call.int(0), call.int(2)),
        libc::SYS_waitid if call.int(0).cast_unsigned() == libc::P_PID => (call.int(1), call.int(3)),
        libc::SYS_waitid if call.int(0).cast_unsigned() == libc::P_ALL => (-1, call.int(3)),
        _ => return false,
    };
    let is_meant = |child: usize| pid == -1 || world.tasks[child].tid.as_raw() == pid;
    options & (libc::WUNTRACED | libc::WCONTINUED | libc::WNOWAIT) == 0
        && world.children(world.task(task).process).all(is_meant)
}

fn wait4(world: &mut World, task: usize) -> Plan {
    let (pid, options) = (world.call(task).int(0), world.call(task).int(2));
    waiting(world, task, pid, options)
}

fn waitid(world: &mut World, task: usize) -> Plan {
    let (kind, id, options) = (world.call(task).int(0), world.call(task).int(1), world.call(task).int(3));
    let pid = if kind.cast_unsigned() == libc::P_PID { id } else { -1 };
    let plan = waiting(world, task, pid, options);
    // One that does not ask for ends waits for a stop, of which only the kernel knows.
    if options & (libc::WEXITED | libc::WNOHANG) == 0 { plan.by(Act::MaySleep) } else { plan }
}

fn waiting(world: &mut World, task: usize, pid: i32, options: i32) -> Plan {
    let process = world.tasks[task].process;
    let name = world.tasks[process].name.clone();
    let children: Vec<usize> =
        world.children(process).filter(|child| wait_matches(world, *child, pid)).collect();
    if children.is_empty() {
        // ECHILD, whatever happens; unless children that ended were reaped by the kernel (SIGCHLD is ignored).
        let is_reaped = |child: &Task| {
            child.maker.is_some_and(|maker| world.tasks[maker].process == process)
                && child.state == State::Gone
                && !child.reaped
        };
        let any = world.tasks.iter().any(is_reaped);
        return if any { Plan::of(format!("children of {name}"), Read) } else { Plan::invisible() };
    }
    let is_over = children.iter().any(|child| world.tasks[*child].state == State::Zombie);
    let object = match children.as_slice() {
        [child] if pid > 0 => format!("exit {}", world.tasks[*child].name),
        _ => format!("children of {name}"),
    };
    let is_any = object.starts_with("children");
    let access = match options & libc::WNOHANG {
        0 => Await,
        _ if pid > 0 => Read,
        _ => Write,
    };
    let mut plan = Plan::of(object, access);
    if is_any {
        // Whether a process is there ends with the wait that reaps it.
        plan = children
            .iter()
            .fold(plan, |plan, child| plan.and(format!("exit {}", world.tasks[*child].name), access));
    }
    if pid == 0 || pid < -1 {
        plan = plan.and(super::groups::GROUPS, Read);
    }
    if access != Await {
        return plan;
    }
    plan.when(is_over)
}

/// What a wait for any child that does not block depended on: the children that the kernel asked before it found one.
fn polled(world: &mut World, task: usize, result: i64) {
    let process = world.task(task).process;
    let (pid, options) = (world.call(task).int(0), world.call(task).int(2));
    let is_plain =
        pid == -1 && options & libc::WNOHANG != 0 && options & (libc::WUNTRACED | libc::WCONTINUED) == 0;
    let is_step = world.task(task).plan.as_ref().is_some_and(Plan::is_visible);
    if !is_plain || !is_step || result < 0 || world.threads(process).count() > 1 {
        return;
    }
    // The kernel asks them in the order of their creation.
    let mut asked: Vec<Touch> = Vec::new();
    for child in world.children(process) {
        let is_found = result > 0 && i64::from(world.tasks[child].tid.as_raw()) == result;
        let access = if is_found { Write } else { Read };
        asked.push(Touch::new(&format!("exit {}", world.tasks[child].name), access));
        if is_found {
            break;
        }
    }
    let name = &world.tasks[process].name;
    let (children, exits) = (format!("children of {name}"), |object: &str| object.starts_with("exit "));
    let plan = world.task(task).plan.as_ref();
    let others = plan.into_iter().flat_map(|plan| plan.touches.iter().copied());
    asked.extend(others.filter(|touch| touch.object.as_str() != children && !exits(touch.object.as_str())));
    world.tasks[task].narrowed = Some(asked);
}

fn waited(world: &mut World, task: usize, result: i64) {
    polled(world, task, result);
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
    super::time::no_usage(world, task, call.args[4]);
    // `si_pid` of `siginfo_t`.
    if let Ok(info) = crate::sys::ptrace::memory::array::<4>(world.tid(task), call.args[2] + 16) {
        reaped(world, task, i32::from_ne_bytes(info));
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

/// The children of a process that ends get another parent.
fn getppid(world: &mut World, task: usize) -> Plan {
    let process = world.tasks[task].process;
    match world.tasks[process].maker {
        Some(maker) => Plan::of(format!("exit {}", world.process(maker).name), Read),
        None => Plan::invisible(),
    }
}
