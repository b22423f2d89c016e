//! Labs: a table of all, one that is marked, and the forms that autograders read.

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
/// Facts in words, in either language.
pub mod told;
