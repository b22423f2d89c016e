//! Which task holds which lock, derived from the steps.

use super::step::{Access, Event, Label};

/// The locks that each task has acquired and not released.
///
/// They are derived from the steps alone, so for a broken lock they are what the task assumes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holders {
    locks: Vec<Vec<Label>>,
    dead: Vec<bool>,
}

impl Holders {
    /// The holders after `events`.
    pub(crate) fn after<'e>(events: impl IntoIterator<Item = &'e Event>) -> Self {
        let mut holders = Self::default();
        for event in events {
            holders.record(event);
        }
        holders
    }

    /// The locks of `task`.
    pub(crate) fn of(&self, task: usize) -> &[Label] {
        self.locks.get(task).map_or(&[], Vec::as_slice)
    }

    /// Whether `task` holds `lock`.
    pub(crate) fn holds(&self, task: usize, lock: Label) -> bool {
        self.of(task).contains(&lock)
    }

    /// The tasks that hold `lock`, and whether each was killed.
    pub(crate) fn holders(&self, lock: Label) -> impl Iterator<Item = (usize, bool)> + '_ {
        (0..self.locks.len()).filter(move |task| self.holds(*task, lock)).map(|task| (task, self.dead[task]))
    }

    /// Whether a task holds `lock`.
    pub(crate) fn is_held(&self, lock: Label) -> bool {
        self.holders(lock).next().is_some()
    }

    /// Applies one more event.
    pub(crate) fn record(&mut self, event: &Event) {
        let task = event.choice.index();
        if self.locks.len() <= task {
            self.locks.resize(task + 1, Vec::new());
            self.dead.resize(task + 1, false);
        }
        if event.choice.kill {
            // It keeps its locks until another task acquires them, because not every lock detects a death.
            self.dead[task] = true;
            return;
        }
        for touch in event.touches() {
            match touch.access {
                Access::Acquire => {
                    for other in (0..self.dead.len()).filter(|other| self.dead[*other]) {
                        self.locks[other].retain(|held| *held != touch.object);
                    }
                    self.locks[task].push(touch.object);
                }
                Access::Release => self.locks[task].retain(|held| *held != touch.object),
                Access::Read | Access::Write | Access::Add | Access::Await => {}
            }
        }
        if event.ended {
            self.locks[task].clear();
        }
    }
}
