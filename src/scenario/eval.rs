//! The first queue of the notes: a child evaluates an expression, and its parent gets the answer out of a
//! queue. Nothing but arithmetic: the child reads an expression, never a program.

use crate::observe::notes::{Fact, Message};
use crate::process::{Process, StartMethod};
use crate::queue::{Sender, bounded};
use crate::scenario::run::record::{Detail, Event, Record};
use crate::scenario::run::stage::{RunError, Stage};
use crate::scenario::run::verdict::Verdict;
use crate::wire::endpoint::pollable_channel;
use ipc_channel::ipc::IpcSender;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The queue's capacity, as in the notes.
pub const CAPACITY: usize = 5;
/// The longest expression.
pub const LONGEST: usize = 1000;

/// What is run.
#[derive(Debug, Clone)]
pub struct Eval {
    /// The expression.
    pub expression: String,
    /// How the child is started.
    pub start_method: StartMethod,
}

/// What came out of the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The value, if the expression has one.
    pub value: Option<f64>,
    /// What is wrong with it, if it has none.
    pub error: Option<String>,
}

impl Eval {
    /// Has a child evaluate, and takes the answer out of the queue.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run(&self, mut stage: Stage<'_>) -> Result<Record, RunError> {
        let (events, incoming) = pollable_channel::<Event>().map_err(RunError::os("socketpair"))?;
        let (sender, answers) = bounded(CAPACITY).map_err(RunError::queue)?;
        let child = Process::new(evaluate)
            .args((self.expression.clone(), sender, events))
            .name("evaluator")
            .start_method(self.start_method)
            .die_with_parent(true);
        let child = stage.supervisor.start(child)?;
        stage.say("wait", format!("waits for the answer out of Queue({CAPACITY})"));
        stage.listen(&incoming)?;
        let answer = answers.recv().ok();
        if answer.is_some() {
            stage.say_fact("get", "takes the answer out", Fact::Taken(message()));
        }
        stage.join(&[child.handle()])?;
        let verdict = match &answer {
            Some(Answer { value: Some(value), .. }) => {
                stage.say("end", format!("gets {value}"));
                Verdict::Ok
            }
            Some(Answer { error, .. }) => {
                return Err(RunError::Expression {
                    expression: shown(&self.expression),
                    reason: error.clone().unwrap_or_default(),
                });
            }
            None => Verdict::Crashed,
        };
        Ok(Record {
            scenario: "eval".to_owned(),
            parameters: serde_json::json!({ "expression": self.expression, "start_method": self.start_method }),
            processes: stage.processes,
            events: stage.events,
            detail: Detail::Eval { answer },
            verdict,
        })
    }
}

/// The only message.
fn message() -> Message {
    Message { queue: "answers".to_owned(), sender: "evaluator".to_owned(), number: 0 }
}

/// The child's part.
fn evaluate(expression: String, answers: Sender<Answer>, events: IpcSender<Event>) {
    let name = crate::process::current().name().to_owned();
    let answer = match value_of(&expression) {
        Ok(value) => Answer { value: Some(value), error: None },
        Err(error) => Answer { value: None, error: Some(error) },
    };
    let text = match (&answer.value, &answer.error) {
        (Some(value), _) => format!("{} is {value}; puts it into the queue", shown(&expression)),
        (_, error) => format!("{}; puts that into the queue", error.as_deref().unwrap_or("no value")),
    };
    let _ = events.send(Event::now(&name, "put", text).with_fact(Fact::Put(message())));
    // If nobody receives any more, the kernel is about to end this process with its parent.
    let _ = answers.send(answer);
}

/// As much of an expression as a line holds.
fn shown(expression: &str) -> String {
    const MOST: usize = 60;
    match expression.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &expression[..end]),
        None => expression.to_owned(),
    }
}

/// The value of an arithmetic expression.
fn value_of(expression: &str) -> Result<f64, String> {
    if expression.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let value = exmex::eval_str::<f64>(expression).map_err(|error| error.to_string())?;
    if value.is_finite() { Ok(value) } else { Err(format!("its value is {value}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_and_nothing_else() {
        assert_eq!(value_of("1+2+3"), Ok(6.0));
        assert_eq!(value_of("2*(3+4)"), Ok(14.0));
        for bad in ["", "1+", "(", "1/0", "__import__('os')", "x + 1"] {
            assert!(value_of(bad).is_err(), "{bad}");
        }
        assert!(value_of(&"1+".repeat(10_000)).is_err());
    }
}
