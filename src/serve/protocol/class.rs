//! A class that follows and votes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question to the class.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What is asked: `outcome`, `next`, or `tickets`.
    pub kind: String,
    /// What can be answered.
    pub options: Vec<String>,
}

/// What the lecturer does with the class: the body of a `POST` to `class`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClassRequest {
    /// Let the class see this.
    Look {
        /// The name of the view.
        view: String,
        /// The job that it shows.
        #[serde(default)]
        job: Option<String>,
    },
    /// Ask the class.
    Ask(Question),
    /// Take no more votes.
    Close,
    /// Show the outcome: the number of the option, or nothing if it is none of them.
    Reveal {
        /// The option's number.
        option: Option<usize>,
    },
    /// Take the question away.
    Clear,
}

/// The class as everyone sees it: the data of an event `class`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ClassView {
    /// What is looked at: the name of the view.
    pub view: Option<String>,
    /// The job that it shows.
    pub job: Option<String>,
    /// The question, with its number.
    pub question: Option<(u64, Question)>,
    /// Votes for each option; shown to students once voting is closed.
    pub votes: Option<Vec<u32>>,
    /// How many have voted.
    pub voted: u32,
    /// How many follow.
    pub followers: usize,
    /// Whether votes are taken.
    pub open: bool,
    /// The outcome, once it is known.
    pub reality: Option<Option<usize>>,
}

/// A vote: the body of a student's `POST` to `vote`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Who votes: what the event `you` said.
    pub voter: String,
    /// Which question.
    pub question: u64,
    /// Which option, counted from 0.
    pub option: usize,
}
