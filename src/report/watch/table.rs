//! The table of processes and threads, and that of open descriptors, as wide as the terminal.

use std::collections::BTreeSet;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::model::{
    DescriptorReport, DescriptorsReport, ProcessReport, ThreadReport, WaitReport, WatchReport,
};
use super::numbers::{at_least, between, short};
use super::tree::as_tree;
use crate::observe::event::State;

/// Columns that are dropped on a narrow terminal, in this order.
const DISPENSABLE: [&str; 10] =
    ["RESPONSE", "SID", "PGID", "TURNS", "START", "ZOMBIE", "LIFE", "STOPPED", "UNKNOWN", "PPID"];

/// The processes, with `threads` each thread in a row of its own; no line is longer than `width`.
pub(super) fn processes(report: &WatchReport, width: Option<u16>, threads: bool) -> String {
    let mut columns = columns(report, threads);
    if let Some(width) = width {
        fit(&mut columns, width.into());
    }
    laid_out(&columns)
}

/// Drops columns, and cuts the last one, until no line is longer than `width`.
fn fit(columns: &mut Vec<Column>, width: usize) {
    const LAST_AT_LEAST: usize = 14;
    // Each has a space on both sides, except behind the last one.
    let before_last = |columns: &[Column]| {
        columns[..columns.len() - 1].iter().map(|column| column.width() + 2).sum::<usize>() + 1
    };
    for title in DISPENSABLE {
        if before_last(columns) + LAST_AT_LEAST > width {
            columns.retain(|column| column.title != title);
        }
    }
    let left = width.saturating_sub(before_last(columns)).max(LAST_AT_LEAST);
    if let Some(last) = columns.last_mut() {
        if last.title.len() > left {
            last.title = "BLOCKED ON";
        }
        last.cut(left);
    }
}

fn laid_out(columns: &[Column]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.title));
    let n_rows = columns.first().map_or(0, |column| column.cells.len());
    for row in 0..n_rows {
        table.add_row(columns.iter().map(|column| {
            let cell = Cell::new(&column.cells[row]);
            if column.right { cell.set_alignment(CellAlignment::Right) } else { cell }
        }));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    lines.concat()
}

struct Column {
    title: &'static str,
    right: bool,
    cells: Vec<String>,
}

impl Column {
    fn width(&self) -> usize {
        let widest = self.cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(self.title.len())
    }

    fn cut(&mut self, width: usize) {
        for cell in &mut self.cells {
            if cell.chars().count() > width {
                *cell = cell.chars().take(width - 1).chain(['…']).collect();
            }
        }
    }
}

/// A process, or with `--threads` one of its threads.
#[derive(Clone, Copy)]
enum Row<'a> {
    Process(usize, &'a ProcessReport),
    Thread(usize, &'a ProcessReport, &'a ThreadReport),
}

fn table_rows(report: &WatchReport, threads: bool) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for (depth, process) in as_tree(&report.processes) {
        rows.push(Row::Process(depth, process));
        if threads && process.n_threads > 1 {
            rows.extend(process.threads.iter().map(|thread| Row::Thread(depth + 1, process, thread)));
        }
    }
    rows
}

impl Row<'_> {
    fn name(&self) -> String {
        match self {
            Row::Process(depth, process) => {
                let threads = match process.n_threads {
                    1 => String::new(),
                    several => format!(" ({several} threads)"),
                };
                format!("{}{}{threads}", "  ".repeat((*depth).min(8)), process.name)
            }
            Row::Thread(depth, _, thread) => format!("{}· {}", "  ".repeat((*depth).min(8)), thread.name),
        }
    }

    fn of(&self) -> &ProcessReport {
        match self {
            Row::Process(_, process) | Row::Thread(_, process, _) => process,
        }
    }

    fn times(&self) -> [u64; 5] {
        match self {
            Row::Process(_, of) => [of.running_ns, of.ready_ns, of.blocked_ns, of.stopped_ns, of.unknown_ns],
            Row::Thread(.., of) => [of.running_ns, of.ready_ns, of.blocked_ns, of.stopped_ns, of.unknown_ns],
        }
    }

    fn life_ns(&self) -> u64 {
        match self {
            Row::Process(_, process) => process.life_ns,
            Row::Thread(..) => self.times().iter().sum(),
        }
    }

    fn end(&self) -> String {
        match self {
            Row::Process(_, process) => end(process),
            Row::Thread(.., thread) if thread.ended_ns.is_some() => "ended".to_owned(),
            Row::Thread(.., thread) => format!("{} ({})", thread.state.word(), thread.state.letter()),
        }
    }

    fn started_ns(&self) -> u64 {
        match self {
            Row::Process(_, process) => process.started_ns,
            Row::Thread(.., thread) => thread.started_ns,
        }
    }

    fn ready(&self) -> String {
        match self {
            Row::Process(_, process) => ready(process),
            Row::Thread(.., thread) => at_least(thread.ready_ns, thread.ready_is_lower_bound),
        }
    }

    fn blocked_on(&self) -> String {
        match self {
            Row::Process(_, process) => blocked_on(&process.waits),
            Row::Thread(.., thread) => blocked_on(&thread.waits),
        }
    }
}

fn columns(report: &WatchReport, threads: bool) -> Vec<Column> {
    let rows = table_rows(report, threads);
    let column = |title, right, cell: &dyn Fn(&Row<'_>) -> String| Column {
        title,
        right,
        cells: rows.iter().map(cell).collect(),
    };
    let time = |place: usize| move |row: &Row<'_>| short(row.times()[place]);
    let mut columns = vec![
        column(if threads { "PID/TID" } else { "PID" }, true, &|row| match row {
            Row::Process(_, process) => process.pid.to_string(),
            Row::Thread(.., thread) => thread.tid.to_string(),
        }),
        column("PPID", true, &|row| match row {
            Row::Process(_, process) => process.ppid.to_string(),
            Row::Thread(_, process, _) => process.pid.to_string(),
        }),
        column("PGID", true, &|row| row.of().pgid.map_or(String::new(), |pgid| pgid.to_string())),
        column("SID", true, &|row| row.of().session.map_or(String::new(), |session| session.to_string())),
        column("NAME", false, &|row| row.name()),
        column("END", false, &|row| row.end()),
        column("START", true, &|row| short(row.started_ns())),
        column("LIFE", true, &|row| short(row.life_ns())),
        column("RESPONSE", true, &|row| match row {
            Row::Process(_, process) => process.response_ns.map_or(String::new(), short),
            Row::Thread(..) => String::new(),
        }),
        column("RUN", true, &time(0)),
        column("READY", true, &|row| row.ready()),
        column("BLOCKED", true, &time(2)),
        column("STOPPED", true, &time(3)),
        column("UNKNOWN", true, &time(4)),
        column("ZOMBIE", true, &|row| match row {
            Row::Process(_, process) => between(process.zombie_ns, process.zombie_at_least_ns),
            Row::Thread(..) => String::new(),
        }),
        column("TURNS", true, &|row| match row {
            Row::Process(_, process) => process.turns.to_string(),
            Row::Thread(.., thread) => thread.turns.to_string(),
        }),
        column("BLOCKED ON (longest)", false, &|row| row.blocked_on()),
    ];
    let groups: BTreeSet<_> = report.processes.iter().filter_map(|process| process.pgid).collect();
    let sessions: BTreeSet<_> = report.processes.iter().filter_map(|process| process.session).collect();
    for (title, n) in [("PGID", groups.len()), ("SID", sessions.len())] {
        if n < 2 {
            columns.retain(|column| column.title != title);
        }
    }
    if report.processes.iter().all(|process| process.response_ns.is_none()) {
        columns.retain(|column| column.title != "RESPONSE");
    }
    for (title, place) in [("STOPPED", 3), ("UNKNOWN", 4)] {
        if rows.iter().all(|row| row.times()[place] == 0) {
            columns.retain(|column| column.title != title);
        }
    }
    columns
}

/// The exit code, signal, or current state.
pub fn end(process: &ProcessReport) -> String {
    match (process.exit, process.state) {
        (Some(code @ 0..), _) => format!("exit {code}"),
        (Some(signal), _) => crate::process::Signal(-signal).to_string(),
        (None, State::Reaped | State::Zombie) => "ended".to_owned(),
        (None, state) => format!("{} ({})", state.word(), state.letter()),
    }
}

/// The time ready for a CPU, with `≥` where the delay of some wake-ups is not known.
pub fn ready(process: &ProcessReport) -> String {
    at_least(process.ready_ns, process.ready_is_lower_bound)
}

fn blocked_on(waits: &[WaitReport]) -> String {
    let seen: Vec<String> = waits
        .iter()
        .filter(|wait| wait.on != "not seen")
        .take(2)
        .map(|wait| format!("{} {}", wait.on, between(wait.ns, wait.at_least_ns)))
        .collect();
    seen.join("; ")
}

/// Every open descriptor at one time.
pub(super) fn descriptors(report: &DescriptorsReport) -> String {
    let column = |title, right, cell: &dyn Fn(&DescriptorReport) -> String| Column {
        title,
        right,
        cells: report.open.iter().map(cell).collect(),
    };
    let mode = |open: &DescriptorReport| match (open.reads, open.writes) {
        (true, true) => "read, write",
        (true, false) => "read",
        (false, true) => "write",
        (false, false) => "",
    };
    let columns = [
        column("PID", true, &|open| open.pid.to_string()),
        column("NAME", false, &|open| open.name.clone()),
        column("FD", true, &|open| open.fd.to_string()),
        column("MODE", false, &|open| mode(open).to_owned()),
        column("REFERS TO", false, &|open| open.what.clone()),
        column("OTHER END", false, &|open| open.other_end.clone()),
    ];
    format!("\nOpen descriptors at {}:\n{}", short(report.at_ns), laid_out(&columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_the_table_is_longer_than_the_terminal() {
        for width in 60..160 {
            let column = |title, right, cell: &str| Column { title, right, cells: vec![cell.to_owned()] };
            let mut columns = vec![
                column("PID", true, "16238"),
                column("PPID", true, "16236"),
                column("NAME", false, "  python3"),
                column("START", true, "45.31 ms"),
                column("RUN", true, "11.00 ms"),
                column("BLOCKED", true, "1.959 s"),
                column(
                    "BLOCKED ON (longest)",
                    false,
                    "semaphore mrMNmk shared with 16236 python3, 16239 python3",
                ),
            ];
            fit(&mut columns, width);
            let text = laid_out(&columns);
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(width), "{longest:?} of {width}:\n{text}");
        }
    }
}
