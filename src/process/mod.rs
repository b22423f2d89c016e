//! Processes.

pub mod command;
pub mod exit;
