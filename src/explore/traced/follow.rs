//! Follows a schedule step by step: each call and its result must be the same as before.

use crate::explore::engine::{Divergence, Point};
use crate::explore::step::{Choice, Event};
use crate::explore::strategy::replay::Replay;
use crate::explore::strategy::{Decision, Strategy};

/// Follows choices, and compares the words of each step.
#[derive(Debug)]
pub(super) struct Follow<'a> {
    replay: Replay,
    expected: &'a [String],
    done: usize,
}

impl<'a> Follow<'a> {
    /// Follows `choices`; `expected` holds the words of the steps that are known.
    pub(super) fn new(choices: Vec<Choice>, expected: &'a [String]) -> Self {
        Self { replay: Replay::new(choices), expected, done: 0 }
    }
}

impl Strategy for Follow<'_> {
    fn begin(&mut self) -> bool {
        self.done = 0;
        self.replay.begin()
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        self.replay.decide(point)
    }

    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        self.replay.refused(point, process)
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        let position = self.done;
        self.done += 1;
        match self.expected.get(position) {
            Some(expected) if *expected != event.seen => {
                Err(Divergence { position, expected: expected.clone(), found: event.seen.clone() })
            }
            _ => self.replay.done(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::step::{Access, Seen, Step};

    #[test]
    fn a_step_that_sees_something_else_is_told_with_both() {
        let expected = ["read(stock, \"1\") = 1".to_owned()];
        let mut follow = Follow::new(vec![Choice::step(0)], &expected);
        let event = |words: &str| {
            let seen = Seen { text: words.to_owned(), ..Seen::default() };
            Event::new(Choice::step(0), Step::new("read", "file stock", Access::Read), seen.into())
        };
        assert!(follow.begin());
        let divergence = follow.done(&event("read(stock, \"0\") = 1")).unwrap_err();
        assert_eq!((divergence.position, divergence.expected.as_str()), (0, expected[0].as_str()));
        assert!(divergence.found.contains("\"0\""));
    }
}
