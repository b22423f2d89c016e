//! Controlled schedules: decides which process runs next, and counts, shortens and replays schedules.

mod dependence;
/// One execution under a controlled scheduler.
pub mod engine;
/// Real processes, one step at a time.
pub mod gate;
mod holders;
mod point;
/// Classes of equivalent schedules, and the number of schedules in each.
pub mod reduce;
/// A schedule as a value: runs, token, checksum.
pub mod schedule;
/// Repeated executions, counted by outcome.
pub mod search;
/// The shortest schedule of a class.
pub mod shrink;
/// Confidence intervals, fairness and quantiles of trials.
pub mod statistics;
/// Steps, decisions, and the dependencies between them.
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
