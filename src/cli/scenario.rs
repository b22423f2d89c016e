//! A subcommand per scenario for each verb that takes one, generated from the registry.

use std::path::Path;

use clap::{ArgMatches, Args, Command};

use super::fault::Fault;
use crate::scenario::contract::{ParamsError, Verb};
use crate::scenario::entry::Entry;
use crate::scenario::registry::SCENARIOS;
use crate::scenario::registry::find;

/// Adds a subcommand for each scenario to which `verb` applies, with the scenario's options and the verb's own, which
/// `options` adds.
pub(super) fn offer(command: Command, verb: Verb, options: impl Fn(Command) -> Command) -> Command {
    let command = command
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand_value_name("SCENARIO")
        .subcommand_help_heading("Scenarios")
        .disable_help_subcommand(true);
    SCENARIOS.iter().fold(command, |command, entry| match entry.arguments(verb) {
        Ok(arguments) => {
            // The options set a description of their own; the scenario's replaces it.
            command.subcommand(options(arguments).about(entry.about()).max_term_width(100))
        }
        Err(_) => command,
    })
}

/// Adds the alternative to a scenario: the options of `T` and its positional `-- COMMAND …`.
pub(super) fn or_command<T: Args>(command: Command, verb: Verb) -> Command {
    let word = word(verb);
    T::augment_args(command)
        .subcommand_required(false)
        .subcommand_negates_reqs(true)
        .args_conflicts_with_subcommands(true)
        .override_usage(format!(
            "proclab {word} SCENARIO [OPTIONS]\n       proclab {word} [OPTIONS] -- COMMAND [ARGUMENTS]…"
        ))
}

/// The scenario that was named, and its options.
pub(super) fn chosen(matches: &ArgMatches) -> Result<(&'static dyn Entry, &ArgMatches), Fault> {
    matches
        .subcommand()
        .and_then(|(name, matches)| Some((find(name)?, matches)))
        .ok_or_else(|| Fault::bad_arguments("no scenario is given").hint("`proclab list` lists them"))
}

/// Why `name` is not a scenario to which `verb` applies.
pub(super) fn refusal(verb: Verb, name: &str) -> Fault {
    let (word, done) = match verb {
        Verb::Run => ("run", "run"),
        Verb::Trials => ("trials", "run in trials"),
        Verb::Explore => ("explore", "explored"),
    };
    match find(name).map(|entry| entry.arguments(verb)) {
        Some(Err(why)) => Fault::bad_arguments(format!("`{name}` cannot be {done}: {why}"))
            .hint(format!("proclab run {name}")),
        _ => {
            if is_program(name) {
                return Fault::bad_arguments(format!("there is no scenario `{name}`"))
                    .hint(format!("to {word} a program: proclab {word} -- {name} …"));
            }
            let able =
                SCENARIOS.iter().filter(|entry| entry.arguments(verb).is_ok()).map(|entry| entry.name());
            Fault::bad_arguments(format!("there is no scenario `{name}`"))
                .hint(format!("`proclab {word}` takes {}", able.collect::<Vec<_>>().join(", ")))
        }
    }
}

/// Whether a program of this name can be found.
fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path);
    if name.contains('/') {
        Path::new(name).exists()
    } else {
        folders.any(|folder| folder.join(name).is_file())
    }
}

/// The scenario that has this option.
pub(super) fn owner(verb: Verb, option: &str) -> Option<&'static str> {
    let name = option.strip_prefix("--")?.split('=').next()?;
    let has = |entry: &&dyn Entry| {
        let arguments = entry.arguments(verb);
        arguments.is_ok_and(|command| command.get_arguments().any(|arg| arg.get_long() == Some(name)))
    };
    SCENARIOS.iter().copied().find(|entry| has(entry)).map(Entry::name)
}

/// The verb as typed.
pub(super) fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Run => "run",
        Verb::Trials => "trials",
        Verb::Explore => "explore",
    }
}

/// The verb that `word` names.
pub(super) fn verb(word: &str) -> Option<Verb> {
    [Verb::Run, Verb::Trials, Verb::Explore].into_iter().find(|verb| self::word(*verb) == word)
}

/// Inconsistent options as a fault.
pub(super) fn fault(error: ParamsError) -> Fault {
    match error {
        ParamsError::Usage { what, hint } => Fault::bad_arguments(what).hint(hint),
        ParamsError::File(error) => Fault::could_not_run(&*error)
            .or_hint("a stock file contains one JSON object with a number: {\"count\": 3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_offered_by_a_verb_or_refused_by_name_with_a_reason() {
        for verb in [Verb::Run, Verb::Trials, Verb::Explore] {
            let offered = offer(Command::new(word(verb)), verb, |command| command);
            for entry in SCENARIOS {
                let is_offered = offered.find_subcommand(entry.name()).is_some();
                match entry.arguments(verb) {
                    Ok(_) => assert!(is_offered, "{}", entry.name()),
                    Err(why) => {
                        assert!(!is_offered && refusal(verb, entry.name()).to_string().contains(why));
                    }
                }
            }
        }
    }

    #[test]
    fn a_scenario_needs_one_folder_and_one_line_to_be_known_to_every_verb() {
        // `counter` is registered in tests only, by one line of `SCENARIOS`.
        let counter = find("counter").unwrap();
        for verb in [Verb::Trials, Verb::Explore] {
            let offered = offer(Command::new(word(verb)), verb, |command| command);
            let matches = offered.try_get_matches_from([word(verb), "counter", "--processes", "3"]).unwrap();
            let (entry, options) = chosen(&matches).unwrap();
            let experiment = entry.experiment(verb, options).unwrap();
            assert_eq!((entry.name(), experiment.roles().len()), (counter.name(), 3));
            let code = experiment.code();
            assert_eq!(crate::scenario::registry::from_code(&code).unwrap().options(), experiment.options());
        }
    }
}
