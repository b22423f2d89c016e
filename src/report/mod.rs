//! Plain data in, bytes out: every view of a run.

/// This library and its peers side by side.
pub mod bench;
/// All locks side by side.
pub mod cabinet;
/// Values with intervals over categories, drawn as SVG.
mod chart;
/// What an exploration found.
pub mod exploration;
/// Labs, marked.
pub mod lab;
/// What is observed of any program, while it runs.
pub mod live;
/// The demos of network programs.
pub mod net;
/// A free run, line by line and summed up.
pub mod run;
/// What an exploration of any program found.
pub mod traced;
/// What many free runs showed.
pub mod trials;
/// What was observed of any program.
pub mod watch;
/// One execution, a column for each process.
pub mod witness;
