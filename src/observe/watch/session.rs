//! The body of the loop: wait, read everything that was recorded, update the timeline.

use crate::sys::perf::event::online_cpus;
use crate::sys::pid::Pid;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::hangs::{Hang, Hangs};
use super::observed::{Observed, Snapshot};
use super::pace::Pace;
use crate::observe::event::{Event, What};
use crate::observe::false_exits::FalseExits;
use crate::observe::lives::Lives;
use crate::observe::notes::{Heard, Note};
use crate::observe::sampled::Poller;
use crate::observe::sampler::{Sampler, scene};
use crate::observe::switches::Recorder;
use crate::observe::tier::{Refusal, Tier};
use crate::observe::timeline::Timeline;
use crate::observe::waits::describe;
use crate::process::Exit;
use crate::process::{RunningCommand, Signal};
use crate::sys::clock::monotonic_ns;
use crate::sys::exits::{Exits, ThreadExit};
use crate::sys::poll::{Deadline, readable};
use crate::sys::procfs::stat;
use crate::sys::signal::process_exists;
use crate::sys::wait::How;

/// Between two searches for deadlocks.
const HANG_NS: u64 = 200_000_000;

/// What is watched.
#[derive(Debug)]
pub enum Subject {
    /// A command that this process started.
    Command(RunningCommand),
    /// A process that was already running.
    Pid(Pid),
}

/// A watch in progress.
#[derive(Debug)]
pub struct Watch {
    pub(super) subject: Subject,
    pub(super) root: Pid,
    pub(super) watcher: Pid,
    /// The session that the command or process belongs to.
    pub(super) session: Pid,
    pub(super) tier: Tier,
    pub(super) refusals: Vec<Refusal>,
    pub(super) recorder: Option<Recorder>,
    /// Reads `/proc` for processes with records.
    pub(super) sampler: Sampler,
    /// Reads `/proc` for processes without records.
    pub(super) poller: Poller,
    pub(super) false_exits: FalseExits,
    pub(super) descriptors_due_ns: Option<u64>,
    pub(super) descriptors: Option<Snapshot>,
    pub(super) lives: Lives,
    pub(super) timeline: Timeline,
    pub(super) hangs: Hangs,
    pub(super) pending: Vec<Event>,
    /// Events up to this time are complete, on all CPUs.
    pub(super) horizon_ns: u64,
    pub(super) hang_looked_ns: u64,
    pub(super) pace: Pace,
    /// Announcements of exits, if the kernel sends them.
    pub(super) exits: Option<Exits>,
    pub(super) exit: Option<Exit>,
    pub(super) heard: Option<Heard>,
}

impl Watch {
    /// One step: sleeps until there is something to do, at most `until`, and updates the timeline. Returns which of `also`
    /// are readable.
    ///
    /// # Errors
    /// What `ppoll(2)` says, `EINVAL` above the limit of descriptors.
    pub fn step(&mut self, also: &[BorrowedFd<'_>], until: Duration) -> io::Result<Vec<bool>> {
        let now_ns = monotonic_ns();
        let due_ns = self.poller.due_ns().min(self.descriptors_due_ns.unwrap_or(u64::MAX));
        let look = Duration::from_nanos(due_ns.saturating_sub(now_ns));
        let idle = match self.recorder {
            _ if self.awaits_last_records() => Duration::ZERO,
            None => look,
            Some(_) => self.pace.sleep(now_ns, self.exits.is_some()).min(look),
        };
        let mut fds = also.to_vec();
        if self.recorder.is_none() || !self.pace.storms(now_ns) {
            fds.push(self.lives.as_fd());
        }
        if let Subject::Command(running) = &self.subject
            && self.exit.is_none()
        {
            fds.push(running.as_fd());
        }
        fds.extend(self.recorder.iter().flat_map(Recorder::as_fds));
        fds.extend(self.heard.iter().filter_map(Heard::as_fd));
        let mut told = readable(&fds, Deadline::after(idle.min(until)))?;
        told.truncate(also.len());
        self.take_in();
        Ok(told)
    }

    fn take_in(&mut self) {
        let now_ns = monotonic_ns();
        let first_new = self.pending.len();
        if let Some(recorder) = &mut self.recorder {
            let (exact, pending) = (self.tier == Tier::Exact, &mut self.pending);
            if let Some(exits) = &self.exits {
                // Those of unwatched processes too, which the timeline ignores.
                exits.drain(|exit| pending.extend(as_events(exit, exact)));
            }
            recorder.drain(pending);
            // A fork must be handled before the exit, which may be in another CPU's ring.
            pending[first_new..].sort_by_key(|event| event.at_ns);
            self.false_exits.sift(pending, first_new, !exact);
            end_former_owners(pending, first_new);
            self.lives.note(&pending[first_new..]);
            for event in &pending[first_new..] {
                if matches!(event.what, What::Forked { .. }) && self.lives.follows(event.pid) {
                    self.pace.forked(now_ns);
                }
            }
            if now_ns >= self.sampler.due_ns() {
                self.sampler.round(&self.timeline, self.watcher, &mut self.pending);
            }
        }
        let last_look = self.recorder.is_none() && self.awaits_last_records();
        if last_look || now_ns >= self.poller.due_ns() {
            let first_new = self.pending.len();
            self.poller.look(&self.timeline, &mut self.pending);
            for event in &self.pending[first_new..] {
                let is_new = match event.what {
                    What::Forked { ppid } => ppid != event.pid,
                    What::Orphaned { .. } => true,
                    _ => false,
                };
                if is_new {
                    self.lives.follow(event.pid);
                }
            }
            if self.recorder.is_none() {
                self.lives.have_read();
            }
        }
        if let Some(heard) = &mut self.heard {
            heard.read();
        }
        self.lives.look(&mut self.pending);
        self.see_command();
        self.flush(now_ns);
        for pid in self.timeline.take_unrecorded() {
            if let (Tier::Exact, Some(process)) = (self.tier, self.timeline.by_pid(pid)) {
                self.poller.take_over(process);
            }
        }
        if self.descriptors_due_ns.is_some_and(|due_ns| now_ns >= due_ns) {
            self.descriptors_due_ns = None;
            let open = describe(&scene(&self.timeline, self.watcher));
            self.descriptors = Some(Snapshot { at_ns: monotonic_ns(), open });
        }
        if now_ns - self.hang_looked_ns >= HANG_NS {
            self.hang_looked_ns = now_ns;
            self.hangs.look(&self.timeline, self.watcher, now_ns);
        }
    }

    /// Collects the status of the command, a child of this process, and reaps it.
    fn see_command(&mut self) {
        let Subject::Command(running) = &self.subject else { return };
        if self.exit.is_some() {
            return;
        }
        let exit = match running.ended() {
            Ok(Some(exit)) => exit,
            Ok(None) => return,
            // It cannot be waited for: another caller has its status, or the call is refused. Its end still shows in the
            // pidfd, and its status may be among the announcements.
            Err(_) if running.has_ended() => {
                let told = self.timeline.by_pid(self.root).and_then(|process| process.exit);
                told.unwrap_or(Exit::Stolen)
            }
            Err(_) => return,
        };
        let (pid, at_ns) = (self.root, monotonic_ns());
        if let Some(sums) = stat::schedstat(pid, pid) {
            self.pending.push(Event { at_ns, pid, tid: pid, what: What::Sums(sums) });
        }
        for what in [What::Ended, What::Status(exit)] {
            self.pending.push(Event { at_ns, pid, tid: pid, what });
        }
        let _ = running.reap();
        self.exit = Some(exit);
        self.lives.reaped(pid, at_ns, &mut self.pending);
    }

    /// Applies what is complete. A record is written shortly after its timestamp is taken, so everything from before the
    /// *previous* step began is present, and the rest may not be.
    fn flush(&mut self, now_ns: u64) {
        self.pending.sort_by_key(|event| event.at_ns);
        let complete = self.pending.partition_point(|event| event.at_ns <= self.horizon_ns);
        for event in self.pending.drain(..complete) {
            self.timeline.apply(&event);
        }
        self.horizon_ns = now_ns;
    }

    /// Applies everything that is left; call it last.
    pub fn finish(&mut self) {
        self.take_in();
        self.lives.settle(&mut self.pending);
        self.pending.sort_by_key(|event| event.at_ns);
        for event in std::mem::take(&mut self.pending) {
            self.timeline.apply(&event);
        }
        self.hangs.look(&self.timeline, self.watcher, monotonic_ns());
    }

    /// The result, after [`finish`](Self::finish).
    pub fn into_observed(self) -> Observed {
        Observed {
            n_cpus: online_cpus().len() as u64,
            n_records: self.n_records(),
            n_lost: self.n_lost(),
            notes: self.heard.map(Heard::into_notes).unwrap_or_default(),
            tier: self.tier,
            refusals: self.refusals,
            root: self.root,
            exit: self.exit,
            timeline: self.timeline,
            hangs: self.hangs.all,
            descriptors: self.descriptors,
            longest_gap_ns: match self.tier {
                Tier::Sampled => self.poller.longest_gap_ns(),
                Tier::Exact | Tier::Root => self.sampler.longest_gap_ns(),
            },
        }
    }

    /// Whether no process is left to watch: the command or process has ended, and of its descendants only daemons, in
    /// sessions of their own, are alive.
    pub fn is_over(&self) -> bool {
        self.root_has_ended()
            && !self.lives.await_records()
            && self.lives.pids().all(|pid| match stat::of_process(pid) {
                Some(stat) => self.is_daemon(&stat),
                // A process that /proc hides is not known to be a daemon.
                None => !process_exists(pid),
            })
    }

    /// Whether the command has ended, and descendants of it that are no daemons are alive.
    pub fn is_outlived_by_descendants(&self) -> bool {
        self.exit.is_some() && !self.lives.await_records() && !self.is_over()
    }

    fn root_has_ended(&self) -> bool {
        match &self.subject {
            Subject::Command(_) => self.exit.is_some(),
            Subject::Pid(_) => !self.lives.follows(self.root),
        }
    }

    /// Whether the watch may be over, except that a process which is gone may have left others.
    fn awaits_last_records(&self) -> bool {
        self.root_has_ended() && self.lives.await_records()
    }

    fn is_daemon(&self, stat: &stat::Stat) -> bool {
        stat.letter != 'Z' && stat.session != self.session
    }

    /// The timeline so far.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// How many news were left out since the last call, because there were too many.
    pub fn take_missed_news(&mut self) -> u64 {
        self.timeline.take_missed_news()
    }

    /// News of lives since the last call.
    pub fn take_news(&mut self) -> Vec<crate::observe::timeline::News> {
        self.timeline.take_news()
    }

    /// What the program has reported about itself so far.
    pub fn notes(&self) -> &[Note] {
        self.heard.as_ref().map_or(&[], Heard::notes)
    }

    /// What is watched.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The PID of the command or process.
    pub fn root(&self) -> Pid {
        self.root
    }

    /// The PID of this process, which adopts the program's orphans.
    pub fn watcher(&self) -> Pid {
        self.watcher
    }

    /// How the command ended, once it has.
    pub fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// Sends a signal to a watched process.
    ///
    /// # Errors
    /// `ESRCH` when it is gone, `EPERM` when it belongs to another user.
    pub fn signal(&self, pid: Pid, signal: Signal) -> io::Result<()> {
        self.lives.signal(pid, signal.0)
    }

    /// The source of information.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Why it is not a better one.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// Records that the kernel could not write.
    pub fn n_lost(&self) -> u64 {
        self.recorder.as_ref().map_or(0, Recorder::n_lost)
    }

    fn n_records(&self) -> u64 {
        self.recorder.as_ref().map_or(0, Recorder::n_records)
    }

    /// Reads what the program reports about itself from a pipe.
    pub fn hear(&mut self, pipe: std::fs::File) {
        self.heard = Some(Heard::new(pipe));
    }

    /// The deadlocks so far.
    pub fn hangs(&self) -> &[Hang] {
        &self.hangs.all
    }
}

/// What a pidfd has told of a process whose PID was reused before that was noticed came before the fork that reused it.
fn end_former_owners(pending: &mut [Event], first_new: usize) {
    let (told, new) = pending.split_at_mut(first_new);
    if told.is_empty() {
        return;
    }
    let forked = |event: &&Event| matches!(event.what, What::Forked { ppid } if ppid != event.pid);
    let forks: HashMap<Pid, u64> = new.iter().filter(forked).map(|event| (event.pid, event.at_ns)).collect();
    // Records of the new owner may have been read before that of its fork, which is in another CPU's ring.
    let by_pidfd = |event: &&mut Event| {
        matches!(event.what, What::Ended | What::Status(_) | What::Reaped { .. } | What::Sums(_))
    };
    for event in told.iter_mut().filter(by_pidfd) {
        if let Some(forked_ns) = forks.get(&event.pid).filter(|forked_ns| event.at_ns >= **forked_ns) {
            event.at_ns = forked_ns.saturating_sub(1);
        }
    }
}

/// The events of an announced exit: the thread has a CPU and leaves it for the last time, which in the exact tier no
/// record shows; the status of a main thread is that of its process, unless the reaper sees another one.
fn as_events(exit: ThreadExit, exact: bool) -> impl Iterator<Item = Event> {
    let ThreadExit { pid, tid, status, cpu, at_ns } = exit;
    let status = (pid == tid).then(|| What::Status(How::from_status(status).into()));
    let whats = [status, exact.then_some(What::In { cpu }), exact.then_some(What::Out { preempted: false })];
    whats.into_iter().flatten().map(move |what| Event { at_ns, pid, tid, what })
}
