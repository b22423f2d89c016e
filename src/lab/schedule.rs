//! Carries out a schedule that a student typed, on real processes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::card::Part;
use super::mark::{Note, PartMark, State};
use super::variant::Variant;
use crate::explore::engine::{Divergence, ExecuteError, Point, execute};
use crate::explore::gate::GateError;
use crate::explore::search::{Tally, search};
use crate::explore::shrink::Cost;
use crate::explore::step::Choice;
use crate::explore::strategy::{Decision, Strategy, exhaustive::Exhaustive};
use crate::process::{Scratch, ScratchError};
use crate::scenario::contract::Verb;
use crate::scenario::experiment::Experiment;
use crate::scenario::registry::find;
use crate::scenario::run::verdict::Verdict;
use crate::supervisor::Supervisor;

/// The maximum number of steps of a schedule.
const LONGEST: usize = 2000;

/// Why a schedule could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The card names no such scenario, or options that it does not have.
    #[error("`{words}` is not a scenario that can be explored: {why}")]
    Scenario {
        /// The scenario and options of the card.
        words: String,
        /// What is wrong.
        why: String,
    },
    /// The folder could not be created.
    #[error("cannot create a folder for the processes")]
    Folder(#[from] ScratchError),
    /// The processes failed.
    #[error("cannot control the processes")]
    Gate(#[from] GateError),
    /// The schedule could not be carried out.
    #[error("cannot carry out the schedule: {0}")]
    Execute(String),
}

/// The scenario of a part, with a student's values.
///
/// # Errors
/// [`ScheduleError::Scenario`].
pub fn experiment(part: &Part, variant: &Variant) -> Result<Arc<dyn Experiment>, ScheduleError> {
    let words = variant.fill_all(&part.scenario);
    let wrong = |why: String| ScheduleError::Scenario { words: words.join(" "), why };
    let name = words.first().map(String::as_str).unwrap_or_default();
    let entry = find(name).ok_or_else(|| wrong("no scenario has this name".to_owned()))?;
    let command = entry.arguments(Verb::Explore).map_err(|why| wrong(why.to_owned()))?;
    let matches = command.try_get_matches_from(&words).map_err(|error| {
        let text = error.render().to_string();
        wrong(text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
    })?;
    entry.experiment(Verb::Explore, &matches).map_err(|error| wrong(error.to_string()))
}

/// Follows what was typed. After that the process that ran last continues, or else the first that can.
struct Typed {
    choices: Vec<Choice>,
    last: Option<Choice>,
    /// The step at which a process could not continue, and the process.
    stuck: Option<(usize, usize)>,
}

impl Strategy for Typed {
    fn begin(&mut self) -> bool {
        true
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        let can = |choice: &Choice| point.choices.contains(choice);
        let choice = match self.choices.get(point.depth) {
            Some(choice) if can(choice) => *choice,
            Some(choice) => {
                self.stuck = Some((point.depth + 1, choice.index()));
                return Ok(Decision::GiveUp);
            }
            None => {
                let first = point.choices.iter().copied().find(|choice| !choice.kill);
                match self.last.filter(can).or(first) {
                    Some(choice) => choice,
                    None => return Ok(Decision::GiveUp),
                }
            }
        };
        self.last = Some(choice);
        Ok(Decision::Take(choice))
    }
}

/// The decisions of `a2b3a`: A twice, B three times, A; `None` if there are too many.
fn choices(text: &str) -> Option<Vec<Choice>> {
    let mut choices = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let process = (letter.to_ascii_lowercase() as u8).checked_sub(b'a').filter(|number| *number < 26)?;
        let mut digits = String::new();
        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        let count = if digits.is_empty() { 1 } else { digits.parse::<usize>().ok()? };
        if choices.len().saturating_add(count) > LONGEST {
            return None;
        }
        choices.extend(std::iter::repeat_n(Choice::step(process.into()), count));
    }
    Some(choices)
}

/// The goal of a part.
fn goal(part: &Part) -> Option<Verdict> {
    let goal = part.goal.as_ref()?.get_ref();
    Verdict::ALL.into_iter().find(|verdict| verdict.name() == goal)
}

/// The shortest schedule that reaches a goal.
#[derive(Clone, Debug)]
pub struct Shortest {
    /// Its switches from one process to another.
    pub switches: usize,
    /// How it is typed.
    pub typed: String,
}

/// Searches for the shortest schedule that reaches the goal; `None` if there is none.
///
/// # Errors
/// [`ScheduleError`].
pub fn shortest(
    supervisor: &Supervisor,
    part: &Part,
    variant: &Variant,
) -> Result<Option<Shortest>, ScheduleError> {
    let experiment = experiment(part, variant)?;
    let scratch = Scratch::new()?;
    let mut lab = experiment.gated(supervisor, scratch.path())?;
    let mut tally: Tally<Verdict> = Tally::default();
    let mut exhaustive = Exhaustive::new(true, 0);
    let (begin, most) = (Instant::now(), Duration::from_secs_f64(part.limits.seconds));
    let searched = search(&mut *lab, exhaustive.strategy(), 0, &mut tally, |_, _| begin.elapsed() < most);
    if let Err(error) = searched {
        return Err(told(error));
    }
    let found = goal(part).and_then(|goal| tally.outcomes.remove(&goal));
    Ok(found.map(|found| Shortest {
        switches: found.cost.switches,
        typed: crate::explore::schedule::runs(&found.cost.choices),
    }))
}

fn told(error: ExecuteError<GateError>) -> ScheduleError {
    match error {
        ExecuteError::System(error) => error.into(),
        ExecuteError::Diverged(divergence) => ScheduleError::Execute(divergence.to_string()),
        ExecuteError::Ambiguous(ambiguity) => ScheduleError::Execute(ambiguity.to_string()),
    }
}

/// Carries out the schedule of an answer and marks it against the shortest, which is asked for only if the goal was
/// reached.
///
/// # Errors
/// [`ScheduleError`].
pub fn mark(
    supervisor: &Supervisor,
    part: &Part,
    variant: &Variant,
    answer: &str,
    shortest: impl FnOnce() -> Result<Option<Shortest>, ScheduleError>,
    mark: &mut PartMark,
) -> Result<(), ScheduleError> {
    mark.score(0.0);
    let Some(choices) = choices(answer) else {
        return Err(ScheduleError::Execute(format!("a schedule has at most {LONGEST} steps")));
    };
    let experiment = experiment(part, variant)?;
    let (verdict, switches) = {
        let scratch = Scratch::new()?;
        let mut lab = experiment.gated(supervisor, scratch.path())?;
        let mut typed = Typed { choices, last: None, stuck: None };
        match execute(&mut *lab, &mut typed, 0).map_err(told)? {
            Some(trace) => (lab.judge(&trace)?, Cost::of(&trace).switches),
            None => {
                if let Some((step, process)) = typed.stuck {
                    let process = crate::explore::step::letter(process);
                    mark.notes.push(Note::CannotGoOn { step, process });
                }
                return Ok(());
            }
        }
    };
    let goal = part.goal.as_ref().map_or("", |goal| goal.get_ref());
    if verdict.name() != goal {
        mark.notes.push(Note::NotReached { verdict: verdict.name().to_owned(), goal: goal.to_owned() });
        return Ok(());
    }
    let shortest = shortest()?.map_or(switches, |found| found.switches);
    let most = part.switches.unwrap_or(shortest).max(shortest);
    let fraction = if switches <= most { 1.0 } else { most.max(1) as f64 / switches as f64 };
    mark.score(fraction);
    if fraction < 1.0 {
        mark.state = State::Partly;
    }
    mark.notes.push(Note::Reached { switches, shortest, most });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_typed_as_runs_of_letters() {
        let typed = |text: &str| {
            choices(text).map(|choices| choices.iter().map(|one| one.index()).collect::<Vec<_>>())
        };
        assert_eq!(typed("a2ba"), Some(vec![0, 0, 1, 0]));
        assert_eq!(typed("a99999999999999999999"), None);
        assert_eq!(typed("a1500b1500"), None);
    }
}
