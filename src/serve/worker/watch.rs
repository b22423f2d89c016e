//! Watches a command and reports what its processes do, a tick at a time.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::ending::kill_listed;
use super::reported::Reported;
use super::update::{Update, WorkerError};
use crate::observe::notes::Note;
use crate::observe::timeline::Limits;
use crate::observe::watch::{Observed, Settings, Start, Subject, Watch, begin};
use crate::process::{HeldCommand, Signal, chain, end_descendants};
use crate::report::watch::build::{report, resolution};
use crate::report::watch::drawing;
use crate::serve::protocol::{Command, Message, WatchBegin, WatchOver};
use crate::sys::exec::Streams;
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use crate::sys::procfs::tree;
use crate::sys::signalfd::Signals;
use crate::sys::{notes_pipe, task};
use crate::wire::control::{Receiver, Sender, TryRecvError};

/// Between two ticks.
const TICK: Duration = Duration::from_millis(80);
/// How long the command may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// The most that is kept of what a run writes: its records.
const MOST_OUTPUT: usize = 16 << 20;
/// The most that is shown per tick of what a command writes.
const MOST_SHOWN: usize = 16 << 10;

/// What is kept for the page, which shows 500 processes and reads the report of all that are kept in one message.
const LIMITS: Limits = Limits { spans: 250_000, processes: 2_000, wakes: 10_000, waits: 8_192 };

/// Watches `argv` until it ends or is stopped.
///
/// Two processes do it, so that nothing of the command is left when either of them is killed: one watches, and the other
/// waits for it, adopts what a killed watcher leaves, and ends it. The death of the one that waits is announced to the
/// watcher as a request to stop.
pub(super) fn work(
    argv: &[String],
    is_run: bool,
    commands: &Receiver<Command>,
    updates: &Sender<Update>,
) -> Result<(), WorkerError> {
    task::set_subreaper(true)?;
    // Blocked in both: the one that waits must not end before the watcher has ended the command.
    let signals = Signals::catch()?;
    let waits = Pid::this();
    let watched = crate::process::in_copy(|| {
        let done = watch(argv, is_run, commands, updates, &signals, waits);
        done.err().map_or_else(Vec::new, |error| chain(&*error).into_bytes())
    });
    end_descendants(GRACE);
    match watched? {
        None => Err("its worker was killed".into()),
        Some(failed) if failed.is_empty() => Ok(()),
        Some(failed) => Err(String::from_utf8_lossy(&failed).into_owned().into()),
    }
}

fn watch(
    argv: &[String],
    is_run: bool,
    commands: &Receiver<Command>,
    updates: &Sender<Update>,
    signals: &Signals,
    parent: Pid,
) -> Result<(), WorkerError> {
    // When the parent dies, with the server or alone, the kernel sends SIGTERM, and the command is ended as after a request
    // to stop.
    task::hear_of_parents_death(parent)?;
    let (notes, told) = notes_pipe::pair()?;
    let (output, writing) = notes_pipe::pair()?;
    let writes = Some(writing.as_fd());
    // A run's records are read; what it says of its failure, and all that a command says, is shown.
    let streams = Streams {
        stdio: [None, writes, writes],
        notes: is_run.then(|| told.as_fd()),
        own_session: true,
        ..Streams::default()
    };
    let words: Vec<OsString> = argv.iter().map(OsString::from).collect();
    let held = HeldCommand::new(&words, &streams)?;
    drop((told, writing));
    let mut watch = begin(Start::Command(held), Settings { limits: LIMITS, ..Settings::default() })?;
    if is_run {
        watch.hear(notes);
    }
    let mut follower = Follower {
        command: argv.to_vec(),
        is_run,
        output: Output { file: Some(output), kept: Vec::new(), shown: 0 },
        told: Reported::default(),
        updates,
    };
    let stopped = follower.follow(&mut watch, commands, signals);
    if stopped || !watch.is_over() {
        follower.end(&mut watch);
    }
    watch.finish();
    follower.tick(&mut watch);
    follower.over(watch, stopped)
}

struct Follower<'w> {
    command: Vec<String>,
    is_run: bool,
    output: Output,
    told: Reported,
    updates: &'w Sender<Update>,
}

impl Follower<'_> {
    /// Follows the watch to its end; whether it was asked to stop before.
    fn follow(&mut self, watch: &mut Watch, commands: &Receiver<Command>, signals: &Signals) -> bool {
        self.begin(watch);
        let mut due = Instant::now();
        while !watch.is_over() {
            let left = due.saturating_duration_since(Instant::now());
            let mut also = vec![commands.as_fd(), signals.as_fd()];
            also.extend(self.output.file.as_ref().map(File::as_fd));
            let Ok(ready) = watch.step(&also, left.max(Duration::from_millis(1))) else { return true };
            self.output.read();
            let asked = ready.get(1) == Some(&true) && !signals.take().is_empty();
            if asked {
                return true;
            }
            match commands.try_recv() {
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return true,
                Ok(Command::Whole) => {
                    self.told = Reported::default();
                    self.begin(watch);
                }
                _ => {}
            }
            let begin = Instant::now();
            if begin >= due {
                self.tick(watch);
                // While very much happens, a report may take longer than the time between two.
                due = Instant::now() + TICK.max(begin.elapsed() * 4);
            }
        }
        false
    }

    fn begin(&self, watch: &Watch) {
        let begin = WatchBegin {
            command: self.command.clone(),
            root: watch.root(),
            watcher: watch.watcher(),
            tier: watch.tier().to_string(),
            resolution: resolution(watch.tier()).to_owned(),
            refusals: watch.refusals().iter().map(|one| format!("not {}: {}", one.tier, one.why)).collect(),
        };
        self.say(Update::whole(&Message::Watch(begin)));
    }

    fn say(&self, update: Update) {
        // A server that is gone is seen at the channel of commands.
        let _ = self.updates.send(update);
    }

    fn tick(&mut self, watch: &mut Watch) {
        let output = if self.is_run { String::new() } else { self.output.news() };
        let notes: Vec<Note> = watch.notes().get(self.told.notes..).unwrap_or_default().to_vec();
        if let Some(tick) = self.told.tick(watch, &notes, output) {
            self.say(Update::new(&Message::Tick(tick)));
        }
    }

    /// Ends the command and all its descendants: with SIGTERM, after a while with SIGKILL.
    fn end(&mut self, watch: &mut Watch) {
        if let Subject::Command(running) = watch.subject() {
            running.signal(Signal::TERM.0);
            running.signal(Signal::CONT.0);
        }
        let deadline = Instant::now() + GRACE;
        while !watch.is_over() && Instant::now() < deadline {
            if watch.step(&[], TICK).is_err() {
                break;
            }
            self.output.read();
            self.tick(watch);
        }
        // All that is left, daemons included, descends from this process, which adopts all orphans.
        let deadline = Deadline::after(GRACE);
        let own = Pid::this();
        let left = || tree::with_descendants(own).into_iter().filter(|pid| *pid != own).collect();
        loop {
            let mut n_killed = 0;
            kill_listed(left, |killed| {
                let _ = watch.step(&[], Duration::from_millis(20));
                self.tick(watch);
                n_killed += killed.len();
            });
            // What is left then is ended by the process that waits for this one.
            if n_killed == 0 || deadline.is_over() {
                return;
            }
        }
    }

    fn over(mut self, watch: Watch, stopped: bool) -> Result<(), WorkerError> {
        self.output.read();
        let command = (!self.command.is_empty()).then(|| self.command.clone());
        let records = if self.is_run { self.output.records() } else { Vec::new() };
        // A run that failed prints its error instead of a record.
        let words = if self.is_run && records.is_empty() { self.output.news() } else { String::new() };
        let observed: Observed = watch.into_observed();
        let mut report = report(&observed, command, &[]);
        report.timeline = Some(drawing::draw(&observed, &report, false));
        if !words.is_empty() {
            let tick = crate::serve::protocol::Tick { output: words, ..Default::default() };
            self.say(Update::new(&Message::Tick(tick)));
        }
        let over = WatchOver { report, records, stopped };
        self.say(Update::new(&Message::Over(Box::new(over))));
        Ok(())
    }
}

/// What the command writes.
struct Output {
    file: Option<File>,
    kept: Vec<u8>,
    shown: usize,
}

impl Output {
    fn read(&mut self) {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.file.as_mut().map(|file| file.read(&mut buffer)) {
                Some(Ok(count @ 1..)) => {
                    if self.kept.len() < MOST_OUTPUT {
                        self.kept.extend_from_slice(&buffer[..count]);
                    }
                }
                Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => return,
                Some(_) => self.file = None,
                None => return,
            }
        }
    }

    /// What was written since the last call, the latest of it.
    fn news(&mut self) -> String {
        let new = &self.kept[self.shown..];
        let text = String::from_utf8_lossy(&new[new.len().saturating_sub(MOST_SHOWN)..]).into_owned();
        self.shown = self.kept.len();
        if self.shown > MOST_SHOWN * 4 {
            // It was shown, and is not needed again.
            self.kept.clear();
            self.shown = 0;
        }
        text
    }

    /// The values of JSON in it.
    fn records(&self) -> Vec<serde_json::Value> {
        let values = serde_json::Deserializer::from_slice(&self.kept).into_iter();
        values.map_while(Result::ok).filter(serde_json::Value::is_object).collect()
    }
}
