//! The error of a replay that diverged.

use crate::cli::fault::Fault;
use crate::explore::traced::Departure;

/// The step at which the replay diverged, what was expected, what happened instead, and the likely cause.
pub(super) fn departed(departure: &Departure, changes: &[&str]) -> Fault {
    let Departure { step, task, expected, found, uncontrolled } = departure;
    let cause = if !changes.is_empty() {
        changes.join(", and ")
    } else if let Some(what) = uncontrolled.first() {
        format!("it depends on what is not under control: {what}")
    } else {
        "the program, its folder or its environment has changed since the schedule was found".to_owned()
    };
    Fault::could_not_run(&std::io::Error::other(format!(
        "the replay went another way at step {}: expected {task} at {expected}, found {found}",
        step + 1
    )))
    .hint(format!("likely cause: {cause}; explore again for a new schedule"))
}
