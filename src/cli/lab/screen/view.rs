//! What is on the screen.

use std::time::{Duration, SystemTime};

use crate::lab::question::LONGEST;

/// What is on the screen.
pub(super) struct View {
    /// The index of the current part.
    pub(super) at: usize,
    /// The texts below the question: hints and results.
    pub(super) said: Vec<String>,
    pub(super) typed: String,
    /// The first line that is shown; if it is beyond the text, the end is shown.
    pub(super) top: usize,
    /// Whether the part is right, so that Enter continues.
    pub(super) is_over: bool,
    /// How long the answer has been measured.
    pub(super) busy: Option<Duration>,
    pub(super) stamps: Vec<Option<SystemTime>>,
    pub(super) lines: usize,
    pub(super) rows: usize,
}

impl View {
    /// Adds a text and scrolls to it.
    pub(super) fn say(&mut self, text: &str) {
        self.said.push(text.to_owned());
        self.top = usize::MAX;
    }

    pub(super) fn scroll(&mut self, by: isize) {
        let last = self.lines.saturating_sub(self.rows);
        self.top = self.top.min(last).saturating_add_signed(by).min(last);
    }

    pub(super) fn type_one(&mut self, c: char) {
        if self.typed.len() < LONGEST {
            self.typed.push(c);
        }
    }
}
