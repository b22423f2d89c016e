//! What is run: bodies that are written once, and run free or at the gate.

/// A cabinet of locks, and why each works or not.
pub mod cabinet;
/// A child evaluates, and the answer comes out of a queue.
pub mod eval;
/// What can be explored.
pub mod experiment;
/// The world of free runs that nobody listens to.
pub mod free;
/// Putting into a full queue blocks.
pub mod full;
/// The world at the gate.
pub mod gated;
/// What all experiments at the gate share.
pub mod lab;
/// Lessons about the life of processes.
pub mod life;
/// The locks themselves.
pub mod locks;
/// Producers and consumers around one queue.
pub mod pipeline;
/// Producers and consumers at the gate.
pub mod pipeline_lab;
/// What a run has to tell, as plain data.
pub mod record;
/// The ticket sale.
pub mod sale;
/// The ticket sale at the gate.
pub mod sale_lab;
/// A directory for a run.
pub mod scratch;
/// Where a free run takes place.
pub mod stage;
/// The ticket sale in a free run.
pub mod tickets;
/// The free world with an audience.
pub mod told;
/// What came of a run.
pub mod verdict;
/// The world in which a body acts.
pub mod world;
