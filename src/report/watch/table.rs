//! The table of processes and threads, and that of open descriptors, as wide as the terminal.

use std::collections::BTreeSet;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::model::{
    DescriptorReport, DescriptorsReport, ProcessReport, ThreadReport, WaitReport, WatchReport,
};
use super::numbers::{at_least, between, short};
use super::tree::as_tree;
use super::wrap::wrap;
use crate::observe::event::State;

/// The title of the column of waits.
const BLOCKED_ON: &str = "BLOCKED ON (most time)";

/// Columns that are moved to a second table where the first one is too wide, in this order.
const DISPENSABLE: [&str; 10] =
    ["RESPONSE", "SID", "PGID", "TURNS", "START", "ZOMBIE", "STOPPED", "UNKNOWN", "LIFE", "PPID"];

/// The processes, with `threads` each thread in a row of its own. No line is longer than `width`: what has no room beside
/// the rest comes in further tables, and what the rows were blocked on in lines below.
pub(super) fn processes(report: &WatchReport, width: usize, threads: bool) -> String {
    let rows = table_rows(report, threads);
    let mut columns = columns(report, threads);
    let mut waits = String::new();
    if total(&columns) > width {
        columns.retain(|column| column.title != BLOCKED_ON);
        let waiting = rows.iter().map(|row| (row, row.blocked_on())).filter(|(_, on)| !on.is_empty());
        let lines = waiting.map(|(row, on)| wrap(&format!(" {}: {on}", row.identity()), width));
        waits = lines.collect::<String>();
    }
    let tables: Vec<String> = fit(columns, width).iter().map(|columns| laid_out(columns)).collect();
    let mut text = tables.join("\n");
    if !waits.is_empty() {
        text.push_str(&format!("\n{BLOCKED_ON}\n{waits}"));
    }
    text
}

/// Distributes columns over tables of at most `width`, each of which begins with the first column.
fn fit(mut columns: Vec<Column>, width: usize) -> Vec<Vec<Column>> {
    let mut tables = Vec::new();
    loop {
        let mut left: Vec<Column> = Vec::new();
        let order: Vec<&str> = columns.iter().map(|column| column.title).collect();
        // The last ones of the rest, if the table is still too wide.
        let rest = order.iter().skip(2).rev().filter(|title| !DISPENSABLE.contains(title));
        for title in DISPENSABLE.iter().chain(rest) {
            if total(&columns) <= width || columns.len() == 2 {
                break;
            }
            if let Some(place) = columns.iter().skip(1).position(|column| column.title == *title) {
                left.push(columns.remove(place + 1));
            }
        }
        left.sort_by_key(|column| order.iter().position(|title| *title == column.title));
        let first = columns[0].clone();
        if total(&columns) > width
            && let Some(last) = columns.last_mut()
        {
            last.cut(width.saturating_sub(first.width() + 3));
        }
        tables.push(columns);
        if left.is_empty() {
            return tables;
        }
        columns = [vec![first], left].concat();
    }
}

/// The width of a table: each column has a space on both sides, except behind the last one.
fn total(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.width() + 2).sum::<usize>().saturating_sub(1)
}

fn laid_out(columns: &[Column]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.title));
    let n_rows = columns.first().map_or(0, |column| column.cells.len());
    for row in 0..n_rows {
        // A further table leaves out the rows that have nothing in it.
        if columns.iter().skip(1).all(|column| column.cells[row].is_empty()) {
            continue;
        }
        table.add_row(columns.iter().map(|column| {
            let cell = Cell::new(&column.cells[row]);
            if column.right { cell.set_alignment(CellAlignment::Right) } else { cell }
        }));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    lines.concat()
}

#[derive(Debug, Clone)]
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
            if cell.chars().count() > width.max(2) {
                *cell = cell.chars().take(width.max(2) - 1).chain(['…']).collect();
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

    /// `4240 bash`, or `thread 4243 worker of 4240 python3`.
    fn identity(&self) -> String {
        match self {
            Row::Process(_, process) => format!("{} {}", process.pid, process.name),
            Row::Thread(_, process, thread) if thread.name == process.name => {
                format!("thread {} of {} {}", thread.tid, process.pid, process.name)
            }
            Row::Thread(_, process, thread) => {
                format!("thread {} {} of {} {}", thread.tid, thread.name, process.pid, process.name)
            }
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
            // The waits of a process are those of its main thread.
            Row::Thread(_, process, thread) if thread.tid == process.pid => String::new(),
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
        column(BLOCKED_ON, false, &|row| row.blocked_on()),
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

/// Every open descriptor at one time; no line is longer than `width`.
pub(super) fn descriptors(report: &DescriptorsReport, width: usize) -> String {
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
    let columns = vec![
        column("PID", true, &|open| open.pid.to_string()),
        column("NAME", false, &|open| open.name.clone()),
        column("FD", true, &|open| open.fd.to_string()),
        column("MODE", false, &|open| mode(open).to_owned()),
        column("REFERS TO", false, &|open| open.what.clone()),
        column("OTHER END", false, &|open| open.other_end.clone()),
    ];
    let title = format!("\nOpen descriptors at {}:\n", short(report.at_ns));
    if total(&columns) <= width {
        return title + &laid_out(&columns);
    }
    // What they refer to is long: a line each, under their process.
    let mut text = title;
    for of_one in report.open.chunk_by(|one, next| one.pid == next.pid) {
        text.push_str(&wrap(&format!("{} {}", of_one[0].pid, of_one[0].name), width));
        for open in of_one {
            let other_end = if open.other_end.is_empty() { "" } else { ", " };
            let gap = if mode(open).is_empty() { "" } else { " " };
            let (fd, mode, what) = (open.fd, mode(open), &open.what);
            text.push_str(&wrap(&format!("  {fd}{gap}{mode}: {what}{other_end}{}", open.other_end), width));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_the_width_and_no_column_is_lost() {
        let cells = [
            ("PID", "16238"),
            ("PPID", "16236"),
            ("NAME", "                python3 (70 threads)"),
            ("END", "SIGKILL"),
            ("START", "45.31 ms"),
            ("RUN", "11.00 ms"),
            ("READY", "≥11.00 ms"),
            ("BLOCKED", "1.959 s"),
            ("ZOMBIE", "11.00 ms–12.00 ms"),
            ("TURNS", "123456"),
        ];
        for width in 50..160 {
            let columns =
                cells.map(|(title, cell)| Column { title, right: true, cells: vec![cell.to_owned()] });
            let tables = fit(columns.into(), width);
            let text: String = tables.iter().map(|columns| laid_out(columns)).collect();
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(width), "{longest:?} of {width}:\n{text}");
            assert!(
                cells.iter().all(|(title, cell)| text.contains(title) && text.contains(cell.trim())),
                "{text}"
            );
        }
    }
}
