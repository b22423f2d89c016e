//! Why a request is refused, or a worker cannot continue: a code with its values, which the page says in the reader's
//! language.

use schemars::JsonSchema;
use serde::Serialize;

/// A reason. Values that are named `why` come from the system or from a program, in English.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, JsonSchema)]
#[serde(tag = "code", content = "values", rename_all = "kebab-case")]
pub enum Refusal {
    /// Another site asks.
    #[error("this address is not for other sites")]
    OtherSite,
    /// Requests come too fast.
    #[error("too many requests")]
    TooManyRequests,
    /// The method is neither `GET` nor `POST`.
    #[error("no such method")]
    NoSuchMethod,
    /// The body's media type is another.
    #[error("a body is JSON")]
    NotJson,
    /// The body exceeds the limit.
    #[error("the body is too long")]
    BodyTooLong,
    /// The body has not come in time.
    #[error("the body does not come")]
    BodyTooSlow,
    /// The body is no request that is known.
    #[error("{why}")]
    Malformed {
        /// Where.
        why: String,
    },
    /// The server was started without a class.
    #[error("there is no class")]
    NoClass,
    /// No student can join.
    #[error("the class is full")]
    ClassFull,
    /// There is no such question, or its vote is closed.
    #[error("that question takes no votes")]
    NoVotes,
    /// There is no such option.
    #[error("the question has no such option")]
    NoSuchOption,
    /// The voter is unknown.
    #[error("only those who follow can vote")]
    NotFollowing,
    /// The question or its options are too long, or too many.
    #[error("a question has 2 to {most} options of at most {longest} characters")]
    BadQuestion {
        /// The most options.
        most: usize,
        /// The most characters of each.
        longest: usize,
    },
    /// There is no such job any more.
    #[error("that job is forgotten")]
    JobForgotten,
    /// Too many jobs are running.
    #[error("{most} jobs are running already")]
    TooManyJobs {
        /// The most.
        most: usize,
    },
    /// A worker could not be started.
    #[error("{why}")]
    CannotStart {
        /// Why not.
        why: String,
    },
    /// The job is over.
    #[error("its worker has ended")]
    WorkerEnded,
    /// The worker has not read the previous commands.
    #[error("its worker is busy with earlier commands")]
    WorkerBusy,
    /// The worker died.
    #[error("its worker was killed")]
    WorkerKilled,
    /// The worker met an error.
    #[error("{why}")]
    WorkerFailed {
        /// Which.
        why: String,
    },
    /// The server was started without a command.
    #[error("no command was given")]
    NoCommand,
    /// The command cannot be run under the explorer.
    #[error("{why}")]
    NotExplorable {
        /// Why not.
        why: String,
    },
    /// This process may not trace others.
    #[error(
        "{why}; tracing needs ptrace: allow it in the container, or set kernel.yama.ptrace_scope to 0 or 1"
    )]
    TracingRefused {
        /// What the system said.
        why: String,
    },
    /// The folder is too large to be copied for each execution.
    #[error("{why}; give the program's own folder: proclab serve --dir DIR -- …")]
    FolderTooLarge {
        /// How large it is.
        why: String,
    },
    /// The program behaves differently before its first step.
    #[error("the program does not begin alike twice")]
    BeginsDifferently,
    /// The schedule is of another command.
    #[error("{why}")]
    OtherCommand {
        /// In which respect.
        why: String,
    },
    /// There is no scenario of that name.
    #[error("there is no scenario of that name")]
    NoSuchScenario,
    /// An option cannot have that value.
    #[error("{what}")]
    BadOption {
        /// Which, as the command line says it.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Processes of this scenario cannot be killed.
    #[error("{why}")]
    NoKills {
        /// Why not.
        why: String,
    },
    /// Too many kills in a schedule.
    #[error("at most {most} processes can be killed in a schedule")]
    TooManyKills {
        /// The most.
        most: u8,
    },
    /// Nothing has this token.
    #[error("`{token}` is no scenario that is known here")]
    UnknownToken {
        /// Its beginning.
        token: String,
    },
    /// It is no token.
    #[error("{why}")]
    BadToken {
        /// Why not.
        why: String,
    },
    /// It is no sequence of decisions.
    #[error("that is no schedule")]
    BadSchedule,
    /// There is no such lab, or it cannot be loaded.
    #[error("{why}")]
    NoSuchLab {
        /// Why not.
        why: String,
    },
    /// There is no network program of that name.
    #[error("there is no network program of that name")]
    NoSuchProgram,
    /// That is no place on the wire.
    #[error("{why}")]
    BadPlace {
        /// What is one.
        why: String,
    },
    /// More than one thing is to be done to the wire.
    #[error("the wire is damaged, cut or in your hand")]
    OneHarm,
    /// A process has no step to be granted there.
    #[error("{who} cannot go on there: the schedule ends here")]
    CannotContinue {
        /// Its letter.
        who: char,
    },
    /// A process was granted a step that it cannot make yet.
    #[error("{who} was refused at {step}, and waits")]
    Waits {
        /// Its letter.
        who: char,
        /// The step.
        step: String,
    },
    /// The program went another way than the schedule.
    #[error("step {step}: {who} was at {found}; the schedule ends before it")]
    WentAnotherWay {
        /// The step, from 1.
        step: usize,
        /// The process.
        who: String,
        /// Where it was.
        found: String,
    },
    /// The program went another way than the schedule, because of something that nobody controls.
    #[error(
        "step {step}: {who} was at {found}, for {what} is not under control; the schedule ends before it"
    )]
    NotControlled {
        /// The step, from 1.
        step: usize,
        /// The process.
        who: String,
        /// Where it was.
        found: String,
        /// What is not under control.
        what: String,
    },
}

impl Refusal {
    /// What to do.
    pub fn hint(&self) -> &str {
        match self {
            Self::OtherSite => "use the printed address",
            Self::TooManyRequests | Self::WorkerBusy => "wait a second",
            Self::NoSuchMethod => "use GET or POST",
            Self::NotJson => "say content-type: application/json",
            Self::BodyTooLong => "send less",
            Self::BodyTooSlow => "send it at once",
            Self::Malformed { .. } => "see docs/serve.md",
            Self::NoClass => "proclab serve --class",
            Self::ClassFull => "ask the lecturer",
            Self::NoVotes | Self::NoSuchOption | Self::NotFollowing | Self::BadQuestion { .. } => {
                "look at the page again"
            }
            Self::JobForgotten | Self::WorkerEnded => "begin again",
            Self::TooManyJobs { .. } => "stop one of them",
            Self::CannotStart { .. } => "try again",
            Self::NoCommand => "proclab serve -- COMMAND …",
            Self::NotExplorable { .. } => "proclab serve --dir DIR -- COMMAND …",
            Self::OtherCommand { .. } => "start the page with the command that it was made for",
            Self::NoSuchScenario | Self::NoSuchProgram | Self::NoSuchLab { .. } => "choose one of the list",
            Self::BadOption { hint, .. } => hint,
            Self::NoKills { .. } => "leave the kills away",
            Self::TooManyKills { .. } => "take fewer",
            Self::UnknownToken { .. } | Self::BadToken { .. } => "copy it as it was printed or shown",
            Self::BadSchedule => "it looks like a2b3a",
            Self::BadPlace { .. } => "give a direction and the number of a byte",
            Self::OneHarm => "choose one of them",
            // Those are no answers to requests.
            Self::WorkerKilled
            | Self::WorkerFailed { .. }
            | Self::TracingRefused { .. }
            | Self::FolderTooLarge { .. }
            | Self::BeginsDifferently
            | Self::CannotContinue { .. }
            | Self::Waits { .. }
            | Self::WentAnotherWay { .. }
            | Self::NotControlled { .. } => "",
        }
    }
}

/// A reason with its sentence in English.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reason {
    /// The reason.
    #[serde(flatten)]
    pub refusal: Refusal,
    /// In one line.
    pub why: String,
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        Self { why: refusal.to_string(), refusal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const WORDS: &str = include_str!("../assets/refusals.js");

    /// Each code with the names of its values.
    fn codes() -> Vec<(String, BTreeSet<String>)> {
        let schema = serde_json::to_value(schemars::schema_for!(Refusal)).unwrap();
        let all = schema["oneOf"].as_array().unwrap().iter().map(|one| {
            let names = one["properties"]["values"]["properties"].as_object();
            let names = names.map_or(BTreeSet::new(), |names| names.keys().cloned().collect());
            (one["properties"]["code"]["const"].as_str().unwrap().to_owned(), names)
        });
        all.collect()
    }

    /// What a line of the page's words says: the sentence and the hint in Chinese.
    fn translation(code: &str) -> Option<(String, String)> {
        let line = WORDS.lines().find_map(|line| line.trim().strip_prefix(&format!("\"{code}\": ")))?;
        let [sentence, hint]: [String; 2] = serde_json::from_str(line.trim_end_matches(',')).ok()?;
        Some((sentence, hint))
    }

    #[test]
    fn every_reason_has_words_in_chinese_with_its_values() {
        let codes = codes();
        assert!(codes.len() > 40, "{codes:?}");
        for (code, names) in codes {
            let (sentence, hint) = translation(&code).unwrap_or_else(|| panic!("{code} has no words"));
            let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..'\u{9fff}').contains(&c));
            assert!(is_chinese(&sentence), "{code}: {sentence}");
            assert!(hint.is_empty() || is_chinese(&hint), "{code}: {hint}");
            let used: BTreeSet<String> = [&sentence, &hint]
                .into_iter()
                .flat_map(|text| text.split('{').skip(1).filter_map(|rest| rest.split('}').next()))
                .map(str::to_owned)
                .collect();
            assert_eq!(used, names, "{code}: {sentence} {hint}");
        }
    }
}
