//! The same work done by us and by others, in turns: a machine that changes its speed does so for all.

mod queue;
mod start;

use super::stage::{RunError, result_of};
use crate::process::Process;
use crate::supervisor::Supervisor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which work is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "work", rename_all = "kebab-case")]
pub enum Work {
    /// Start a process that does nothing, and join it.
    Start,
    /// Send messages of 16 bytes from one process to another.
    Queue {
        /// How many items the queue holds.
        capacity: usize,
    },
}

/// What a contest showed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Contest {
    /// What was done.
    #[serde(flatten)]
    pub work: Work,
    /// How often everybody had a turn.
    pub rounds: usize,
    /// Whether more rounds were to come (Ctrl-C).
    pub interrupted: bool,
    /// Whether the compiler optimised this program: ours is much slower without.
    pub optimised: bool,
    /// Processors of the machine.
    pub processors: usize,
    /// The kernel's release.
    pub kernel: String,
    /// Who took part.
    pub entries: Vec<Entry>,
    /// Who could not: what is missing on this machine.
    pub left_out: Vec<String>,
}

/// One who took part.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// For a peer: which of this library's it is compared with. Nothing for this library's own.
    pub beside: Option<String>,
    /// How it waits for the other side, where it matters.
    pub waits: String,
    /// Each round's figure: microseconds for a start and a join, or messages a second.
    pub samples: Vec<f64>,
}

/// What an entry's process is asked for: its figure, or nothing if what it needs is not on this machine.
type Figure = Result<Option<f64>, String>;

/// An entry before its first turn: a process that makes one figure.
///
/// The process is told the capacity of the queue, if there is one.
struct Entrant {
    name: &'static str,
    beside: Option<&'static str>,
    waits: &'static str,
    process: fn() -> Process<usize, Figure>,
}

impl Work {
    fn capacity(&self) -> usize {
        match self {
            Work::Start => 0,
            Work::Queue { capacity } => *capacity,
        }
    }

    fn entrants(&self) -> Vec<Entrant> {
        match self {
            Work::Start => start::entrants(),
            Work::Queue { .. } => queue::entrants(),
        }
    }
}

impl Contest {
    /// Lets everybody have `rounds` turns; `told` hears how many turns are over, and of how many.
    ///
    /// Each turn is a process of its own with whatever it starts, so that a Ctrl-C ends all of it.
    ///
    /// # Errors
    /// [`RunError`]; an interrupt ends the contest with what is known, unless nothing is.
    pub fn hold(
        supervisor: &Supervisor,
        work: Work,
        rounds: usize,
        mut told: impl FnMut(usize, usize),
    ) -> Result<Contest, RunError> {
        let mut contest = Contest::new(work);
        let entrants = contest.work.entrants();
        contest.entries = entrants.iter().map(Entrant::entry).collect();
        for round in 0..rounds {
            for (nth, entrant) in entrants.iter().enumerate() {
                match entrant.turn(supervisor, &contest.work) {
                    Ok(Some(figure)) => contest.entries[nth].samples.push(figure),
                    Ok(None) if round == 0 => contest.left_out.push(entrant.name.to_owned()),
                    Ok(None) => {}
                    Err(error) if error.is_interrupt() && round > 0 => {
                        contest.interrupted = true;
                        return Ok(contest.over(round));
                    }
                    Err(error) => return Err(error),
                }
                told(round * entrants.len() + nth + 1, rounds * entrants.len());
            }
        }
        Ok(contest.over(rounds))
    }

    fn new(work: Work) -> Self {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Contest {
            work,
            rounds: 0,
            interrupted: false,
            optimised: !cfg!(debug_assertions),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().to_owned(),
            entries: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// After so many whole rounds; whoever had no turn is no entry.
    fn over(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self.entries.iter_mut().for_each(|entry| entry.samples.truncate(rounds));
        self.entries.retain(|entry| !entry.samples.is_empty());
        self
    }
}

impl Entrant {
    fn entry(&self) -> Entry {
        let (name, waits) = (self.name.to_owned(), self.waits.to_owned());
        Entry { name, beside: self.beside.map(str::to_owned), waits, samples: Vec::new() }
    }

    fn turn(&self, supervisor: &Supervisor, work: &Work) -> Result<Option<f64>, RunError> {
        let process = (self.process)().args(work.capacity()).name(self.name).die_with_parent(true);
        result_of(&supervisor.start(process)?)
    }
}

/// What Python's own `multiprocessing` makes of `script`; nothing where there is no Python.
fn python(script: &str, args: &[&str]) -> Figure {
    let output = std::process::Command::new("python3").arg("-c").arg(script).args(args).output();
    match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("python3 cannot be started: {error}")),
        Ok(output) => match String::from_utf8_lossy(&output.stdout).trim().parse() {
            Ok(figure) => Ok(Some(figure)),
            Err(_) => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(format!("python3 failed: {}", said.lines().last().unwrap_or("it said nothing")))
            }
        },
    }
}
