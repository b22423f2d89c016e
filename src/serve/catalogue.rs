//! What can be chosen on the page: the scenarios and their options, read from the same definitions as the command line.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::net::registry::PROGRAMS;
use crate::scenario::contract::{ParamsError, Verb};
use crate::scenario::entry::Entry;
use crate::scenario::experiment::Experiment;
use crate::scenario::registry::{SCENARIOS, find};
use crate::serve::protocol::Chosen;

/// What the page can offer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Catalogue {
    /// The version of the protocol.
    pub(super) version: u32,
    /// The version of this program.
    pub(super) program: &'static str,
    /// The scenarios.
    pub(super) scenarios: Vec<ScenarioView>,
    /// The network programs, each with what it shows.
    pub(super) programs: Vec<(&'static str, &'static str)>,
    /// The command that was given on the command line, which can be watched.
    pub(super) command: Option<Vec<String>>,
    /// The students' addresses, if there is a class.
    pub(super) class: Option<Vec<String>>,
    /// The first of these as a QR code: a row of `0` and `1` per line.
    pub(super) qr: Option<Vec<String>>,
}

/// A scenario.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ScenarioView {
    name: &'static str,
    about: &'static str,
    /// Its lessons, each with its question.
    parts: Vec<(&'static str, String)>,
    /// The options of a run.
    run: Option<Vec<OptionView>>,
    /// The options of an exploration, or of a schedule; absent where nothing races.
    explore: Option<Vec<OptionView>>,
}

/// An option.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OptionView {
    /// Its name, without the dashes.
    name: String,
    help: String,
    /// `flag`, `choice`, `text`.
    kind: &'static str,
    /// What can be chosen, each with its meaning.
    values: Vec<(String, String)>,
    default: Option<String>,
    required: bool,
    /// What stands for the value in a usage line, as `N`.
    unit: Option<String>,
}

/// Whether an option names a file; the page offers none of these.
fn names_a_file(arg: &Arg) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().any(|name| matches!(name.as_str(), "PATH" | "FILE" | "DIR"))
}

fn is_offered(arg: &&Arg) -> bool {
    !names_a_file(arg) && !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version")
}

/// The scenarios with their options.
pub(super) fn scenarios() -> Vec<ScenarioView> {
    let options = |entry: &dyn Entry, verb| {
        let command = entry.arguments(verb).ok()?;
        Some(command.get_arguments().filter(is_offered).map(option).collect())
    };
    let view = |entry: &&'static dyn Entry| ScenarioView {
        name: entry.name(),
        about: entry.about(),
        parts: entry.parts(),
        run: options(*entry, Verb::Run),
        explore: options(*entry, Verb::Explore),
    };
    SCENARIOS.iter().map(view).collect()
}

/// The network programs.
pub(super) fn programs() -> Vec<(&'static str, &'static str)> {
    PROGRAMS.iter().map(|entry| (entry.name(), entry.about())).collect()
}

fn option(arg: &Arg) -> OptionView {
    let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
    let values: Vec<(String, String)> = if is_flag {
        Vec::new()
    } else {
        let value = |value: clap::builder::PossibleValue| {
            (value.get_name().to_owned(), value.get_help().map(ToString::to_string).unwrap_or_default())
        };
        arg.get_possible_values().into_iter().map(value).collect()
    };
    OptionView {
        name: name_of(arg),
        help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        kind: match (is_flag, values.is_empty()) {
            (true, _) => "flag",
            (false, false) => "choice",
            (false, true) => "text",
        },
        values,
        default: arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned()),
        required: arg.is_required_set(),
        unit: arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string),
    }
}

fn name_of(arg: &Arg) -> String {
    arg.get_long().map_or_else(|| arg.get_id().to_string(), str::to_owned)
}

/// The longest value of an option.
const LONGEST: usize = 200;

/// The options as command-line arguments; an error if one does not exist or names a file.
pub(super) fn words(
    entry: &dyn Entry,
    verb: Verb,
    options: &Map<String, Value>,
) -> Result<Vec<String>, ParamsError> {
    let command = entry.arguments(verb).map_err(|why| ParamsError::usage(why, "choose another scenario"))?;
    let mut words = Vec::new();
    let mut operands = Vec::new();
    for (name, value) in options {
        let arg = command.get_arguments().filter(is_offered).find(|arg| name_of(arg) == *name);
        let unknown =
            || ParamsError::usage(format!("{} has no option `{name}`", entry.name()), "load the page again");
        let arg = arg.ok_or_else(unknown)?;
        let text = match value {
            Value::Bool(_) | Value::Null => String::new(),
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        if text.len() > LONGEST || text.contains(char::is_control) {
            return Err(ParamsError::usage(format!("the value of `{name}` is too long"), "shorten it"));
        }
        match (arg.get_action(), value) {
            (ArgAction::SetTrue, Value::Bool(true)) => words.push(format!("--{name}")),
            (ArgAction::SetTrue, _) => {}
            _ if text.is_empty() => {}
            _ if arg.get_long().is_some() => words.push(format!("--{name}={text}")),
            _ => operands.push(text),
        }
    }
    if !operands.is_empty() {
        words.push("--".to_owned());
        words.append(&mut operands);
    }
    parse(&command, entry, &words)?;
    Ok(words)
}

/// The options of an experiment, as the form of the page has them.
pub(super) fn chosen(experiment: &dyn Experiment) -> Option<Chosen> {
    let entry = find(experiment.scenario())?;
    let words: Vec<String> = experiment.options().split_whitespace().map(str::to_owned).collect();
    let given = matches(entry, Verb::Explore, &words).ok()?;
    let command = entry.arguments(Verb::Explore).ok()?;
    let value = |arg: &Arg| {
        let id = arg.get_id().as_str();
        (given.value_source(id) == Some(ValueSource::CommandLine)).then(|| match arg.get_action() {
            ArgAction::SetTrue => Value::Bool(true),
            _ => given.get_raw(id).and_then(|mut all| all.next()).map(|one| one.to_string_lossy()).into(),
        })
    };
    let options =
        command.get_arguments().filter(is_offered).filter_map(|arg| Some((name_of(arg), value(arg)?)));
    Some(Chosen { scenario: entry.name().to_owned(), options: options.collect() })
}

/// What the options mean, as clap reads them.
pub(super) fn matches(entry: &dyn Entry, verb: Verb, words: &[String]) -> Result<ArgMatches, ParamsError> {
    let command = entry.arguments(verb).map_err(|why| ParamsError::usage(why, "choose another scenario"))?;
    parse(&command, entry, words)
}

fn parse(command: &Command, entry: &dyn Entry, words: &[String]) -> Result<ArgMatches, ParamsError> {
    let words = std::iter::once(entry.name()).chain(words.iter().map(String::as_str));
    command.clone().try_get_matches_from(words).map_err(|error| {
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        ParamsError::usage(what, "change the option")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::registry::from_code;

    fn tickets(options: Value) -> Result<Vec<String>, ParamsError> {
        let Value::Object(options) = options else { panic!() };
        words(find("tickets").unwrap(), Verb::Run, &options)
    }

    #[test]
    fn the_page_offers_what_the_command_line_takes_but_no_files() {
        let all = serde_json::to_value(scenarios()).unwrap();
        let run = all[0]["run"].as_array().unwrap();
        let names: Vec<&str> = run.iter().map(|option| option["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"buyers") && names.contains(&"lock"), "{names:?}");
        assert!(!names.contains(&"stock-file"), "{names:?}");
        assert!(all.as_array().unwrap().iter().any(|one| !one["parts"].as_array().unwrap().is_empty()));
    }

    #[test]
    fn options_become_words_and_nothing_else_does() {
        let words = tickets(serde_json::json!({ "buyers": 3, "no-search": true, "lock": "flock" })).unwrap();
        assert_eq!(words.len(), 3);
        assert!(words.contains(&"--buyers=3".to_owned()) && words.contains(&"--no-search".to_owned()));
        for bad in [
            serde_json::json!({ "stock-file": "/etc/passwd" }),
            serde_json::json!({ "format": "json" }),
            serde_json::json!({ "buyers": "3 --stock-file=/etc/passwd" }),
            serde_json::json!({ "buyers": -1 }),
            serde_json::json!({ "lock": "x".repeat(300) }),
            serde_json::json!({ "help": true }),
        ] {
            assert!(tickets(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_form_of_a_shared_link_shows_its_options_and_they_lead_to_the_same_experiment() {
        for code in ["t2k1.no.qr", "t3k2.fl"] {
            let experiment = from_code(code).unwrap();
            let chosen = chosen(&*experiment).unwrap();
            let entry = find(&chosen.scenario).unwrap();
            let words = words(entry, Verb::Explore, &chosen.options).unwrap();
            let again = entry.experiment(Verb::Explore, &matches(entry, Verb::Explore, &words).unwrap());
            assert_eq!(again.unwrap().code(), experiment.code(), "{chosen:?}");
        }
        let options = chosen(&*from_code("t2k1.no.qr").unwrap()).unwrap().options;
        assert_eq!((&options["no-search"], &options["store"]), (&Value::Bool(true), &"rename".into()));
    }

    #[test]
    fn whatever_the_catalogue_explains_is_explained_in_chinese_by_its_name() {
        const WORDS: &str = include_str!("assets/catalogue.js");
        let line = |line: &str| {
            let (name, text) = line.trim().strip_suffix(',')?.split_once(": ")?;
            Some((serde_json::from_str::<String>(name).ok()?, serde_json::from_str::<String>(text).ok()?))
        };
        let words: std::collections::BTreeMap<String, String> = WORDS.lines().filter_map(line).collect();
        let mut names: std::collections::BTreeSet<String> =
            programs().iter().map(|(name, _)| format!("net {name}")).collect();
        for scenario in scenarios() {
            let of = scenario.name;
            names.insert(of.to_owned());
            names.extend(scenario.parts.iter().map(|(part, _)| format!("{of} {part}")));
            for option in scenario.run.iter().chain(&scenario.explore).flatten() {
                let name = format!("{of} --{}", option.name);
                let explained = option.values.iter().filter(|(_, help)| !help.is_empty());
                names.extend(explained.map(|(value, _)| format!("{name}={value}")));
                names.insert(name);
            }
        }
        let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..'\u{9fff}').contains(&c));
        assert!(words.values().all(|text| is_chinese(text)), "{words:?}");
        for only_for_tests in ["counter", "counter --processes", "net ping"] {
            assert!(names.remove(only_for_tests));
        }
        let known: std::collections::BTreeSet<String> = words.into_keys().collect();
        assert_eq!(known, names, "each name has words, and there are no others");
    }
}
