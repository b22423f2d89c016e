//! The races of an execution: pairs of dependent steps that could have come in the other order.

use super::moves::Move;
use crate::explore::dependence::Decided;
use crate::explore::holders::Holders;
use crate::explore::point::Completed;
use crate::explore::step::{Access, Choice, Event, Step, Touch};

/// The races of one execution.
pub(super) struct Races<'a> {
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
    pub(super) fn new(execution: &'a Completed<'a>) -> Self {
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

    /// Calls `found` with each point at which another decision should be made, and the sequence for it. Races of which both
    /// steps are before the point `fresh` were found after an earlier execution.
    pub(super) fn each(&self, fresh: usize, mut found: impl FnMut(usize, Vec<Move>)) {
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
