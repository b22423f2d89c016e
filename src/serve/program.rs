//! The command that was given on the command line: the only one that a request can start.

use crate::explore::traced;

/// A command of the user's.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The command with the folder that the explorer copies for each execution; or why it cannot be explored.
    pub traced: Result<traced::Command, String>,
    /// The options for that, as they are typed.
    pub typed: String,
}
