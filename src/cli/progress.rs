//! A progress line on the terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::explore::traced::Progress as Searched;
use indicatif::{ProgressBar, ProgressStyle};

/// The minimum time between two updates.
const INTERVAL: Duration = Duration::from_millis(100);

/// The progress line; does nothing if standard error is not a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    shown: Option<Instant>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1000);
            let style = ProgressStyle::with_template("{bar:30} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, shown: None }
    }

    /// Shows how many schedules a search has executed since `begin`, and the share of all that it has explored.
    pub(super) fn show(&mut self, schedules: u64, explored: Option<f64>, begin: Instant) {
        let Some(bar) = &self.bar else { return };
        if self.shown.is_some_and(|shown| shown.elapsed() < INTERVAL) {
            return;
        }
        self.shown = Some(Instant::now());
        let seconds = begin.elapsed().as_secs_f64();
        let message = match explored {
            Some(explored) => {
                let left = seconds * (1.0 - explored) / explored.max(1e-9);
                bar.set_position((explored * 1000.0) as u64);
                let percent = explored * 100.0;
                format!("{schedules} schedules, about {percent:.1} % of all, about {left:.0} s left")
            }
            None => format!("{schedules} schedules"),
        };
        bar.set_message(message);
    }

    /// Shows the progress since `begin` of the search of a program; a new outcome is a line of its own.
    pub(super) fn search(&mut self, progress: &Searched, begin: Instant) {
        let Some(bar) = &self.bar else { return };
        if let Some(new) = &progress.new {
            let text: String = new.chars().filter(|c| !c.is_control()).take(60).collect();
            bar.println(format!(
                "outcome {} after {:.1} s: {text}",
                progress.outcomes,
                begin.elapsed().as_secs_f64()
            ));
        } else if self.shown.is_some_and(|shown| shown.elapsed() < INTERVAL) {
            return;
        }
        self.shown = Some(Instant::now());
        let seconds = begin.elapsed().as_secs_f64().max(1e-3);
        let rate = progress.executions as f64 / seconds;
        let share = progress.explored.map_or_else(
            || "random".to_owned(),
            |explored| {
                bar.set_position((explored * 1000.0) as u64);
                // A huge estimate means that there is too little data for one.
                let left = seconds * (1.0 - explored) / explored.max(1e-9);
                let left = if left < 1e6 { format!(", about {left:.0} s left") } else { String::new() };
                format!("about {:.1} % explored{left}", explored * 100.0)
            },
        );
        bar.set_message(format!(
            "{} executions, {rate:.0}/s, {} outcomes; {share}",
            progress.executions, progress.outcomes
        ));
    }

    /// Shows that `done` of `all` items are done.
    pub(super) fn count(&mut self, done: u64, all: u64, what: &str) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(done * 1000 / all.max(1));
        bar.set_message(format!("{done} of {all} {what}"));
    }

    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
