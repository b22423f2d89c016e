//! From what the page asks to what a worker does: only scenarios of the registry and the command that was given.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::explore::schedule::{Token, parse_runs};
use crate::explore::step::Choice;
use crate::scenario::contract::{ParamsError, Verb};
use crate::scenario::entry::Entry;
use crate::scenario::experiment::Experiment;
use crate::scenario::registry::{find, from_code};
use crate::scenario::run::stage::chain;
use crate::serve::catalogue::{matches, words};
use crate::serve::protocol::Request;

/// What a worker is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::serve) enum Order {
    /// Watch a command.
    Watch {
        /// The command.
        argv: Vec<String>,
        /// It is a run of this program, which writes records and tells what it does.
        is_run: bool,
    },
    /// Let a person schedule.
    Schedule {
        /// The scenario and its parameters.
        code: String,
        /// What is decided already.
        choices: Vec<Choice>,
    },
    /// Execute every interleaving.
    Explore {
        /// The scenario and its parameters.
        code: String,
        /// One schedule of each class is enough.
        reduce: bool,
        /// How many processes may be killed.
        kills: usize,
    },
}

impl Order {
    /// Its name.
    pub(in crate::serve) fn kind(&self) -> &'static str {
        match self {
            Order::Watch { .. } => "watch",
            Order::Schedule { .. } => "schedule",
            Order::Explore { .. } => "explore",
        }
    }
}

/// An order with what is said of it.
#[derive(Debug)]
pub(in crate::serve) struct Prepared {
    pub(in crate::serve) order: Order,
    /// What is run, in a line.
    pub(in crate::serve) title: String,
    /// The command line that does the same.
    pub(in crate::serve) command: String,
}

/// The request makes no sense.
#[derive(Debug)]
pub(in crate::serve) struct OrderError {
    pub(in crate::serve) what: String,
    pub(in crate::serve) hint: String,
}

impl OrderError {
    fn new(what: impl Into<String>, hint: &str) -> Self {
        Self { what: what.into(), hint: hint.to_owned() }
    }
}

impl From<ParamsError> for OrderError {
    fn from(error: ParamsError) -> Self {
        match error {
            ParamsError::Usage { what, hint } => Self { what, hint },
            ParamsError::File(error) => Self::new(chain(&*error), "choose another"),
        }
    }
}

/// Makes an order of a request.
pub(in crate::serve) fn prepare(request: Request, command: &[String]) -> Result<Prepared, OrderError> {
    match request {
        Request::Watch if command.is_empty() => {
            Err(OrderError::new("no command was given", "proclab serve -- COMMAND …"))
        }
        Request::Watch => Ok(Prepared {
            order: Order::Watch { argv: command.to_vec(), is_run: false },
            title: shell(command),
            command: format!("proclab watch -- {}", shell(command)),
        }),
        Request::Run { scenario, options } => run(&scenario, &options),
        Request::Schedule { token, scenario, options, schedule } => {
            let (experiment, mut choices) = match token {
                Some(token) => by_token(&token)?,
                None => (named(scenario.as_deref(), &options)?, Vec::new()),
            };
            if !schedule.is_empty() {
                choices = decisions(&schedule)?;
            }
            let kills = choices.iter().any(|choice| choice.kill);
            if let Some(why) = experiment.no_kills().filter(|_| kills) {
                return Err(OrderError::new(why, "leave the kills away"));
            }
            let (code, title) = (experiment.code(), title(&*experiment));
            let command = format!("proclab explore {title}");
            Ok(Prepared { order: Order::Schedule { code, choices }, title, command })
        }
        Request::Explore { code, scenario, options, reduce, kills } => {
            let experiment = match code {
                Some(code) => by_token(&code)?.0,
                None => named(scenario.as_deref(), &options)?,
            };
            if let Some(why) = experiment.no_kills().filter(|_| kills > 0) {
                return Err(OrderError::new(why, "explore it without kills"));
            }
            if kills > 3 {
                return Err(OrderError::new("at most 3 processes can be killed in a schedule", "take fewer"));
            }
            let (code, title) = (experiment.code(), title(&*experiment));
            let reduced = if reduce { " --reduce" } else { "" };
            let killed = if kills > 0 { format!(" --kills {kills}") } else { String::new() };
            let command = format!("proclab explore {title}{reduced}{killed}");
            Ok(Prepared { order: Order::Explore { code, reduce, kills: kills.into() }, title, command })
        }
    }
}

fn run(scenario: &str, options: &Map<String, Value>) -> Result<Prepared, OrderError> {
    let entry = known(Some(scenario))?;
    let words = words(entry, Verb::Run, options)?;
    let program = std::env::current_exe()
        .map_err(|error| OrderError::new(error.to_string(), "start the server again"))?;
    let mut argv = vec![program.to_string_lossy().into_owned(), "run".to_owned(), scenario.to_owned()];
    argv.extend(["--format".to_owned(), "json".to_owned()]);
    argv.extend(words.iter().cloned());
    let mut shown = vec![scenario.to_owned()];
    shown.extend(words.into_iter().filter(|word| word != "--"));
    let title = shell(&shown);
    let command = format!("proclab run {title} --watch");
    Ok(Prepared { order: Order::Watch { argv, is_run: true }, title, command })
}

fn known(scenario: Option<&str>) -> Result<&'static dyn Entry, OrderError> {
    let name = scenario.unwrap_or_default();
    find(name).ok_or_else(|| OrderError::new("there is no scenario of that name", "choose one of the list"))
}

fn named(scenario: Option<&str>, options: &Map<String, Value>) -> Result<Arc<dyn Experiment>, OrderError> {
    let entry = known(scenario)?;
    let words = words(entry, Verb::Explore, options)?;
    Ok(entry.experiment(Verb::Explore, &matches(entry, Verb::Explore, &words)?)?)
}

/// The experiment of a code, or of a whole token with its decisions.
fn by_token(text: &str) -> Result<(Arc<dyn Experiment>, Vec<Choice>), OrderError> {
    const HINT: &str = "copy it as it was printed or shown";
    let short: String = text.chars().take(80).collect();
    let unknown = || OrderError::new(format!("`{short}` is no scenario that is known here"), HINT);
    if !text.contains('~') {
        return Ok((from_code(text).ok_or_else(unknown)?, Vec::new()));
    }
    let token: Token = text.parse().map_err(|error: crate::explore::schedule::ParseTokenError| {
        OrderError::new(error.to_string(), HINT)
    })?;
    Ok((from_code(&token.parameters).ok_or_else(unknown)?, token.choices))
}

/// Decisions as a token has them.
pub(super) fn decisions(text: &str) -> Result<Vec<Choice>, OrderError> {
    let wrong = || OrderError::new("that is no schedule", "it looks like a2b3a");
    parse_runs(text).ok().flatten().ok_or_else(wrong)
}

fn title(experiment: &dyn Experiment) -> String {
    format!("{} {}", experiment.scenario(), experiment.options())
}

/// Words as a shell takes them.
fn shell(words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=./:,+@%".contains(c);
    let quoted = words.iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(request: Value) -> Result<Prepared, OrderError> {
        prepare(serde_json::from_value(request).unwrap(), &["sleep".to_owned(), "a b".to_owned()])
    }

    #[test]
    fn a_run_is_this_program_with_checked_options() {
        let request = serde_json::json!({ "run": { "scenario": "tickets", "options": { "buyers": "3" } } });
        let prepared = asked(request).unwrap();
        assert_eq!(prepared.command, "proclab run tickets --buyers=3 --watch");
        let Order::Watch { argv, is_run: true } = prepared.order else { panic!() };
        assert_eq!(argv[1..], ["run", "tickets", "--format", "json", "--buyers=3"]);
        let lesson = serde_json::json!({ "run": { "scenario": "life", "options": { "lesson": "zombie" } } });
        let Order::Watch { argv, .. } = asked(lesson).unwrap().order else { panic!() };
        assert_eq!(argv[4..], ["json", "--", "zombie"]);
    }

    #[test]
    fn a_link_leads_to_the_same_schedule_and_nonsense_to_none() {
        let request = serde_json::json!({ "schedule": { "token": "t2k1.no.qr", "schedule": "a2b" } });
        let Order::Schedule { code, choices } = asked(request).unwrap().order else { panic!() };
        assert_eq!((code.as_str(), choices.len()), ("t2k1.no.qr", 3));
        for (token, schedule) in
            [("x", ""), ("t2k1.no.qr", "a b"), ("t2k1.no.qr~ab~qqqqqq", ""), ("t2k1.no", "a99999")]
        {
            let request = serde_json::json!({ "schedule": { "token": token, "schedule": schedule } });
            assert!(asked(request).is_err(), "{token} {schedule}");
        }
    }

    #[test]
    fn nothing_but_the_given_command_is_watched() {
        let prepared = asked(serde_json::json!("watch")).unwrap();
        assert_eq!(prepared.command, "proclab watch -- sleep 'a b'");
        assert!(prepare(Request::Watch, &[]).is_err());
        assert!(serde_json::from_value::<Request>(serde_json::json!({ "watch": ["sh"] })).is_err());
    }
}
