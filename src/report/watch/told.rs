//! What notes amount to: spans in which a lock was held, the depth of a queue, messages from put to get.

use std::collections::{HashMap, VecDeque};

use crate::observe::notes::Note;

/// A lock was held by a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) pid: u32,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
}

/// Pairs each `lock` with the same process's next `unlock`; one without a partner lasts to `end_ns`.
pub(super) fn held(notes: &[Note], end_ns: u64) -> Vec<Held> {
    let mut open: HashMap<u32, u64> = HashMap::new();
    let mut held = Vec::new();
    for note in in_time(notes) {
        match note.what.as_str() {
            "lock" => {
                open.insert(note.pid, note.at_ns);
            }
            "unlock" => {
                let from_ns = open.remove(&note.pid);
                held.extend(from_ns.map(|from_ns| Held { pid: note.pid, from_ns, to_ns: note.at_ns }));
            }
            _ => {}
        }
    }
    held.extend(open.into_iter().map(|(pid, from_ns)| Held { pid, from_ns, to_ns: end_ns }));
    held.sort_by_key(|held| held.from_ns);
    held
}

/// How many messages were in the queue after each `put` and `get`.
pub(super) fn depth(notes: &[Note]) -> Vec<(u64, u64)> {
    let mut depth = 0_u64;
    let change = |note: &&Note| match note.what.as_str() {
        "put" => {
            depth += 1;
            Some((note.at_ns, depth))
        }
        "get" => {
            depth = depth.saturating_sub(1);
            Some((note.at_ns, depth))
        }
        _ => None,
    };
    let notes = in_time(notes);
    notes.iter().filter_map(change).collect()
}

/// Each message from the process that put it to the one that got it: a queue hands them on in order.
pub(super) fn messages(notes: &[Note]) -> Vec<(&Note, &Note)> {
    let mut under_way = VecDeque::new();
    let mut messages = Vec::new();
    for note in in_time(notes) {
        match note.what.as_str() {
            "put" => under_way.push_back(note),
            "get" => messages.extend(under_way.pop_front().map(|put| (put, note))),
            _ => {}
        }
    }
    messages
}

/// Notes of several processes come in the order in which they were passed on.
fn in_time(notes: &[Note]) -> Vec<&Note> {
    let mut notes: Vec<&Note> = notes.iter().collect();
    notes.sort_by_key(|note| note.at_ns);
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(at_ns: u64, pid: u32, what: &str) -> Note {
        Note { at_ns, pid, process: pid.to_string(), what: what.to_owned(), text: String::new() }
    }

    #[test]
    fn a_lock_is_held_from_lock_to_unlock_or_to_the_end() {
        let notes = [note(1, 7, "lock"), note(5, 8, "lock"), note(4, 7, "unlock")];
        let spans: Vec<_> = held(&notes, 9).iter().map(|held| (held.pid, held.from_ns, held.to_ns)).collect();
        assert_eq!(spans, [(7, 1, 4), (8, 5, 9)]);
    }

    #[test]
    fn a_queue_is_as_deep_as_what_was_put_and_not_got() {
        let notes = [note(1, 7, "put"), note(3, 8, "get"), note(2, 7, "put")];
        assert_eq!(depth(&notes), [(1, 1), (2, 2), (3, 1)]);
        let told: Vec<_> = messages(&notes).iter().map(|(put, get)| (put.at_ns, get.at_ns)).collect();
        assert_eq!(told, [(1, 3)]);
    }
}
