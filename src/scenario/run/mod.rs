//! What every run needs: the gate or a stage, a record, and a verdict.

/// Processes at the gate.
pub mod gate;
/// The record of a run, as plain data.
pub mod record;
/// The stage of a free run.
pub mod stage;
/// The verdict on a run.
pub mod verdict;
