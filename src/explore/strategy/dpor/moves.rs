//! Moves, and the wakeup trees in which they are planned.

use serde::{Deserialize, Serialize};

use crate::explore::dependence::Decided;
use crate::explore::step::{Choice, Event, Step, Touch};

/// A decision, with the data that determines on which others it depends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Move {
    pub(super) choice: Choice,
    pub(super) touches: Vec<Touch>,
    pub(super) created: Vec<u32>,
    pub(super) barrier: bool,
}

impl Move {
    pub(super) fn of(event: &Event) -> Self {
        Self {
            choice: event.choice,
            touches: event.touches().collect(),
            created: event.created.clone(),
            barrier: event.barrier,
        }
    }

    /// The move of `choice`, according to its announcement.
    pub(super) fn announced(choice: Choice, step: &Step) -> Self {
        let touches = step.touches().filter(|touch| !choice.kill || touch.access.may_wait()).collect();
        Self { choice, touches, created: Vec::new(), barrier: false }
    }

    /// The kill of `task` at `step`, which would access `ending`.
    pub(super) fn of_kill(task: usize, step: &Step, ending: &[Touch]) -> Self {
        let mut kill = Self::announced(Choice::kill(task), step);
        kill.touches.extend(ending);
        kill
    }

    /// Whether some schedule that is equivalent to an extension of `sequence` begins with this move.
    pub(super) fn is_weak_initial(&self, sequence: &[Move]) -> bool {
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

impl Decided for Move {
    fn choice(&self) -> Choice {
        self.choice
    }
    fn is_barrier(&self) -> bool {
        self.barrier
    }
    fn created(&self) -> &[u32] {
        &self.created
    }
    fn touches(&self) -> impl Iterator<Item = Touch> {
        self.touches.iter().copied()
    }
}

/// A node of a wakeup tree: a move, and the branches planned after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Branch {
    pub(super) next: Move,
    pub(super) then: Vec<Branch>,
    /// Sequences that begin with other moves, and are left out because this branch covers them. If its move turns out to be
    /// disabled, they are planned again.
    #[serde(default)]
    pub(super) covered: Vec<Covered>,
}

/// A sequence that a branch covers, and what it is planned instead of.
pub(super) type Covered = (Option<usize>, Vec<Move>);

impl Branch {
    pub(super) fn new(next: Move) -> Self {
        Self { next, then: Vec::new(), covered: Vec::new() }
    }

    /// Records that it covers `sequence`, unless it is known to be enabled.
    fn cover(&mut self, sequence: &[Move], instead_of: Option<usize>) {
        let may_wait = self.next.touches.iter().any(|touch| touch.access.may_wait());
        let choices = |sequence: &[Move]| sequence.iter().map(|other| other.choice).collect::<Vec<_>>();
        if may_wait
            && sequence.first().is_some_and(|first| first.choice != self.next.choice)
            && !self.covered.iter().any(|(_, known)| choices(known) == choices(sequence))
        {
            self.covered.push((instead_of, sequence.to_vec()));
        }
    }
}

/// Removes `done` from a sequence of which it is a weak initial.
pub(super) fn without(sequence: &mut Vec<Move>, done: &Move) {
    if let Some(same) = sequence.iter().position(|other| other.choice == done.choice) {
        sequence.remove(same);
    }
}

/// Adds `sequence` to a wakeup tree, unless a sequence in it covers it: everything that can follow a leaf is explored. It is
/// planned `instead_of` a branch; if of none, only a sequence that begins with it covers it.
pub(super) fn plan(branches: &mut Vec<Branch>, mut sequence: Vec<Move>, instead_of: Option<usize>) {
    let mut level = branches;
    while let Some(at) = level.iter().position(|branch| branch.next.is_weak_initial(&sequence)) {
        level[at].cover(&sequence, instead_of);
        without(&mut sequence, &level[at].next);
        if sequence.is_empty() || (level[at].then.is_empty() && instead_of.is_some()) {
            return;
        }
        level = &mut level[at].then;
    }
    let chain =
        sequence.into_iter().rev().fold(Vec::new(), |then, next| vec![Branch { then, ..Branch::new(next) }]);
    level.extend(chain);
}
