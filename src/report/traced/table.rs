//! A witness as a table: a column per process, a row per step, in the program's own words.

use comfy_table::{ContentArrangement, Table};

use super::view::TracedStep;
use crate::report::witness::RULED;

/// The narrowest column that can hold a call, and the most rows that are shown.
const NARROWEST: usize = 20;
const ROWS: usize = 60;

/// The table of `steps`, at most `width` columns wide; a list where that is too narrow for a column per process.
pub(super) fn table(steps: &[TracedStep], width: u16) -> String {
    let mut tasks: Vec<&str> = steps.iter().map(|step| receiver(&step.task)).collect();
    tasks.sort_by(|one, other| place(one).cmp(&place(other)));
    tasks.dedup();
    let mut table = Table::new();
    table.load_style(RULED);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    let is_wide = usize::from(width) >= 6 + tasks.len() * NARROWEST;
    if is_wide {
        table.set_header(std::iter::once("step").chain(tasks.iter().copied()));
    } else {
        table.set_header(["step", "process", "call"]);
    }
    let told: Vec<(usize, &TracedStep)> =
        steps.iter().enumerate().filter(|(position, _)| is_told(steps, *position)).collect();
    // The end of a witness is where it goes wrong: of a long one the beginning is left out.
    let skipped = told.len().saturating_sub(ROWS);
    for (position, step) in told.iter().skip(skipped) {
        let line = step.line.as_ref().map_or_else(String::new, |line| format!("  {line}"));
        let call = shown(&format!("{}{line}", step.call));
        let number = (position + 1).to_string();
        if is_wide {
            let cells = tasks
                .iter()
                .map(|task| if *task == receiver(&step.task) { call.clone() } else { String::new() });
            table.add_row(std::iter::once(number).chain(cells));
        } else {
            table.add_row([number, receiver(&step.task).to_owned(), call]);
        }
    }
    let mut text = String::new();
    if let Some((first, _)) = told.get(skipped).filter(|_| skipped > 0) {
        text = format!("… the first {first} steps are left out; --format json has all\n");
    }
    if told.len() < steps.len() {
        text.push_str(
            "a number is missing where a signal handler could have run, and no switch is beside it\n",
        );
    }
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Whether a step has a row: places between two calls matter only where another process goes on.
fn is_told(steps: &[TracedStep], position: usize) -> bool {
    let step = &steps[position];
    let is_of_another = |other: Option<&TracedStep>| other.is_some_and(|other| other.task != step.task);
    !step.between_calls
        || step.kill
        || is_of_another(position.checked_sub(1).and_then(|before| steps.get(before)))
        || is_of_another(steps.get(position + 1))
}

/// A signal arrives in the column of its receiver.
fn receiver(task: &str) -> &str {
    task.split('@').next().unwrap_or(task)
}

/// A place in the tree, in the order of numbers and not of letters: `root.2` before `root.10`.
fn place(task: &str) -> Vec<(bool, u64, &str)> {
    let part = |part: &str| {
        let digits = part.trim_start_matches(|c: char| !c.is_ascii_digit());
        (part.starts_with('t'), digits.parse().unwrap_or(0))
    };
    task.split('.').map(|text| (part(text).0, part(text).1, text)).collect()
}

/// Without what could command a terminal.
fn shown(call: &str) -> String {
    call.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> Vec<TracedStep> {
        let step = |task: &str, call: &str| TracedStep {
            task: task.into(),
            call: call.into(),
            object: "file stock".into(),
            kill: false,
            line: None,
            between_calls: false,
        };
        vec![
            step("root", "fork() = root.1"),
            step("root.10", "read(stock, \"1\")"),
            step("root.2", "write(stock, \"0\")"),
        ]
    }

    #[test]
    fn each_process_has_a_column_in_the_order_of_the_tree() {
        let text = table(&steps(), 100);
        let head = text.lines().next().unwrap();
        assert!(head.find("root.2").unwrap() < head.find("root.10").unwrap(), "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
    }

    #[test]
    fn a_place_between_calls_has_a_row_only_beside_a_switch() {
        let mut steps = steps();
        let between = |task: &str| TracedStep {
            task: task.into(),
            call: "returns from read".into(),
            between_calls: true,
            ..steps[0].clone()
        };
        let [first, second, third] = ["root", "root", "root.10"].map(between);
        steps.splice(1..1, [first, second]);
        steps.insert(4, third.clone());
        steps.insert(5, third.clone());
        steps.insert(5, third);
        let text = table(&steps, 100);
        let first = |line: &str| line.split_whitespace().next()?.parse::<usize>().ok();
        let numbers: Vec<usize> = text.lines().filter_map(first).collect();
        assert_eq!(numbers, [1, 3, 4, 7, 8], "{text}");
    }

    #[test]
    fn no_line_is_wider_than_the_window() {
        for width in [40, 60, 80, 120] {
            let text = table(&steps(), width);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(width), "{width}: {text}");
        }
    }
}
