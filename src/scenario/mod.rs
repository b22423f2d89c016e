//! What is run: bodies that are written once, and run free or at the gate.

/// A child evaluates, and the answer comes out of a queue.
pub mod eval;
/// What can be explored.
pub mod experiment;
/// Putting into a full queue blocks.
pub mod full;
/// Lessons about the life of processes.
pub mod life;
/// Producers and consumers around one queue.
pub mod pipeline;
/// What every run needs.
pub mod run;
/// The ticket sale.
pub mod tickets;
/// The world in which a body acts.
pub mod world;
