//! Controlled schedules: decide which process runs next, count the schedules, shorten and repeat them.

/// One execution under a controlled scheduler.
pub mod engine;
/// Real processes, one step at a time.
pub mod gate;
mod holders;
mod point;
/// Classes of equivalent schedules, and how many schedules each holds.
pub mod reduce;
/// A schedule as a value: runs, token, checksum.
pub mod schedule;
/// Repeated executions, counted by outcome.
pub mod search;
/// The shortest schedule of a class.
pub mod shrink;
/// Confidence intervals, fairness and quantiles of trials.
pub mod statistics;
/// Steps, decisions, and which of them depend on each other.
pub mod step;
/// Which task runs next: depth-first, random, uniform, by priority, or as in a recorded schedule.
pub mod strategy;
mod trace;
/// Any program, unmodified, one system call at a time.
pub mod traced;

#[cfg(test)]
mod programs;
#[cfg(test)]
mod tests;
