//! What is run: bodies that are written once, and run free or at the gate.
//!
//! A scenario lies in a folder of its own, and is known to all verbs by one line of [`registry::SCENARIOS`].

/// A scenario's parameters, and what can be done with them.
mod case;
/// What a scenario is.
pub mod contract;
/// A scenario that exists for tests only.
#[cfg(test)]
mod counter;
/// How a scenario is offered on the command line.
pub mod entry;
/// A child evaluates, and the answer comes out of a queue.
pub mod eval;
/// A scenario with its parameters, as the verbs see it.
pub mod experiment;
/// Putting into a full queue blocks.
pub mod full;
/// Lessons about the life of processes.
pub mod life;
/// Producers and consumers around one queue.
pub mod pipeline;
/// A line per scenario.
pub mod registry;
/// What every run needs.
pub mod run;
/// The ticket sale.
pub mod tickets;
/// The world in which a body acts.
pub mod world;
