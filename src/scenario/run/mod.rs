//! What every run needs: where it takes place, what it leaves, and what it has to tell.

/// Processes at the gate: step by step, or let go for a trial.
pub mod gate;
/// What a run has to tell, as plain data.
pub mod record;
/// Where a free run takes place.
pub mod stage;
/// What came of a run.
pub mod verdict;
