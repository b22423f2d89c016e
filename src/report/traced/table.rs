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
    // The end of a witness is where it goes wrong: of a long one the beginning is left out.
    let skipped = steps.len().saturating_sub(ROWS);
    for (position, step) in steps.iter().enumerate().skip(skipped) {
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
    if skipped > 0 {
        text = format!("… the first {skipped} steps are left out; --format json has all\n");
    }
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
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
    fn no_line_is_wider_than_the_window() {
        for width in [40, 60, 80, 120] {
            let text = table(&steps(), width);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(width), "{width}: {text}");
        }
    }
}
