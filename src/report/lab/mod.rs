//! Results of labs: as text, as a table, and in the formats of autograders.

/// A table of many students.
pub mod csv;
/// Exercism's `results.json`.
pub mod exercism;
/// Gradescope's `results.json`.
pub mod gradescope;
/// A sheet on a terminal.
pub mod page;
/// Marks for a person.
pub mod text;
/// The wording of results, in either language.
pub mod told;
