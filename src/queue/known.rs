//! The shared queues that this process has, so that each costs it the same number of descriptors, however many handles
//! of it arrive.

use super::channel::Channel;
use super::end::{Descriptors, End, Role};
use super::side::Side;
use crate::sys::robust::lineage;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};

/// [`super::memory::Memory::identity`].
type Key = (u64, u64);

/// The process, and its sides. A forked copy begins with none, for it may not have been given those of its parent.
type Sides = (u64, BTreeMap<Key, [Weak<Side>; 2]>);

static KNOWN: Mutex<Sides> = Mutex::new((0, BTreeMap::new()));

/// How often a thread tries to take the lock, which others hold for microseconds.
const TRIES: u32 = 1000;

/// The sides; `None` in the copy of a process in which another thread held the lock while this one forked.
fn known() -> io::Result<Option<MutexGuard<'static, Sides>>> {
    let own = lineage()?;
    for _ in 0..TRIES {
        let mut known = match KNOWN.try_lock() {
            Ok(known) => known,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                std::thread::yield_now();
                continue;
            }
        };
        if known.0 != own {
            *known = (own, BTreeMap::new());
        }
        return Ok(Some(known));
    }
    Ok(None)
}

/// The side that this process has of the queue in `channel`; if it has none, one with these descriptors.
pub(super) fn side(
    channel: Channel,
    role: Role,
    descriptors: impl FnOnce() -> Descriptors,
) -> io::Result<Arc<Side>> {
    let key = channel.memory.identity()?;
    let new = |channel| Arc::new(Side::attach(End::shared(channel, role, descriptors())));
    let Some(mut known) = known()? else { return Ok(new(Arc::new(channel))) };
    let sides = known.1.get(&key).map(|sides| [sides[0].upgrade(), sides[1].upgrade()]).unwrap_or_default();
    if let Some(side) = &sides[role as usize] {
        return Ok(Arc::clone(side));
    }
    let channel = match sides.iter().flatten().next() {
        Some(other) => Arc::clone(&other.end.channel),
        None => Arc::new(channel),
    };
    let side = new(channel);
    insert(&mut known.1, key, &side);
    Ok(side)
}

/// Records a side whose handle is sent, because the handle may come back.
pub(super) fn record(side: &Arc<Side>) -> io::Result<()> {
    let key = side.end.channel.memory.identity()?;
    if let Some(mut known) = known()? {
        insert(&mut known.1, key, side);
    }
    Ok(())
}

fn insert(sides: &mut BTreeMap<Key, [Weak<Side>; 2]>, key: Key, side: &Arc<Side>) {
    if sides.len().is_power_of_two() {
        sides.retain(|_, sides| sides.iter().any(|side| side.strong_count() > 0));
    }
    sides.entry(key).or_default()[side.end.role as usize] = Arc::downgrade(side);
}
