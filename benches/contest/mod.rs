//! `proclab bench`: the same work done by this library and by its peers in turn, so that a machine that
//! changes speed does so for all of them.
//!
//! It lies beside the other benches and is compiled into the program by `src/cli/bench.rs`.

mod queue;
mod start;

use crate::process::{ArgsMissing, Process};
use crate::report::bench::{Contest, Entry, Work};
use crate::scenario::run::stage::{Reason, RunError, result_of};
use crate::supervisor::Supervisor;

/// What a contestant's process returns: its figure, or `None` if this machine lacks what it needs.
type Figure = Result<Option<f64>, Reason>;

/// A contestant: each of its turns is a process that returns one figure.
///
/// The process is passed the capacity of the queue, or 0 if the work has none.
struct Contestant {
    name: &'static str,
    /// For a peer: which of this library's contestants it is compared with.
    beside: Option<&'static str>,
    /// How it waits for the other side, where it matters.
    waits: &'static str,
    process: fn() -> Process<usize, Figure, ArgsMissing>,
}

/// Gives each contestant `rounds` turns. `progress` is called after each turn with the number of turns
/// taken and the number of turns in all.
///
/// Each turn is a process of its own, and so is each process that it starts, so a Ctrl-C ends all of it.
///
/// # Errors
/// [`RunError`]. An interrupt after the first round is not an error: the contest ends with the rounds that
/// are complete.
pub(crate) fn hold(
    supervisor: &Supervisor,
    work: Work,
    rounds: usize,
    mut progress: impl FnMut(usize, usize),
) -> Result<Contest, RunError> {
    let contestants = contestants(&work);
    let mut contest = Contest::new(work, contestants.iter().map(Contestant::entry).collect());
    for round in 0..rounds {
        for (nth, contestant) in contestants.iter().enumerate() {
            match contestant.turn(supervisor, &contest.work) {
                Ok(Some(figure)) => contest.entries[nth].samples.push(figure),
                Ok(None) if round == 0 => contest.left_out.push(contestant.name.to_owned()),
                Ok(None) => {}
                Err(error) if error.is_interrupt() && round > 0 => {
                    contest.interrupted = true;
                    return Ok(contest.finished(round));
                }
                Err(error) => return Err(error),
            }
            progress(round * contestants.len() + nth + 1, rounds * contestants.len());
        }
    }
    Ok(contest.finished(rounds))
}

fn contestants(work: &Work) -> Vec<Contestant> {
    match work {
        Work::Start => start::contestants(),
        Work::Queue { .. } => queue::contestants(),
    }
}

impl Contestant {
    fn entry(&self) -> Entry {
        let (name, waits) = (self.name.to_owned(), self.waits.to_owned());
        Entry { name, beside: self.beside.map(str::to_owned), waits, samples: Vec::new() }
    }

    fn turn(&self, supervisor: &Supervisor, work: &Work) -> Result<Option<f64>, RunError> {
        let capacity = match work {
            Work::Start => 0,
            Work::Queue { capacity } => *capacity,
        };
        let process = (self.process)().args(capacity).name(self.name).die_with_parent(true);
        result_of(&supervisor.start(process)?)
    }
}

/// Runs `script` with Python's `multiprocessing` and reads the figure that it prints; `None` without Python.
fn python(script: &str, args: &[&str]) -> Figure {
    let output = std::process::Command::new("python3").arg("-c").arg(script).args(args).output();
    match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Reason { text: format!("python3 cannot be started: {error}"), errno: error.raw_os_error() })
        }
        Ok(output) => match String::from_utf8_lossy(&output.stdout).trim().parse() {
            Ok(figure) => Ok(Some(figure)),
            Err(_) => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(format!("python3 failed: {}", said.lines().last().unwrap_or("it printed nothing")).into())
            }
        },
    }
}
