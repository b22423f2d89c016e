//! What exploring, trying or replaying any program showed: data for programs, and text for people.

mod differences;
mod table;
mod text;
mod trials;
mod view;

pub use trials::{TracedRate, TracedTrials};
pub use view::{
    Counts, TracedExploration, TracedFile, TracedOutcome, TracedReplay, TracedStep, TracedWait, Uncontrolled,
};
