//! The scenarios: bodies that are written once, and run free or at the gate.
//!
//! Each scenario has a folder of its own. One line in [`registry::SCENARIOS`] makes it known to all verbs.

/// The implementation of an experiment.
mod case;
/// The contract of a scenario.
pub mod contract;
/// A scenario for tests.
#[cfg(test)]
mod counter;
/// The scenarios as the command line sees them.
pub mod entry;
/// A child evaluates an expression.
pub mod eval;
/// A scenario together with its parameters.
pub mod experiment;
/// Sending to a full queue blocks.
pub mod full;
/// Lessons about the life of processes.
pub mod life;
/// Producers and consumers around a bounded queue.
pub mod pipeline;
/// The list of scenarios.
pub mod registry;
/// What every run needs: gate, stage, record, verdict.
pub mod run;
/// The ticket sale.
pub mod tickets;
/// The world in which a body acts.
pub mod world;
