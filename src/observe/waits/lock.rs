//! Waits for a lock: of a file (`/proc/locks`), or in memory (futex).

use crate::sys::pid::Pid;
use nix::libc;

use super::descriptor::short;
use super::pthread::{self, FUTEX_LOCK_PI2, LOCKED_WITH_WAITERS, Object};
use super::{Ends, Kind, Scene, Wait};
use crate::sys::procfs::descriptors::{Target, target};
use crate::sys::procfs::locks::file_of;
use crate::sys::procfs::memory::{Word, maps_object, read, word_at};
use crate::sys::procfs::signals::has_the_same_tids;
use crate::sys::procfs::tree::threads;

/// `flock(2)` or `fcntl(2)` on `fd`: `lock data/ticket_count held by 4240 buyer-1`.
pub(super) fn file(pid: Pid, fd: u64, scene: &Scene) -> Wait {
    let name = match target(pid, fd) {
        Some(Target::Path(path)) => format!("lock {}", short(&path)),
        _ => "file lock".to_owned(),
    };
    let waiting = scene.locks().iter().find(|lock| lock.waiting && lock.pid == Some(pid));
    let file = file_of(pid, fd);
    let holders: Vec<Pid> = scene
        .locks()
        .iter()
        .filter(|lock| {
            !lock.waiting
                && match waiting {
                    Some(waiting) => lock.number == waiting.number,
                    None => Some(lock.file) == file,
                }
        })
        .filter_map(|lock| lock.pid)
        .filter(|holder| *holder != pid)
        .collect();
    if holders.is_empty() {
        return Wait::outside(Kind::FileLock, name);
    }
    let on = format!("{name} held by {}", scene.labels(&holders));
    if holders.iter().all(|holder| scene.is_actor(*holder)) {
        Wait { on, kind: Kind::FileLock, ends: Ends::Only(holders) }
    } else {
        // An unwatched process, or one that has ended and left its open file to a child.
        Wait::outside(Kind::FileLock, on)
    }
}

/// `futex(2)`: a mutex, condition variable, or semaphore. With a timeout it ends by itself.
///
/// Only a process that maps the word can wake its waiters. Only for a mutex of the C library (owner's
/// TID behind the lock word) and a robust or priority-inheriting futex (TID in the word) is the holder
/// recorded; for a semaphore, as Python's `multiprocessing.Lock` is one, it is not recorded.
pub(super) fn futex(pid: Pid, tid: Pid, args: [u64; 6], scene: &Scene) -> Wait {
    let [address, operation, expected, timeout, ..] = args;
    let times_out = timeout != 0;
    if let Some(joined) = joined(pid, tid, address, expected) {
        let ends = if times_out { Ends::Outside } else { Ends::Threads(vec![joined]) };
        let timer = if times_out { ", or timer" } else { "" };
        return Wait { on: format!("the end of thread {joined}{timer}"), kind: Kind::Lock, ends };
    }
    let command = (operation as u32).cast_signed() & libc::FUTEX_CMD_MASK;
    let mut object = pthread::object(pid, address, command, expected as u32);
    let holder = if object.what.starts_with("lock") { holder(pid, address, command, scene) } else { None };
    let word = word_at(pid, address);
    let abandoned = match (object.what, holder, &word) {
        ("lock", None, Some(Word::Private { .. })) => abandoned_by(pid, address),
        _ => None,
    };
    if holder.is_some() {
        object.what = "lock";
    }
    let (name, sharers) = match &word {
        Some(Word::Shared { device, inode, offset, path }) => {
            let sharers: Vec<Pid> = scene
                .actors()
                .iter()
                .map(|actor| actor.pid)
                .filter(|&other| other != pid && maps_object(other, device, *inode))
                .collect();
            (shared_name(object, path, *inode, *offset), sharers)
        }
        _ => (format!("{} 0x{:x}", object.what, address - object.begins_before), Vec::new()),
    };
    let timer = if times_out { ", or timer" } else { "" };
    if let Some(holder) = holder {
        let whom = if holder == tid { "itself".to_owned() } else { scene.thread_label(holder) };
        let on = format!("{name} held by {whom}{timer}");
        let ends = if times_out { Ends::Outside } else { Ends::Threads(vec![holder]) };
        return Wait { on, kind: Kind::Lock, ends };
    }
    let on = match (abandoned, &sharers[..]) {
        (Some(owner), _) => format!("{name} held by thread {owner}, which has ended{timer}"),
        (None, []) if threads(pid).len() > 1 => format!("{name} among its own threads{timer}"),
        (None, []) => format!("{name} of its own{timer}"),
        (None, some) => format!("{name} shared with {}{timer}", scene.labels(some)),
    };
    let ends = match word {
        _ if times_out => Ends::Outside,
        None => Ends::Outside,
        // Any process can open a named object at any time; an unlinked one only the processes that have it.
        Some(Word::Shared { path, .. }) if !path.ends_with("(deleted)") => Ends::Outside,
        Some(Word::Shared { .. }) => {
            let mut all = sharers;
            all.push(pid);
            Ends::Only(all)
        }
        Some(Word::Private { .. }) => Ends::Only(vec![pid]),
    };
    Wait { on, kind: Kind::Lock, ends }
}

/// `pthread_join(3)`: the thread whose TID is in the word until the kernel clears it at the end of that thread.
fn joined(pid: Pid, tid: Pid, address: u64, expected: u64) -> Option<Pid> {
    let word = u32::from_ne_bytes(read::<4>(pid, address)?);
    let is_expected = u64::from(word) == expected & u64::from(u32::MAX);
    let word = Pid::from_raw(word.cast_signed());
    (is_expected && word != tid && threads(pid).contains(&word)).then_some(word)
}

/// `/dev/shm/sem.Xy12 (deleted)` is a semaphore by the C library's naming; for other objects the word's offset is part of
/// the name.
fn shared_name(object: Object, path: &str, inode: u64, offset: u64) -> String {
    let (what, offset) = (object.what, offset.saturating_sub(object.begins_before));
    let file = path.trim_end_matches(" (deleted)").rsplit('/').next().unwrap_or_default();
    match file.strip_prefix("sem.") {
        Some(name) => format!("semaphore {name}"),
        None if file.is_empty() || file == "zero" => format!("{what} in shared memory {inode}+{offset}"),
        None => format!("{what} in {file}+{offset}"),
    }
}

/// The thread that has ended and was recorded as the owner of a mutex of process `pid`, which is still locked.
fn abandoned_by(pid: Pid, address: u64) -> Option<Pid> {
    let bytes = read::<20>(pid, address)?;
    let field = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (word, owner, n_users, kind) = (field(0), field(8), field(12), field(16));
    // A normal mutex of glibc or one with an error check: other kinds have other words.
    let is_mutex = word == LOCKED_WITH_WAITERS && n_users == 1 && kind & !0x103 == 0;
    let owner = Pid::from_raw(owner.cast_signed());
    let has_ended = owner.as_raw() > 0 && !threads(pid).contains(&owner);
    (is_mutex && has_ended && has_the_same_tids(pid)).then_some(owner)
}

fn holder(pid: Pid, address: u64, command: i32, scene: &Scene) -> Option<Pid> {
    const TID_MASK: u32 = 0x3fff_ffff;
    let bytes = read::<12>(pid, address)?;
    let word = u32::from_ne_bytes(bytes[..4].try_into().ok()?);
    let owner = u32::from_ne_bytes(bytes[8..].try_into().ok()?);
    let priority_inheriting = [libc::FUTEX_LOCK_PI, FUTEX_LOCK_PI2].contains(&command);
    let tid = if priority_inheriting || word & !TID_MASK != 0 {
        word & TID_MASK
    } else if word == LOCKED_WITH_WAITERS {
        owner
    } else {
        return None;
    };
    // A word that only looks like one of these is not the TID of a watched process.
    let tid = Pid::from_raw(tid.cast_signed());
    scene.process_of(tid).map(|_| tid)
}
