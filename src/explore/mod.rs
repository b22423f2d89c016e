//! Controlled schedules: which process goes on is decided, counted, shortened and repeated.

/// One execution under a controlled scheduler, and the rules of the game.
pub mod engine;
/// Real processes, a step at a time.
pub mod gate;
mod holders;
/// Classes of equivalent schedules, and how many schedules each holds.
pub mod reduce;
/// A schedule as a value: runs, token, checksum.
pub mod schedule;
/// Execution after execution, counted by outcome.
pub mod search;
/// Which witness is the shortest.
pub mod shrink;
/// Intervals, fairness and quantiles of trials.
pub mod statistics;
/// Steps, decisions, and which of them depend on each other.
pub mod step;
/// Who goes next: depth-first, random, uniform, by priorities, or as before.
pub mod strategy;
/// Any program, unmodified, a system call at a time.
pub mod traced;

#[cfg(test)]
mod programs;
#[cfg(test)]
mod tests;
