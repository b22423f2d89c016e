//! What every run needs: a stage, a record, and a verdict.

/// Processes at the gate: step by step, or let go for a trial.
pub mod gate;
/// The record of a run, as plain data.
pub mod record;
/// The stage of a free run.
pub mod stage;
/// The verdict on a run.
pub mod verdict;
