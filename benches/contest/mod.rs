//! `proclab bench`: this library and its peers do the same work in turn, so that changes in the speed of the machine
//! affect all of them.
//!
//! It is next to the other benches, and `src/cli/bench.rs` compiles it into the program.

mod queue;
mod start;

use crate::process::{ArgsMissing, Process};
use crate::report::bench::{Contest, Entry, Work};
use crate::scenario::run::stage::{Reason, RunError, result_of};
use crate::supervisor::Supervisor;

/// The result of a contestant's process: its figure, or `None` if this machine lacks something that it needs.
type Figure = Result<Option<f64>, Reason>;

/// A contestant: each of its turns is a process that returns one figure.
///
/// The process is passed the capacity of the queue, or 0 if the work has none.
struct Contestant {
    name: &'static str,
    /// For a peer, the contestant of this library with which it is compared.
    beside: Option<&'static str>,
    /// How it waits for the other side, if that matters.
    waits: &'static str,
    process: fn() -> Process<usize, Figure, ArgsMissing>,
}

/// Gives each contestant `rounds` turns. Calls `progress` after each turn with the number of turns taken and the total
/// number of turns.
///
/// Each turn is a separate process, and so is each process that it starts, so Ctrl-C ends all of them.
///
/// # Errors
/// [`RunError`]. An interrupt after the first round is not an error: the contest ends with the complete rounds.
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
