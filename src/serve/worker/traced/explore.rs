//! Executes every interleaving of any program, and says how far the search has come and what it found.

use std::time::Instant;

use super::Engine;
use crate::explore::traced::{self, Answer, Criteria, Found, Progress, Search, Task, token};
use crate::report::traced::TracedExploration;
use crate::serve::protocol::{Command, Message, ProgramSearch, SearchStatus};
use crate::serve::worker::update::{Update, WorkerError};
use crate::wire::control::{Receiver, Sender};

/// Executions by chance before the search, so that something is seen at once.
const RANDOM: u64 = 20;
/// News that are kept, the latest.
const MOST_NEWS: usize = 40;

/// Searches `command` to the end, or until it is to stop.
pub(in crate::serve::worker) fn work(
    command: &traced::Command,
    criteria: &Criteria,
    commands: Receiver<Command>,
    updates: &Sender<Update>,
) -> Result<(), WorkerError> {
    let engine = Engine::new(commands)?;
    let begin = Instant::now();
    let mut search = ProgramSearch { command: command.argv.clone(), ..ProgramSearch::default() };
    let say = |search: &ProgramSearch| {
        let _ = updates.send(Update::whole(&Message::ProgramSearch(Box::new(search.clone()))));
    };
    say(&search);
    let how = Search { random: RANDOM, seed: 1, exhaustive: true, ..Search::default() };
    let task = Task::Search(how, criteria.clone());
    let answer = engine.carry_out(command, task, false, &mut |progress: &Progress| {
        search.executions = progress.executions;
        search.classes = progress.classes;
        search.outcomes = progress.outcomes;
        search.explored = progress.explored;
        search.seconds = begin.elapsed().as_secs_f64();
        if let Some(new) = &progress.new
            && search.news.len() < MOST_NEWS
        {
            search.news.push(new.clone());
        }
        say(&search);
    })?;
    let Some(answer) = answer else { return Ok(()) };
    let Answer::Findings(findings) = answer else {
        return Err("the engine answered something else than it was asked".into());
    };
    let encode = |found: &Found| {
        token::encode(command, found.witness.iter().map(|step| step.task.as_str()), &found.facts)
    };
    let seconds = begin.elapsed().as_secs_f64();
    let found = TracedExploration::new(&command.argv, &findings, criteria, encode, seconds);
    // A program that cannot be controlled whole is searched to the end, and still nothing is proved.
    search.status = if findings.ended { SearchStatus::Complete } else { SearchStatus::Stopped };
    search.executions = found.executions;
    search.classes = found.classes;
    search.outcomes = found.outcomes.len() as u64;
    search.seconds = seconds;
    search.is_right = found.is_right();
    search.found = Some(found);
    say(&search);
    Ok(())
}
