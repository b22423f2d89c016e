//! The scenarios as the command line sees them: one interface for all.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use clap::{ArgMatches, Command};
use schemars::Schema;
use schemars::generate::SchemaGenerator;

use super::case::Case;
use super::contract::{Act, LockCase, Params, ParamsError, Scenario, Verb};
use super::experiment::Experiment;

/// A scenario as the command line sees it.
pub trait Entry: Sync {
    /// The scenario's name.
    fn name(&self) -> &'static str;

    /// A one-line description.
    fn about(&self) -> &'static str;

    /// The argument that follows the name under `run`, for `proclab list`.
    fn operand(&self) -> &'static str {
        ""
    }

    /// Its parts, each with a description, for `proclab list`.
    fn parts(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The options of `verb`.
    ///
    /// # Errors
    /// The reason why `verb` does not apply to this scenario.
    fn arguments(&self, verb: Verb) -> Result<Command, &'static str>;

    /// The runs that the options of `run` describe.
    ///
    /// # Errors
    /// [`ParamsError`].
    fn acts(&self, matches: &ArgMatches) -> Result<Vec<Act>, ParamsError>;

    /// The experiment that the options of `verb` describe.
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

    /// The experiment with this code.
    fn parse_code(&self, code: &str) -> Option<Arc<dyn Experiment>> {
        let _ = code;
        None
    }

    /// The schema of its parameters, if it can be explored.
    fn parameters(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        let _ = generator;
        None
    }

    /// The schema of the fields that only its records have.
    fn detail(&self, generator: &mut SchemaGenerator) -> Schema;

    /// What else `explore` can show, for `proclab list`.
    fn explored(&self) -> &'static str {
        ""
    }

    /// The locks to compare, followed by the whole exercise; empty if the scenario has no locks.
    ///
    /// # Errors
    /// [`ParamsError`].
    fn locks(&self, matches: &ArgMatches) -> Result<Vec<LockCase>, ParamsError> {
        let _ = matches;
        Ok(Vec::new())
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
        // Each value has exactly one code: trailing characters and alternative spellings are rejected.
        let params = S::Params::from_code(code).filter(|params| params.code() == code)?;
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
