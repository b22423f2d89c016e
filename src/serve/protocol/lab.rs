//! A lab, and the list of all labs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::lab::mark::PartMark;
use crate::lab::question::Kind;

/// A lab in the list.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct LabLine {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// How long a student needs for it.
    pub minutes: u32,
    /// The most points that answers had so far.
    pub score: f64,
    /// All points.
    pub max: u32,
    /// How many parts are right.
    pub right: usize,
    /// How many there are.
    pub parts: usize,
    /// What it needs and is not installed.
    pub missing: Vec<String>,
    /// Why it cannot be loaded.
    pub error: Option<String>,
}

/// A lab as it stands. Texts are Markdown, with the student's values.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LabView {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What comes before the first part.
    pub intro: String,
    /// How long a student needs for it.
    pub minutes: u32,
    /// Whose it is.
    pub student: String,
    /// The folder in which it is done on the command line; absent if it was not started there.
    pub folder: Option<String>,
    /// What it needs and is not installed.
    pub missing: Vec<String>,
    /// The most points that answers had so far.
    pub score: f64,
    /// All points.
    pub max: u32,
    /// The programs and data that its questions are about: names and texts.
    pub files: Vec<(String, String)>,
    /// The parts, in order.
    pub parts: Vec<LabPart>,
}

/// One part of a lab.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LabPart {
    /// Its name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The question.
    pub text: String,
    /// What kind of answer it takes.
    pub kind: Kind,
    /// The names of the options, of which `text` says what they mean.
    pub options: Vec<String>,
    /// The form of an answer, in words.
    pub form: String,
    /// What it is worth.
    pub points: u32,
    /// The most points that an answer had.
    pub best: f64,
    /// Whether all of it was right.
    pub is_right: bool,
    /// The hints that were asked for.
    pub hints: Vec<String>,
    /// How many more there are.
    pub more_hints: usize,
    /// Why it is so, once it is right.
    pub why: Option<String>,
    /// The last answer.
    pub answer: Option<String>,
    /// Of a program part, the name of the student's file.
    pub file: Option<String>,
    /// Of a program part, the student's files in the folder, as they are now.
    pub sources: Vec<LabSource>,
    /// Of a schedule part, the scenario and its parameters as a token begins.
    pub code: Option<String>,
    /// It is being measured.
    pub is_busy: bool,
    /// Why what was typed is no answer.
    pub trouble: Option<String>,
    /// What came of the answer, in words, but for the rows and the schedule of the mark.
    pub told: Vec<String>,
    /// The same as data, as `proclab lab check --format json` prints it.
    pub mark: Option<PartMark>,
}

/// A student's file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LabSource {
    /// Its name.
    pub name: String,
    /// What it says; at most 64 KiB of it.
    pub text: String,
    /// Whether it differs from the file to begin with.
    pub is_changed: bool,
    /// Whether it is the one that is marked.
    pub is_marked: bool,
}
