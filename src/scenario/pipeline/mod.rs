//! Producers and consumers around one bounded queue.

/// Producers and consumers at the gate.
pub mod body;
/// Producers and consumers in a free run.
pub mod run;
