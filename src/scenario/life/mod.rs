//! Short lessons on real processes about the life of processes, each with the question that it answers. Each
//! lesson is a file and a line of `LESSONS`.

mod blocking;
mod busy;
mod daemon;
mod isolation;
mod join;
mod lesson;
mod non_daemon;
mod orphan;
mod parallel;
mod states;
mod terminate;
mod tree;
mod zombie;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use schemars::Schema;
use schemars::generate::SchemaGenerator;

use super::contract::{Act, Method, ParamsError, Verb};
use super::entry::Entry;
use super::run::record::ProofRecord;
use crate::process::StartMethod;
use lesson::Lesson;

/// Every lesson, in the recommended order.
static LESSONS: &[&Lesson] = &[
    &tree::LESSON,
    &isolation::LESSON,
    &join::LESSON,
    &terminate::LESSON,
    &daemon::LESSON,
    &non_daemon::LESSON,
    &zombie::LESSON,
    &orphan::LESSON,
    &states::LESSON,
    &parallel::LESSON,
    &blocking::LESSON,
];

/// The name that stands for all lessons.
const ALL: &str = "all";

/// The registry entry.
#[derive(Debug)]
pub struct Life;

/// The options of `run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  proclab run life zombie\n  proclab run life all --start-method fork")]
struct LifeArgs {
    /// Which lesson, or all of them in order
    #[arg(value_parser = lesson_names())]
    lesson: String,
    /// How the lesson's processes are started
    #[arg(long, value_enum, default_value_t = Method::Spawn)]
    start_method: Method,
}

fn lesson_names() -> PossibleValuesParser {
    let lessons = LESSONS.iter().map(|lesson| PossibleValue::new(lesson.name).help(lesson.title));
    PossibleValuesParser::new(lessons.chain([PossibleValue::new(ALL).help("All of them")]))
}

impl Entry for Life {
    fn name(&self) -> &'static str {
        "life"
    }

    fn about(&self) -> &'static str {
        "short lessons about the life of processes; each answers one question"
    }

    fn operand(&self) -> &'static str {
        "LESSON"
    }

    fn parts(&self) -> Vec<(&'static str, String)> {
        LESSONS.iter().map(|lesson| (lesson.name, lesson.question.to_owned())).collect()
    }

    fn arguments(&self, verb: Verb) -> Result<Command, &'static str> {
        match verb {
            Verb::Run => Ok(LifeArgs::augment_args(Command::new("life"))),
            Verb::Trials | Verb::Explore => Err("a lesson shows one course of events, so there is no race"),
        }
    }

    fn acts(&self, matches: &ArgMatches) -> Result<Vec<Act>, ParamsError> {
        let LifeArgs { lesson, start_method } = LifeArgs::from_arg_matches(matches)?;
        let method: StartMethod = start_method.into();
        let chosen = LESSONS.iter().copied().filter(|one| lesson == ALL || lesson == one.name);
        let act = |(nth, lesson): (usize, &'static Lesson)| Act {
            title: Some(format!("{}. {}: {}\n   {}", nth + 1, lesson.name, lesson.title, lesson.question)),
            play: Box::new(move |stage| lesson.give(method, stage)),
        };
        let mut acts: Vec<Act> = chosen.enumerate().map(act).collect();
        if let [only] = &mut acts[..] {
            only.title = None;
        }
        Ok(acts)
    }

    fn detail(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<ProofRecord>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lesson_asks_a_question_and_has_a_unique_name() {
        let mut names: Vec<&str> = LESSONS.iter().map(|lesson| lesson.name).collect();
        assert!(LESSONS.iter().all(|lesson| lesson.question.ends_with('?') && !lesson.title.is_empty()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), LESSONS.len());
    }
}
