//! What the server and the page say to each other, as plain data.
//!
//! Times are nanoseconds and count from the beginning of what is shown, except where they are called `unix`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::watch::model::WatchReport;
use crate::report::witness::StepView;
use crate::scenario::experiment::Subject;
use crate::scenario::run::verdict::Verdict;
use crate::sys::pid::Pid;

/// The version of these messages. A page of another version asks to be loaded again.
pub const VERSION: u32 = 1;

/// A message of a job: an element of the array in the data of an event `job`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Message {
    /// A watch begins, or all that is known of it so far. It replaces everything before it.
    Watch(WatchBegin),
    /// What has changed in a watch.
    Tick(Tick),
    /// The watched program is over.
    Over(Box<WatchOver>),
    /// A schedule as it stands. It replaces everything before it.
    Scene(Box<Scene>),
    /// The graph of an exploration as far as it is known. It replaces everything before it.
    Graph(Growth),
    /// What an exploration has found since.
    Growth(Growth),
    /// The worker cannot go on.
    Failed {
        /// Why, in one line.
        why: String,
    },
    /// Messages were left out before this one, because nobody read them in time.
    Skipped,
    /// The job is over; nothing follows.
    End,
}

/// The beginning of a watch.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WatchBegin {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Its PID.
    pub root: Pid,
    /// The process that watches it, which adopts its orphans.
    pub watcher: Pid,
    /// Where the knowledge comes from.
    pub tier: String,
    /// What that source can tell and what it cannot.
    pub resolution: String,
    /// Why there is no better source, in a sentence each.
    pub refusals: Vec<String>,
}

/// What has changed since the last tick. Everything in it is new or replaces what had the same number.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Tick {
    /// The moment up to which all is told.
    pub now_ns: u64,
    /// Processes that are new or have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneView>,
    /// Pieces of time that have ended: the lane, then `[from, to, state, what it waited for, shares]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<(u64, Vec<PieceView>)>,
    /// What the program said of itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NoteView>,
    /// What the program wrote to its standard output and error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// Who waits for whom now: the waiting process and the one that it waits for. Absent if unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edges: Option<Vec<(Pid, Pid)>>,
    /// The deadlocks that last. Absent if unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadlocks: Option<Vec<DeadlockView>>,
    /// Records that the kernel could not write: times may be wrong.
    pub lost: u64,
}

/// One process of a watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LaneView {
    /// Its number in this watch: a PID may be used again.
    pub id: u64,
    /// Its PID.
    pub pid: Pid,
    /// Its parent's.
    pub ppid: Pid,
    /// Its name.
    pub name: String,
    /// When it began.
    pub started_ns: u64,
    /// When it ended.
    pub ended_ns: Option<u64>,
    /// When it was reaped, at the latest.
    pub reaped_ns: Option<u64>,
    /// Its state.
    pub state: String,
    /// Since when.
    pub since_ns: u64,
    /// What it is blocked on.
    pub wait: Option<String>,
    /// How it ended, as Python's `exitcode`.
    pub exit: Option<i32>,
    /// The parent that it lost.
    pub orphan_of: Option<Pid>,
}

/// A piece of time: from, to, the letter of the state (`r`unning, read`y`, `b`locked, `s`topped, `z`ombie, `u`nknown),
/// what it waited for, and of joined pieces the shares of running, ready, blocked and stopped in percent.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PieceView(pub u64, pub u64, pub char, pub Option<String>, pub Option<[u8; 4]>);

/// Something that a process says it did.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct NoteView {
    /// When.
    pub at_ns: u64,
    /// Which process.
    pub pid: Pid,
    /// Its name in the scenario.
    pub process: String,
    /// What, in a word.
    pub what: String,
    /// What, in words.
    pub text: String,
    /// The lock that it holds from now on (`true`) or releases (`false`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<(String, bool)>,
    /// The queue that it has put a message into (1) or taken one out of (-1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<(String, i8)>,
}

/// A deadlock that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeadlockView {
    /// Since when.
    pub from_ns: u64,
    /// The processes in it.
    pub pids: Vec<Pid>,
    /// What each waits for, in a sentence.
    pub text: String,
}

/// The end of a watch.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WatchOver {
    /// The report that `proclab watch --format json` prints.
    pub report: WatchReport,
    /// For a scenario, the records that `proclab run --format json` prints.
    pub records: Vec<serde_json::Value>,
    /// The watch was stopped before the program had ended.
    pub stopped: bool,
}

/// A schedule under way, or at its end.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Scene {
    /// What is run.
    #[serde(flatten)]
    pub subject: Subject,
    /// The options as one types them.
    pub options: String,
    /// The parameters in a few characters, as a token begins.
    pub code: String,
    /// The decisions so far, as a token has them: `a2b` is A twice, then B; a capital letter kills.
    pub schedule: String,
    /// The processes, in the order of their letters.
    pub cards: Vec<Card>,
    /// What the processes share now: names and values.
    pub shared: Vec<(String, String)>,
    /// What was done, in order.
    pub done: Vec<StepView>,
    /// Why the last grant was refused.
    pub refused: Option<String>,
    /// How it ended; absent while a process can go on.
    pub ending: Option<Ending>,
}

/// One process of a schedule.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Card {
    /// Its letter.
    pub name: char,
    /// What it is.
    pub role: String,
    /// Its PID; it changes when the prefix is executed again after a kill.
    pub pid: Pid,
    /// Whether it can be granted its step.
    pub state: CardState,
    /// Whether it may be killed.
    pub killable: bool,
    /// The name of the step at which it stands.
    pub step: Option<String>,
    /// What the step touches.
    pub resource: Option<String>,
    /// How: `read`, `write`, `acquire`, `release`, `await`, `add`.
    pub access: Option<String>,
    /// Who must act before it can go on.
    pub held_by: Vec<char>,
    /// The locks that it holds.
    pub holds: Vec<String>,
}

/// Whether a process can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CardState {
    /// It stands at its step and can be granted it, as far as is known.
    Ready,
    /// Its step was refused, and nothing that it waits for has changed since.
    Waits,
    /// Its body has ended.
    Ended,
    /// It was killed.
    Killed,
}

/// How a schedule ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Ending {
    /// What came of it.
    pub verdict: Verdict,
    /// At which step the promise was broken, counted from 1, and how.
    pub broken: Option<(usize, String)>,
    /// The schedule as `proclab replay` takes it.
    pub token: String,
    /// How often the next step belonged to another process.
    pub switches: usize,
    /// Switches away from a process that could have gone on.
    pub preemptions: usize,
    /// The shortest schedule of each outcome; absent while they are searched for.
    pub shortest: Option<Vec<Shortest>>,
    /// Whether the search for these has seen every class of schedules.
    pub complete: bool,
}

/// The shortest schedule of an outcome.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Shortest {
    /// The outcome.
    pub verdict: Verdict,
    /// How many steps it has.
    pub steps: usize,
    /// Its switches.
    pub switches: usize,
    /// Its preemptions.
    pub preemptions: usize,
    /// Its decisions.
    pub schedule: String,
}

/// What an exploration has found.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Growth {
    /// What is explored.
    pub scenario: String,
    /// The options as one types them.
    pub options: String,
    /// The parameters in a few characters, as a token begins.
    pub code: String,
    /// States.
    pub nodes: Vec<NodeView>,
    /// Steps from one state to another: from, to, the letter of the process, the step's name, whether it was killed.
    pub edges: Vec<(usize, usize, char, String, bool)>,
    /// States that are not drawn, for there are too many.
    pub hidden: u64,
    /// Schedules that were executed to their end.
    pub schedules: u64,
    /// Classes of equivalent schedules.
    pub classes: u64,
    /// How many schedules these classes hold together.
    pub represented: u64,
    /// Executions that were given up, for they would have repeated a class.
    pub given_up: u64,
    /// The part of the search that is done, from 0 to 1, as far as it can be estimated.
    pub explored: Option<f64>,
    /// How long it has searched.
    pub seconds: f64,
    /// Whether it searches, is stopped, or is done.
    pub status: SearchStatus,
    /// The outcomes, the worst first.
    pub outcomes: Vec<OutcomeCount>,
}

/// How a search stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SearchStatus {
    /// It searches.
    #[default]
    Searching,
    /// It was stopped, and can go on.
    Stopped,
    /// Everything has been explored: what is said of these parameters is proved.
    Complete,
}

/// A state: what the processes share, and where each stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct NodeView {
    /// Its number.
    pub id: usize,
    /// How many steps lead to it.
    pub depth: usize,
    /// A schedule that leads to it.
    pub schedule: String,
    /// The step at which each process stands; null for one that has ended.
    pub at: Vec<Option<String>>,
    /// What the processes share.
    pub shared: Vec<(String, String)>,
    /// What came of it, where no process can go on.
    pub outcome: Option<Verdict>,
}

/// One outcome of an exploration.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OutcomeCount {
    /// The outcome.
    pub verdict: Verdict,
    /// How many of the executed schedules ended so.
    pub count: u64,
    /// How many classes.
    pub classes: u64,
    /// How many schedules these classes hold.
    pub represented: u64,
    /// The shortest schedule that ends so.
    pub shortest: Shortest,
}

/// What the page asks of a worker: the body of a `POST` to `jobs/ID`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Grant the process of this letter its step.
    Grant(char),
    /// Kill the process of this letter.
    Kill(char),
    /// Take the last step back: the others are executed again.
    Undo,
    /// Begin again with these decisions.
    Schedule(String),
    /// Stop the search, or end the watched program.
    Stop,
    /// Go on with the search.
    Resume,
    /// Say everything that is known, for one that has read nothing.
    Whole,
}

/// What is to be started: the body of a `POST` to `jobs`.
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
    /// `watch`, `schedule` or `explore`.
    pub kind: String,
    /// What is run, in a line.
    pub title: String,
    /// The command line that does the same.
    pub command: String,
}

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
    /// Show what came of it: the number of the option, or nothing if none of them.
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
    /// What came of it, once it is known.
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
