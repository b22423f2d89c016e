//! A schedule of a scenario, made by hand.

use schemars::JsonSchema;
use serde::Serialize;

use super::refusal::Reason;
use crate::report::witness::StepView;
use crate::said::Said;
use crate::scenario::experiment::Subject;
use crate::scenario::run::verdict::Verdict;
use crate::sys::pid::Pid;

/// A schedule under way, or at its end.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Scene {
    /// What is run.
    #[serde(flatten)]
    pub subject: Subject,
    /// The parameters as command-line options.
    pub options: String,
    /// The parameters in the form in which a token begins.
    pub code: String,
    /// The decisions so far, as a token has them: `a2b` is A twice, then B; a capital letter kills.
    pub schedule: String,
    /// The processes, in the order of their letters.
    pub cards: Vec<Card>,
    /// What the processes share now: names and values.
    pub shared: Vec<(String, String)>,
    /// What was done, in order.
    pub done: Vec<StepView>,
    /// Why the last grant was refused.
    pub refused: Option<Reason>,
    /// How it ended; absent while a process can go on.
    pub ending: Option<Ending>,
}

/// One process of a schedule.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Card {
    /// Its letter.
    pub name: char,
    /// What it is.
    pub role: String,
    /// Its PID; it changes when the prefix is executed again after a kill. Absent for a program's, which is executed
    /// anew for each step.
    pub pid: Option<Pid>,
    /// Whether it can be granted its step.
    pub state: CardState,
    /// Whether it may be killed.
    pub killable: bool,
    /// The name of the step at which it stands.
    pub step: Option<String>,
    /// What the step touches.
    pub resource: Option<String>,
    /// How: `read`, `write`, `acquire`, `release`, `await`, `add`.
    pub access: Option<String>,
    /// Who must act before it can go on.
    pub held_by: Vec<char>,
    /// The locks that it holds.
    pub holds: Vec<String>,
}

/// Whether a process can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CardState {
    /// It stands at its step and can be granted it, as far as is known.
    Ready,
    /// Its step was refused, and nothing that it waits for has changed since.
    Waits,
    /// Its body has ended.
    Ended,
    /// It was killed.
    Killed,
    /// It has not been made yet, in this execution.
    Absent,
}

/// How a schedule ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Ending {
    /// The outcome.
    pub verdict: Verdict,
    /// At which step the promise was broken, counted from 1, and how.
    pub broken: Option<(usize, Said)>,
    /// The schedule as `proclab replay` takes it.
    pub token: String,
    /// How often the next step belonged to another process.
    pub switches: usize,
    /// Switches away from a process that could have gone on.
    pub preemptions: usize,
    /// The shortest schedule of each outcome; absent while they are searched for.
    pub shortest: Option<Vec<Shortest>>,
    /// Whether the search for these has seen every class of schedules.
    pub complete: bool,
}

/// The shortest schedule of an outcome.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Shortest {
    /// The outcome.
    pub verdict: Verdict,
    /// How many steps it has.
    pub steps: usize,
    /// Its switches.
    pub switches: usize,
    /// Its preemptions.
    pub preemptions: usize,
    /// Its decisions.
    pub schedule: String,
}
