//! What notes add up to: spans in which a lock was held, the depth of a queue, messages from put to get.

use crate::sys::pid::Pid;
use std::collections::{HashMap, HashSet};

use crate::observe::notes::{Fact, Message, Note};

/// A lock was held by a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LockSpan {
    pub(super) pid: Pid,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
}

/// Pairs each `lock` with the next `unlock` of the same process; one without a partner lasts to `end_ns`.
pub(super) fn lock_spans(notes: &[Note], end_ns: u64) -> Vec<LockSpan> {
    let mut open: HashMap<Pid, u64> = HashMap::new();
    let mut held = Vec::new();
    for note in in_time(notes) {
        match note.fact {
            Some(Fact::Locked(_)) => {
                open.insert(note.pid, note.at_ns);
            }
            Some(Fact::Unlocked(_)) => {
                let from_ns = open.remove(&note.pid);
                held.extend(from_ns.map(|from_ns| LockSpan { pid: note.pid, from_ns, to_ns: note.at_ns }));
            }
            _ => {}
        }
    }
    held.extend(open.into_iter().map(|(pid, from_ns)| LockSpan { pid, from_ns, to_ns: end_ns }));
    held.sort_by_key(|held| held.from_ns);
    held
}

/// The number of messages in the queue after each `put` and `get`. A `put` is reported when it is done, possibly after the
/// `get` of the same message, which corrects the number.
pub(super) fn depth(notes: &[Note]) -> Vec<(u64, u64)> {
    let mut depth = 0_i64;
    let mut got = HashSet::new();
    let mut depths = Vec::new();
    for note in in_time(notes) {
        depth += match &note.fact {
            Some(Fact::Put(_)) => 1,
            // A message that returned to the queue because its taker died is taken twice.
            Some(Fact::Taken(message)) => -i64::from(got.insert(message)),
            _ => continue,
        };
        depths.push((note.at_ns, u64::try_from(depth).unwrap_or(0)));
    }
    depths
}

/// Each message, from the put to the get.
pub(super) fn messages(notes: &[Note]) -> Vec<(&Note, &Note)> {
    let notes = in_time(notes);
    let mut made: HashMap<&Message, &Note> = HashMap::new();
    for note in &notes {
        if let Some(Fact::Put(message)) = &note.fact {
            made.insert(message, note);
        }
    }
    let got = |note: &&'_ Note| match &note.fact {
        Some(Fact::Taken(message)) => made.get(message).copied(),
        _ => None,
    };
    notes.iter().filter_map(|note| Some((got(note)?, *note))).collect()
}

/// Sorts notes, which arrive in the order in which they were written, by time.
fn in_time(notes: &[Note]) -> Vec<&Note> {
    let mut notes: Vec<&Note> = notes.iter().collect();
    notes.sort_by_key(|note| note.at_ns);
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(at_ns: u64, pid: i32, fact: Fact) -> Note {
        let pid = Pid::from_raw(pid);
        let (process, what) = (pid.to_string(), String::new());
        // A text that has the look of another fact: it is for people only.
        Note { at_ns, pid, process, what, text: "takes cup of tea of tea".to_owned(), fact: Some(fact) }
    }

    fn message(sender: &str, number: u64) -> Message {
        Message { queue: "queue".to_owned(), sender: sender.to_owned(), number }
    }

    #[test]
    fn a_lock_is_held_from_lock_to_unlock_or_to_the_end() {
        let (locked, unlocked) = (Fact::Locked("lock".into()), Fact::Unlocked("lock".into()));
        let notes = [note(1, 7, locked.clone()), note(5, 8, locked), note(4, 7, unlocked)];
        let spans: Vec<_> =
            lock_spans(&notes, 9).iter().map(|held| (held.pid.as_raw(), held.from_ns, held.to_ns)).collect();
        assert_eq!(spans, [(7, 1, 4), (8, 5, 9)]);
    }

    #[test]
    fn a_message_goes_from_its_own_sender_to_its_taker_though_the_get_is_told_first() {
        let notes = [
            note(1, 7, Fact::Put(message("producer-0", 0))),
            note(2, 9, Fact::Taken(message("producer-1", 0))),
            note(3, 8, Fact::Put(message("producer-1", 0))),
            note(4, 9, Fact::Taken(message("producer-0", 0))),
            note(6, 9, Fact::Taken(message("producer-0", 0))),
        ];
        let pairs: Vec<_> =
            messages(&notes).iter().map(|(put, get)| (put.pid.as_raw(), put.at_ns, get.at_ns)).collect();
        assert_eq!(pairs, [(8, 3, 2), (7, 1, 4), (7, 1, 6)]);
        assert_eq!(depth(&notes), [(1, 1), (2, 0), (3, 1), (4, 0), (6, 0)]);
    }
}
