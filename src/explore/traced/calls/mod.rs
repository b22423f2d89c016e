//! The calls that may be steps, a file for each family, a row for each call.
//!
//! A row says what a call touches, when it can go on and how it is written: to add a call, add a row.

mod descriptors;
mod files;
mod local;
mod locks;
mod memory;
mod pipes;
mod processes;
mod signals;
mod sockets;
mod time;
mod waits;

use std::collections::HashMap;
use std::sync::OnceLock;

use nix::libc;

use super::plan::Plan;
use super::world::World;
use crate::sys::ptrace::filter::Filter;

pub(super) use descriptors::{keep_output, shared_lock};
pub(super) use memory::ACCESS;
pub(super) use pipes::Ends;
pub(super) use processes::{ending, is_fork, number_child};
pub(super) use signals::send;
pub(super) use time::noise;

/// What a call is, touches and says.
pub(super) struct Row {
    pub(super) number: i64,
    pub(super) name: &'static str,
    /// How its arguments are written.
    pub(super) args: &'static [Arg],
    /// What it would do now.
    pub(super) plan: fn(&mut World, usize) -> Plan,
    /// What the tracer has to know once it has returned this.
    pub(super) after: Option<fn(&mut World, usize, i64)>,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// How an argument is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arg {
    /// A descriptor: by what it is open on.
    Fd,
    /// The descriptor of a folder that the next path begins at: left out.
    At,
    /// A path.
    Path,
    /// A buffer whose length is the next argument: what was read (`false`) or written (`true`).
    Data(bool),
    /// A number.
    Int,
    /// Bits, in octal.
    Mode,
    /// The flags of `open`.
    Open,
    /// The operation of `flock`.
    Flock,
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

/// The row of a call.
pub(super) fn find(number: i64) -> Option<&'static Row> {
    static TABLE: OnceLock<HashMap<i64, &'static Row>> = OnceLock::new();
    TABLE.get_or_init(|| rows().map(|row| (row.number, row)).collect()).get(&number).copied()
}

fn rows() -> impl Iterator<Item = &'static Row> {
    let families: [&'static [Row]; 10] = [
        files::ROWS,
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
    families.into_iter().flatten().filter(|row| row.number != crate::sys::ptrace::arch::ABSENT)
}

/// Calls that fail with `ENOSYS`, as on an older kernel: programs have a way without them, which is
/// controlled, or should have none.
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

/// The filter that stops the program at every call but those that concern nobody else.
pub(super) fn filter() -> Filter {
    Filter::new(local::PASSED, &REFUSED)
}

/// The name of a call that has no row.
pub(super) fn name_of(number: i64) -> String {
    let known = local::NAMES.iter().find(|(other, _)| *other == number);
    known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}
