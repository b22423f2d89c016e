//! A run under its limits: what it writes is read, and past a limit it is ended.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use super::step::{Cut, Step};
use crate::process::{Exit, RunningCommand, end_descendants};
use crate::sys::descriptor::drain;
use crate::sys::enclosure;
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable};
use crate::sys::procfs::{stat, tree};
use crate::sys::wait::kill_and_reap;

/// The interval between two checks of a run.
const PERIOD: Duration = Duration::from_millis(10);
/// How long processes that outlive a command may take to end by themselves.
const GRACE: Duration = Duration::from_millis(500);

/// How long a killed process may take to end.
const LAST: Duration = Duration::from_secs(5);

/// A run that is being watched.
pub(super) struct Watch<'s> {
    step: &'s Step,
    root: &'s Path,
    pipes: [Option<std::fs::File>; 2],
    /// What it has written.
    pub(super) kept: [Vec<u8>; 2],
    looked: Instant,
}

impl<'s> Watch<'s> {
    pub(super) fn new(step: &'s Step, root: &'s Path, pipes: [std::fs::File; 2]) -> Self {
        Self { step, root, pipes: pipes.map(Some), kept: Default::default(), looked: Instant::now() }
    }

    /// How it ended, or the limit that it exceeded.
    pub(super) fn until_end(
        &mut self,
        running: &RunningCommand,
        deadline: Deadline,
    ) -> io::Result<(Option<Exit>, Option<Cut>)> {
        loop {
            if let Some(exit) = running.reap()? {
                return Ok((Some(exit), None));
            }
            if let Some(cut) = self.passed(deadline)? {
                return Ok((None, Some(cut)));
            }
            let mut fds = vec![running.as_fd()];
            fds.extend(self.pipes.iter().flatten().map(AsFd::as_fd));
            let period = deadline.left().map_or(PERIOD, |left| left.min(PERIOD));
            readable(&fds, Deadline::after(period))?;
            self.drain()?;
        }
    }

    /// The limit that is exceeded, if any.
    fn passed(&mut self, deadline: Deadline) -> io::Result<Option<Cut>> {
        let limits = &self.step.limits;
        if deadline.is_over() {
            return Ok(Some(Cut::Time(limits.seconds)));
        }
        if self.kept.iter().any(|bytes| bytes.len() as u64 > limits.output << 10) {
            return Ok(Some(Cut::Output(limits.output)));
        }
        if self.looked.elapsed() < PERIOD {
            return Ok(None);
        }
        self.looked = Instant::now();
        let (tasks, pages) = usage()?;
        if tasks > limits.processes {
            return Ok(Some(Cut::Processes(limits.processes)));
        }
        if pages * enclosure::page_size() > limits.memory << 20 {
            return Ok(Some(Cut::Memory(limits.memory)));
        }
        let is_full = enclosure::written(self.root).is_some_and(|bytes| bytes > limits.disk << 20);
        Ok(is_full.then_some(Cut::Disk(limits.disk)))
    }

    /// Reads what has been written.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        let most = (self.step.limits.output << 10) as usize;
        let mut both = self.pipes.iter_mut().zip(&mut self.kept);
        both.try_for_each(|(pipe, kept)| drain(pipe, kept, most))
    }

    /// Gives the processes that the command left behind a moment to end, then kills them. Returns how many there were.
    pub(super) fn left_behind(&mut self, is_alone: bool) -> io::Result<usize> {
        let deadline = Deadline::after(GRACE);
        let mut living = descendants()?;
        while living > 0 && !deadline.is_over() && self.passed(deadline)?.is_none() {
            readable(&[], Deadline::after(PERIOD))?;
            self.drain()?;
            living = descendants()?;
        }
        end_all(is_alone);
        Ok(living)
    }
}

/// The number of tasks below this process, and of the pages that they have in memory.
fn usage() -> io::Result<(usize, u64)> {
    let below = tree::with_descendants(Pid::this());
    let own = Pid::this();
    let (mut tasks, mut pages) = (0, 0);
    for pid in below.into_iter().filter(|pid| *pid != own) {
        tasks += stat::of_process(pid).map_or(0, |stat| stat.n_threads.max(1) as usize);
        pages += enclosure::resident_pages(pid);
    }
    Ok((tasks, pages))
}

/// The number of living processes below this one. Children that have ended are reaped.
fn descendants() -> io::Result<usize> {
    for child in tree::children_by_parent(Pid::this())? {
        if !stat::of_process(child).is_some_and(|stat| stat.lives()) {
            kill_and_reap(child, LAST);
        }
    }
    let own = Pid::this();
    let below = tree::with_descendants(own).into_iter();
    let living = below.filter(|pid| *pid != own && stat::of_process(*pid).is_some_and(|stat| stat.lives()));
    Ok(living.count())
}

/// Kills everything below this process, and reaps it.
pub(super) fn end_all(is_alone: bool) {
    if is_alone {
        // As the first process of a namespace: all others at once, before any of them can fork again.
        enclosure::kill_all_others();
    }
    end_descendants(LAST);
}
