//! The beginning of a watch: the best tier that can be had, and nothing missed.

use crate::sys::pid::Pid;
use std::collections::HashSet;
use std::io;

use nix::errno::Errno;

use super::hangs::Hangs;
use super::pace::Pace;
use super::session::{Source, Subject, Watch};
use crate::observe::event::{Event, What};
use crate::observe::lives::Lives;
use crate::observe::sampled::Poller;
use crate::observe::sampler::{Sampler, found};
use crate::observe::switches::Recorder;
use crate::observe::tier::{Refusal, Tier};
use crate::observe::timeline::{Limits, Timeline};
use crate::process::{CommandError, HeldCommand};
use crate::sys::clock::monotonic_ns;
use crate::sys::exits::Exits;
use crate::sys::procfs::{stat, tree};
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
    /// The process is somebody else's.
    #[error("process {pid} ({name}) belongs to another user")]
    NotYours {
        /// The PID asked for.
        pid: Pid,
        /// Its name.
        name: String,
    },
    /// The tier that was asked for cannot be had.
    #[error("the {tier} tier cannot be had: {why}")]
    Tier {
        /// The tier asked for.
        tier: Tier,
        /// Why not.
        why: String,
    },
    /// The system refused.
    #[error("the watch cannot begin")]
    Os(#[from] io::Error),
}

/// What a watch begins with.
#[derive(Debug)]
pub enum Start {
    /// A command that is held before its exec.
    Command(HeldCommand),
    /// A process that runs.
    Pid(Pid),
}

/// Begins a watch of `start` in the best tier that can be had, or in `tier_asked` alone.
///
/// This process becomes the one that adopts the program's orphans (`PR_SET_CHILD_SUBREAPER`), so that none
/// escapes; without the watch that would be process 1, or the nearest such ancestor.
///
/// # Errors
/// [`WatchError`]; a held command is then gone without having run, a running process is untouched.
pub fn begin(start: Start, tier_asked: Option<Tier>, limits: Limits) -> Result<Watch, WatchError> {
    let watcher = Pid::this();
    let root = match &start {
        Start::Command(held) => held.pid(),
        Start::Pid(pid) => {
            check_pid(*pid)?;
            *pid
        }
    };
    task::set_subreaper(true)?;
    let mut refusals = Vec::new();
    let mut recorder = None;
    for tier in [Tier::Root, Tier::Exact] {
        if recorder.is_some() || tier_asked.is_some_and(|only| only != tier) {
            continue;
        }
        let opened = match &start {
            Start::Command(_) => Recorder::from_exec(tier, root),
            Start::Pid(_) => Recorder::from_now(tier, root),
        };
        match opened {
            Ok(opened) => recorder = Some((tier, opened)),
            Err(errno) => refusals.push(Refusal::of_perf(tier, errno)),
        }
    }
    if let (None, Some(tier @ (Tier::Root | Tier::Exact)), Some(refusal)) =
        (&recorder, tier_asked, refusals.first())
    {
        return Err(WatchError::Tier { tier, why: refusal.why.clone() });
    }
    let (tier, source) = match recorder {
        Some((tier, recorder)) => (tier, Source::Records(Box::new(recorder), Sampler::default())),
        None => (Tier::Sampled, Source::Looks(Poller::new(vec![root, watcher], watcher), 0)),
    };
    // Where records are, announcements of exits make them complete; looks have their own period.
    let exits = (tier != Tier::Sampled).then(Exits::listen).and_then(Result::ok);
    let command = matches!(start, Start::Command(_)).then_some(root);
    let mut begun = Begun { tier, refusals, source, lives: Lives::new(command)?, events: Vec::new() };
    let subject = match start {
        Start::Command(held) => {
            begun.root_command(root, watcher);
            Subject::Command(held.release()?)
        }
        Start::Pid(pid) => {
            begun.attach_tree(pid)?;
            Subject::Pid(pid)
        }
    };
    // A command that was given a terminal of its own leads a session by now.
    let session = stat::of_process(root).map_or(Pid::UNKNOWN, |stat| stat.session);
    let Begun { tier, refusals, source, lives, events } = begun;
    Ok(Watch {
        subject,
        root,
        watcher,
        session,
        tier,
        refusals,
        source,
        lives,
        timeline: Timeline::new(limits).with_records_to_the_last(tier == Tier::Root || exits.is_some()),
        exits,
        hangs: Hangs::default(),
        pending: events,
        horizon_ns: monotonic_ns(),
        asked_ns: 0,
        hang_looked_ns: 0,
        pace: Pace::new(monotonic_ns()),
        exit: None,
        heard: None,
    })
}

struct Begun {
    tier: Tier,
    refusals: Vec<Refusal>,
    source: Source,
    lives: Lives,
    events: Vec<Event>,
}

impl Begun {
    fn root_command(&mut self, root: Pid, watcher: Pid) {
        let at_ns = monotonic_ns();
        self.events.push(Event { at_ns, pid: root, tid: root, what: What::Rooted { ppid: watcher } });
        self.lives.follow(root);
        if let Source::Looks(poller, _) = &mut self.source {
            poller.know(root);
        }
    }

    /// Finds every thread of every descendant, until a look finds no new one. A thread that an attached one
    /// has made meanwhile is recorded already; attaching to it again would only double its records, which the
    /// timeline does not mind.
    fn attach_tree(&mut self, root: Pid) -> Result<(), WatchError> {
        let mut known = HashSet::new();
        loop {
            let mut grew = false;
            for pid in tree::with_descendants(root) {
                for tid in tree::threads(pid) {
                    if !known.insert(tid) {
                        continue;
                    }
                    grew = true;
                    if let Source::Records(recorder, _) = &mut self.source
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
                if let Source::Looks(poller, _) = &mut self.source {
                    poller.know(pid);
                }
            }
            if !grew {
                return Ok(());
            }
        }
    }
}

fn check_pid(pid: Pid) -> Result<(), WatchError> {
    use std::os::unix::fs::MetadataExt;
    let stat = stat::of_process(pid).ok_or(WatchError::NoProcess { pid })?;
    let owner = std::fs::metadata(format!("/proc/{pid}")).map_err(|_| WatchError::NoProcess { pid })?.uid();
    let user = nix::unistd::geteuid();
    if user.is_root() || owner == user.as_raw() {
        Ok(())
    } else {
        Err(WatchError::NotYours { pid, name: stat.name })
    }
}
