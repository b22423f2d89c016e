//! The wait-for graph: which thread could end which wait, and sets of threads whose waits no thread can end.
//!
//! A blocked thread waits for *any* of those that could end its wait (the OR model of Knapp, "Deadlock
//! detection in distributed databases", ACM Computing Surveys 1987). A set of threads is deadlocked when all are blocked,
//! none of their waits can be ended from outside, and all threads that could end them are in the set. A thread whose wait
//! no other thread can end waits for itself.

use crate::sys::pid::Pid;
use std::collections::{BTreeMap, BTreeSet};

/// A set of threads that can only wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Deadlock {
    /// The threads that wait for each other in a circle, or the one that waits for itself.
    pub circle: Vec<Pid>,
    /// Threads that wait for the circle without being part of it.
    pub behind: Vec<Pid>,
}

/// The deadlocks among threads. `waits` has the threads that could end the wait of each thread that is blocked and cannot
/// be released from outside.
pub fn deadlocks(waits: &BTreeMap<Pid, BTreeSet<Pid>>) -> Vec<Deadlock> {
    let mut stuck = waits.clone();
    // A thread that can be released by a thread that is not stuck is not stuck: remove these until nothing changes.
    loop {
        let free: Vec<Pid> = stuck
            .iter()
            .filter(|(_, ends)| ends.is_empty() || ends.iter().any(|pid| !stuck.contains_key(pid)))
            .map(|(pid, _)| *pid)
            .collect();
        if free.is_empty() {
            break;
        }
        for pid in free {
            stuck.remove(&pid);
        }
    }
    let reach: BTreeMap<Pid, BTreeSet<Pid>> =
        stuck.keys().map(|&pid| (pid, reachable(pid, &stuck))).collect();
    let in_circle: BTreeSet<Pid> =
        reach.iter().filter(|(pid, to)| to.contains(pid)).map(|(pid, _)| *pid).collect();
    let mut found: Vec<Deadlock> = Vec::new();
    let mut placed: BTreeSet<Pid> = BTreeSet::new();
    for &pid in &in_circle {
        if placed.contains(&pid) {
            continue;
        }
        let circle: Vec<Pid> = in_circle
            .iter()
            .copied()
            .filter(|other| reach[&pid].contains(other) && reach[other].contains(&pid))
            .collect();
        placed.extend(&circle);
        found.push(Deadlock { circle, behind: Vec::new() });
    }
    for &pid in stuck.keys().filter(|pid| !in_circle.contains(pid)) {
        if let Some(deadlock) =
            found.iter_mut().find(|deadlock| deadlock.circle.iter().any(|to| reach[&pid].contains(to)))
        {
            deadlock.behind.push(pid);
        }
    }
    found
}

fn reachable(from: Pid, graph: &BTreeMap<Pid, BTreeSet<Pid>>) -> BTreeSet<Pid> {
    let mut seen = BTreeSet::new();
    let mut todo: Vec<Pid> = graph[&from].iter().copied().collect();
    while let Some(pid) = todo.pop() {
        if seen.insert(pid) {
            todo.extend(graph.get(&pid).into_iter().flatten());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(i32, &[i32])]) -> BTreeMap<Pid, BTreeSet<Pid>> {
        edges.iter().map(|(pid, ends)| (Pid::from_raw(*pid), pids(ends).into_iter().collect())).collect()
    }

    fn pids(numbers: &[i32]) -> Vec<Pid> {
        numbers.iter().copied().map(Pid::from_raw).collect()
    }

    #[test]
    fn two_that_wait_for_each_other_are_deadlocked_and_their_parent_waits_behind_them() {
        let found = deadlocks(&graph(&[(1, &[2]), (2, &[3]), (3, &[2])]));
        assert_eq!(found, [Deadlock { circle: pids(&[2, 3]), behind: pids(&[1]) }]);
    }

    #[test]
    fn a_chain_that_ends_at_a_thread_that_can_continue_is_no_deadlock() {
        assert_eq!(deadlocks(&graph(&[(1, &[2]), (2, &[3])])), []);
    }

    #[test]
    fn one_way_out_of_a_circle_is_enough() {
        assert_eq!(deadlocks(&graph(&[(2, &[3, 9]), (3, &[2])])), []);
    }

    #[test]
    fn a_process_that_waits_for_its_own_threads_only_is_deadlocked_by_itself() {
        assert_eq!(deadlocks(&graph(&[(5, &[5])])), [Deadlock { circle: pids(&[5]), behind: vec![] }]);
    }

    #[test]
    fn two_circles_are_two_deadlocks() {
        let found = deadlocks(&graph(&[(1, &[2]), (2, &[1]), (3, &[4]), (4, &[3])]));
        assert_eq!(found.len(), 2);
    }
}
