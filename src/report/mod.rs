//! Plain data in, bytes out: every view of a run.

/// What is observed of any program, while it runs.
pub mod live;
/// A free run, line by line and summed up.
pub mod run;
/// What was observed of any program.
pub mod watch;
