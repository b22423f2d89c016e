//! Labs: a student predicts, reality is run, and the difference is scored.
//!
//! A lab is one folder: `lab.toml` (its parts, see [`card`]), a sheet in each language, and the files that its
//! parts run. Nothing that is right is written in a lab: the truth is measured when it is asked for.

/// `answers.toml`: what a student predicts.
pub mod answers;
/// Parts, points and limits: `lab.toml`.
pub mod card;
/// What `lab author check` proves.
pub mod check;
/// Every interleaving of a program.
pub mod explore;
/// A lab's files.
pub mod files;
/// A whole lab, marked.
pub mod grade;
/// The two languages.
pub mod lang;
/// Languages of programs.
pub mod language;
/// A lab as it is loaded and checked.
pub mod loaded;
/// What came of an answer.
pub mod mark;
/// Student programs.
pub mod program;
/// What a student has done, kept.
pub mod progress;
/// Kinds of questions, and answers to them.
pub mod question;
/// The labs of this program.
pub mod registry;
/// Programs that are run within bounds.
pub mod run;
/// You are the scheduler.
pub mod schedule;
/// How much of an answer is right.
pub mod score;
/// The text that a student reads.
pub mod sheet;
/// What is really so.
pub mod truth;
/// Each student's own numbers.
pub mod variant;
/// Which program a command means.
pub mod words;
/// A student's folder.
pub mod workplace;
