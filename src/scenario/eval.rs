//! A child evaluates an expression, and its parent receives the answer through a queue. Only arithmetic is
//! accepted: the child never runs code.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::contract::{Act, Method, ParamsError, Verb};
use super::entry::Entry;
use super::run::record::{Detail, Event, Line, Record, Summary};
use super::run::stage::{RunError, Stage};
use super::run::verdict::Verdict;
use crate::observe::notes::{Fact, Message};
use crate::process::{Process, StartMethod};
use crate::queue::{Sender, bounded};
use crate::wire::control;

/// The capacity of the queue.
pub const CAPACITY: usize = 5;
/// The stack size that the most deeply nested expression needs, in bytes.
const STACK: usize = 16 << 20;
/// The maximum length of an expression, in bytes.
pub const LONGEST: usize = 1000;

/// The registry entry.
#[derive(Debug)]
pub struct Eval;

/// The parameters of a run.
#[derive(Debug, Clone)]
struct Evaluation {
    expression: String,
    start_method: StartMethod,
}

/// The options of `run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  proclab run eval '1+2+3'\n  proclab run eval '-2*(3-4)^2' --format json"
)]
struct EvalArgs {
    /// The expression: numbers, + - * / ^ and brackets
    #[arg(allow_hyphen_values = true)]
    expression: String,
    /// How the child is started
    #[arg(long, value_enum, default_value_t = Method::Spawn)]
    start_method: Method,
}

/// The fields of an evaluation's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct EvalRecord {
    /// The answer; null if the child ended without one.
    answer: Option<Answer>,
}

impl Entry for Eval {
    fn name(&self) -> &'static str {
        "eval"
    }

    fn about(&self) -> &'static str {
        "a child evaluates an arithmetic expression and returns the answer through a queue"
    }

    fn operand(&self) -> &'static str {
        "EXPR"
    }

    fn arguments(&self, verb: Verb) -> Result<Command, &'static str> {
        match verb {
            Verb::Run => Ok(EvalArgs::augment_args(Command::new("eval"))),
            Verb::Trials | Verb::Explore => Err("one child answers one parent, so there is no race"),
        }
    }

    fn acts(&self, matches: &ArgMatches) -> Result<Vec<Act>, ParamsError> {
        let EvalArgs { expression, start_method } = EvalArgs::from_arg_matches(matches)?;
        let evaluation = Evaluation { expression, start_method: start_method.into() };
        Ok(vec![Act::new(move |stage| evaluation.run(stage))])
    }

    fn detail(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<EvalRecord>()
    }
}

/// The child's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The value, if the expression has one.
    pub value: Option<f64>,
    /// Why it has none.
    pub error: Option<String>,
}

impl Evaluation {
    /// Starts the child and receives its answer.
    ///
    /// # Errors
    /// [`RunError`].
    fn run(&self, mut stage: Stage<'_>) -> Result<Record, RunError> {
        let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
        let (sender, answers) = bounded(CAPACITY).map_err(RunError::queue)?;
        let child = Process::new(evaluate)
            .args((self.expression.clone(), sender, events))
            .name("evaluator")
            .start_method(self.start_method)
            .die_with_parent(true);
        let child = stage.supervisor.start(child)?;
        stage.say("wait", format!("waits for the answer from Queue({CAPACITY})"));
        stage.listen(&incoming)?;
        let answer = answers.recv().ok();
        if answer.is_some() {
            stage.say_fact("get", "receives the answer", Fact::Taken(message()));
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
            summary: summary(answer.as_ref()),
            detail: Detail::of(&EvalRecord { answer }),
            verdict,
        })
    }
}

fn summary(answer: Option<&Answer>) -> Summary {
    let said = match answer.and_then(|answer| answer.value) {
        Some(value) => Say::Value { value },
        None => Say::NoAnswer,
    };
    Summary { table: None, lines: vec![Line::Text(said.into())] }
}

sentences! {
    /// How an evaluation ended.
    enum Say {
        Value { value: f64 } => "{value}", "{value}";
        NoAnswer =>
            "the child ended before it put its answer into the queue", "子进程还没有把答案放入队列就结束了";
    }
}

/// The only message.
fn message() -> Message {
    Message { queue: "answers".to_owned(), sender: "evaluator".to_owned(), number: 0 }
}

/// The body of the child.
fn evaluate(expression: String, answers: Sender<Answer>, events: control::Sender<Event>) {
    let name = crate::process::current().name().to_owned();
    let answer = match on_large_stack(&expression) {
        Ok(value) => Answer { value: Some(value), error: None },
        Err(error) => Answer { value: None, error: Some(error) },
    };
    let text = match (&answer.value, &answer.error) {
        (Some(value), _) => format!("{} is {value}; puts it into the queue", shown(&expression)),
        (_, error) => format!("{}; puts that into the queue", error.as_deref().unwrap_or("no value")),
    };
    let _ = events.send(Event::now(&name, "put", text).with_fact(Fact::Put(message())));
    // If the parent no longer receives, the kernel is about to end this process with its parent.
    let _ = answers.send(answer);
}

/// The expression, shortened to fit a line.
fn shown(expression: &str) -> String {
    const MOST: usize = 60;
    match expression.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &expression[..end]),
        None => expression.to_owned(),
    }
}

/// The value, computed on a stack of known size: a small `ulimit -s` is not enough for a deep expression.
fn on_large_stack(expression: &str) -> Result<f64, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let thread = thread.spawn_scoped(scope, || value_of(expression));
        match thread {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err("the evaluation panicked".to_owned())),
            // At the limit of threads, use the current stack.
            Err(_) => value_of(expression),
        }
    })
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
    fn only_arithmetic_is_evaluated() {
        assert_eq!(value_of("1+2+3"), Ok(6.0));
        assert_eq!(value_of("2*(3+4)"), Ok(14.0));
        for bad in ["", "1+", "(", "1/0", "__import__('os')", "x + 1"] {
            assert!(value_of(bad).is_err(), "{bad}");
        }
        assert!(value_of(&"1+".repeat(10_000)).is_err());
    }
}
