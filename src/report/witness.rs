//! One execution: a table with a column for each process, and the line where the promise broke.

use crate::sys::pid::Pid;
use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::explore::engine::Trace;
use crate::explore::schedule::{MAX_PROCESSES, MAX_STEPS, Token};
use crate::explore::shrink::Cost;
use crate::explore::step::{Access, Choice, Event, Label, Observation, Seen, Step, letter};
use crate::said::Said;
use crate::scenario::experiment::{Experiment, Subject};
use crate::scenario::run::verdict::Verdict;

/// One line below the head, and no other.
pub(super) const RULED: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// One execution at the gate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Witness {
    /// What was run.
    #[serde(flatten)]
    pub subject: Subject,
    /// The schedule, to be run again.
    pub token: String,
    /// The outcome.
    pub verdict: Verdict,
    /// How often the next step belonged to another process.
    pub switches: usize,
    /// Switches away from a process that could have gone on.
    pub preemptions: usize,
    /// Where the promise was broken.
    pub broken: Option<Broken>,
    /// The processes, in the order of their letters.
    pub processes: Vec<ProcessView>,
    /// What happened, in order.
    pub steps: Vec<StepView>,
}

/// Where a promise was broken.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Broken {
    /// The number of the step, counted from 1; one more than there are if no process can go on.
    pub step: usize,
    /// How.
    pub how: Said,
}

/// One process of an execution.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProcessView {
    /// What it is.
    #[serde(default)]
    pub role: String,
    /// Its letter.
    pub name: char,
    /// Its PID in the execution that is shown.
    pub pid: Pid,
    /// The step at which it waits for ever.
    pub stuck_at: Option<String>,
}

/// One step of an execution.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// Whose step it is.
    pub process: char,
    /// What the scenario calls it.
    pub name: String,
    /// What it touches.
    pub resource: String,
    /// How: `read`, `write`, `acquire` or `release`.
    #[schemars(with = "String")]
    pub access: Access,
    /// The process was killed here, before the operation.
    pub killed: bool,
    /// What it read or wrote.
    pub saw: String,
    /// What it saw, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
    /// The same for programs, as the scenario encodes it in JSON; absent if no verdict depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<String>,
    /// The process has no further steps.
    pub ended: bool,
    /// The locks that went with its early end.
    pub released: Vec<String>,
}

/// A file does not hold a schedule of this program.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// A step names a process that the experiment does not have.
    #[error("step {step} belongs to `{process}`, and the processes are A to {last}")]
    Process {
        /// The number of the step.
        step: usize,
        /// What it names.
        process: char,
        /// The last process.
        last: char,
    },
    /// A step has a name that does not occur.
    #[error("step {step} is called `{name}`, and {scenario} has only {known}")]
    Step {
        /// The number of the step.
        step: usize,
        /// What it names.
        name: String,
        /// The scenario.
        scenario: String,
        /// The steps that there are.
        known: String,
    },
    /// A step holds a fact that no step can tell.
    #[error("step {step} holds a fact of more than {} bytes", Observation::MAX)]
    Fact {
        /// The number of the step.
        step: usize,
    },
    /// It is too long.
    #[error("it has more than {MAX_STEPS} steps")]
    TooLong,
}

impl Witness {
    /// The execution in words: what was run, the table of its steps, the verdict.
    pub fn text(&self, width: u16) -> String {
        let Subject { scenario, options, .. } = &self.subject;
        format!("{scenario} {options}\n{}verdict: {}\n", self.table(width), self.verdict)
    }

    /// Describes an execution of `experiment` by processes with these PIDs.
    pub fn new(
        experiment: &dyn Experiment,
        trace: &Trace,
        verdict: Verdict,
        pids: &[Pid],
        broken: Option<(usize, Said)>,
    ) -> Self {
        let cost = Cost::of(trace);
        let processes = trace.stuck.iter().zip(pids).zip(experiment.roles()).enumerate();
        Self {
            subject: experiment.subject(),
            token: Token::new(&experiment.code(), &trace.events).to_string(),
            verdict,
            switches: cost.switches,
            preemptions: cost.preemptions,
            broken: broken.map(|(position, how)| Broken { step: position + 1, how }),
            processes: processes
                .map(|(process, ((stuck, pid), role))| ProcessView {
                    role: role.to_owned(),
                    name: letter(process),
                    pid: *pid,
                    stuck_at: stuck.as_ref().map(Step::to_string),
                })
                .collect(),
            steps: trace.events.iter().map(|event| StepView::new(event, experiment)).collect(),
        }
    }

    /// The events, to be compared with those of another execution.
    ///
    /// # Errors
    /// [`WitnessError`]: a file may say anything.
    pub fn events(&self, processes: usize, known: &[&str]) -> Result<Vec<Event>, WitnessError> {
        if self.steps.len() > MAX_STEPS {
            return Err(WitnessError::TooLong);
        }
        let mut events = Vec::new();
        for (position, view) in self.steps.iter().enumerate() {
            let step = position + 1;
            let process = (0..processes.min(MAX_PROCESSES)).find(|process| letter(*process) == view.process);
            let last = letter(processes.saturating_sub(1));
            let process = process.ok_or(WitnessError::Process { step, process: view.process, last })?;
            if !known.contains(&view.name.as_str()) {
                return Err(WitnessError::Step {
                    step,
                    name: view.name.clone(),
                    scenario: self.subject.scenario.clone(),
                    known: known.join(", "),
                });
            }
            let fact = view.fact.clone().unwrap_or_default();
            if fact.len() > Observation::MAX {
                return Err(WitnessError::Fact { step });
            }
            let choice = Choice { process: process as u32, kill: view.killed };
            let step = Step::new(&view.name, &view.resource, view.access);
            let seen = Seen { text: view.saw.clone(), observation: Observation::new(fact) };
            let mut event = Event::new(choice, step, seen.into());
            event.released = view.released.iter().map(|lock| Label::new(lock)).collect();
            event.ended = view.ended;
            events.push(event);
        }
        Ok(events)
    }

    /// The table, at most `width` columns wide.
    pub fn table(&self, width: u16) -> String {
        let mut table = Table::new();
        table.load_style(RULED);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        let heads = self
            .processes
            .iter()
            .map(|process| format!("{} {} (PID {})", process.role, process.name, process.pid));
        table.set_header(std::iter::once("step".to_owned()).chain(heads));
        for (position, step) in self.steps.iter().enumerate() {
            let broken = self.broken.as_ref().is_some_and(|broken| broken.step == position + 1);
            let mark = if broken { " ✗" } else { "" };
            let cells = self
                .processes
                .iter()
                .map(|process| if process.name == step.process { step.to_string() } else { String::new() });
            table.add_row(std::iter::once(format!("{}{mark}", position + 1)).chain(cells));
        }
        if self.processes.iter().any(|process| process.stuck_at.is_some()) {
            let cells = self.processes.iter().map(|process| {
                process.stuck_at.as_ref().map_or(String::new(), |step| format!("waits at {step} for ever"))
            });
            table.add_row(std::iter::once("✗".to_owned()).chain(cells));
        }
        // No column is padded to its end: a line holds what it says.
        let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        let mut text = lines.join("\n");
        text.push('\n');
        if let Some(broken) = &self.broken {
            let place = if broken.step <= self.steps.len() {
                format!("✗ step {}: ", broken.step)
            } else {
                "✗ ".to_owned()
            };
            text.push_str(&format!("{place}{}\n", broken.how));
        }
        text
    }
}

impl StepView {
    /// The step of an event of `experiment`.
    pub fn new(event: &Event, experiment: &dyn Experiment) -> Self {
        Self {
            process: letter(event.choice.index()),
            name: event.step.name.to_string(),
            resource: event.step.resource.to_string(),
            access: event.step.access,
            killed: event.choice.kill,
            saw: event.seen.clone(),
            said: experiment.said(event),
            fact: (!event.observation.is_empty()).then(|| event.observation.as_str().to_owned()),
            ended: event.ended,
            released: event.released.iter().map(Label::to_string).collect(),
        }
    }
}

impl std::fmt::Display for StepView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.killed {
            write!(f, "✝ killed before {}", self.name)
        } else if self.saw.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}: {}", self.name, self.saw)
        }
    }
}
