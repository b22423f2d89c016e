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
use crate::sys::wait::{Whose, Zombie, try_wait};

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
            if let Some(cut) = self.passed(deadline, Some(running.pid()))? {
                return Ok((None, Some(cut)));
            }
            let mut fds = vec![running.as_fd()];
            fds.extend(self.pipes.iter().flatten().map(AsFd::as_fd));
            let period = deadline.left().map_or(PERIOD, |left| left.min(PERIOD));
            readable(&fds, Deadline::after(period))?;
            self.drain()?;
        }
    }

    /// The limit that is exceeded, if any. Children that have ended are reaped, but not the command.
    fn passed(&mut self, deadline: Deadline, command: Option<Pid>) -> io::Result<Option<Cut>> {
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
        reap_ended(limits.processes.saturating_mul(2), command);
        let (tasks, pages) = usage(limits.processes);
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

    /// Gives the processes that the command left behind a moment to end, then kills them. Returns how many there were, and
    /// the limit that they exceeded, if any.
    pub(super) fn left_behind(&mut self, is_alone: bool) -> io::Result<(usize, Option<Cut>)> {
        let deadline = Deadline::after(GRACE);
        let (living, cut) = loop {
            reap_ended(self.step.limits.processes.saturating_mul(2), None);
            let living = living();
            // A limit that they exceed is told even if they have all ended since.
            let cut = self.passed(deadline, None)?.filter(|cut| !matches!(cut, Cut::Time(_)));
            if living == 0 || cut.is_some() || deadline.is_over() {
                break (living, cut);
            }
            readable(&[], Deadline::after(PERIOD))?;
            self.drain()?;
        };
        end_all(is_alone);
        Ok((living, cut))
    }
}

/// The number of tasks below this process, and of the pages that they have in memory. More than `most` processes are
/// counted and no more: they may be forking without end, and each moment that this takes gives them another turn.
fn usage(most: usize) -> (usize, u64) {
    let own = Pid::this();
    // The first process of a namespace has nothing beside it but what it has started.
    let processes = if enclosure::is_first() { tree::count().saturating_sub(1) } else { 0 };
    if processes > most {
        return (processes, 0);
    }
    let below = tree::with_some_descendants(own, most.saturating_add(1));
    let (mut tasks, mut pages) = (0, 0);
    for pid in below.into_iter().filter(|pid| *pid != own) {
        tasks += stat::of_process(pid).map_or(0, |stat| stat.n_threads.max(1) as usize);
        pages += enclosure::resident_pages(pid);
    }
    (tasks, pages)
}

/// Reaps children that have ended: what the programs have left behind becomes a child of this process. At most `most`, for in a
/// storm of processes others end all the time.
fn reap_ended(most: usize, except: Option<Pid>) {
    for _ in 0..most {
        match try_wait(Whose::Any, Zombie::Leave) {
            Ok(Some(ended)) if Some(ended.pid) != except => {
                let _ = try_wait(Whose::Pid(ended.pid), Zombie::Reap);
            }
            _ => break,
        }
    }
}

/// The number of living processes below this one.
fn living() -> usize {
    if enclosure::is_first() {
        // One that goes on in ever new children can slip through a list of processes, but not through this.
        return if enclosure::has_others() { tree::count().saturating_sub(1).max(1) } else { 0 };
    }
    let own = Pid::this();
    let below = tree::with_descendants(own).into_iter();
    let living = below.filter(|pid| *pid != own && stat::of_process(*pid).is_some_and(|stat| stat.lives()));
    living.count()
}

/// Kills everything below this process, and reaps it.
pub(super) fn end_all(is_alone: bool) {
    if is_alone {
        // As the first process of a namespace: all others at once, before any of them can fork again.
        enclosure::kill_all_others();
    }
    end_descendants(LAST);
}
