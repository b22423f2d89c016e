//! What notes amount to: spans in which a lock was held, the depth of a queue, messages from put to get.

use std::collections::{HashMap, HashSet, VecDeque};

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

/// How many messages were in the queue after each `put` and `get`. A `put` is told when it is done, which the
/// `get` of the same message may be before it: the sum is right again then.
pub(super) fn depth(notes: &[Note]) -> Vec<(u64, u64)> {
    let mut depth = 0_i64;
    let mut got = HashSet::new();
    let mut depths = Vec::new();
    for note in in_time(notes) {
        depth += match note.what.as_str() {
            "put" => 1,
            // One that came back to the queue, because its taker died, is taken twice.
            "get" if message(note).is_none_or(|message| got.insert(message)) => -1,
            "get" => 0,
            _ => continue,
        };
        depths.push((note.at_ns, u64::try_from(depth).unwrap_or(0)));
    }
    depths
}

/// Each message from the process that put it to the one that got it: by its name and its maker's where they
/// are told, else in order, as a queue hands them on.
pub(super) fn messages(notes: &[Note]) -> Vec<(&Note, &Note)> {
    let notes = in_time(notes);
    let mut made: HashMap<(&str, &str), &Note> = HashMap::new();
    let mut under_way = VecDeque::new();
    for note in notes.iter().filter(|note| note.what == "put") {
        match message(note) {
            Some(message) => drop(made.insert(message, note)),
            None => under_way.push_back(*note),
        }
    }
    let mut put_of = |get: &Note| match message(get) {
        Some(message) => made.get(&message).copied(),
        None => under_way.pop_front(),
    };
    let gets: Vec<&Note> = notes.iter().copied().filter(|note| note.what == "get").collect();
    gets.into_iter().filter_map(|get| Some((put_of(get)?, get))).collect()
}

/// The message of a pipeline's `made 火锅3` or `takes 火锅3 of producer-1`, and who made it.
fn message(note: &Note) -> Option<(&str, &str)> {
    match note.text.strip_prefix("takes ") {
        Some(taken) => taken.split_once(" of "),
        None => Some((note.text.strip_prefix("made ")?, &note.process)),
    }
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

    #[test]
    fn a_message_goes_from_its_own_maker_to_its_taker_though_the_get_is_told_first() {
        let told = |at_ns, pid, what: &str, process: &str, text: &str| Note {
            at_ns,
            pid,
            process: process.to_owned(),
            what: what.to_owned(),
            text: text.to_owned(),
        };
        let notes = [
            told(1, 7, "put", "producer-0", "made tea0"),
            told(2, 9, "get", "consumer-0", "takes tea0 of producer-1"),
            told(3, 8, "put", "producer-1", "made tea0"),
            told(4, 9, "get", "consumer-0", "takes tea0 of producer-0"),
            told(5, 9, "ate", "consumer-0", "ate tea0 of producer-0"),
            told(6, 9, "get", "consumer-0", "takes tea0 of producer-0"),
        ];
        let pairs: Vec<_> =
            messages(&notes).iter().map(|(put, get)| (put.pid, put.at_ns, get.at_ns)).collect();
        assert_eq!(pairs, [(8, 3, 2), (7, 1, 4), (7, 1, 6)]);
        assert_eq!(depth(&notes), [(1, 1), (2, 0), (3, 1), (4, 0), (6, 0)]);
    }
}
