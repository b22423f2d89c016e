//! Lessons about the life of processes: short, on real processes, each with the question that it answers. A file
//! each, and a line of `LESSONS`.

mod blocking;
mod busy;
mod daemon;
mod isolation;
mod join;
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
use super::run::record::{Event, Proof, ProofRecord, Record};
use super::run::stage::{RunError, Stage};
use crate::process::{Process, StartMethod};
use crate::wire::control::{self, Message};

/// Every lesson, in the order in which they are best taken.
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

/// The word for all lessons, one after the other.
const ALL: &str = "all";

/// A lesson.
struct Lesson {
    /// Its name on the command line.
    name: &'static str,
    /// What it is about.
    title: &'static str,
    /// What it answers.
    question: &'static str,
    /// Gives it.
    teach: fn(&mut Class<'_, '_>) -> Result<Proof, RunError>,
}

/// The entry of the registry.
#[derive(Debug)]
pub struct Life;

/// The options of `run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  proclab run life zombie\n  proclab run life all --start-method fork")]
struct LifeArgs {
    /// Which lesson; `all` gives them one after the other
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
        "short lessons about the life of processes, each with the question that it answers"
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
            Verb::Trials | Verb::Explore => {
                Err("a lesson shows one course of events, and nothing in it races")
            }
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

impl Lesson {
    /// Gives the lesson, with processes that are started by `method`. What was started is ended when the stage's
    /// supervisor ends.
    fn give(&self, method: StartMethod, mut stage: Stage<'_>) -> Result<Record, RunError> {
        let proof = (self.teach)(&mut Class { stage: &mut stage, method })?;
        let parameters = serde_json::json!({ "lesson": self.name, "start_method": method });
        Ok(stage.prove("life", parameters, proof))
    }
}

/// Where a lesson is given, and how its processes are started.
struct Class<'c, 's> {
    stage: &'c mut Stage<'s>,
    method: StartMethod,
}

impl Class<'_, '_> {
    /// A process for this lesson: whatever happens, it does not outlive this one.
    fn process<A: Message + 'static, T: Message + Send + 'static>(
        &self,
        process: Process<A, T>,
        name: &str,
    ) -> Process<A, T> {
        process.name(name).start_method(self.method).die_with_parent(true)
    }
}

/// Says something in the name of a child of the lesson; once the parent no longer listens, the child is about to end.
fn say(events: &control::Sender<Event>, what: &str, text: impl Into<String>) {
    let _ = events.send(Event::now(crate::process::current().name(), what, text));
}

/// A claim, and what was seen if it did not hold.
fn proof(claim: impl Into<String>, holds: bool, seen: impl Into<String>) -> Proof {
    Proof { claim: claim.into(), holds, seen: (!holds).then(|| seen.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lesson_asks_a_question_and_has_a_name_of_its_own() {
        let mut names: Vec<&str> = LESSONS.iter().map(|lesson| lesson.name).collect();
        assert!(LESSONS.iter().all(|lesson| lesson.question.ends_with('?') && !lesson.title.is_empty()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), LESSONS.len());
    }
}
