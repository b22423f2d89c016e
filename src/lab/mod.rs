//! Labs: a student predicts, reality is run, and the difference is scored.
//!
//! A lab is a folder: `lab.toml` (its parts, see [`card`]), a sheet in each language, and the files that its parts run.
//! No answer is written in a lab: the truth is measured when it is needed.

/// `answers.toml`: a student's predictions.
pub mod answers;
/// Parts, points and limits: `lab.toml`.
pub mod card;
/// `lab author check`.
pub mod check;
/// Exploring a program.
pub mod explore;
/// A lab's files.
pub mod files;
/// Marking a submission.
pub mod grade;
/// The languages of sheets.
pub mod lang;
/// Programming languages.
pub mod language;
/// Loading labs.
pub mod loaded;
/// The result of marking.
pub mod mark;
/// Student programs.
pub mod program;
/// A student's progress.
pub mod progress;
/// Kinds of questions, and answers to them.
pub mod question;
/// The labs of this program.
pub mod registry;
/// Running untrusted programs within limits.
pub mod run;
/// Schedules that students type.
pub mod schedule;
/// Comparing predictions with measurements.
pub mod score;
/// The sheets.
pub mod sheet;
/// The tests of a student's program.
pub mod tested;
/// Measuring the truth.
pub mod truth;
/// The truths of one grading run.
pub mod truths;
/// Each student's own values.
pub mod variant;
/// Resolving the words of a command.
pub mod words;
/// A student's folder.
pub mod workplace;
