//! One execution: the decisions of an earlier one are repeated up to a point, then a planned branch is explored.

use serde::{Deserialize, Serialize};

use super::moves::{Branch, Covered, Move, plan};
use super::races::Races;
use crate::explore::dependence::Decided;
use crate::explore::point::{Completed, Divergence, Point};
use crate::explore::step::{Choice, Event};
use crate::explore::strategy::taken::Taken;
use crate::explore::strategy::{Decision, Strategy};

/// What is to be executed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assignment {
    /// The decisions to repeat.
    pub(super) repeated: Vec<Taken>,
    /// The sleep set at the point after them: moves that were already explored, there or at an earlier point.
    pub(super) sleep: Vec<Move>,
    /// The branch to explore from there; `None` for the first execution of all.
    pub(super) branch: Option<Branch>,
}

/// A new point on the path of an execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NewPoint {
    /// The sleep set.
    pub(super) sleep: Vec<Move>,
    /// The branches planned from here; if a decision was taken, the first is that decision.
    pub(super) branches: Vec<Branch>,
    /// The decision.
    pub(super) taken: Option<Taken>,
}

/// A wakeup sequence for the point of this depth.
pub(super) type Plan = (usize, Vec<Move>);

/// What an execution found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The points after the repeated decisions.
    pub(super) points: Vec<NewPoint>,
    /// What the races of the execution require to be explored.
    pub(super) plans: Vec<Plan>,
    /// What the assigned branch covered, if its move was disabled.
    #[serde(default)]
    pub(super) covered: Vec<Covered>,
}

impl Report {
    /// The first branch at the new point `at` was planned without knowing that its move is disabled there, so it covers
    /// nothing.
    fn drop_disabled(&mut self, at: usize) {
        let point = &mut self.points[at];
        let covered = point.branches.remove(0).covered;
        if at == 0 {
            // Other branches may be in progress there.
            self.covered.extend(covered);
            return;
        }
        for (_, sequence) in covered {
            if !point.sleep.iter().any(|asleep| asleep.is_weak_initial(&sequence)) {
                plan(&mut point.branches, sequence, Some(0));
            }
        }
    }
}

/// Makes the decisions of one execution.
#[derive(Clone, Debug)]
pub struct Assigned {
    assignment: Assignment,
    report: Report,
    depth: usize,
}

impl Assigned {
    /// An execution of `assignment`.
    pub fn new(assignment: Assignment) -> Self {
        Self { assignment, report: Report::default(), depth: 0 }
    }

    /// What it found.
    pub fn report(self) -> Report {
        self.report
    }

    fn arrive(&mut self) {
        let point = match self.report.points.last_mut() {
            None => NewPoint {
                sleep: self.assignment.sleep.clone(),
                branches: self.assignment.branch.clone().into_iter().collect(),
                taken: None,
            },
            Some(parent) => {
                let branch = &mut parent.branches[0];
                let branches = std::mem::take(&mut branch.then);
                let sleep = parent.sleep.iter().filter(|other| !other.depends(&branch.next)).cloned();
                NewPoint { sleep: sleep.collect(), branches, taken: None }
            }
        };
        self.report.points.push(point);
    }

    /// The next planned branch at `point` that can be taken. If none is planned and none was explored, plans one.
    fn choose(&mut self, point: &Point<'_>) -> Option<Choice> {
        let repeated = &self.assignment.repeated;
        let at = point.depth - repeated.len();
        let previous = match at.checked_sub(1) {
            Some(before) => self.report.points[before].taken.as_ref(),
            None => repeated.last(),
        };
        let previous = previous.map(|taken| Choice::step(taken.choice.index()));
        let is_planned = at == 0 && self.assignment.branch.is_some();
        while let Some(branch) = self.report.points[at].branches.first() {
            if point.choices.contains(&branch.next.choice) {
                return Some(branch.next.choice);
            }
            self.report.drop_disabled(at);
        }
        if is_planned {
            return None;
        }
        let new = &mut self.report.points[at];
        let awake =
            |choice: &&Choice| !choice.kill && !new.sleep.iter().any(|asleep| asleep.choice == **choice);
        // Continuing with the same task keeps the number of switches low.
        let choice = point.choices.iter().filter(awake).min_by_key(|choice| Some(**choice) != previous);
        let choice = *choice?;
        let next = Move::announced(choice, point.step(choice)?);
        new.branches.push(Branch::new(next));
        Some(choice)
    }

    /// The new point at `depth`, unless it is one of the repeated decisions.
    fn new_point(&mut self, depth: usize) -> Option<&mut NewPoint> {
        let at = depth.checked_sub(self.assignment.repeated.len())?;
        self.report.points.get_mut(at)
    }
}

impl Strategy for Assigned {
    fn begin(&mut self) -> bool {
        (self.depth, self.report) = (0, Report::default());
        true
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        self.depth = point.depth + 1;
        let repeated = self.assignment.repeated.len();
        if let Some(taken) = self.assignment.repeated.get(point.depth) {
            return taken.again(point).map(Decision::Take);
        }
        if point.depth - repeated == self.report.points.len() {
            self.arrive();
        }
        let chosen = self.choose(point);
        let taken = chosen.and_then(|choice| Taken::at(point, choice));
        let decision = taken.as_ref().map_or(Decision::GiveUp, |taken| Decision::Take(taken.choice));
        self.report.points[point.depth - repeated].taken = taken;
        Ok(decision)
    }

    fn refused(&mut self, point: &Point<'_>, _: usize) -> Result<(), Divergence> {
        match self.new_point(point.depth) {
            None => self.assignment.repeated[point.depth].refused(point),
            Some(new) => {
                new.taken = None;
                self.report.drop_disabled(point.depth - self.assignment.repeated.len());
                Ok(())
            }
        }
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        let position = self.depth - 1;
        match self.new_point(position) {
            None => self.assignment.repeated[position].done(position, event),
            Some(new) => {
                if let Some(taken) = &mut new.taken {
                    new.branches[0].next = Move::of(event);
                    taken.event = Some(event.clone());
                }
                Ok(())
            }
        }
    }

    fn complete(&mut self, execution: &Completed<'_>) {
        let plans = &mut self.report.plans;
        Races::new(execution).each(self.assignment.repeated.len(), |position, sequence| {
            plans.push((position, sequence));
        });
    }

    fn given_up(&mut self, execution: &Completed<'_>) {
        let last = self.report.points.len().checked_sub(1);
        let is_new = last.is_some_and(|last| last > 0 || self.assignment.branch.is_none());
        if is_new {
            self.complete(execution);
        }
    }
}
