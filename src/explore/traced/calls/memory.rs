//! Shared memory and futexes.
//!
//! A futex call is a step, and so is an access to memory that processes share.

use nix::libc;

use super::Arg::{Futex, Word};
use super::{Row, row, then};
use crate::explore::step::Access::{Read, Write};
use crate::explore::step::Label;
use crate::explore::traced::objects::Opened;
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::shared::Map;
use crate::explore::traced::world::World;
use crate::sys::ptrace::{memory, probe};

pub(super) const ROWS: &[Row] = &[
    then(row(libc::SYS_mmap, "mmap", &[], map), mapped),
    then(row(libc::SYS_munmap, "munmap", &[], |_, _| Plan::invisible()), unmapped),
    then(
        row(libc::SYS_mprotect, "mprotect", &[], |w, t| {
            let is_shared = meets(w, t);
            noted(w, is_shared, "the protection of memory that processes share was changed")
        }),
        |w, t, _| {
            if meets(w, t) {
                w.process_mut(t).protect_due = true;
            }
        },
    ),
    row(libc::SYS_mremap, "mremap", &[], |w, t| {
        let is_shared = meets(w, t);
        noted(w, is_shared, "memory that processes share was moved")
    }),
    row(libc::SYS_madvise, "madvise", &[], |w, t| {
        let advice = w.call(t).int(2);
        let is_meant = matches!(advice, libc::MADV_REMOVE | libc::MADV_DONTFORK | libc::MADV_WIPEONFORK);
        let is_shared = is_meant && meets(w, t);
        noted(w, is_shared, "advice that changes memory which processes share (madvise)")
    }),
    row(libc::SYS_futex, "futex", &[Word, Futex], futex),
    row(libc::SYS_futex_waitv, "futex_waitv", &[], refuse),
];

/// A mapping reads the file, or shares writes to it. Mappings of private memory do not stop.
fn map(world: &mut World, task: usize) -> Plan {
    let call = world.call(task);
    let (protection, flags, fd) = (call.int(2), call.int(3), call.int(4));
    let is_shared = flags & libc::MAP_SHARED != 0;
    if flags & libc::MAP_ANONYMOUS != 0 {
        return Plan::invisible();
    }
    let Opened::File(object) = world.opened(task, fd) else {
        return if is_shared { Plan::invisible() } else { Plan::outside() };
    };
    if !is_shared || protection & libc::PROT_WRITE == 0 {
        world.mapped_files.insert(Label::new(&format!("file {object}")));
    }
    Plan::of(
        format!("file {object}"),
        if protection & libc::PROT_WRITE != 0 && is_shared { Write } else { Read },
    )
}

/// Whether the memory range in the first two arguments is shared.
fn meets(world: &World, task: usize) -> bool {
    let (start, end) = range(world, task);
    world.process(task).maps.iter().any(|map| !map.is_private && map.start < end && start < map.end)
}

fn range(world: &World, task: usize) -> (u64, u64) {
    let [start, length, ..] = world.call(task).args;
    (start, start.saturating_add(length).checked_next_multiple_of(4096).unwrap_or(u64::MAX))
}

fn noted(world: &mut World, is_shared: bool, what: &str) -> Plan {
    if is_shared {
        world.note(what);
    }
    Plan::invisible()
}

fn unmapped(world: &mut World, task: usize, result: i64) {
    let (start, end) = range(world, task);
    if result != 0 || !meets(world, task) {
        return;
    }
    let is_inside = |map: &Map| start <= map.start && map.end <= end;
    world.process_mut(task).maps.retain(|map| !is_inside(map));
    if meets(world, task) {
        world.note("a part of memory that processes share was unmapped");
    }
}

/// Records a writable shared mapping, which other processes may inherit or map, too.
fn mapped(world: &mut World, task: usize, result: i64) {
    let call = world.call(task);
    let (protection, flags, fd) = (call.int(2), call.int(3), call.int(4));
    if result < 0 || flags & libc::MAP_SHARED == 0 {
        return;
    }
    if protection & libc::PROT_WRITE == 0 {
        if flags & libc::MAP_ANONYMOUS != 0 {
            world.note("memory that processes share, and that may become writable later");
        }
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

/// The step of an access to protected memory, which is not a call and has no number.
pub(in crate::explore::traced) const ACCESS: &Row =
    &row(crate::sys::ptrace::arch::ABSENT, "access", &[], |world, task| world.access(task, Write));

/// The words of shared memory that the kernel changes when the task ends: locks that it holds and that tell of a dead
/// owner (`set_robust_list(2)`), and one that it was about to take or release.
pub(in crate::explore::traced) fn robust_words(world: &World, task: usize) -> Vec<u64> {
    /// The maximum number of entries; the kernel's own is 2048.
    const MOST: usize = 2048;
    let tid = world.tid(task);
    if world.process(task).maps.iter().all(|map| map.is_private) {
        return Vec::new();
    }
    let Ok(head) = probe::robust_list(tid) else { return Vec::new() };
    let pointer = |at| memory::protected_pointer(tid, at).unwrap_or(0);
    // `struct robust_list_head`: the first entry, the distance of an entry's word, the entry in hand.
    let (mut entry, distance, in_hand) = (pointer(head), pointer(head + 8), pointer(head + 16));
    let mut entries = Vec::new();
    while entry != head && entry > 1 && entries.len() < MOST {
        // The lowest bit tells of priority inheritance.
        entries.push(entry & !1);
        entry = pointer(entry & !1);
    }
    entries.extend((in_hand > 1).then_some(in_hand & !1));
    let words = entries.into_iter().map(|entry| entry.wrapping_add(distance));
    words.filter(|word| world.map_at(task, *word).is_some_and(|map| !map.is_private)).collect()
}

/// A point of the program's own computation at which a signal may arrive, which is not a call either.
pub(in crate::explore::traced) const COMPUTATION: &Row =
    &row(crate::sys::ptrace::arch::ABSENT, "computation", &[], |_, _| Plan::invisible());

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
    let shared = world.word_at(task, address);
    let is_wait = matches!(operation & OPERATION, libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET);
    if shared.is_none() && !is_wait && world.threads(world.task(task).process).count() == 1 {
        // Nobody else can wait there.
        return Plan::invisible();
    }
    let object = shared.unwrap_or_else(|| futex_of(world, task, address));
    match operation & OPERATION {
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET => {
            let word = memory::protected_word(world.tid(task), address).unwrap_or(0);
            if word != call.args[2] as u32 {
                return Plan::of(object, Read);
            }
            match world.expired(task) {
                Some(result) => Plan::of(object, Read).by(Act::Skip(result)),
                None => Plan::of(object, world.waits(task)).by(Act::MaySleep),
            }
        }
        _ => Plan::of(object, Write).by(Act::MaySleep),
    }
}
