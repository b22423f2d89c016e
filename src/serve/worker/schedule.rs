//! The user is the scheduler: the processes wait at the gate, and each command grants one step.

use std::cell::RefCell;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::observer::{Moment, WithObserver, at_the_gate};
use super::order::decisions;
use super::update::{Update, WorkerError};
use crate::explore::engine::{Divergence, Point, System, Trace, execute};
use crate::explore::schedule::runs;
use crate::explore::search::{Tally, search};
use crate::explore::shrink::Cost;
use crate::explore::step::{Access, Choice, Event, Label, Step, letter};
use crate::explore::strategy::exhaustive::Exhaustive;
use crate::explore::strategy::{Decision, Strategy};
use crate::report::witness::{StepView, Witness};
use crate::scenario::experiment::{Experiment, Lab, State};
use crate::scenario::run::verdict::Verdict;
use crate::serve::protocol::{Card, CardState, Command, Ending, Message, Reason, Refusal, Scene, Shortest};
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable};
use crate::sys::signal::Interrupt;
use crate::wire::control::{Receiver, Sender};

/// How long the shortest schedules are searched for.
const SEARCH: Duration = Duration::from_secs(3);

/// Lets the page schedule the experiment of this code, from these decisions on.
pub(super) fn work(
    code: &str,
    choices: Vec<Choice>,
    commands: &Receiver<Command>,
    updates: &Sender<Update>,
) -> Result<(), WorkerError> {
    at_the_gate(code, |experiment, lab, interrupt| {
        schedule(experiment, lab, interrupt, choices, commands, updates)
    })
}

fn schedule(
    experiment: &dyn Experiment,
    lab: Box<dyn Lab + '_>,
    interrupt: Interrupt,
    choices: Vec<Choice>,
    commands: &Receiver<Command>,
    updates: &Sender<Update>,
) -> Result<(), WorkerError> {
    let state = lab.viewer();
    let pids = Rc::new(RefCell::new(Vec::new()));
    let noticed = Rc::clone(&pids);
    // After a kill another process takes the place of the killed one, but only in the next execution.
    let mut lab = WithObserver::new(lab, move |lab: &dyn Lab, moment: Moment<'_>| {
        if matches!(moment, Moment::Begin) {
            *noticed.borrow_mut() = lab.pids();
        }
    });
    let kills = if experiment.no_kills().is_none() { usize::MAX } else { 0 };
    let mut person = Person {
        experiment,
        commands,
        updates,
        interrupt,
        state,
        pids,
        again: choices,
        done: Vec::new(),
        refused: None,
        runs: false,
        leaves: false,
    };
    let mut shortest: Option<(Vec<Shortest>, bool)> = None;
    while !person.leaves {
        let trace = execute(&mut lab, &mut person, kills)?;
        let Some(trace) = trace else { continue };
        let verdict = lab.judge(&trace)?;
        let broken = (verdict != Verdict::Ok).then(|| lab.lab.broken_at(&trace)).flatten();
        let witness = Witness::new(person.experiment, &trace, verdict, &person.pids.borrow(), broken);
        person.end(&witness, &trace, shortest.as_ref());
        if shortest.is_none() {
            let found = find_shortest(&mut *lab.lab, commands, interrupt)?;
            shortest = Some(found);
            person.end(&witness, &trace, shortest.as_ref());
        }
        person.await_command();
    }
    Ok(())
}

/// The shortest schedule of each outcome: by one schedule per class, as far as it comes in a few seconds or until the
/// person goes on.
fn find_shortest(
    lab: &mut dyn Lab,
    commands: &Receiver<Command>,
    interrupt: Interrupt,
) -> Result<(Vec<Shortest>, bool), WorkerError> {
    let (mut exhaustive, mut tally) = (Exhaustive::new(true, 0), Tally::default());
    let begin = Instant::now();
    let complete = search(lab, exhaustive.strategy(), 0, &mut tally, |_, _| {
        let asked = readable(&[commands.as_fd(), interrupt.as_fd()], Deadline::now());
        begin.elapsed() < SEARCH && asked.is_ok_and(|asked| asked == [false, false])
    })?;
    Ok((tally.outcomes.iter().rev().map(|(verdict, found)| of(*verdict, &found.cost)).collect(), complete))
}

/// A schedule in numbers.
pub(super) fn of(verdict: Verdict, cost: &Cost) -> Shortest {
    Shortest {
        verdict,
        steps: cost.choices.len(),
        switches: cost.switches,
        preemptions: cost.preemptions,
        schedule: runs(&cost.choices),
    }
}

/// A strategy that follows the page's commands.
struct Person<'w> {
    experiment: &'w dyn Experiment,
    commands: &'w Receiver<Command>,
    updates: &'w Sender<Update>,
    interrupt: Interrupt,
    state: State,
    pids: Rc<RefCell<Vec<Pid>>>,
    /// The decisions to repeat from the beginning without asking.
    again: Vec<Choice>,
    /// What was done in this execution.
    done: Vec<Event>,
    refused: Option<Refusal>,
    /// Steps are granted as long as only one process can continue.
    runs: bool,
    leaves: bool,
}

impl Strategy for Person<'_> {
    fn begin(&mut self) -> bool {
        true
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        if point.depth == 0 && self.refused.is_none() {
            self.done.clear();
        }
        if let Some(choice) = self.again.get(self.done.len()) {
            if point.choices.contains(choice) {
                return Ok(Decision::Take(*choice));
            }
            self.refused = Some(Refusal::CannotContinue { who: letter(choice.index()) });
        }
        self.again.clear();
        let scene = self.scene(point.pending, Some(point.choices));
        self.say(&scene);
        if let Some(choice) = only(point).filter(|_| self.runs) {
            return Ok(Decision::Take(choice));
        }
        self.runs = false;
        self.refused = None;
        loop {
            match self.next_command() {
                Some(Command::Grant(name)) => {
                    if let Some(choice) = chosen(name, false, point) {
                        return Ok(Decision::Take(choice));
                    }
                }
                Some(Command::Kill(name)) => {
                    if let Some(choice) = chosen(name, true, point) {
                        return Ok(Decision::Take(choice));
                    }
                }
                Some(Command::Continue) => {
                    if let Some(choice) = only(point) {
                        self.runs = true;
                        return Ok(Decision::Take(choice));
                    }
                }
                Some(Command::Whole) => self.say(&scene),
                Some(command) => {
                    if self.starts_over(&command) {
                        return Ok(Decision::GiveUp);
                    }
                }
                None => return Ok(Decision::GiveUp),
            }
        }
    }

    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        self.again.clear();
        let step = point.step(Choice::step(process)).map_or(String::new(), ToString::to_string);
        self.refused = Some(Refusal::Waits { who: letter(process), step });
        Ok(())
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.done.push(event.clone());
        Ok(())
    }
}

/// The step of the only process that can continue.
fn only(point: &Point<'_>) -> Option<Choice> {
    let mut steps = point.choices.iter().filter(|choice| !choice.kill);
    steps.next().filter(|_| steps.next().is_none()).copied()
}

fn chosen(name: char, kill: bool, point: &Point<'_>) -> Option<Choice> {
    let process = usize::from(u8::try_from(name.to_ascii_uppercase()).ok()?.checked_sub(b'A')?);
    let choice = if kill { Choice::kill(process) } else { Choice::step(process) };
    point.choices.contains(&choice).then_some(choice)
}

impl Person<'_> {
    /// The next command; `None` once the page is gone or the worker has to end.
    fn next_command(&mut self) -> Option<Command> {
        let waited = readable(&[self.commands.as_fd(), self.interrupt.as_fd()], Deadline::NEVER);
        let command = match waited {
            Ok(ready) if !ready[1] => self.commands.recv().ok(),
            _ => None,
        };
        self.leaves |= command.is_none();
        command
    }

    /// Whether the command begins a new execution.
    fn starts_over(&mut self, command: &Command) -> bool {
        match command {
            Command::Undo => {
                self.again = self.done.iter().map(|event| event.choice).collect();
                self.again.pop();
            }
            Command::Schedule(text) => match decisions(text) {
                Ok(choices) => self.again = choices,
                Err(_) => return false,
            },
            Command::Stop => {
                self.leaves = true;
            }
            _ => return false,
        }
        true
    }

    /// At the end of a schedule: until it is to begin again.
    fn await_command(&mut self) {
        while let Some(command) = self.next_command() {
            if self.starts_over(&command) {
                return;
            }
        }
    }

    fn say(&self, scene: &Scene) {
        let _ = self.updates.send(Update::whole(&Message::Scene(Box::new(scene.clone()))));
    }

    fn end(&mut self, witness: &Witness, trace: &Trace, shortest: Option<&(Vec<Shortest>, bool)>) {
        let mut scene = self.scene(&trace.stuck, None);
        scene.ending = Some(Ending {
            verdict: witness.verdict,
            broken: witness.broken.as_ref().map(|broken| (broken.step, broken.how.clone())),
            token: witness.token.clone(),
            switches: witness.switches,
            preemptions: witness.preemptions,
            shortest: shortest.map(|(shortest, _)| shortest.clone()),
            complete: shortest.is_some_and(|(_, complete)| *complete),
        });
        self.say(&scene);
    }

    /// The present state; `choices` is given while a process can continue.
    fn scene(&self, pending: &[Option<Step>], choices: Option<&[Choice]>) -> Scene {
        let roles = self.experiment.roles();
        let trace = Trace { events: self.done.clone(), stuck: pending.to_vec(), ..Trace::default() };
        let waits = trace.waits();
        let held = holds(&self.done);
        let cards = pending.iter().enumerate().map(|(process, step)| {
            let can = |choice| choices.is_some_and(|choices| choices.contains(&choice));
            let last = self.done.iter().rfind(|event| event.choice.index() == process);
            let state = match step {
                Some(_) if can(Choice::step(process)) => CardState::Ready,
                Some(_) => CardState::Waits,
                None if last.is_some_and(|event| event.choice.kill) => CardState::Killed,
                None => CardState::Ended,
            };
            let wait = waits.iter().find(|wait| wait.process == process);
            let may_wait = step.as_ref().is_some_and(|step| step.access == Access::Acquire);
            let held_by = wait.filter(|_| may_wait).map_or(Vec::new(), |wait| {
                wait.holders
                    .iter()
                    .filter(|(holder, _)| *holder != process)
                    .map(|(holder, _)| letter(*holder))
                    .collect()
            });
            Card {
                name: letter(process),
                role: roles.get(process).copied().unwrap_or_default().to_owned(),
                pid: self.pids.borrow().get(process).copied(),
                state,
                killable: can(Choice::kill(process)),
                step: step.as_ref().map(ToString::to_string),
                resource: step.as_ref().map(|step| step.resource.to_string()),
                access: step.as_ref().and_then(|step| {
                    let access = serde_json::to_value(step.access).ok()?;
                    access.as_str().map(str::to_owned)
                }),
                held_by,
                holds: held
                    .iter()
                    .filter(|(who, _)| *who == process)
                    .map(|(_, what)| what.to_string())
                    .collect(),
            }
        });
        let subject = self.experiment.subject();
        let choices_done: Vec<Choice> = self.done.iter().map(|event| event.choice).collect();
        Scene {
            options: subject.options.clone(),
            subject,
            code: self.experiment.code(),
            schedule: runs(&choices_done),
            cards: cards.collect(),
            shared: (self.state)().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            done: self.done.iter().map(|event| StepView::new(event, self.experiment)).collect(),
            refused: self.refused.clone().map(Reason::from),
            ending: None,
        }
    }
}

/// Which process holds what, by the steps alone.
pub(super) fn holds(events: &[Event]) -> Vec<(usize, Label)> {
    let mut held: Vec<(usize, Label)> = Vec::new();
    for event in events {
        let process = event.choice.index();
        match event.step.access {
            _ if event.ended => held.retain(|(holder, _)| *holder != process),
            Access::Acquire => held.push((process, event.step.resource)),
            Access::Release => {
                if let Some(at) = held.iter().rposition(|one| *one == (process, event.step.resource)) {
                    held.remove(at);
                }
            }
            Access::Read | Access::Write | Access::Add | Access::Await => {}
        }
    }
    held
}
