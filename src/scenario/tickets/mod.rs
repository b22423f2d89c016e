//! The ticket sale: buyers race for the stock in a file.

/// What a buyer does.
pub mod body;
/// A cabinet of locks, and why each works or not.
pub mod cabinet;
/// The sale at the gate and in trials: what came of it.
pub mod judge;
/// The locks themselves.
pub mod locks;
/// The sale in a free run.
pub mod run;
