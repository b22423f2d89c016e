//! One execution of each class: dynamic partial-order reduction with source sets and wakeup trees.
//!
//! After each execution, every *race* in it is found: two dependent steps of different tasks of which the later one
//! could have come first. At the point where the earlier step was chosen, a *wakeup sequence* is planned that leads to
//! the later step instead, unless an explored or planned sequence there covers it (P. Abdulla, S. Aronis, B. Jonsson,
//! K. Sagonas, "Source Sets: A Foundation for Optimal Dynamic Partial Order Reduction", JACM 64(4), 2017). No two
//! executions are equivalent. An execution is given up only if a planned step turns out to be disabled, which
//! [`System::would_run`](crate::explore::engine::System::would_run) could not predict.
//!
//! Steps may disable each other, so a step may race with *each* dependent step that is not ordered before the previous
//! step of the same task, not only with the last one: a lock is released before the next task acquires it, but the race
//! is with the earlier acquisition. Steps that were announced but never executed also take part in races, and so does
//! the kill of each task at each of its steps.
//!
//! With kills, the system must know which steps are enabled
//! ([`System::enabled`](crate::explore::engine::System::enabled)), because only a task that could continue is killed,
//! and a planned kill cannot try the step. If only an attempt shows it, [`Dfs`](super::dfs::Dfs) searches with kills.

use serde::{Deserialize, Serialize};

use super::taken::Taken;
use super::{Decision, Strategy, explored_share};
use crate::explore::holders::Holders;
use crate::explore::point::{Completed, Divergence, Point};
use crate::explore::step::{Access, Choice, Event, Step, Touch};

/// The search and its position; serialize it to continue later.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Dpor {
    path: Vec<Node>,
    depth: usize,
    /// The index of the first new decision in this execution.
    fresh: usize,
    exhausted: bool,
}

/// A decision, with the data that determines on which others it depends.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Move {
    choice: Choice,
    touches: Vec<Touch>,
    created: Vec<u32>,
    barrier: bool,
}

impl Move {
    fn of(event: &Event) -> Self {
        Self {
            choice: event.choice,
            touches: event.touches().collect(),
            created: event.created.clone(),
            barrier: event.barrier,
        }
    }

    /// The move of `choice`, according to its announcement.
    fn announced(choice: Choice, step: &Step) -> Self {
        let touches = step.touches().filter(|touch| !choice.kill || touch.access.may_wait()).collect();
        Self { choice, touches, created: Vec::new(), barrier: false }
    }

    /// The kill of `task` at `step`, which would access `ending`.
    fn of_kill(task: usize, step: &Step, ending: &[Touch]) -> Self {
        let mut kill = Self::announced(Choice::kill(task), step);
        kill.touches.extend(ending);
        kill
    }

    /// As [`Event::depends`].
    fn depends(&self, other: &Self) -> bool {
        self.choice.process == other.choice.process
            || (self.choice.kill && other.choice.kill)
            || self.barrier
            || other.barrier
            || self.created.contains(&other.choice.process)
            || other.created.contains(&self.choice.process)
            || self.touches.iter().any(|mine| other.touches.iter().any(|its| mine.conflicts(its)))
    }

    /// Whether some schedule that is equivalent to an extension of `sequence` begins with this move.
    fn is_weak_initial(&self, sequence: &[Move]) -> bool {
        for other in sequence {
            if other.choice == self.choice {
                return true;
            }
            if other.depends(self) {
                return false;
            }
        }
        // A step that is not in the sequence is executed eventually; a kill may never happen.
        !self.choice.kill
    }
}

/// A node of a wakeup tree: a move, and the branches planned after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Branch {
    next: Move,
    then: Vec<Branch>,
}

/// A point on the path of the current execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Node {
    /// The sleep set: moves that were already explored, here or at an earlier point.
    sleep: Vec<Move>,
    /// The branches planned from here; the first is in progress.
    branches: Vec<Branch>,
    taken: Option<Taken>,
    /// The number of branches that have been explored.
    explored: usize,
}

impl Dpor {
    /// Creates a search.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether everything has been explored.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    fn arrive(&mut self) {
        let node = match self.path.last_mut() {
            None => Node { sleep: Vec::new(), branches: Vec::new(), taken: None, explored: 0 },
            Some(parent) => {
                let branch = &mut parent.branches[0];
                let branches = std::mem::take(&mut branch.then);
                let sleep = parent.sleep.iter().filter(|other| !other.depends(&branch.next)).cloned();
                Node { sleep: sleep.collect(), branches, taken: None, explored: 0 }
            }
        };
        self.path.push(node);
    }

    /// The next planned branch at `point` that can be taken. If none is planned and none was explored, plans one.
    fn choose(&mut self, point: &Point<'_>) -> Option<Choice> {
        let previous = point.depth.checked_sub(1).and_then(|at| self.path[at].taken.as_ref());
        let previous = previous.map(|taken| Choice::step(taken.choice.index()));
        let node = &mut self.path[point.depth];
        while let Some(branch) = node.branches.first() {
            if point.choices.contains(&branch.next.choice) {
                return Some(branch.next.choice);
            }
            // It was planned without knowing that it is disabled here.
            node.branches.remove(0);
        }
        if node.explored > 0 {
            return None;
        }
        let awake =
            |choice: &&Choice| !choice.kill && !node.sleep.iter().any(|asleep| asleep.choice == **choice);
        // Continuing with the same task keeps the number of switches low.
        let choice = point.choices.iter().filter(awake).min_by_key(|choice| Some(**choice) != previous);
        let choice = *choice?;
        let next = Move::announced(choice, point.step(choice)?);
        node.branches.push(Branch { next, then: Vec::new() });
        Some(choice)
    }
}

impl Strategy for Dpor {
    fn begin(&mut self) -> bool {
        self.depth = 0;
        self.fresh = usize::MAX;
        !self.exhausted
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        if point.depth == self.path.len() {
            self.arrive();
        }
        self.depth = point.depth + 1;
        if self.path[point.depth].taken.is_none() {
            self.fresh = self.fresh.min(point.depth);
            self.path[point.depth].taken = self.choose(point).and_then(|choice| Taken::at(point, choice));
        }
        let taken = self.path[point.depth].taken.as_ref();
        taken.map_or(Ok(Decision::GiveUp), |taken| taken.again(point).map(Decision::Take))
    }

    fn refused(&mut self, point: &Point<'_>, _: usize) -> Result<(), Divergence> {
        let node = &mut self.path[point.depth];
        node.taken.take().map_or(Ok(()), |taken| taken.refused(point))?;
        node.branches.remove(0);
        Ok(())
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        let position = self.depth - 1;
        let Some(node) = self.path.get_mut(position) else { return Ok(()) };
        let Some(taken) = node.taken.as_mut() else { return Ok(()) };
        if taken.event.is_none() {
            node.branches[0].next = Move::of(event);
        }
        taken.done(position, event)
    }

    fn explored(&self) -> Option<f64> {
        if self.exhausted {
            return Some(1.0);
        }
        // Only planned branches are counted. More are added during the search, so the share can decrease.
        let width = |node: &Node| node.explored + node.branches.len();
        Some(explored_share(self.path.iter().map(|node| (node.explored, width(node)))))
    }

    fn complete(&mut self, execution: &Completed<'_>) {
        let races = Races::new(execution);
        races.each(self.fresh, |position, sequence| {
            let node = &mut self.path[position];
            if !node.sleep.iter().any(|asleep| asleep.is_weak_initial(&sequence)) {
                plan(&mut node.branches, sequence);
            }
        });
    }

    fn diverged(&mut self, position: usize) {
        self.path.truncate(position + 1);
        self.end();
    }

    fn end(&mut self) {
        while let Some(node) = self.path.last_mut() {
            if node.taken.take().is_some() {
                let branch = node.branches.remove(0);
                node.sleep.push(branch.next);
                node.explored += 1;
            }
            if !node.branches.is_empty() {
                return;
            }
            self.path.pop();
        }
        self.exhausted = true;
    }
}

/// Adds `sequence` to a wakeup tree, unless a sequence in it covers it.
fn plan(branches: &mut Vec<Branch>, mut sequence: Vec<Move>) {
    let mut level = branches;
    while let Some(at) = level.iter().position(|branch| branch.next.is_weak_initial(&sequence)) {
        let choice = level[at].next.choice;
        if let Some(same) = sequence.iter().position(|other| other.choice == choice) {
            sequence.remove(same);
        }
        // Below a leaf, everything that can follow is explored.
        if sequence.is_empty() || level[at].then.is_empty() {
            return;
        }
        level = &mut level[at].then;
    }
    let chain = sequence.into_iter().rev().fold(Vec::new(), |then, next| vec![Branch { next, then }]);
    level.extend(chain);
}

/// The races of one execution.
struct Races<'a> {
    execution: &'a Completed<'a>,
    moves: Vec<Move>,
    /// For each event, the set of events that happened before it.
    past: Vec<Vec<u64>>,
}

/// A step or a kill, considered as the later one of a race.
struct Later<'a> {
    step: &'a Step,
    what: Move,
    /// The number of events before it.
    position: usize,
}

impl<'a> Races<'a> {
    fn new(execution: &'a Completed<'a>) -> Self {
        let moves: Vec<Move> = execution.trace.events.iter().map(Move::of).collect();
        let words = moves.len().div_ceil(64);
        let mut past: Vec<Vec<u64>> = Vec::with_capacity(moves.len());
        for (position, this) in moves.iter().enumerate() {
            let mut before = vec![0; words];
            for earlier in (0..position).rev() {
                if !has(&before, earlier) && this.depends(&moves[earlier]) {
                    before[earlier / 64] |= 1 << (earlier % 64);
                    before.iter_mut().zip(&past[earlier]).for_each(|(mine, its)| *mine |= its);
                }
            }
            past.push(before);
        }
        Self { execution, moves, past }
    }

    /// Calls `found` with each point at which another decision should be made, and the sequence for it.
    fn each(&self, fresh: usize, mut found: impl FnMut(usize, Vec<Move>)) {
        let trace = self.execution.trace;
        for (position, event) in trace.events.iter().enumerate().skip(fresh) {
            if event.barrier {
                // It happened only because nothing else could, so it could not have happened earlier.
                continue;
            }
            let what = match event.touched {
                // The actual accesses include all that could have changed it, or whether it was enabled.
                Some(_) => self.moves[position].clone(),
                None => {
                    let mut what = Move::announced(event.choice, &event.step);
                    what.touches.extend(&self.moves[position].touches);
                    what
                }
            };
            self.races(&Later { step: &event.step, what, position }, &mut found);
        }
        for gone in self.execution.withdrawn {
            let what = Move::announced(Choice::step(gone.task), &gone.step);
            // Without the withdrawal, it could have been executed at any later point.
            let position = trace.events.len();
            self.races(&Later { step: &gone.step, what, position }, &mut found);
        }
        let end = trace.events.len();
        for (task, step) in trace.stuck.iter().enumerate() {
            let Some(step) = step else { continue };
            self.races(
                &Later { step, what: Move::announced(Choice::step(task), step), position: end },
                &mut found,
            );
        }
        if self.execution.kills > 0 {
            self.kills(&mut found);
        }
    }

    /// Plans kills: a task that was not killed could have been, at each of its steps and where it waits.
    fn kills(&self, found: &mut impl FnMut(usize, Vec<Move>)) {
        let trace = self.execution.trace;
        let killed = |task: usize| self.moves.iter().any(|m| m.choice == Choice::kill(task));
        for (position, event) in trace.events.iter().enumerate() {
            let task = event.choice.index();
            if event.choice.kill || killed(task) || !(self.execution.killable)(task) {
                continue;
            }
            let what = Move::of_kill(task, &event.step, &event.if_killed);
            self.reverse(position, &Later { step: &event.step, what, position: self.moves.len() }, found);
        }
        for (task, step) in trace.stuck.iter().enumerate() {
            let Some(step) = step.as_ref().filter(|_| (self.execution.killable)(task)) else { continue };
            let what = Move::of_kill(task, step, &self.execution.endings[task]);
            self.races(&Later { step, what, position: self.moves.len() }, found);
        }
    }

    fn races(&self, later: &Later<'_>, found: &mut impl FnMut(usize, Vec<Move>)) {
        let task = later.what.choice.process;
        let own = |other: &Move| other.choice == Choice::step(task as usize) || other.created.contains(&task);
        // A kill is not ordered after any of its task's steps, because it could have come before each of them.
        let previous = (0..later.position).rev().find(|at| match later.what.choice.kill {
            true => self.moves[*at].created.contains(&task),
            false => own(&self.moves[*at]),
        });
        for earlier in 0..later.position {
            let other = &self.moves[earlier];
            let ordered = previous.is_some_and(|at| at == earlier || has(&self.past[at], earlier));
            if !ordered && !other.barrier && other.choice != later.what.choice && other.depends(&later.what) {
                self.reverse(earlier, later, found);
            }
        }
    }

    /// Plans `later` instead of the event at `earlier`, unless it is known to be disabled there.
    fn reverse(&self, earlier: usize, later: &Later<'_>, found: &mut impl FnMut(usize, Vec<Move>)) {
        let kept = |at: &usize| *at < earlier || (*at > earlier && !has(&self.past[*at], earlier));
        let (kept, gone): (Vec<usize>, Vec<usize>) = (0..later.position).partition(kept);
        let own = |at: &&usize| self.moves[**at].choice == Choice::step(later.what.choice.index());
        let undone = gone.iter().find(own).filter(|_| later.what.choice.kill);
        let at_undone = undone.map(|at| {
            // The task does not get as far as it did, and is killed at the first step that it does not execute.
            let event = &self.execution.trace.events[*at];
            let what = Move::of_kill(later.what.choice.index(), &event.step, &event.if_killed);
            Later { step: &event.step, what, position: later.position }
        });
        let later = at_undone.as_ref().unwrap_or(later);
        let killed = kept.iter().filter(|at| self.moves[**at].choice.kill).count();
        if killed + usize::from(later.what.choice.kill) > self.execution.kills {
            return;
        }
        if later.step.may_wait() {
            let objects: Vec<_> = later.step.touches().map(|touch| touch.object).collect();
            let touches = |at: &&usize| self.moves[**at].touches.iter().any(|t| objects.contains(&t.object));
            let events = &self.execution.trace.events;
            let history: Vec<&Event> = kept.iter().filter(touches).map(|at| &events[*at]).collect();
            if (self.execution.would_run)(later.what.choice.index(), later.step, &history) == Some(false) {
                return;
            }
        }
        let mut sequence: Vec<Move> =
            kept.iter().filter(|at| **at > earlier).map(|at| self.moves[*at].clone()).collect();
        let mut what = later.what.clone();
        if what.choice.kill {
            // A kill releases what its task holds at that point, and depends on these locks.
            let task = what.choice.index();
            let held = Holders::after(kept.iter().map(|at| &self.execution.trace.events[*at]));
            let released = held.of(task).iter();
            what.touches.extend(released.map(|object| Touch { object: *object, access: Access::Write }));
        }
        sequence.push(what);
        found(earlier, sequence);
    }
}

fn has(set: &[u64], member: usize) -> bool {
    set[member / 64] >> (member % 64) & 1 == 1
}
