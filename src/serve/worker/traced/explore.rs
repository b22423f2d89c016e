//! Executes every interleaving of any program, and reports the progress of the search, its graph, and its findings.

use std::time::{Duration, Instant};

use super::graph::Graph;
use super::{Engine, Manner};
use crate::explore::traced::{self, Answer, Criteria, Found, Progress, Search, Task, WitnessStep, token};
use crate::report::traced::TracedExploration;
use crate::serve::protocol::{Command, Message, ProgramSearch, SearchStatus};
use crate::serve::worker::update::{Update, WorkerError};
use crate::wire::control::{Receiver, Sender};

/// Random executions, which show different outcomes early in a long search.
const RANDOM: u64 = 20;
/// The maximum number of news that are kept.
const MOST_NEWS: usize = 40;

/// Searches `command` with at most `kills` kills in a schedule, to the end or until it is to finish.
pub(in crate::serve::worker) fn work(
    command: &traced::Command,
    criteria: &Criteria,
    kills: usize,
    commands: Receiver<Command>,
    updates: &Sender<Update>,
) -> Result<(), WorkerError> {
    let engine = Engine::new(commands)?;
    let mut clock = Clock { worked: Duration::ZERO, since: Some(Instant::now()) };
    let mut graph = Graph::new(command, criteria);
    let mut search = ProgramSearch { command: command.argv.clone(), ..ProgramSearch::default() };
    let whole = |search: &ProgramSearch, graph: &Graph<'_>| {
        let (nodes, edges) = graph.whole();
        let search = ProgramSearch { nodes, edges, ..search.clone() };
        let _ = updates.send(Update::whole(&Message::ProgramSearch(Box::new(search))));
    };
    whole(&search, &graph);
    let how = Search { random: RANDOM, seed: 1, exhaustive: true, graph: true, kills, ..Search::default() };
    let task = Task::Search(how, criteria.clone());
    let answer = engine.carry_out(command, task, Manner::Rests, &mut |progress: &Progress| {
        clock.run(!progress.rests);
        search.executions = progress.executions;
        search.classes = progress.classes;
        search.outcomes = progress.outcomes;
        search.explored = progress.explored;
        search.seconds = clock.seconds();
        search.status = if progress.rests { SearchStatus::Stopped } else { SearchStatus::Searching };
        if let Some(new) = &progress.new
            && search.news.len() < MOST_NEWS
        {
            search.news.push(new.clone());
        }
        let is_fresh = progress.graph.as_ref().is_some_and(|growth| growth.fresh);
        let (nodes, edges) = progress.graph.as_ref().map(|growth| graph.grow(growth)).unwrap_or_default();
        (search.hidden, search.ends) = (graph.hidden, graph.ends.clone());
        let mut is_asked = is_fresh;
        while let Some(command) = engine.heard() {
            is_asked |= matches!(command, Command::Whole);
        }
        if is_asked {
            whole(&search, &graph);
        } else {
            let growth = ProgramSearch { nodes, edges, ..search.clone() };
            let _ = updates.send(Update::new(&Message::ProgramGrowth(Box::new(growth))));
        }
    })?;
    let Some(answer) = answer else { return Ok(()) };
    let Answer::Findings(findings) = answer else {
        return Err("the engine answered something else than it was asked".into());
    };
    let encode =
        |found: &Found| token::encode(command, found.witness.iter().map(WitnessStep::choice), &found.facts);
    clock.run(false);
    let found = TracedExploration::new(&command.argv, &findings, criteria, encode, clock.seconds());
    // A program that cannot be controlled whole is searched to the end, and still nothing is proved.
    search.status = if findings.ended { SearchStatus::Complete } else { SearchStatus::Stopped };
    search.executions = found.executions;
    search.classes = found.classes;
    search.outcomes = found.outcomes.len() as u64;
    search.seconds = clock.seconds();
    search.is_right = found.is_right();
    search.found = Some(found);
    let _ = updates.send(Update::new(&Message::ProgramGrowth(Box::new(search))));
    Ok(())
}

/// How long the search has worked, without the time in which it rested.
struct Clock {
    worked: Duration,
    since: Option<Instant>,
}

impl Clock {
    fn run(&mut self, on: bool) {
        match (on, self.since) {
            (true, None) => self.since = Some(Instant::now()),
            (false, Some(since)) => {
                self.worked += since.elapsed();
                self.since = None;
            }
            _ => {}
        }
    }

    fn seconds(&self) -> f64 {
        (self.worked + self.since.map_or(Duration::ZERO, |since| since.elapsed())).as_secs_f64()
    }
}
