//! `proclab schema NAME`: the JSON schema of a view.

use super::fault::Fault;
use super::output;
use crate::lab::mark::LabMark;
use crate::report::bench::Bench;
use crate::report::cabinet::Cabinet;
use crate::report::exploration::Exploration;
use crate::report::net::Demos;
use crate::report::traced::{TracedExploration, TracedReplay, TracedTrials};
use crate::report::trials::{Sweep, Trials};
use crate::report::watch::model::WatchReport;
use crate::report::witness::Witness;
use crate::scenario::run::record::Record;
use clap::{Args, ValueEnum};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  proclab schema run > run.schema.json")]
pub(crate) struct SchemaArgs {
    /// Which view
    #[arg(value_enum)]
    name: View,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum View {
    /// `proclab run … --format json`
    Run,
    /// `proclab trials … --format json`
    Trials,
    /// `proclab trials … --sweep … --format json`
    Sweep,
    /// `proclab explore … --format json`
    Explore,
    /// `proclab explore … --cabinet --format json`
    Cabinet,
    /// `proclab replay … --format json`
    Replay,
    /// `proclab watch … --format json`
    Watch,
    /// `proclab bench … --format json`
    Bench,
    /// `proclab lab check … --format json`, `proclab lab grade … --format json`
    Lab,
    /// `proclab net … demo --format json`
    Net,
    /// A message of `proclab serve`
    #[cfg(feature = "serve")]
    Serve,
}

/// The schema of a view that a scenario or a program after `--` can produce.
fn either<Scenario: JsonSchema, Program: JsonSchema>() -> Schema {
    let mut generator = SchemaSettings::default().into_generator();
    let any = [generator.subschema_for::<Scenario>(), generator.subschema_for::<Program>()];
    let definitions = generator.take_definitions(true);
    schemars::json_schema!({
        "$schema": generator.settings().meta_schema,
        "anyOf": any,
        "$defs": definitions,
    })
}

/// Runs `proclab schema …`.
pub(crate) fn run(args: &SchemaArgs) -> ExitCode {
    let schema = match args.name {
        View::Run => schemars::schema_for!(Record),
        View::Trials => either::<Trials, TracedTrials>(),
        View::Sweep => schemars::schema_for!(Sweep),
        View::Explore => either::<Exploration, TracedExploration>(),
        View::Cabinet => schemars::schema_for!(Cabinet),
        View::Replay => either::<Witness, TracedReplay>(),
        View::Bench => schemars::schema_for!(Bench),
        View::Lab => schemars::schema_for!(LabMark),
        View::Net => schemars::schema_for!(Demos),
        #[cfg(feature = "serve")]
        View::Serve => schemars::schema_for!(crate::serve::protocol::Message),
        View::Watch => schemars::schema_for!(WatchReport),
    };
    let text = serde_json::to_string_pretty(&schema).map_err(|error| Fault::could_not_run(&error));
    match text.and_then(|text| output::write(&format!("{text}\n"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => fault.report(),
    }
}
