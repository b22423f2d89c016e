//! How a scenario is offered on the command line: one entry each, behind one interface.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use clap::{ArgMatches, Command, ValueEnum};
use schemars::Schema;
use schemars::generate::SchemaGenerator;

use super::experiment::{Case, Experiment};
use super::run::record::Record;
use super::run::stage::{RunError, Stage};
use super::{SCENARIOS, Scenario};
use crate::process::StartMethod;
use std::time::Duration;

/// What can be done with a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// One free run, told line by line.
    Run,
    /// Many free runs.
    Trials,
    /// Every interleaving.
    Explore,
}

/// The options make no sense together.
#[derive(Debug, thiserror::Error)]
pub enum ParamsError {
    /// They contradict each other or a bound.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What would be right.
        hint: String,
    },
    /// A file that they name does not hold what it should.
    #[error(transparent)]
    File(Box<dyn std::error::Error + Send + Sync>),
}

impl ParamsError {
    /// The options make no sense, and what would.
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: hint.into() }
    }
}

impl From<clap::Error> for ParamsError {
    fn from(error: clap::Error) -> Self {
        Self::usage(error.to_string(), "see --help")
    }
}

/// How a run is carried out on a stage.
pub type Play = Box<dyn FnOnce(Stage<'_>) -> Result<Record, RunError>>;

/// A free run that is ready to be carried out.
pub struct Act {
    /// What is said before it, if it is one of several.
    pub title: Option<String>,
    /// Carries it out.
    pub play: Play,
}

impl Act {
    /// The only one of a run.
    pub fn new(play: impl FnOnce(Stage<'_>) -> Result<Record, RunError> + 'static) -> Act {
        Act { title: None, play: Box::new(play) }
    }
}

impl Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Act").field("title", &self.title).finish_non_exhaustive()
    }
}

/// A scenario as the command line sees it.
pub trait Entry: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What it is, in one line.
    fn about(&self) -> &'static str;

    /// What can follow its name under `run`, for the list.
    fn operand(&self) -> &'static str {
        ""
    }

    /// Its parts, each with what it shows; for the list.
    fn parts(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The options that `verb` takes.
    ///
    /// # Errors
    /// Why the verb has no meaning here.
    fn arguments(&self, verb: Verb) -> Result<Command, &'static str>;

    /// The runs that the options of `run` say.
    ///
    /// # Errors
    /// [`ParamsError`].
    fn acts(&self, matches: &ArgMatches) -> Result<Vec<Act>, ParamsError>;

    /// The experiment that the options of `verb` say.
    ///
    /// # Errors
    /// [`ParamsError`].
    fn experiment(&self, verb: Verb, matches: &ArgMatches) -> Result<Arc<dyn Experiment>, ParamsError> {
        let _ = (verb, matches);
        Err(ParamsError::usage(
            format!("{} can only be run", self.name()),
            format!("proclab run {}", self.name()),
        ))
    }

    /// The experiment that has this code.
    fn parse_code(&self, code: &str) -> Option<Arc<dyn Experiment>> {
        let _ = code;
        None
    }

    /// The schema of its parameters, if it can be explored.
    fn parameters(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        let _ = generator;
        None
    }

    /// The schema of what only its records hold.
    fn detail(&self, generator: &mut SchemaGenerator) -> Schema;

    /// What else `explore` shows of it, for the list.
    fn explored(&self) -> &'static str {
        ""
    }

    /// Its locks, to be compared, and last the whole exercise; empty if it has none.
    ///
    /// # Errors
    /// [`ParamsError`].
    fn locks(&self, matches: &ArgMatches) -> Result<Vec<LockCase>, ParamsError> {
        let _ = matches;
        Ok(Vec::new())
    }
}

/// One lock of a scenario, to be compared with others.
pub struct LockCase {
    /// Its name; `None` for the whole exercise.
    pub name: Option<&'static str>,
    /// Why it works or not, in two sentences.
    pub why: &'static str,
    /// How many processes compete.
    pub buyers: usize,
    /// For how many tickets.
    pub stock: i64,
    /// Without a kill.
    pub plain: Arc<dyn Experiment>,
    /// With one.
    pub killed: Arc<dyn Experiment>,
    /// What uses of it without contention cost; none if they do not come to an end.
    pub prices: Box<dyn Fn() -> Result<Vec<Duration>, RunError>>,
}

impl Debug for LockCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockCase")
            .field("name", &self.name)
            .field("plain", &self.plain)
            .finish_non_exhaustive()
    }
}

/// The entry of a [`Scenario`].
#[derive(Debug)]
pub struct Raced<S>(PhantomData<fn() -> S>);

impl<S: Scenario> Raced<S> {
    /// The entry.
    pub const NEW: Self = Self(PhantomData);
}

impl<S: Scenario> Entry for Raced<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn about(&self) -> &'static str {
        S::ABOUT
    }

    fn arguments(&self, verb: Verb) -> Result<Command, &'static str> {
        S::arguments(verb)
    }

    fn acts(&self, matches: &ArgMatches) -> Result<Vec<Act>, ParamsError> {
        Ok(vec![S::act(matches)?])
    }

    fn experiment(&self, verb: Verb, matches: &ArgMatches) -> Result<Arc<dyn Experiment>, ParamsError> {
        Ok(Arc::new(Case::<S>::new(S::params(verb, matches)?)))
    }

    fn parse_code(&self, code: &str) -> Option<Arc<dyn Experiment>> {
        // One code for one value: nothing is left over, and nothing is written in two ways.
        let params = S::from_code(code).filter(|params| S::code(params) == code)?;
        Some(Arc::new(Case::<S>::new(params)))
    }

    fn parameters(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<S::Params>())
    }

    fn detail(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<S::Detail>()
    }

    fn explored(&self) -> &'static str {
        S::EXPLORED
    }

    fn locks(&self, matches: &ArgMatches) -> Result<Vec<LockCase>, ParamsError> {
        S::locks(matches)
    }
}

/// The scenario of this name.
pub fn find(name: &str) -> Option<&'static dyn Entry> {
    SCENARIOS.iter().copied().find(|entry| entry.name() == name)
}

/// The experiment of which a token says this code.
pub fn from_code(code: &str) -> Option<Arc<dyn Experiment>> {
    SCENARIOS.iter().find_map(|entry| entry.parse_code(code))
}

/// How processes are started, as an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// A fresh copy of the executable
    Spawn,
    /// A copy of the parent's memory
    Fork,
    /// Forked from a small server
    Forkserver,
}

impl From<Method> for StartMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Spawn => StartMethod::Spawn,
            Method::Fork => StartMethod::Fork,
            Method::Forkserver => StartMethod::ForkServer,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    //! A scenario that exists for tests only: it is one module, and one line of the registry.

    use std::fs;
    use std::io;
    use std::path::{Path, PathBuf};

    use clap::{Args, FromArgMatches};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::explore::engine::Trace;
    use crate::scenario::History;
    use crate::scenario::run::verdict::Verdict;
    use crate::scenario::world::{Access, Seen, Step, World};

    /// Processes that add one to a number in a file.
    #[derive(Debug)]
    pub(crate) struct Counter;

    #[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Params {
        /// How many processes there are
        #[arg(long, default_value_t = 2)]
        processes: usize,
    }

    struct Number(i64);

    impl Seen for Number {
        fn seen(&self) -> String {
            self.0.to_string()
        }
    }

    fn number(path: &Path) -> io::Result<Number> {
        Ok(Number(fs::read_to_string(path)?.parse().map_err(io::Error::other)?))
    }

    impl Scenario for Counter {
        const NAME: &'static str = "counter";
        const ABOUT: &'static str = "processes add one to a number in a file";
        const STEPS: &'static [&'static str] = &["read", "write"];
        type Params = Params;
        type Resources = PathBuf;
        type Share = PathBuf;
        type Tools = PathBuf;
        type End = ();
        type Detail = Params;

        fn code(params: &Params) -> String {
            format!("counter{}", params.processes)
        }

        fn from_code(code: &str) -> Option<Params> {
            Some(Params { processes: code.strip_prefix("counter")?.parse().ok()? })
        }

        fn options(params: &Params) -> String {
            format!("--processes {}", params.processes)
        }

        fn roles(params: &Params) -> Vec<&'static str> {
            vec!["counter"; params.processes]
        }

        fn open(_: &Params, dir: &Path) -> io::Result<PathBuf> {
            Ok(dir.join("number"))
        }

        fn share(_: &Params, path: &PathBuf, _: usize) -> io::Result<PathBuf> {
            Ok(path.clone())
        }

        fn unpack(_: &Params, path: PathBuf, _: usize) -> io::Result<PathBuf> {
            Ok(path)
        }

        fn reset(_: &Params, path: &PathBuf) -> io::Result<()> {
            fs::write(path, "0")
        }

        fn body<W: World>(world: &mut W, _: &Params, path: &PathBuf, _: usize) -> io::Result<()> {
            let read = Step { name: "read", resource: "number", access: Access::Read };
            let write = Step { name: "write", resource: "number", access: Access::Write };
            let Number(found) = world.step(read, || number(path))?;
            world.step(write, || fs::write(path, (found + 1).to_string()).map(|()| Number(found + 1)))?;
            Ok(())
        }

        fn judge(params: &Params, path: &PathBuf, _: History<'_, ()>) -> io::Result<Verdict> {
            let all = number(path)?.0 == params.processes as i64;
            Ok(if all { Verdict::Ok } else { Verdict::LostUpdate })
        }

        fn broken_at(_: &Params, _: &Trace) -> Option<(usize, String)> {
            None
        }

        fn state(_: &Params, path: &PathBuf) -> Vec<(&'static str, String)> {
            vec![("number", number(path).map_or_else(|error| error.to_string(), |number| number.seen()))]
        }

        fn arguments(verb: Verb) -> Result<Command, &'static str> {
            match verb {
                Verb::Run => Err("it exists for tests"),
                Verb::Trials | Verb::Explore => Ok(Params::augment_args(Command::new("counter"))),
            }
        }

        fn params(_: Verb, matches: &ArgMatches) -> Result<Params, ParamsError> {
            Ok(Params::from_arg_matches(matches)?)
        }

        fn act(_: &ArgMatches) -> Result<Act, ParamsError> {
            Err(ParamsError::usage("it exists for tests", "explore it"))
        }
    }

    #[test]
    fn nonsense_is_no_code() {
        let nonsense =
            ["", "t", "t2", "t2k1", "t2k1.zz", "t02k1.no", "t27k1.no", "t2k1.no.x", "t2k1.no.", "x2k1.no"];
        for code in nonsense {
            assert!(from_code(code).is_none(), "{code}");
        }
        assert_eq!(from_code("p1.2.2.1.1").unwrap().scenario(), "pipeline");
    }

    #[test]
    fn no_two_scenarios_share_a_name() {
        let mut names: Vec<&str> = SCENARIOS.iter().map(|entry| entry.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SCENARIOS.len());
    }
}
