//! The messages between server, page and workers, as plain data.
//!
//! Times are nanoseconds since the beginning of what is shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lab::lang::Lang;
use crate::lab::mark::PartMark;
use crate::lab::question::Kind;
use crate::report::net::WireRow;
use crate::report::traced::{TracedExploration, TracedOutcome};
use crate::report::watch::model::WatchReport;
use crate::report::witness::StepView;
use crate::scenario::experiment::Subject;
use crate::scenario::run::verdict::Verdict;
use crate::sys::pid::Pid;

/// The version of these messages. A page of another version asks to be loaded again.
pub const VERSION: u32 = 2;

/// A message of a job: an element of the array in the data of an event `job`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Message {
    /// A watch begins, or is reported anew. It replaces everything before it.
    Watch(WatchBegin),
    /// What has changed in a watch.
    Tick(Tick),
    /// The watched program has ended.
    Over(Box<WatchOver>),
    /// The present state of a schedule. It replaces everything before it.
    Scene(Box<Scene>),
    /// A schedule of the command that was given. It replaces everything before it.
    ProgramScene(Box<ProgramScene>),
    /// A search through the schedules of that command. It replaces everything before it.
    ProgramSearch(Box<ProgramSearch>),
    /// The graph of an exploration as far as it is known. It replaces everything before it.
    Graph(Growth),
    /// What an exploration has found since.
    Growth(Growth),
    /// A lab as it stands. It replaces everything before it.
    Lab(Box<LabView>),
    /// The demo of a network program begins.
    Wire(WireBegin),
    /// What has happened in it since. Rows may come slightly out of order.
    Rows {
        /// Each with its time.
        rows: Vec<WireRow>,
    },
    /// The demo is over.
    WireOver(WireOver),
    /// The worker cannot continue.
    Failed {
        /// Why, in one line.
        why: String,
    },
    /// Messages before this one were left out, because this viewer did not read them in time.
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
    /// The source of the data.
    pub tier: String,
    /// What that source shows and what it does not.
    pub resolution: String,
    /// Why each better source is unavailable, in a sentence.
    pub refusals: Vec<String>,
}

/// What has changed since the last tick. Each item is new or replaces the one with the same number.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Tick {
    /// The moment up to which everything is included.
    pub now_ns: u64,
    /// Processes that are new or have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneView>,
    /// Pieces of time that have ended: the lane, then `[from, to, state, what it waited for, shares]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<(u64, Vec<PieceView>)>,
    /// Events that the program reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NoteView>,
    /// What the program wrote to its standard output and error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// Who waits for whom now: the waiting process and the one that it waits for. Absent if unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edges: Option<Vec<(Pid, Pid)>>,
    /// The present deadlocks. Absent if unchanged.
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

/// An event that a process reported.
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

/// A present deadlock.
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
    /// The parameters as command-line options.
    pub options: String,
    /// The parameters in the form in which a token begins.
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
    /// Its PID; it changes when the prefix is executed again after a kill. Absent for a program's, which is executed
    /// anew for each step.
    pub pid: Option<Pid>,
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
    /// It has not been made yet, in this execution.
    Absent,
}

/// How a schedule ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Ending {
    /// The outcome.
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
    /// The parameters as command-line options.
    pub options: String,
    /// The parameters in the form in which a token begins.
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
    /// The outcome, once no process can continue.
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

/// A schedule of the command that was given, under way or at its end.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProgramScene {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// What the schedule belongs to, as a token begins.
    pub code: String,
    /// The steps so far, as the token goes on: `r,r.1x2` is the root once, then its first child twice.
    pub schedule: String,
    /// The processes and threads, in the order of their letters.
    pub cards: Vec<Card>,
    /// How many more there are, for which there is no letter.
    pub more: usize,
    /// The short files that steps are about, as they are now.
    pub shared: Vec<(String, String)>,
    /// What was done, in order.
    pub done: Vec<ProgramStep>,
    /// Why the schedule is shorter than it was to be.
    pub refused: Option<String>,
    /// How it ended; absent while a process can go on.
    pub ending: Option<ProgramEnding>,
}

/// A step of a program.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProgramStep {
    /// The letter of the process or thread.
    pub process: char,
    /// The call with its result.
    pub name: String,
    /// What it is about.
    pub resource: String,
    /// Whether the process was killed there instead.
    pub killed: bool,
}

/// How a schedule of a program ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProgramEnding {
    /// What it left, as `proclab replay --format json` prints it.
    pub outcome: TracedOutcome,
    /// The command line that executes this schedule again.
    pub replay: String,
    /// The shortest schedule of each outcome; absent while they are searched for.
    pub shortest: Option<Vec<ProgramShortest>>,
    /// Whether the search for these has seen every class of schedules, and everything was under control.
    pub complete: bool,
}

/// The shortest schedule of an outcome of a program.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProgramShortest {
    /// Its verdict.
    pub verdict: String,
    /// Whether nothing is wrong with it.
    pub is_right: bool,
    /// What is wrong with it.
    pub why: Option<String>,
    /// How many steps it has.
    pub steps: usize,
    /// Its switches.
    pub switches: usize,
    /// The token.
    pub schedule: String,
}

/// A search through the schedules of the command that was given. Each message replaces the one before.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct ProgramSearch {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Executions so far.
    pub executions: u64,
    /// Classes of equivalent schedules so far.
    pub classes: u64,
    /// Different outcomes so far.
    pub outcomes: u64,
    /// The part of the search that is done, from 0 to 1, as far as it can be estimated.
    pub explored: Option<f64>,
    /// How long it has searched.
    pub seconds: f64,
    /// Whether it searches, was stopped, or is at its end.
    pub status: SearchStatus,
    /// New outcomes in a few words, as they were seen first.
    pub news: Vec<String>,
    /// Whether every outcome is right, once the search is over.
    pub is_right: bool,
    /// What it found, as `proclab explore --format json` prints it, once it is over.
    pub found: Option<TracedExploration>,
}

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
    /// Of a program part, the student's file.
    pub file: Option<String>,
    /// Of a schedule part, the scenario and its parameters as a token begins.
    pub code: Option<String>,
    /// It is being measured.
    pub is_busy: bool,
    /// Why what was typed is no answer.
    pub trouble: Option<String>,
    /// What came of the answer, in words, but for the rows of the mark.
    pub told: Vec<String>,
    /// The same as data, as `proclab lab check --format json` prints it.
    pub mark: Option<PartMark>,
}

/// The beginning of a demo of a network program.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WireBegin {
    /// The program's name.
    pub program: String,
    /// What it shows.
    pub about: String,
    /// Where a bit is flipped on the wire, as `up:0`.
    pub damage: Option<String>,
    /// Where the connection is cut, as `down:4`.
    pub cut: Option<String>,
}

/// The end of a demo of a network program.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct WireOver {
    /// How many checks were made.
    pub checks: usize,
    /// How many of them failed.
    pub failed: usize,
    /// Rows that are not shown, for there are too many.
    pub hidden: u64,
    /// It was stopped before its end.
    pub stopped: bool,
}

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
    /// Stop the search, or end the watched program.
    Stop,
    /// Go on with the search.
    Resume,
    /// Say everything that is known, for one that has read nothing.
    Whole,
    /// Answer a part of a lab; of a program part, check the file.
    Answer {
        /// The part.
        part: String,
        /// The answer as one types it.
        #[serde(default)]
        text: String,
    },
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
