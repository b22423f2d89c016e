//! The calls that may be steps, a file for each family, a row for each call.
//!
//! A row defines what a call accesses, when it can continue and how it is shown. To add a call, add a row.

mod descriptors;
mod files;
mod groups;
mod ipc;
mod local;
mod locks;
mod memory;
mod pipes;
mod processes;
mod repeatable;
mod signals;
mod sockets;
mod time;
mod waits;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::OnceLock;

use nix::libc;

use super::handlers::shared_with_handlers;
use super::plan::Plan;
use super::shared::SHARED;
use super::signals::{makes_calls, makes_handlers_matter};
use super::world::World;
use crate::sys::ptrace::arch;
use crate::sys::ptrace::filter::{Filter, Handlers, Rules};

pub(super) use descriptors::{FICLONE, is_write, keep_output, shared_lock, writes_in_pieces};
pub(super) use ipc::IPC;
pub(super) use memory::{ACCESS, COMPUTATION, robust_words};
pub(super) use processes::{DEATH, ending, is_death, is_fork, number_child, waits_for_all};
pub(super) use repeatable::{leaves_nothing, tells_number};
pub(super) use signals::{kills_itself, send};
pub(super) use sockets::NETWORK;
pub(super) use time::noise;

/// A system call: its name, its accesses, and how it is shown.
pub(super) struct Row {
    pub(super) number: i64,
    pub(super) name: &'static str,
    /// How its arguments are shown.
    pub(super) args: &'static [Arg],
    /// What it would do now.
    pub(super) plan: fn(&mut World, usize) -> Plan,
    /// Updates the tracer's state after the call has returned this result.
    pub(super) after: Option<fn(&mut World, usize, i64)>,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// How an argument is shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arg {
    /// A descriptor, by the object that it refers to.
    Fd,
    /// The descriptor of the folder to which the next path is relative, which is not shown.
    At,
    /// A path.
    Path,
    /// A buffer whose length is the next argument: what was read (`false`) or written (`true`).
    Data(bool),
    /// A number.
    Int,
    /// A request of `ioctl`.
    Request,
    /// Bits, in octal.
    Mode,
    /// The flags of `open`.
    Open,
    /// The operation of `flock`.
    Flock,
    /// The address of a word, by the object that the call accesses.
    Word,
    /// The operation of `futex`.
    Futex,
    /// A process, by its place in the tree.
    Pid,
    /// A signal.
    Signal,
}

const fn row(
    number: i64,
    name: &'static str,
    args: &'static [Arg],
    plan: fn(&mut World, usize) -> Plan,
) -> Row {
    Row { number, name, args, plan, after: None }
}

const fn then(mut row: Row, after: fn(&mut World, usize, i64)) -> Row {
    row.after = Some(after);
    row
}

const fn quiet(number: i64, name: &'static str) -> Row {
    row(number, name, &[], |_, _| Plan::invisible())
}

/// Whether the call only sleeps.
pub(super) fn is_sleep(number: i64) -> bool {
    matches!(number, libc::SYS_nanosleep | libc::SYS_clock_nanosleep)
}

/// Whether the call changes which handler runs for which signal. A call that blocks signals does not: a signal that arrives
/// before or after it arrives at the calls around it.
pub(super) fn changes_handling(number: i64) -> bool {
    number == libc::SYS_rt_sigaction
}

/// Whether the call changes state that calls of a signal handler may observe, such as descriptors and folders.
pub(super) fn changes_state(number: i64) -> bool {
    const ALSO: [i64; 9] = [
        libc::SYS_socket,
        libc::SYS_close,
        libc::SYS_close_range,
        libc::SYS_dup,
        libc::SYS_dup3,
        libc::SYS_pipe2,
        libc::SYS_openat,
        libc::SYS_fcntl,
        libc::SYS_chdir,
    ];
    ALSO.contains(&number)
        || local::STATE.iter().any(|row| row.number == number)
        || number != arch::ABSENT && [arch::DUP2, arch::PIPE, arch::OPEN].contains(&number)
}

/// The row of a call.
pub(super) fn find(number: i64) -> Option<&'static Row> {
    static TABLE: OnceLock<HashMap<i64, &'static Row>> = OnceLock::new();
    TABLE.get_or_init(|| rows().map(|row| (row.number, row)).collect()).get(&number).copied()
}

fn rows() -> impl Iterator<Item = &'static Row> {
    let families: [&'static [Row]; 14] = [
        files::ROWS,
        groups::ROWS,
        ipc::ROWS,
        local::STATE,
        local::BUFFERS,
        descriptors::ROWS,
        locks::ROWS,
        memory::ROWS,
        pipes::ROWS,
        processes::ROWS,
        signals::ROWS,
        sockets::ROWS,
        time::ROWS,
        waits::ROWS,
    ];
    families.into_iter().flatten().filter(|row| row.number != arch::ABSENT)
}

/// Calls that fail with `ENOSYS`, as on an older kernel. Programs have a controlled alternative, or should not make them.
const REFUSED: [i64; 14] = [
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_userfaultfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_fanotify_init,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
];

/// The filter that stops the program at every call except those that affect only the caller, and those with which the
/// dynamic loader, whose instructions are at `loader`, reads libraries.
pub(super) fn filter(learned: &BTreeSet<String>, loader: Option<Range<u64>>) -> Filter {
    let mut passed = Vec::new();
    if !learned.contains(SHARED) {
        passed.extend(local::MEMORY);
    }
    passed.extend(local::PASSED);
    if !learned.iter().any(|fact| makes_calls(fact)) {
        passed.extend(local::STATE.iter().map(|row| row.number));
    }
    let watched = shared_with_handlers(learned);
    if watched.is_empty() {
        passed.extend(local::BUFFERS.iter().map(|row| row.number));
    }
    let all = learned.iter().any(|fact| makes_handlers_matter(fact));
    Filter::new(&Rules {
        passed: &passed,
        refused: &REFUSED,
        handlers: if all { Handlers::All } else { Handlers::Children },
        masks: &watched,
        loader,
    })
}

/// The name of a call that has no row.
pub(super) fn name_of(number: i64) -> String {
    let known = local::NAMES.iter().find(|(other, _)| *other == number);
    known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}
