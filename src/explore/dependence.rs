//! When the order of two decisions matters.

use super::step::{Choice, Event, Touch};

/// A decision, carried out or planned, with what determines on which others it depends.
pub(super) trait Decided {
    /// The task, and whether it is killed.
    fn choice(&self) -> Choice;
    /// Whether it is ordered after all earlier decisions and before all later ones.
    fn is_barrier(&self) -> bool;
    /// The tasks that it creates.
    fn created(&self) -> &[u32];
    /// Its accesses.
    fn touches(&self) -> impl Iterator<Item = Touch>;

    /// Whether the order of the two matters. If not, swapping them when they are adjacent leads to the same state.
    ///
    /// Steps of one task are ordered, and come after the step that created the task. Two steps are dependent if they
    /// access the same object and do not commute. A kill depends on every other kill, on the locks that it releases,
    /// and on the object for which its task was about to wait, because a task is killed only if it could have continued.
    fn depends(&self, other: &Self) -> bool {
        let (mine, its) = (self.choice(), other.choice());
        mine.process == its.process
            || (mine.kill && its.kill)
            || self.is_barrier()
            || other.is_barrier()
            || self.created().contains(&its.process)
            || other.created().contains(&mine.process)
            || self.touches().any(|mine| other.touches().any(|its| mine.conflicts(&its)))
    }
}

impl Decided for Event {
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
        self.touches()
    }
}

impl Event {
    /// Whether the order of the two matters. If not, swapping them when they are adjacent leads to the same state.
    pub fn depends(&self, other: &Self) -> bool {
        Decided::depends(self, other)
    }
}
