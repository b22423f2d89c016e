//! A person schedules any program: each command executes it anew up to the step that was chosen, so that a step can be
//! taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Engine, Manner};
use crate::explore::traced::token;
use crate::explore::traced::{
    self, Answer, Criteria, Departure, Found, KILL, Next, Peeked, Search, Task, Verdict, WitnessStep,
};
use crate::report::traced::TracedOutcome;
use crate::serve::protocol::{
    Card, CardState, Command, Message, ProgramEnding, ProgramScene, ProgramShortest, ProgramStep, Reason,
    Refusal,
};
use crate::serve::worker::order::shell;
use crate::serve::worker::update::{Update, WorkerError};
use crate::wire::control::{Receiver, Sender};

/// How long the shortest schedules are searched for.
const SEARCH: Duration = Duration::from_secs(5);

/// The letters of processes and threads, in the order in which they are first seen.
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Lets the page schedule `command`, from these steps on.
pub(in crate::serve::worker) fn work(
    command: traced::Command,
    steps: Vec<String>,
    typed: &str,
    commands: Receiver<Command>,
    updates: &Sender<Update>,
) -> Result<(), WorkerError> {
    let engine = Engine::new(commands)?;
    let mut person = Person {
        engine,
        updates,
        command,
        typed,
        done: steps,
        letters: Vec::new(),
        refused: None,
        runs: false,
        shortest: None,
    };
    while let Some(peeked) = person.look()? {
        let scene = person.scene(&peeked);
        person.say(&scene);
        if scene.ending.is_some() && person.shortest.is_none() {
            if !person.find_shortest()? {
                break;
            }
            person.say(&person.scene(&peeked));
        }
        person.refused = None;
        if let Some(task) = only(&peeked).filter(|_| person.runs) {
            person.done.push(task);
            continue;
        }
        person.runs = false;
        if !person.obey(&peeked, &scene) {
            break;
        }
    }
    Ok(())
}

struct Person<'w> {
    engine: Engine,
    updates: &'w Sender<Update>,
    command: traced::Command,
    /// The options that were given with it, as they are typed.
    typed: &'w str,
    /// The tasks that went, by place in the tree.
    done: Vec<String>,
    /// The tasks by letter.
    letters: Vec<String>,
    refused: Option<Refusal>,
    /// Steps are granted as long as only one process can continue.
    runs: bool,
    shortest: Option<(Vec<ProgramShortest>, bool)>,
}

impl Person<'_> {
    /// Executes what is done, and looks at what can come next; `None` once the page is gone. Where the program goes
    /// another way, the schedule ends before that.
    fn look(&mut self) -> Result<Option<Peeked>, WorkerError> {
        loop {
            let task = Task::Peek(self.done.clone());
            match self.engine.carry_out(&self.command, task, Manner::Stops, &mut |_| {})? {
                None => return Ok(None),
                Some(Answer::Peeked(peeked)) => {
                    self.name(&peeked);
                    return Ok(Some(*peeked));
                }
                Some(Answer::Departed(Departure { step, task, found, uncontrolled, .. })) => {
                    let (at, who, found) = (step + 1, task.to_string(), found.to_string());
                    self.refused = Some(match uncontrolled.first() {
                        None => Refusal::WentAnotherWay { step: at, who, found },
                        Some(what) => Refusal::NotControlled { step: at, who, found, what: what.to_string() },
                    });
                    if self.done.is_empty() {
                        return Err(Refusal::BeginsDifferently.into());
                    }
                    self.done.truncate(step.min(self.done.len() - 1));
                }
                Some(_) => return Err("the engine answered something else than it was asked".into()),
            }
        }
    }

    /// Gives letters to new tasks, in the order of the tree.
    fn name(&mut self, peeked: &Peeked) {
        let seen =
            peeked.steps.iter().map(|step| &step.task).chain(peeked.next.iter().map(|next| &next.task));
        let new: BTreeSet<(usize, &String)> =
            seen.filter(|task| !self.letters.contains(*task)).map(|task| (task.len(), task)).collect();
        self.letters.extend(new.into_iter().map(|(_, task)| task.clone()));
    }

    /// Waits for a command that changes the schedule; false once the page is gone.
    fn obey(&mut self, peeked: &Peeked, scene: &ProgramScene) -> bool {
        while let Ok(command) = self.engine.next() {
            match command {
                Command::Grant(letter) => {
                    let task = self.task(letter);
                    let can = |next: &&Next| next.enabled && Some(&next.task) == task.as_ref();
                    if let Some(next) = peeked.next.iter().find(can) {
                        self.done.push(next.task.clone());
                        return true;
                    }
                }
                Command::Kill(letter) => {
                    let task = self.task(letter);
                    let can = |next: &&Next| next.killable && Some(&next.task) == task.as_ref();
                    if let Some(next) = peeked.next.iter().find(can) {
                        self.done.push(format!("{}{KILL}", next.task));
                        return true;
                    }
                }
                Command::Continue => {
                    if let Some(task) = only(peeked) {
                        self.done.push(task);
                        self.runs = true;
                        return true;
                    }
                }
                Command::Undo if self.done.pop().is_some() => return true,
                Command::Schedule(text) if self.take(&text) => return true,
                Command::Whole => self.say(scene),
                Command::Stop => return false,
                _ => {}
            }
        }
        false
    }

    /// Takes the steps of a token; none of them for an empty text.
    fn take(&mut self, text: &str) -> bool {
        if text.is_empty() {
            self.done.clear();
            return true;
        }
        match token::decode(text, &self.command) {
            Ok((steps, facts)) => {
                (self.done, self.command.facts) = (steps, facts);
                true
            }
            Err(_) => false,
        }
    }

    fn task(&self, letter: char) -> Option<String> {
        let place = LETTERS.find(letter.to_ascii_uppercase())?;
        self.letters.get(place).cloned()
    }

    fn letter(&self, task: &str) -> char {
        let place = self.letters.iter().position(|known| known == task);
        place.and_then(|place| LETTERS.chars().nth(place)).unwrap_or('·')
    }

    fn token(&self, facts: &BTreeSet<String>) -> String {
        token::encode(&self.command, self.done.iter().map(String::as_str), facts)
    }

    fn say(&self, scene: &ProgramScene) {
        let _ = self.updates.send(Update::whole(&Message::ProgramScene(Box::new(scene.clone()))));
    }

    fn scene(&self, peeked: &Peeked) -> ProgramScene {
        let token = self.token(&self.command.facts);
        let (code, schedule) = split(&token);
        let step = |step: &traced::WitnessStep| ProgramStep {
            process: self.letter(&step.task),
            name: step.words.clone(),
            resource: step.object.clone(),
            killed: step.kill,
        };
        let objects =
            peeked.steps.iter().map(|step| &step.object).chain(peeked.next.iter().map(|next| &next.object));
        let objects: BTreeSet<&String> = objects.collect();
        let is_shared =
            |(path, _): &(&String, &String)| objects.iter().any(|object| object.ends_with(path.as_str()));
        ProgramScene {
            command: self.command.argv.clone(),
            code: code.to_owned(),
            schedule: schedule.to_owned(),
            cards: self.letters.iter().take(LETTERS.len()).map(|task| self.card(task, peeked)).collect(),
            more: self.letters.len().saturating_sub(LETTERS.len()),
            shared: peeked
                .files
                .iter()
                .filter(is_shared)
                .map(|(path, text)| (path.clone(), text.trim_end().to_owned()))
                .collect(),
            done: peeked.steps.iter().map(step).collect(),
            refused: self.refused.clone().map(Reason::from),
            ending: peeked.over.as_ref().map(|found| self.ending(found)),
        }
    }

    fn card(&self, task: &str, peeked: &Peeked) -> Card {
        let next = peeked.next.iter().find(|next| next.task == task);
        let is_stuck = peeked.over.is_some();
        let state = match next {
            Some(next) if next.enabled && !is_stuck => CardState::Ready,
            Some(_) => CardState::Waits,
            None if peeked.steps.iter().any(|step| step.task == task && step.kill) => CardState::Killed,
            None if peeked.steps.iter().any(|step| step.task == task) => CardState::Ended,
            None => CardState::Absent,
        };
        Card {
            name: self.letter(task),
            role: task.to_owned(),
            pid: None,
            state,
            killable: next.is_some_and(|next| next.killable && !is_stuck),
            step: next.map(|next| next.call.clone()),
            resource: next.map(|next| next.object.clone()),
            access: None,
            held_by: next.map_or(Vec::new(), |next| {
                next.held_by
                    .iter()
                    .filter(|holder| *holder != task)
                    .map(|holder| self.letter(holder))
                    .collect()
            }),
            holds: Vec::new(),
        }
    }

    fn ending(&self, found: &Found) -> ProgramEnding {
        let token = self.token(&found.facts);
        let replay = format!(
            "proclab replay {}{} -- {}",
            shell(std::slice::from_ref(&token)),
            self.typed,
            shell(&self.command.argv)
        );
        let outcome = TracedOutcome::of(found, &Criteria::default(), token);
        ProgramEnding {
            replay,
            shortest: self.shortest.as_ref().map(|(shortest, _)| shortest.clone()),
            complete: self.shortest.as_ref().is_some_and(|(_, complete)| *complete),
            outcome,
        }
    }

    /// The shortest schedule of each outcome, as far as it comes in a few seconds or until the person goes on. False
    /// once the page is gone.
    fn find_shortest(&mut self) -> Result<bool, WorkerError> {
        let search =
            Search { random: 20, seed: 1, exhaustive: true, time: Some(SEARCH), ..Search::default() };
        let task = Task::Search(search, Criteria::default());
        let command = traced::Command { facts: BTreeSet::new(), ..self.command.clone() };
        let Some(answer) = self.engine.carry_out(&command, task, Manner::Yields, &mut |_| {})? else {
            return Ok(false);
        };
        let Answer::Findings(findings) = answer else { return Ok(true) };
        let criteria = Criteria::default();
        let shortest = findings.outcomes.iter().map(|found| {
            let steps = found.witness.iter().map(WitnessStep::choice);
            let token = token::encode(&command, steps, &found.facts);
            let outcome = TracedOutcome::of(found, &criteria, token);
            ProgramShortest {
                is_right: outcome.verdict == Verdict::Ok,
                verdict: outcome.verdict.to_string(),
                why: outcome.why.clone(),
                steps: found.witness.len(),
                switches: found.switches,
                schedule: outcome.token,
            }
        });
        self.shortest = Some((shortest.collect(), findings.complete));
        Ok(true)
    }
}

/// The only task that can continue.
fn only(peeked: &Peeked) -> Option<String> {
    let mut enabled = peeked.next.iter().filter(|next| next.enabled && peeked.over.is_none());
    enabled.next().filter(|_| enabled.next().is_none()).map(|next| next.task.clone())
}

/// A token as what it belongs to, and its steps.
fn split(token: &str) -> (&str, &str) {
    let place = token.match_indices('~').nth(1).map_or(token.len(), |(place, _)| place);
    (&token[..place], token.get(place + 1..).unwrap_or_default())
}
