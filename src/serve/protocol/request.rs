//! What the page asks for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lab::lang::Lang;
use crate::net::demo::damage::Fate;

/// What the page asks of a worker: the body of a `POST` to `jobs/ID`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Grant the process of this letter its step.
    Grant(char),
    /// Kill the process of this letter.
    Kill(char),
    /// Grant steps as long as only one process can continue.
    Continue,
    /// Take the last step back: the others are executed again.
    Undo,
    /// Begin again with these decisions.
    Schedule(String),
    /// Stop the search, which can go on later, or end the watched program.
    Stop,
    /// Go on with the search.
    Resume,
    /// End the search of a program, and report what it has found.
    Finish,
    /// Say everything that is known, for one that has read nothing.
    Whole,
    /// Decide what becomes of a piece that stands on the wire.
    Wire {
        /// Its number.
        piece: u64,
        /// What becomes of it.
        fate: Fate,
    },
    /// Hold each piece on the wire from now on.
    Hold,
    /// Let those that stand pass, and all that follow.
    LetGo,
    /// Answer a part of a lab; of a program part, check the file.
    Answer {
        /// The part.
        part: String,
        /// The answer as one types it.
        #[serde(default)]
        text: String,
    },
    /// Make the working folder of a lab, with the files to begin with.
    MakeFolder,
    /// Show the next hint of this part of a lab.
    Hint(String),
}

/// What to start: the body of a `POST` to `jobs`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// One free run, watched.
    Run {
        /// Which scenario.
        scenario: String,
        /// Its options by their names; of a lesson its name under `lesson`.
        #[serde(default)]
        options: serde_json::Map<String, serde_json::Value>,
    },
    /// The command that was given on the command line, watched.
    Watch,
    /// The command that was given, scheduled by hand.
    ScheduleProgram {
        /// The token to begin with, if any.
        #[serde(default)]
        token: Option<String>,
    },
    /// Every interleaving of the command that was given.
    ExploreProgram {
        /// All outcomes must be the same.
        #[serde(default)]
        expect_same: bool,
        /// An outcome is right if the command exits with this status.
        #[serde(default)]
        expect_exit: Option<u8>,
        /// How many processes may be killed in a schedule, at most 3.
        #[serde(default)]
        kills: u8,
    },
    /// A schedule, made by hand.
    Schedule {
        /// Which scenario and parameters: a code, or a whole token.
        #[serde(default)]
        token: Option<String>,
        /// Or the scenario by its name.
        #[serde(default)]
        scenario: Option<String>,
        /// With its options.
        #[serde(default)]
        options: serde_json::Map<String, serde_json::Value>,
        /// The decisions to begin with.
        #[serde(default)]
        schedule: String,
    },
    /// A lab.
    Lab {
        /// Its name.
        name: String,
        /// The language of its texts: `en` or `zh`.
        #[serde(default)]
        #[schemars(with = "String")]
        lang: Lang,
    },
    /// The demo of a network program: both ends, and what passes between them.
    Wire {
        /// Which program.
        program: String,
        /// Flip a bit: in byte BYTE of what each client sends (`up:BYTE`) or receives (`down:BYTE`).
        #[serde(default)]
        damage: Option<String>,
        /// Cut each connection before that byte, likewise.
        #[serde(default)]
        cut: Option<String>,
        /// Hold each piece until it is decided what becomes of it.
        #[serde(default)]
        by_hand: bool,
    },
    /// Every interleaving.
    Explore {
        /// Which scenario and parameters, as a code.
        #[serde(default)]
        code: Option<String>,
        /// Or the scenario by its name.
        #[serde(default)]
        scenario: Option<String>,
        /// With its options.
        #[serde(default)]
        options: serde_json::Map<String, serde_json::Value>,
        /// One schedule of each class is enough.
        #[serde(default)]
        reduce: bool,
        /// How many processes may be killed in a schedule, at most 3.
        #[serde(default)]
        kills: u8,
    },
}

/// What a job is, for the page: the answer to a request.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct JobView {
    /// Its number: random, and no PID.
    pub job: String,
    /// `watch`, `schedule`, `explore`, `wire` or `lab`.
    pub kind: String,
    /// What is run, in a line.
    pub title: String,
    /// Whether it is of the command that was given.
    pub program: bool,
    /// The command line that does the same.
    pub command: String,
    /// The scenario with its options, as a form shows them; null for a run, and for what is no scenario.
    pub chosen: Option<Chosen>,
}

/// A scenario and its options.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Chosen {
    /// Its name.
    pub scenario: String,
    /// The options that it is given, by name: true, or a value as it is typed.
    pub options: Map<String, Value>,
}
