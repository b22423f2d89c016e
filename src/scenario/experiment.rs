//! A scenario with its parameters, as the verbs see it: one interface for all scenarios.

use std::borrow::Cow;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::run::gate::{GatedRun, Lab, TrialRun};
use super::{SCENARIOS, Scenario};
use crate::explore::gate::GateError;
use crate::supervisor::Supervisor;

/// A scenario with its parameters. The same value gives the same schedules.
pub trait Experiment: Debug + Send + Sync {
    /// The scenario's name.
    fn scenario(&self) -> &'static str;

    /// The parameters in a few characters, for a token.
    fn code(&self) -> String;

    /// The parameters as one types them.
    fn options(&self) -> String;

    /// What each process is, in the order of their letters.
    fn roles(&self) -> Vec<&'static str>;

    /// The names of the steps that can occur.
    fn steps(&self) -> &'static [&'static str];

    /// Why no process may be killed; `None` if they may.
    fn no_kills(&self) -> Option<&'static str>;

    /// How much longer a trial may take than its processes work.
    fn slack(&self) -> Duration;

    /// As plain data.
    fn subject(&self) -> Subject;

    /// Its processes at the gate, in the directory `dir`, which nobody else uses.
    ///
    /// # Errors
    /// When files or memory cannot be made.
    fn gated<'s>(&self, supervisor: &'s Supervisor, dir: &Path) -> Result<Box<dyn Lab + 's>, GateError>;

    /// Its processes for trials.
    ///
    /// # Errors
    /// When files or memory cannot be made.
    fn free<'s>(&self, supervisor: &'s Supervisor, dir: &Path) -> Result<Box<dyn TrialRun + 's>, GateError>;
}

/// What was run, as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The scenario's name.
    pub scenario: String,
    /// Its parameters.
    #[serde(flatten)]
    pub parameters: Map<String, Value>,
    /// The parameters as one types them.
    #[serde(skip)]
    pub options: String,
}

/// The schema lists every scenario with its parameters.
impl JsonSchema for Subject {
    fn schema_name() -> Cow<'static, str> {
        "Subject".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = |entry: &&dyn super::registry::Entry, generator: &mut SchemaGenerator| {
            let parameters = entry.parameters(generator)?;
            let name = json_schema!({
                "type": "object",
                "properties": { "scenario": { "const": entry.name() } },
                "required": ["scenario"],
            });
            Some(json_schema!({ "allOf": [name, parameters] }))
        };
        let all: Vec<Schema> = SCENARIOS.iter().filter_map(|entry| one(entry, generator)).collect();
        json_schema!({ "oneOf": all })
    }
}

/// An [`Experiment`] of the scenario `S`.
#[derive(Debug)]
pub(super) struct Case<S: Scenario> {
    params: S::Params,
}

impl<S: Scenario> Case<S> {
    pub(super) fn new(params: S::Params) -> Self {
        Self { params }
    }
}

impl<S: Scenario> Experiment for Case<S> {
    fn scenario(&self) -> &'static str {
        S::NAME
    }

    fn code(&self) -> String {
        S::code(&self.params)
    }

    fn options(&self) -> String {
        S::options(&self.params)
    }

    fn roles(&self) -> Vec<&'static str> {
        S::roles(&self.params)
    }

    fn steps(&self) -> &'static [&'static str] {
        S::STEPS
    }

    fn no_kills(&self) -> Option<&'static str> {
        S::NO_KILLS
    }

    fn slack(&self) -> Duration {
        S::slack(&self.params)
    }

    fn subject(&self) -> Subject {
        let parameters = match serde_json::to_value(&self.params) {
            Ok(Value::Object(parameters)) => parameters,
            _ => Map::new(),
        };
        Subject { scenario: S::NAME.to_owned(), parameters, options: self.options() }
    }

    fn gated<'s>(&self, supervisor: &'s Supervisor, dir: &Path) -> Result<Box<dyn Lab + 's>, GateError> {
        Ok(Box::new(GatedRun::<S>::new(supervisor, &self.params, dir)?))
    }

    fn free<'s>(&self, supervisor: &'s Supervisor, dir: &Path) -> Result<Box<dyn TrialRun + 's>, GateError> {
        Ok(Box::new(GatedRun::<S>::free(supervisor, &self.params, dir)?))
    }
}
