//! The tests of a student's program.

use super::card::{Limits, Part, Test};
use super::files::Files;
use super::mark::{Bound, PartMark, Reason, TestMark, Timing};
use super::run::{Cut, Job, Ran, RunError, Step, run};
use super::variant::Variant;
use crate::supervisor::Supervisor;

/// How much of a program's output is repeated, in bytes.
const SHOWN: usize = 2000;
/// How often a test that failed is repeated.
const REPEATS: usize = 4;

/// What is needed to mark a program.
#[derive(Debug)]
pub struct Marking<'a> {
    /// Starts processes.
    pub supervisor: &'a Supervisor,
    /// The lab's own files.
    pub material: &'a Files,
    /// What the student began with.
    pub starter: &'a Files,
    /// What the student handed in.
    pub submitted: &'a Files,
    /// The student's values.
    pub variant: &'a Variant,
}

/// How the tests went.
#[derive(Debug, Default)]
pub struct Tested {
    /// How many pass, at once or when repeated.
    pub passed: usize,
    /// Those that pass only when repeated, by their number, with the reason why they failed at first.
    pub unsteady: Vec<(usize, Reason)>,
}

/// Runs the tests.
///
/// A program with a race passes a test in one run and fails it in the next, or hangs. Its mark must not depend on that,
/// so where the explorer decides about races anyway, a test that failed is repeated: it passes if it does so once.
///
/// # Errors
/// When nothing can be run here.
pub fn test(
    marking: &Marking<'_>,
    part: &Part,
    files: &Files,
    program: &[String],
    mark: &mut PartMark,
) -> Result<Tested, RunError> {
    if part.tests.is_empty() {
        return Ok(Tested::default());
    }
    let step = |test: &Test, seconds: f64| Step {
        stdin: marking.variant.fill(&test.stdin),
        check: test.check.as_ref().map(|check| marking.variant.fill(check)),
        ..Step::new(expand(&test.run, program, marking.variant), Limits { seconds, ..part.limits })
    };
    let once = |steps| run(marking.supervisor, Job { files: files.clone(), steps, enclosed: true });
    let all = once(part.tests.iter().map(|test| step(test, test.seconds)).collect())?;
    let mut tested = Tested::default();
    for (at, (test, ran)) in part.tests.iter().zip(&all).enumerate() {
        mark.times.push(Timing { what: test.name.clone(), took: ran.seconds, limit: test.seconds });
        let name = marking.variant.fill(&test.name);
        let mut failed = reason(test, ran, marking.variant);
        if let Some(first) = failed.take_if(|first| part.explored && may_pass_again(first)) {
            // A solution needs a third of the time at most, which is what `lab author check` shows.
            let seconds = test.seconds / 3.0;
            let (mut passes, mut spent) = (false, 0.0);
            for _ in 0..REPEATS {
                if passes || spent >= test.seconds {
                    break;
                }
                let again = once(vec![step(test, seconds)])?;
                passes = again.iter().all(|ran| reason(test, ran, marking.variant).is_none());
                spent += again.iter().map(|ran| ran.seconds).sum::<f64>();
            }
            if passes {
                tested.unsteady.push((at, first));
            } else {
                failed = Some(first);
            }
        }
        tested.passed += usize::from(failed.is_none());
        let zh = test.zh.as_ref().map(|name| marking.variant.fill(name));
        mark.tests.push(TestMark { name, zh, failed });
    }
    Ok(tested)
}

/// Whether another run may well end otherwise.
fn may_pass_again(reason: &Reason) -> bool {
    match reason {
        Reason::Bound { bound, .. } => *bound == Bound::Time,
        Reason::Interfered => false,
        Reason::Status { .. } | Reason::Output { .. } | Reason::Check { .. } | Reason::Left { .. } => true,
    }
}

/// A command with `{program}` replaced by the program; an empty one is the program alone.
pub fn expand(run: &[String], program: &[String], variant: &Variant) -> Vec<String> {
    if run.is_empty() {
        return program.to_vec();
    }
    let words = variant.fill_all(run).into_iter().flat_map(|word| match word.as_str() {
        "{program}" => program.to_vec(),
        _ => vec![word.replace("{program}", &program.join(" "))],
    });
    words.collect()
}

/// The limit that ended a run.
pub fn cut_short(cut: Cut) -> Reason {
    let (bound, most) = match cut {
        Cut::Time(seconds) => (Bound::Time, seconds),
        Cut::Output(kib) => (Bound::Output, kib as f64),
        Cut::Processes(most) => (Bound::Processes, most as f64),
        Cut::Memory(mib) => (Bound::Memory, mib as f64),
        Cut::Disk(mib) => (Bound::Disk, mib as f64),
        Cut::Interfered => return Reason::Interfered,
    };
    Reason::Bound { bound, most }
}

fn reason(test: &Test, ran: &Ran, variant: &Variant) -> Option<Reason> {
    if let Some(cut) = ran.cut {
        return Some(cut_short(cut));
    }
    // With a check, the status is the check's business unless the test names one.
    let expected = test.exit.or(test.check.is_none().then_some(0));
    if let Some(expected) = expected.filter(|expected| ran.status != Some(*expected)) {
        let status = ran.status.map_or_else(|| "?".to_owned(), |status| format!("exit {status}"));
        let found = ran.signal.clone().unwrap_or(status);
        // A harness says on standard output what is wrong.
        let said = if ran.stderr.is_empty() { &ran.stdout } else { &ran.stderr };
        return Some(Reason::Status { expected, found, stderr: shown(said) });
    }
    if let Some(expected) = &test.stdout {
        let tidy =
            |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned();
        let (expected, found) = (tidy(&variant.fill(expected)), tidy(&ran.text()));
        if expected != found {
            return Some(Reason::Output { expected, found: shown(found.as_bytes()) });
        }
    }
    if let Some((false, said)) = &ran.checked {
        return Some(Reason::Check { said: shown(said.as_bytes()) });
    }
    (ran.left > 0).then_some(Reason::Left { processes: ran.left })
}

/// What of a program's output is repeated.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}
