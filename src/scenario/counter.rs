//! A scenario for tests. It shows that a scenario needs one file and one line in the registry.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Act, History, ParamsError, Scenario, Verb};
use super::run::verdict::Verdict;
use super::world::{Access, Seen, Step, World};
use crate::explore::engine::Trace;
use crate::said::Said;

/// Processes that each add one to a number in a file.
#[derive(Debug)]
pub(crate) struct Counter;

#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Params {
    /// How many processes there are
    #[arg(long, default_value_t = 2)]
    processes: usize,
}

impl super::contract::Params for Params {
    fn code(&self) -> String {
        format!("counter{}", self.processes)
    }

    fn from_code(code: &str) -> Option<Params> {
        Some(Params { processes: code.strip_prefix("counter")?.parse().ok()? })
    }

    fn options(&self) -> String {
        format!("--processes {}", self.processes)
    }
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
    const ABOUT: &'static str = "processes that each add one to a number in a file";
    const STEPS: &'static [&'static str] = &["read", "write"];
    type Params = Params;
    type Resources = PathBuf;
    type Share = PathBuf;
    type Tools = PathBuf;
    type End = ();
    type Detail = Params;

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

    fn broken_at(_: &Params, _: &Trace) -> Option<(usize, Said)> {
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
