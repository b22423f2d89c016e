//! The cost of starting and joining a process.

use super::{Contestant, Figure, python};
use crate::process::{Exit, Process, StartMethod};
use crate::scenario::run::stage::Reason;
use crate::supervisor::Supervisor;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Starts per turn.
const STARTS: usize = 40;
/// Starts per turn of Python, whose starts take up to a hundred times as long.
const PYTHON_STARTS: &str = "5";

pub(super) fn contestants() -> Vec<Contestant> {
    let ours = |name, process| Contestant { name, beside: None, waits: "", process };
    let peer = |name, beside, process| Contestant { name, beside: Some(beside), waits: "", process };
    vec![
        ours("Spawn", || Process::new(spawn)),
        peer("Command, same executable", "Spawn", || Process::new(command)),
        peer("Python's spawn", "Spawn", || Process::new(python_spawn)),
        ours("ForkServer", || Process::new(forkserver)),
        peer("Python's forkserver", "ForkServer", || Process::new(python_forkserver)),
        ours("Fork", || Process::new(fork)),
        peer("Python's fork", "Fork", || Process::new(python_fork)),
    ]
}

fn spawn(_: usize) -> Figure {
    ours(StartMethod::Spawn)
}

fn forkserver(_: usize) -> Figure {
    ours(StartMethod::ForkServer)
}

fn fork(_: usize) -> Figure {
    ours(StartMethod::Fork)
}

fn nothing() {}

fn ours(method: StartMethod) -> Figure {
    let supervisor = Supervisor::new().map_err(|error| Reason::of(&error))?;
    median_us(|| {
        let process = Process::new(nothing).start_method(method);
        let child = supervisor.start(process).map_err(|error| Reason::of(&error))?;
        match child.join().map_err(|error| Reason::of(&error))? {
            Exit::Code(0) => Ok(()),
            exit => Err(format!("a child that does nothing ended with {exit:?}").into()),
        }
    })
}

fn command(_: usize) -> Figure {
    median_us(|| {
        let mut command = Command::new("/proc/self/exe");
        let status = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("a copy of this program ended with {status}").into()),
            Err(error) => Err(Reason {
                text: format!("a copy of this program cannot be started: {error}"),
                errno: error.raw_os_error(),
            }),
        }
    })
}

/// The median of [`STARTS`] starts, after a warm-up.
fn median_us(mut start_and_join: impl FnMut() -> Result<(), Reason>) -> Figure {
    start_and_join()?;
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let begin = Instant::now();
        start_and_join()?;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(Some(times[STARTS / 2]))
}

/// `int` can be called without arguments and found by name in a fresh interpreter.
const SCRIPT: &str = "
import multiprocessing, statistics, sys, time
context = multiprocessing.get_context(sys.argv[1])
def once():
    begin = time.perf_counter()
    process = context.Process(target=int)
    process.start()
    process.join()
    return (time.perf_counter() - begin) * 1e6
once()
print(statistics.median(once() for _ in range(int(sys.argv[2]))))
";

fn python_spawn(_: usize) -> Figure {
    python(SCRIPT, &["spawn", PYTHON_STARTS])
}

fn python_forkserver(_: usize) -> Figure {
    python(SCRIPT, &["forkserver", PYTHON_STARTS])
}

fn python_fork(_: usize) -> Figure {
    python(SCRIPT, &["fork", PYTHON_STARTS])
}
