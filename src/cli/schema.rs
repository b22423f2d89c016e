//! `proclab schema NAME`: the JSON schema that a view obeys.

use super::fault::Fault;
use crate::report::watch::model::WatchReport;
use crate::scenario::record::Record;
use anstream::println;
use clap::{Args, ValueEnum};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Which view
    #[arg(value_enum)]
    name: View,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum View {
    /// `proclab run … --format json`
    Run,
    /// `proclab watch … --format json`
    Watch,
}

/// Runs `proclab schema …`.
pub(crate) fn run(args: &SchemaArgs) -> ExitCode {
    let schema = match args.name {
        View::Run => schemars::schema_for!(Record),
        View::Watch => schemars::schema_for!(WatchReport),
    };
    match serde_json::to_string_pretty(&schema) {
        Ok(schema) => {
            println!("{schema}");
            ExitCode::SUCCESS
        }
        Err(error) => Fault::could_not_run(&error).report(),
    }
}
