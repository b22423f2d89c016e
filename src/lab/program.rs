//! A student's program: built, tested within bounds, and explored.

use std::time::{Duration, Instant};

use super::card::{Limits, Part};
use super::explore::{Aim, ExploreError, explore};
use super::files::Files;
use super::language::{Language, languages};
use super::mark::{BadSchedule, BadStep, Note, PartMark, State, Timing};
use super::run::{Job, RunError, Step, run};
use super::tested::{Marking, cut_short, expand, shown, test};
use super::truth::patience;
use super::words::{is_installed, resolved};
use crate::explore::traced::{Command, Criteria, Findings, Outcome, Verdict, Waiting, WitnessStep, token};
use crate::process::chain;

/// How long a compiler may take, in seconds.
const BUILD_SECONDS: f64 = 60.0;
/// How long the check of an outcome may take.
const CHECK: Duration = Duration::from_secs(5);
/// How many steps of a schedule are shown.
const MOST_STEPS: usize = 300;

/// The names of the files in which a part may be solved.
pub fn names(part: &Part) -> Vec<String> {
    let file = part.file.as_ref().map_or("", |file| file.get_ref());
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    languages(file).into_iter().map(|language| format!("{stem}.{}", language.ending())).collect()
}

/// The student's file that is marked: the first that differs from the starter's.
fn chosen<'f>(part: &Part, submitted: &'f Files, starter: &Files) -> Option<(Language, String, &'f [u8])> {
    let file = part.file.as_ref()?.get_ref();
    let stem = file.rsplit_once('.')?.0;
    let there: Vec<_> = languages(file)
        .into_iter()
        .filter_map(|language| {
            let name = format!("{stem}.{}", language.ending());
            let bytes = submitted.0.get(&name)?.as_slice();
            Some((language, name, bytes))
        })
        .collect();
    let changed =
        there.iter().find(|(_, name, bytes)| starter.0.get(name).map(Vec::as_slice) != Some(*bytes));
    changed.or(there.first()).cloned()
}

/// The name of the file that is marked, if there is one.
pub fn marked_file(part: &Part, submitted: &Files, starter: &Files) -> Option<String> {
    chosen(part, submitted, starter).map(|(_, name, _)| name)
}

/// What the time of a search is called.
pub const SEARCH: &str = "the search";

/// Marks a program part.
///
/// # Errors
/// When nothing can be run here. A program that misbehaves is not an error.
pub fn mark(marking: &Marking<'_>, part: &Part, mark: &mut PartMark) -> Result<(), RunError> {
    let Some((language, name, source)) = chosen(part, marking.submitted, marking.starter) else {
        let file = part.file.as_ref().map_or_else(String::new, |file| file.get_ref().clone());
        mark.notes.push(Note::NoFile { file });
        return Ok(());
    };
    let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem).to_owned();
    mark.score(0.0);
    if languages(part.file.as_ref().map_or("", |file| file.get_ref())).len() > 1 {
        mark.notes.push(Note::Marked { file: name.clone() });
    }
    let own = Files([(name.clone(), source.to_vec())].into());
    // The lab's files come last, so that no student's file can replace one.
    let mut files = own.with(marking.material.clone());
    let build = language.build(&stem);
    if let Some(build) = &build {
        let limits = Limits { seconds: BUILD_SECONDS, memory: 2048, disk: 256, ..part.limits };
        if let Some(compiler) = build.first().filter(|compiler| !is_installed(compiler)) {
            mark.state = State::Failed;
            mark.notes.push(Note::Missing { program: compiler.clone() });
            return Ok(());
        }
        let step = Step { keep: vec![Language::built(&stem)], ..Step::new(build.clone(), limits) };
        let job = Job { files: files.clone(), steps: vec![step], enclosed: true };
        let built = run(marking.supervisor, job)?.pop().unwrap_or_default();
        if !built.is_success() || built.kept.0.is_empty() {
            mark.notes.push(Note::NotBuilt { said: shown(&built.stderr), ended: built.cut.map(cut_short) });
            return Ok(());
        }
        files = files.with(built.kept);
    }
    let program = resolved(&language.run(&stem, source));
    let tested = test(marking, part, &files, &program, mark)?;
    let (all, passed) = (part.tests.len(), tested.passed);
    let by_tests = if all == 0 { 1.0 } else { passed as f64 / all as f64 };
    if !part.explored {
        mark.score(by_tests);
        return Ok(());
    }
    // A program that does nothing has no race, so only one that passes its tests is explored.
    let half = if all == 0 { 0.0 } else { by_tests / 2.0 };
    if passed < all {
        mark.notes.push(Note::NotExplored);
        mark.score(half);
        return Ok(());
    }
    let argv = resolved(&expand(&part.run, &program, marking.variant));
    let criteria = Criteria {
        check: part.check.as_ref().map(|check| bounded(&marking.variant.fill(check), &part.limits)),
        check_patience: part.check.as_ref().map(|_| CHECK),
        expect_exit: part.expect_exit,
        ..Criteria::default()
    };
    let begin = Instant::now();
    let aim = Aim::Mistakes { executions: part.executions, kills: part.kills };
    let limits = Limits { seconds: patience(part), ..part.limits };
    match explore(marking.supervisor, &files, &argv, &criteria, &limits, aim) {
        Ok((command, findings)) => {
            let took = begin.elapsed().as_secs_f64();
            mark.times.push(Timing { what: SEARCH.into(), took, limit: limits.seconds });
            let built = build.as_ref().map(|build| build.join(" "));
            let student = Student { name: &name, source, build: built.as_deref() };
            judge(&findings, &criteria, &command, &student, half, mark);
            if mark.schedule.is_none() && !tested.unsteady.is_empty() {
                // No schedule explains why it failed at first, so the failure stands.
                let steady = all - tested.unsteady.len();
                tested.unsteady.into_iter().for_each(|(at, reason)| mark.tests[at].failed = Some(reason));
                mark.score(steady as f64 / all as f64 / 2.0);
            }
        }
        Err(error) => failed(&error, half, mark),
    }
    Ok(())
}

/// A check of what a program left, which may be made so that reading it takes all memory.
fn bounded(check: &str, limits: &Limits) -> String {
    format!("ulimit -v {}; {check}", limits.memory.max(64) << 10)
}

fn failed(error: &ExploreError, half: f64, mark: &mut PartMark) {
    mark.score(half);
    mark.state = State::Failed;
    mark.notes.push(Note::ExplorerFailed { why: chain(error) });
}

/// A student's file.
struct Student<'a> {
    name: &'a str,
    source: &'a [u8],
    /// The command that builds it.
    build: Option<&'a str>,
}

impl Student<'_> {
    /// What the file says at a line, given as `sale.c:12`.
    fn says(&self, line: &str) -> Option<String> {
        let number: usize = line.strip_prefix(self.name)?.strip_prefix(':')?.parse().ok()?;
        let text = self.source.split(|byte| *byte == b'\n').nth(number.checked_sub(1)?)?;
        Some(shown(text).trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn step(&self, step: &WitnessStep) -> BadStep {
        BadStep {
            task: called(&step.task),
            call: called(&step.words),
            killed: step.kill,
            source: step.line.as_ref().and_then(|line| self.says(line)),
            line: step.line.clone(),
        }
    }
}

/// Marks the program by what the search found.
fn judge(
    findings: &Findings,
    criteria: &Criteria,
    command: &Command,
    student: &Student<'_>,
    half: f64,
    mark: &mut PartMark,
) {
    let judged =
        findings.outcomes.iter().map(|found| (found, criteria.judge(&found.outcome, found.checked.as_ref())));
    let wrong = judged.filter(|(_, (verdict, _))| *verdict != Verdict::Ok);
    let shortest = wrong.min_by_key(|(found, _)| (found.switches, found.witness.len()));
    let executions = findings.executions + findings.sampled;
    let Some((found, (verdict, why))) = shortest else {
        if findings.outcomes.is_empty() {
            mark.score(half);
            mark.notes.push(Note::ExplorerFailed { why: "no execution came to its end".to_owned() });
            return;
        }
        mark.notes.push(if findings.complete {
            // Without those by chance: whether there were any depends on the time.
            Note::Proved { executions: findings.executions }
        } else {
            Note::Bounded { executions, uncontrolled: findings.uncontrolled.keys().cloned().collect() }
        });
        mark.score(1.0);
        return;
    };
    let steps = found.witness.iter().map(WitnessStep::choice);
    let schedule = token::encode(command, steps, &found.facts);
    let said = found.checked.as_ref().map(|checked| checked.output.trim()).filter(|said| !said.is_empty());
    let limit = format!(" --limit steps={}", command.limits.steps);
    let replay = format!(
        "{}proclab replay {}{} --strict{} -- {}",
        student.build.map_or_else(String::new, |build| format!("{build} && ")),
        quoted(&schedule),
        if command.timeouts { " --timeouts" } else { "" },
        if verdict == Verdict::CutShort { limit } else { String::new() },
        command.argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    );
    let shown_steps = told(&found.witness);
    mark.schedule = Some(BadSchedule {
        verdict: verdict.to_string(),
        why: said
            .map(|said| shown(said.as_bytes()))
            .or(why.map(|why| why.text))
            .unwrap_or_else(|| waits(&found.outcome)),
        switches: found.switches,
        steps: found.witness[..shown_steps].iter().map(|step| student.step(step)).collect(),
        left_out: found.witness.len() - shown_steps,
        replay,
    });
    mark.score(half);
}

/// Who waits for what at the end of a deadlocked execution.
fn waits(outcome: &Outcome) -> String {
    let wait = |wait: &Waiting| {
        let holders: Vec<String> = wait.holders.iter().map(|holder| called(holder)).collect();
        let held =
            if holders.is_empty() { String::new() } else { format!(", held by {}", holders.join(", ")) };
        format!("{} waits: {}{held}", called(&wait.task), called(&wait.call))
    };
    outcome.deadlock.iter().map(wait).collect::<Vec<_>>().join("\n")
}

/// Words in which the command's first process, which schedules call `root`, is called `main`.
fn called(words: &str) -> String {
    let mut text = String::new();
    let mut rest = words;
    while let Some(at) = rest.find("root") {
        let (before, found) = rest.split_at(at);
        let after = &found["root".len()..];
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/');
        let is_task = !before.ends_with(|c: char| is_word(c) || matches!(c, '.' | '"'))
            && !after.starts_with(|c: char| is_word(c) || c == '"');
        text.push_str(before);
        text.push_str(if is_task { "main" } else { "root" });
        rest = after;
    }
    text + rest
}

/// How many steps of a schedule are shown: all of a short one. Of a long one those up to the place where it goes round for
/// the third time, and otherwise the first.
fn told(steps: &[WitnessStep]) -> usize {
    if steps.len() <= MOST_STEPS {
        return steps.len();
    }
    let is_same = |at: usize, round: usize| {
        steps[at].task == steps[at + round].task && steps[at].words == steps[at + round].words
    };
    let end = steps.len();
    let goes_round = |round: &usize| (end - 2 * round..end - round).all(|at| is_same(at, *round));
    let Some(round) = (1..=MOST_STEPS / 2).find(goes_round) else { return MOST_STEPS };
    let begin = (0..end - round).rev().take_while(|at| is_same(*at, round)).last().unwrap_or(0);
    (begin + 2 * round).min(MOST_STEPS)
}

/// A word quoted for the shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@%^".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(task: &str, words: &str) -> WitnessStep {
        WitnessStep {
            task: task.to_owned(),
            words: words.to_owned(),
            object: String::new(),
            kill: false,
            line: None,
            between_calls: false,
        }
    }

    #[test]
    fn the_first_process_is_called_main_wherever_a_schedule_names_it() {
        assert_eq!(called("wait(root.1) = root.1"), "wait(main.1) = main.1");
        assert_eq!(called("read(pipe of root.2, \"root\")"), "read(pipe of main.2, \"root\")");
        assert_eq!(called("stat(\"/root/x\") rooted"), "stat(\"/root/x\") rooted");
    }

    #[test]
    fn a_schedule_that_goes_round_is_shown_until_it_has_done_so_twice() {
        let mut steps: Vec<_> = (0..10).map(|n| step("root", &n.to_string())).collect();
        assert_eq!(told(&steps), 10);
        steps.extend((0..4000).map(|n| step("root.1", ["looks", "sleeps"][n % 2])));
        assert_eq!(told(&steps), 14);
        let steps: Vec<_> = (0..4000).map(|n| step("root", &n.to_string())).collect();
        assert_eq!(told(&steps), MOST_STEPS);
    }
}
