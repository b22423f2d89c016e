//! The start of a watch: in the best available tier, without missing anything.

use crate::sys::pid::Pid;
use std::collections::HashSet;
use std::io;
use std::time::Duration;

use nix::errno::Errno;

use super::hangs::Hangs;
use super::pace::Pace;
use super::session::{Subject, Watch};
use crate::observe::budget::Budget;
use crate::observe::event::{Event, What};
use crate::observe::false_exits::FalseExits;
use crate::observe::lives::Lives;
use crate::observe::sampled::{PERIOD_NS, Poller};
use crate::observe::sampler::{Sampler, found};
use crate::observe::switches::Recorder;
use crate::observe::tier::{Refusal, Tier};
use crate::observe::timeline::{Limits, Records, Timeline};
use crate::process::{CommandError, HeldCommand};
use crate::sys::clock::monotonic_ns;
use crate::sys::exits::Exits;
use crate::sys::procfs::signals::process_of;
use crate::sys::procfs::stat::SchedStat;
use crate::sys::procfs::{stat, status, tree};
use crate::sys::task;

/// A watch could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The command could not be started.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// There is no such process.
    #[error("there is no process {pid}: it may have ended")]
    NoProcess {
        /// The PID asked for.
        pid: Pid,
    },
    /// The number is a TID.
    #[error("{tid} is a thread of process {pid}, not a process")]
    Thread {
        /// The number asked for.
        tid: Pid,
        /// Its process.
        pid: Pid,
    },
    /// The process is another user's.
    #[error("process {pid} ({name}) belongs to another user")]
    NotYours {
        /// The PID asked for.
        pid: Pid,
        /// Its name.
        name: String,
    },
    /// The requested tier is unavailable.
    #[error("the {tier} tier is unavailable: {why}")]
    Tier {
        /// The tier asked for.
        tier: Tier,
        /// Why not.
        why: String,
    },
    /// The system refused a call.
    #[error("the watch cannot begin")]
    Os(#[from] io::Error),
}

/// What a watch starts with.
#[derive(Debug)]
pub enum Start {
    /// A command that is held before its exec.
    Command(HeldCommand),
    /// A running process.
    Pid(Pid),
}

/// How to watch.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Only this tier, instead of the best available one.
    pub tier: Option<Tier>,
    /// How much is kept.
    pub limits: Limits,
    /// What reading `/proc` may cost, in percent of one CPU.
    pub budget_percent: f64,
    /// When to list all open descriptors, from the start of the watch.
    pub descriptors_after: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tier: None, limits: Limits::default(), budget_percent: 5.0, descriptors_after: None }
    }
}

/// Begins a watch of `start` in the best available tier, or in the selected one.
///
/// This process adopts the program's orphans (`PR_SET_CHILD_SUBREAPER`), so that none escapes; otherwise process 1 or the
/// nearest such ancestor would.
///
/// # Errors
/// [`WatchError`]; a held command then has ended without running, and a running process is untouched.
pub fn begin(start: Start, settings: Settings) -> Result<Watch, WatchError> {
    let Settings { tier: tier_asked, limits, budget_percent, descriptors_after } = settings;
    let watcher = Pid::this();
    let root = match &start {
        Start::Command(held) => held.pid(),
        Start::Pid(pid) => {
            check_pid(*pid)?;
            *pid
        }
    };
    task::set_subreaper(true)?;
    // A watcher that gets a CPU late sees less. The command was forked before, so it does not inherit this.
    task::ask_for_short_turns();
    let mut refusals = Vec::new();
    let mut recorder = None;
    for tier in [Tier::Root, Tier::Exact] {
        if recorder.is_some() || tier_asked.is_some_and(|only| only != tier) {
            continue;
        }
        if tier == Tier::Root && !status::is_in_first_pid_namespace() {
            refusals.push(Refusal::of_namespace());
            continue;
        }
        match Recorder::new(tier, root) {
            Ok(opened) => recorder = Some((tier, opened)),
            Err(errno) => refusals.push(Refusal::of_perf(tier, errno)),
        }
    }
    if let (None, Some(tier @ (Tier::Root | Tier::Exact)), Some(refusal)) =
        (&recorder, tier_asked, refusals.first())
    {
        return Err(WatchError::Tier { tier, why: refusal.why.clone() });
    }
    let (tier, recorder) = recorder.map_or((Tier::Sampled, None), |(tier, recorder)| (tier, Some(recorder)));
    // Orphans are this process's children.
    let roots = if recorder.is_some() { Vec::new() } else { vec![root, watcher] };
    let poller = Poller::new(roots, watcher, Budget::new(budget_percent, PERIOD_NS));
    // Announcements of exits complete the records; samples do not need them.
    let exits = (tier != Tier::Sampled).then(Exits::listen).and_then(Result::ok);
    let command = matches!(start, Start::Command(_)).then_some(root);
    let mut begun = Begun { recorder, poller, lives: Lives::new(command)?, events: Vec::new() };
    let subject = match start {
        Start::Command(held) => {
            let before_exec = sums_at_gate(root);
            begun.lives.follow(root);
            begun.know(root);
            let running = held.release()?;
            begun.poller.looked(root, running.released_ns());
            let (at_ns, what) = (running.released_ns(), What::Rooted { ppid: watcher, before_exec });
            begun.events.push(Event { at_ns, pid: root, tid: root, what });
            Subject::Command(running)
        }
        Start::Pid(pid) => {
            begun.attach_tree(pid, watcher)?;
            Subject::Pid(pid)
        }
    };
    // A command that was given a terminal of its own leads a session by now.
    let session = stat::of_process(root).map_or(Pid::UNKNOWN, |stat| stat.session);
    let Begun { recorder, poller, lives, events } = begun;
    Ok(Watch {
        subject,
        root,
        watcher,
        session,
        tier,
        refusals,
        recorder,
        sampler: Sampler::new(budget_percent),
        poller,
        descriptors_due_ns: descriptors_after
            .map(|after| monotonic_ns() + u64::try_from(after.as_nanos()).unwrap_or(u64::MAX / 2)),
        descriptors: None,
        false_exits: FalseExits::default(),
        lives,
        timeline: Timeline::new(limits).with_records(match (tier, &exits) {
            (Tier::Sampled, _) => Records::Nothing,
            (Tier::Exact, None) => Records::ToTheExit,
            (Tier::Exact, Some(_)) => Records::ToTheLast,
            (Tier::Root, _) => Records::Everything,
        }),
        exits,
        hangs: Hangs::default(),
        pending: events,
        horizon_ns: monotonic_ns(),
        hang_looked_ns: 0,
        pace: Pace::new(monotonic_ns()),
        exit: None,
        heard: None,
    })
}

struct Begun {
    recorder: Option<Recorder>,
    poller: Poller,
    lives: Lives,
    events: Vec<Event>,
}

impl Begun {
    /// Marks a process as known to the sampler, if there are no records.
    fn know(&mut self, pid: Pid) {
        if self.recorder.is_none() {
            self.poller.know(pid);
        }
    }

    /// Attaches to every thread of every descendant, until a pass finds no new one. A thread that an attached one has created
    /// meanwhile is already recorded; attaching to it again only duplicates its records, which the timeline ignores. This
    /// process, which may be a descendant of the shell that it watches, is no part of the program.
    fn attach_tree(&mut self, root: Pid, watcher: Pid) -> Result<(), WatchError> {
        let mut known = HashSet::new();
        loop {
            let mut grew = false;
            for pid in tree::with_descendants(root).into_iter().filter(|pid| *pid != watcher) {
                for tid in tree::threads(pid) {
                    if !known.insert(tid) {
                        continue;
                    }
                    grew = true;
                    if let Some(recorder) = &mut self.recorder
                        && tid != root
                    {
                        match recorder.attach(tid) {
                            // A thread that has ended meanwhile.
                            Ok(()) | Err(Errno::ESRCH) => {}
                            Err(errno) => return Err(WatchError::Os(errno.into())),
                        }
                    }
                    let _ = found(pid, tid, &mut self.events);
                }
                self.lives.follow(pid);
                self.know(pid);
            }
            if !grew {
                return Ok(());
            }
        }
    }
}

/// The kernel's sums of a held command, which are complete while it sleeps before its exec; empty if it does not get there
/// in time.
fn sums_at_gate(root: Pid) -> SchedStat {
    const PATIENCE_NS: u64 = 200_000_000;
    const PAUSE: Duration = Duration::from_micros(500);
    let begin_ns = monotonic_ns();
    while monotonic_ns() - begin_ns < PATIENCE_NS {
        if stat::of_process(root).is_none_or(|stat| stat.letter == 'S') {
            return stat::schedstat(root, root).unwrap_or_default();
        }
        std::thread::sleep(PAUSE);
    }
    SchedStat::default()
}

fn check_pid(pid: Pid) -> Result<(), WatchError> {
    use std::os::unix::fs::MetadataExt;
    let stat = stat::of_process(pid).ok_or(WatchError::NoProcess { pid })?;
    if let Some(process) = process_of(pid).filter(|process| *process != pid) {
        return Err(WatchError::Thread { tid: pid, pid: process });
    }
    let owner = std::fs::metadata(format!("/proc/{pid}")).map_err(|_| WatchError::NoProcess { pid })?.uid();
    let user = nix::unistd::geteuid();
    if user.is_root() || owner == user.as_raw() {
        Ok(())
    } else {
        Err(WatchError::NotYours { pid, name: stat.name })
    }
}
