//! What is run: bodies that are written once, and run free or at the gate.

/// A cabinet of locks, and why each works or not.
pub mod cabinet;
/// The world at the gate.
pub mod gated;
/// The locks themselves.
pub mod locks;
/// The ticket sale.
pub mod sale;
/// The ticket sale at the gate.
pub mod sale_lab;
/// What came of a run.
pub mod verdict;
/// The world in which a body acts.
pub mod world;
