//! From a request to a worker's order: only what is in a registry, and the command that was given.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::explore::schedule::{Token, parse_runs};
use crate::explore::step::Choice;
use crate::explore::traced::token::{self, TokenError};
use crate::explore::traced::{self, Criteria};
use crate::lab::lang::Lang;
use crate::lab::loaded::Lab;
use crate::net::demo::damage::{Damage, DamageError};
use crate::process::chain;
use crate::scenario::contract::{ParamsError, Verb};
use crate::scenario::entry::Entry;
use crate::scenario::experiment::Experiment;
use crate::scenario::registry::{find, from_code};
use crate::serve::catalogue::{chosen, matches, words};
use crate::serve::program::Program;
use crate::serve::protocol::{Chosen, Refusal, Request};

/// Kills in a schedule.
const MOST_KILLS: u8 = 3;

/// What a worker is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::serve) enum Order {
    /// Watch a command.
    Watch {
        /// The command.
        argv: Vec<String>,
        /// Whether it is a run of this program, which writes records and reports events.
        is_run: bool,
    },
    /// Let a person schedule.
    Schedule {
        /// The scenario and its parameters.
        code: String,
        /// What is decided already.
        choices: Vec<Choice>,
    },
    /// Let a person schedule the command that was given.
    ScheduleProgram {
        /// The command, in its folder.
        command: Box<traced::Command>,
        /// What is decided already: tasks by place in the tree.
        steps: Vec<String>,
        /// The options that were given with it, as they are typed.
        typed: String,
    },
    /// Execute every interleaving of that command.
    ExploreProgram {
        /// The command, in its folder.
        command: Box<traced::Command>,
        /// What is right.
        criteria: Criteria,
        /// How many processes may be killed.
        kills: usize,
    },
    /// Work on a lab.
    Lab {
        /// Its name.
        name: String,
        /// The folder of further labs.
        labs: Option<PathBuf>,
        /// The reader's language.
        lang: Lang,
    },
    /// Run both ends of a network program.
    Wire {
        /// The program's name.
        program: String,
        /// What is done to what is on the wire.
        damage: Option<Damage>,
        /// It is decided by hand.
        by_hand: bool,
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
            Order::Schedule { .. } | Order::ScheduleProgram { .. } => "schedule",
            Order::Explore { .. } | Order::ExploreProgram { .. } => "explore",
            Order::Wire { .. } => "wire",
            Order::Lab { .. } => "lab",
        }
    }

    /// Whether it is about the command that was given.
    pub(in crate::serve) fn is_of_program(&self) -> bool {
        match self {
            Order::Watch { is_run, .. } => !is_run,
            Order::ScheduleProgram { .. } | Order::ExploreProgram { .. } => true,
            Order::Schedule { .. } | Order::Explore { .. } | Order::Wire { .. } | Order::Lab { .. } => false,
        }
    }
}

/// An order with its description.
#[derive(Debug)]
pub(in crate::serve) struct Prepared {
    pub(in crate::serve) order: Order,
    /// What is run, in a line.
    pub(in crate::serve) title: String,
    /// The command line that does the same.
    pub(in crate::serve) command: String,
    /// The scenario with its options, as a form shows them.
    pub(in crate::serve) chosen: Option<Chosen>,
}

impl Prepared {
    fn new(order: Order, title: String, command: String) -> Self {
        Self { order, title, command, chosen: None }
    }
}

impl From<ParamsError> for Refusal {
    fn from(error: ParamsError) -> Self {
        match error {
            ParamsError::Usage { what, hint } => Self::BadOption { what, hint },
            ParamsError::File(error) => {
                Self::BadOption { what: chain(&*error), hint: "choose another".to_owned() }
            }
        }
    }
}

/// Makes an order of a request; `program` is the command that was given, if one was, and `labs` a folder of further labs.
pub(in crate::serve) fn prepare(
    request: Request,
    program: Option<&Program>,
    labs: Option<&Path>,
) -> Result<Prepared, Refusal> {
    let given = || program.ok_or(Refusal::NoCommand);
    match request {
        Request::Watch => {
            let argv = &given()?.argv;
            let order = Order::Watch { argv: argv.clone(), is_run: false };
            Ok(Prepared::new(order, shell(argv), format!("proclab watch -- {}", shell(argv))))
        }
        Request::ScheduleProgram { token } => schedule_program(given()?, token.as_deref()),
        Request::ExploreProgram { expect_same, expect_exit, kills } => {
            explore_program(given()?, expect_same, expect_exit, kills)
        }
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
                return Err(Refusal::NoKills { why: why.to_string() });
            }
            let (code, title, chosen) = (experiment.code(), title(&*experiment), chosen(&*experiment));
            let command = format!("proclab explore {title}");
            Ok(Prepared { order: Order::Schedule { code, choices }, title, command, chosen })
        }
        Request::Lab { name, lang } => lab(&name, lang, labs),
        Request::Wire { program, damage, cut, by_hand } => {
            wire(&program, damage.as_deref(), cut.as_deref(), by_hand)
        }
        Request::Explore { code, scenario, options, reduce, kills } => {
            let experiment = match code {
                Some(code) => by_token(&code)?.0,
                None => named(scenario.as_deref(), &options)?,
            };
            if let Some(why) = experiment.no_kills().filter(|_| kills > 0) {
                return Err(Refusal::NoKills { why: why.to_string() });
            }
            bounded(kills)?;
            let (code, title, chosen) = (experiment.code(), title(&*experiment), chosen(&*experiment));
            let reduced = if reduce { " --reduce" } else { "" };
            let killed = if kills > 0 { format!(" --kills {kills}") } else { String::new() };
            let command = format!("proclab explore {title}{reduced}{killed}");
            let order = Order::Explore { code, reduce, kills: kills.into() };
            Ok(Prepared { order, title, command, chosen })
        }
    }
}

fn run(scenario: &str, options: &Map<String, Value>) -> Result<Prepared, Refusal> {
    let entry = known(Some(scenario))?;
    let words = words(entry, Verb::Run, options)?;
    let program = std::env::current_exe().map_err(|error| Refusal::CannotStart { why: error.to_string() })?;
    let mut argv = vec![program.to_string_lossy().into_owned(), "run".to_owned(), scenario.to_owned()];
    argv.extend(["--format".to_owned(), "json".to_owned()]);
    argv.extend(words.iter().cloned());
    let mut shown = vec![scenario.to_owned()];
    shown.extend(words.into_iter().filter(|word| word != "--"));
    let title = shell(&shown);
    let command = format!("proclab run {title} --watch");
    Ok(Prepared::new(Order::Watch { argv, is_run: true }, title, command))
}

fn lab(name: &str, lang: Lang, labs: Option<&Path>) -> Result<Prepared, Refusal> {
    let lab = Lab::find(name, labs).map_err(|error| Refusal::NoSuchLab { why: error.to_string() })?;
    let title = lab.sheet(lang).title.clone();
    let order = Order::Lab { name: lab.name.clone(), labs: labs.map(Path::to_owned), lang };
    Ok(Prepared::new(order, title, format!("proclab lab work {}", lab.name)))
}

fn wire(program: &str, damage: Option<&str>, cut: Option<&str>, by_hand: bool) -> Result<Prepared, Refusal> {
    let none = || Refusal::NoSuchProgram;
    let entry = crate::net::registry::find(program).ok_or_else(none)?;
    let place =
        |text: &str| text.parse().map_err(|error: DamageError| Refusal::BadPlace { why: error.to_string() });
    let damage: Option<Damage> = damage.map(place).transpose()?;
    let cut: Option<Damage> = cut.map(place).transpose()?;
    if usize::from(damage.is_some()) + usize::from(cut.is_some()) + usize::from(by_hand) > 1 {
        return Err(Refusal::OneHarm);
    }
    let option = match (damage, cut) {
        (Some(damage), _) => format!(" --damage {damage}"),
        (_, Some(cut)) => format!(" --cut {cut}"),
        _ => String::new(),
    };
    let name = entry.name();
    let damage = damage.or(cut.map(Damage::cut));
    let order = Order::Wire { program: name.to_owned(), damage, by_hand };
    Ok(Prepared::new(order, name.to_owned(), format!("proclab net {name} demo -v --trace{option}")))
}

fn traced_command(program: &Program) -> Result<traced::Command, Refusal> {
    program.traced.clone().map_err(|why| Refusal::NotExplorable { why })
}

fn schedule_program(program: &Program, token: Option<&str>) -> Result<Prepared, Refusal> {
    let mut command = traced_command(program)?;
    let mut steps = Vec::new();
    if let Some(token) = token {
        let wrong = |error: TokenError| Refusal::OtherCommand { why: error.to_string() };
        (steps, command.facts) = token::decode(token, &command).map_err(wrong)?;
    }
    let title = shell(&program.argv);
    let line = format!("proclab explore{} -- {title}", program.typed);
    let order = Order::ScheduleProgram { command: Box::new(command), steps, typed: program.typed.clone() };
    Ok(Prepared::new(order, title, line))
}

fn bounded(kills: u8) -> Result<(), Refusal> {
    if kills > MOST_KILLS { Err(Refusal::TooManyKills { most: MOST_KILLS }) } else { Ok(()) }
}

fn explore_program(program: &Program, same: bool, exit: Option<u8>, kills: u8) -> Result<Prepared, Refusal> {
    bounded(kills)?;
    let command = traced_command(program)?;
    let criteria = Criteria { expect_same: same, expect_exit: exit.map(i32::from), ..Criteria::default() };
    let same = if same { " --expect-same" } else { "" };
    let exit = exit.map_or(String::new(), |exit| format!(" --expect-exit {exit}"));
    let killed = if kills > 0 { format!(" --kills {kills}") } else { String::new() };
    let title = shell(&program.argv);
    let line = format!("proclab explore{}{same}{exit}{killed} -- {title}", program.typed);
    let order = Order::ExploreProgram { command: Box::new(command), criteria, kills: kills.into() };
    Ok(Prepared::new(order, title, line))
}

fn known(scenario: Option<&str>) -> Result<&'static dyn Entry, Refusal> {
    let name = scenario.unwrap_or_default();
    find(name).ok_or(Refusal::NoSuchScenario)
}

fn named(scenario: Option<&str>, options: &Map<String, Value>) -> Result<Arc<dyn Experiment>, Refusal> {
    let entry = known(scenario)?;
    let words = words(entry, Verb::Explore, options)?;
    Ok(entry.experiment(Verb::Explore, &matches(entry, Verb::Explore, &words)?)?)
}

/// The experiment of a code, or of a whole token with its decisions.
fn by_token(text: &str) -> Result<(Arc<dyn Experiment>, Vec<Choice>), Refusal> {
    let short: String = text.chars().take(80).collect();
    let unknown = || Refusal::UnknownToken { token: short.clone() };
    if !text.contains('~') {
        return Ok((from_code(text).ok_or_else(unknown)?, Vec::new()));
    }
    let token: Token = text.parse().map_err(|error: crate::explore::schedule::ParseTokenError| {
        Refusal::BadToken { why: error.to_string() }
    })?;
    Ok((from_code(&token.parameters).ok_or_else(unknown)?, token.choices))
}

/// Decisions as a token has them.
pub(super) fn decisions(text: &str) -> Result<Vec<Choice>, Refusal> {
    let wrong = || Refusal::BadSchedule;
    parse_runs(text).ok().flatten().ok_or_else(wrong)
}

fn title(experiment: &dyn Experiment) -> String {
    format!("{} {}", experiment.scenario(), experiment.options())
}

/// Words quoted for a shell.
pub(super) fn shell(words: &[String]) -> String {
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

    fn asked(request: Value) -> Result<Prepared, Refusal> {
        prepare(serde_json::from_value(request).unwrap(), Some(&given()), None)
    }

    fn given() -> Program {
        let argv = vec!["sleep".to_owned(), "a b".to_owned()];
        Program { traced: Ok(traced::Command::new(argv.clone())), argv, typed: String::new() }
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
    fn a_schedule_of_another_command_is_refused() {
        let own = token::encode(&given().traced.unwrap(), ["root"], &std::collections::BTreeSet::new());
        let begin = |token: &str| asked(serde_json::json!({ "schedule-program": { "token": token } }));
        let Order::ScheduleProgram { steps, .. } = begin(&own).unwrap().order else { panic!() };
        assert_eq!(steps, ["root"]);
        assert!(begin("p~00000000~r").is_err() && begin("t2k1.no").is_err());
        let all = asked(serde_json::json!({ "explore-program": { "expect_exit": 3 } })).unwrap();
        assert_eq!(all.command, "proclab explore --expect-exit 3 -- sleep 'a b'");
    }

    #[test]
    fn the_wire_is_damaged_or_cut_where_one_says() {
        let begin = |request: Value| asked(serde_json::json!({ "wire": request }));
        let cut = begin(serde_json::json!({ "program": "sticky", "cut": "up:9" })).unwrap();
        assert_eq!(cut.command, "proclab net sticky demo -v --trace --cut up:9");
        assert!(asked(serde_json::json!({ "lab": { "name": "../../etc", "lang": "en" } })).is_err());
        for bad in [
            serde_json::json!({ "program": "nothing" }),
            serde_json::json!({ "program": "sticky", "cut": "sideways:1" }),
            serde_json::json!({ "program": "sticky", "cut": "up:1", "damage": "up:1" }),
        ] {
            assert!(begin(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_but_the_given_command_is_watched() {
        let prepared = asked(serde_json::json!("watch")).unwrap();
        assert_eq!(prepared.command, "proclab watch -- sleep 'a b'");
        assert!(prepare(Request::Watch, None, None).is_err());
        assert!(serde_json::from_value::<Request>(serde_json::json!({ "watch": ["sh"] })).is_err());
    }
}
