//! The one implementation of [`Experiment`]: a scenario together with its parameters.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::contract::{Params, Scenario};
use super::experiment::{Experiment, Lab, Subject, TrialRun};
use super::run::gate::GatedRun;
use crate::explore::gate::GateError;
use crate::explore::step::Event;
use crate::said::Said;
use crate::supervisor::Supervisor;

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
        self.params.code()
    }

    fn options(&self) -> String {
        self.params.options()
    }

    fn roles(&self) -> Vec<&'static str> {
        S::roles(&self.params)
    }

    fn steps(&self) -> &'static [&'static str] {
        S::STEPS
    }

    fn said(&self, event: &Event) -> Option<Said> {
        S::said(event)
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
