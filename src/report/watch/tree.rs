//! Processes as a tree.

use std::collections::{BTreeMap, BTreeSet};

use super::model::ProcessReport;
use crate::sys::pid::Pid;

/// The processes depth first, each with its depth: a child comes under its first parent.
pub fn as_tree(processes: &[ProcessReport]) -> Vec<(usize, &ProcessReport)> {
    let mut children: BTreeMap<Pid, Vec<usize>> = BTreeMap::new();
    let pids: BTreeSet<Pid> = processes.iter().map(|process| process.pid).collect();
    let mut roots = Vec::new();
    for (index, process) in processes.iter().enumerate() {
        let parent = process.orphan.as_ref().map_or(process.ppid, |orphan| orphan.old_parent);
        if pids.contains(&parent) && parent != process.pid {
            children.entry(parent).or_default().push(index);
        } else {
            roots.push(index);
        }
    }
    let mut told = vec![false; processes.len()];
    let mut order = Vec::with_capacity(processes.len());
    let mut todo: Vec<(usize, usize)> = roots.into_iter().rev().map(|index| (0, index)).collect();
    // A reused PID could make a circle: processes that no root leads to come at the end.
    let mut rest = (0..processes.len()).rev();
    loop {
        let Some((depth, index)) = todo.pop() else {
            match rest.next() {
                Some(index) => todo.push((0, index)),
                None => return order,
            }
            continue;
        };
        if std::mem::replace(&mut told[index], true) {
            continue;
        }
        order.push((depth, &processes[index]));
        let below = children.get(&processes[index].pid).into_iter().flatten();
        todo.extend(below.rev().map(|child| (depth + 1, *child)));
    }
}
