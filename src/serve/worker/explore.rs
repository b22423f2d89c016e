//! Executes every interleaving, and reports how the graph of states grows.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::graph::{Shared, recorder};
use super::observer::{WithObserver, at_the_gate};
use super::schedule::of;
use super::update::{Update, WorkerError};
use crate::explore::search::{Tally, search};
use crate::explore::strategy::Strategy;
use crate::explore::strategy::exhaustive::Exhaustive;
use crate::scenario::experiment::{Experiment, Lab};
use crate::scenario::run::verdict::Verdict;
use crate::serve::protocol::{Command, Growth, Message, OutcomeCount, SearchStatus};
use crate::sys::poll::{Deadline, readable};
use crate::sys::signal::Interrupt;
use crate::wire::control::{Receiver, Sender, TryRecvError};

/// Between two messages.
const TICK: Duration = Duration::from_millis(120);

/// Searches the experiment of this code to the end, or until the page is gone.
pub(super) fn work(
    code: &str,
    reduce: bool,
    kills: usize,
    commands: &Receiver<Command>,
    updates: &Sender<Update>,
) -> Result<(), WorkerError> {
    at_the_gate(code, |experiment, lab, interrupt| {
        let clock = Clock::new();
        let searcher = Searcher {
            experiment,
            graph: Shared::default(),
            commands,
            updates,
            interrupt,
            clock,
            leaves: false,
        };
        explore(lab, reduce, kills, searcher)
    })
}

fn explore(
    lab: Box<dyn Lab + '_>,
    reduce: bool,
    kills: usize,
    mut searcher: Searcher<'_>,
) -> Result<(), WorkerError> {
    let state = lab.viewer();
    let mut lab = WithObserver::new(lab, recorder(Shared::clone(&searcher.graph), state));
    let (mut exhaustive, mut tally) = (Exhaustive::new(reduce, kills), Tally::default());
    searcher.say(
        Update::whole,
        Message::Graph,
        Growth::default(),
        &tally,
        Some(0.0),
        SearchStatus::Searching,
    );
    let complete = search(&mut lab, exhaustive.strategy(), kills, &mut tally, |tally, strategy| {
        searcher.go_on(tally, strategy)
    });
    if searcher.leaves {
        return Ok(());
    }
    let status = if complete? { SearchStatus::Complete } else { SearchStatus::Stopped };
    let new = searcher.graph.borrow_mut().take();
    searcher.say(Update::new, Message::Growth, new, &tally, Some(1.0), status);
    Ok(())
}

struct Searcher<'w> {
    experiment: &'w dyn Experiment,
    graph: Shared,
    commands: &'w Receiver<Command>,
    updates: &'w Sender<Update>,
    interrupt: Interrupt,
    clock: Clock,
    leaves: bool,
}

/// How long it has searched, without the time in which it was stopped.
struct Clock {
    before: Duration,
    since: Instant,
    told: Instant,
}

impl Clock {
    fn new() -> Self {
        Self { before: Duration::ZERO, since: Instant::now(), told: Instant::now() }
    }

    fn seconds(&self) -> f64 {
        (self.before + self.since.elapsed()).as_secs_f64()
    }
}

impl Searcher<'_> {
    /// After each execution: says what is new, and does what the page asks.
    fn go_on(&mut self, tally: &Tally<Verdict>, strategy: &(impl Strategy + ?Sized)) -> bool {
        if self.clock.told.elapsed() >= TICK {
            self.clock.told = Instant::now();
            let new = self.graph.borrow_mut().take();
            self.say(Update::new, Message::Growth, new, tally, strategy.explored(), SearchStatus::Searching);
        }
        let mut stopped = false;
        loop {
            if stopped {
                let waited = readable(&[self.commands.as_fd(), self.interrupt.as_fd()], Deadline::NEVER);
                self.leaves |= !waited.is_ok_and(|ready| !ready[1]);
            }
            self.leaves |= self.interrupt.received().is_some();
            if self.leaves {
                return false;
            }
            match self.commands.try_recv() {
                Ok(Command::Stop) if !stopped => {
                    stopped = true;
                    self.clock.before += self.clock.since.elapsed();
                    self.clock.since = Instant::now();
                    let seconds = self.clock.before;
                    let new = self.graph.borrow_mut().take();
                    self.say(
                        Update::new,
                        Message::Growth,
                        new,
                        tally,
                        strategy.explored(),
                        SearchStatus::Stopped,
                    );
                    self.clock.before = seconds;
                }
                Ok(Command::Resume) => {
                    if stopped {
                        self.clock.since = Instant::now();
                    }
                    stopped = false;
                }
                Ok(Command::Whole) => {
                    let whole = self.graph.borrow().whole();
                    let status = if stopped { SearchStatus::Stopped } else { SearchStatus::Searching };
                    self.say(Update::whole, Message::Graph, whole, tally, strategy.explored(), status);
                }
                Ok(_) => {}
                Err(TryRecvError::Empty) if !stopped => return true,
                Err(TryRecvError::Empty) => {}
                Err(_) => {
                    self.leaves = true;
                    return false;
                }
            }
        }
    }

    fn say(
        &self,
        update: fn(&Message) -> Update,
        message: fn(Growth) -> Message,
        growth: Growth,
        tally: &Tally<Verdict>,
        explored: Option<f64>,
        status: SearchStatus,
    ) {
        let outcomes = tally.outcomes.iter().rev().map(|(verdict, found)| OutcomeCount {
            verdict: *verdict,
            count: found.count,
            classes: found.classes,
            represented: found.represents,
            shortest: of(*verdict, &found.cost),
            node: self.graph.borrow().end_of(&found.witness),
        });
        let growth = Growth {
            scenario: self.experiment.scenario().to_owned(),
            options: self.experiment.options(),
            code: self.experiment.code(),
            schedules: tally.schedules,
            classes: tally.classes(),
            represented: tally.represents,
            given_up: tally.given_up,
            explored,
            seconds: self.clock.seconds(),
            status,
            outcomes: outcomes.collect(),
            ..growth
        };
        let _ = self.updates.send(update(&message(growth)));
    }
}
