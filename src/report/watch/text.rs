//! The summary for people: where the knowledge comes from, the tree with its times, the check, deadlocks.

use crate::sys::pid::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::model::{
    DescriptorReport, DescriptorsReport, ProcessReport, ThreadReport, WaitReport, WatchReport,
};
use super::numbers::short;
use crate::observe::event::State;
use crate::observe::tier::Tier;
use crate::sys::procfs::text::printable;

/// The whole summary, for a terminal of `width` columns (`None` for a file or pipe: no line is broken); with
/// `threads` each thread has a row.
pub fn summary(report: &WatchReport, width: Option<u16>, threads: bool) -> String {
    let mut text = report.summary.iter().map(|sentence| sentence.clone() + "\n").collect::<String>();
    text.push('\n');
    text.push_str(&heading(report));
    text.push('\n');
    text.push_str(&table(report, width, threads));
    text.push_str(&footing(report));
    text.push_str(&super::scheduling::line(report));
    text.push_str(&signals(report));
    if let Some(descriptors) = &report.descriptors {
        text.push_str(&descriptor_table(descriptors));
    }
    if let Some(comparison) = &report.comparison {
        text.push_str(&super::compare::text(comparison));
    }
    text
}

/// What was watched and by which tier: the top of every view.
pub fn heading(report: &WatchReport) -> String {
    let what = match &report.command {
        Some(command) => format!("`{}`", printable(command.join(" ").as_bytes())),
        None => format!("process {}", report.pid),
    };
    let n = report.processes.len() as u64 + report.folded_processes;
    let processes = if n == 1 { "1 process".to_owned() } else { format!("{n} processes") };
    let mut text = format!("watched {what} for {}: {processes}\n", short(report.wall_ns));
    let _ = writeln!(text, "{} tier: {}", report.tier, report.resolution);
    for refusal in &report.why_not_better {
        let _ = writeln!(text, "not the {} tier: {}", refusal.tier, refusal.why);
    }
    if report.lost_records > 0 {
        let _ = writeln!(
            text,
            "WARNING: {} of {} records were lost: times may be wrong",
            report.lost_records,
            report.records + report.lost_records
        );
    }
    text
}

/// Columns that a narrow terminal does without, the first of them first.
const DISPENSABLE: [&str; 9] =
    ["SID", "PGID", "TURNS", "START", "ZOMBIE", "LIFE", "STOPPED", "UNKNOWN", "PPID"];

fn table(report: &WatchReport, width: Option<u16>, threads: bool) -> String {
    let mut columns = columns(report, threads);
    if let Some(width) = width {
        fit(&mut columns, width.into());
    }
    laid_out(&columns)
}

/// Leaves columns out, and cuts the last one, until no line is longer than `width`.
fn fit(columns: &mut Vec<Column>, width: usize) {
    const LAST_AT_LEAST: usize = 14;
    // Each has a space before and behind it; of the last one that behind it is not printed.
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
            Row::Thread(.., thread) => bounded(thread.ready_ns, thread.ready_is_lower_bound),
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
        column("RUN", true, &time(0)),
        column("READY", true, &|row| row.ready()),
        column("BLOCKED", true, &time(2)),
        column("STOPPED", true, &time(3)),
        column("UNKNOWN", true, &time(4)),
        column("ZOMBIE", true, &|row| match row {
            Row::Process(_, process) => zombie(process.zombie_ns, process.zombie_at_least_ns),
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
    for (title, place) in [("STOPPED", 3), ("UNKNOWN", 4)] {
        if rows.iter().all(|row| row.times()[place] == 0) {
            columns.retain(|column| column.title != title);
        }
    }
    columns
}

/// Exit code, signal, or what it still does.
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
    bounded(process.ready_ns, process.ready_is_lower_bound)
}

fn bounded(ns: u64, is_lower_bound: bool) -> String {
    format!("{}{}", if is_lower_bound { "≥" } else { "" }, short(ns))
}

/// A time as a zombie: between two bounds where the reaping was not seen to 0.1 ms or 5 %.
pub fn zombie(ns: u64, at_least_ns: u64) -> String {
    let known_to = (ns / 20).max(100_000);
    match ns.saturating_sub(at_least_ns) {
        room if room < known_to => short(ns),
        room if room * 20 > ns * 19 => format!("≤{}", short(ns)),
        _ => format!("{}–{}", short(at_least_ns), short(ns)),
    }
}

fn blocked_on(waits: &[WaitReport]) -> String {
    let seen: Vec<String> = waits
        .iter()
        .filter(|wait| wait.on != "not seen")
        .take(2)
        .map(|wait| format!("{} {}", wait.on, short(wait.ns)))
        .collect();
    seen.join("; ")
}

/// Who sent which signal to whom, the last ones of many. That a child has ended is told by its end.
fn signals(report: &WatchReport) -> String {
    const TOLD: usize = 20;
    let name = |tid: Pid| {
        let of = |process: &&ProcessReport| {
            process.pid == tid || process.threads.iter().any(|thread| thread.tid == tid)
        };
        match report.processes.iter().find(of) {
            Some(process) => format!("{tid} {}", process.name),
            None if tid == Pid::UNKNOWN => "the kernel".to_owned(),
            None => tid.to_string(),
        }
    };
    let sent: Vec<_> = report.signals.iter().filter(|sent| sent.signal != "SIGCHLD").collect();
    let mut text = String::new();
    if sent.len() > TOLD {
        let _ = writeln!(text, "{} earlier signals are in the JSON report", sent.len() - TOLD);
    }
    for sent in sent.iter().skip(sent.len().saturating_sub(TOLD)) {
        let (at, from, to) = (short(sent.at_ns), name(sent.from), name(sent.to));
        let _ = writeln!(text, "signal: {from} sent {} to {to} at {at}", sent.signal);
    }
    text
}

fn descriptor_table(report: &DescriptorsReport) -> String {
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
        column("STANDS FOR", false, &|open| open.what.clone()),
        column("OTHER END", false, &|open| open.other_end.clone()),
    ];
    format!("\nOpen descriptors at {}:\n{}", short(report.at_ns), laid_out(&columns))
}

fn footing(report: &WatchReport) -> String {
    let mut text = String::new();
    for process in &report.processes {
        if let Some(since_ns) = process.unrecorded_since_ns {
            let (pid, name, at) = (process.pid, &process.name, short(since_ns));
            let hidden = if process.unknown_ns > 0 {
                "; where /proc does not show it, its state is unknown"
            } else {
                ""
            };
            let _ = writeln!(
                text,
                "{pid} {name}: the kernel records nothing of it after {at}, when an exec gained privileges: its times from there are sums from /proc, read every few milliseconds{hidden}"
            );
        }
        if let Some(orphan) = &process.orphan {
            let adopted = orphan.new_parent.map_or("its new parent was not seen".to_owned(), |new| {
                format!("adopted by {new}{}", if new.as_raw() == 1 { " (init)" } else { "" })
            });
            let (pid, name, at) = (process.pid, &process.name, short(orphan.at_ns));
            let _ = writeln!(
                text,
                "orphan: {pid} {name} lost its parent {} at {at}; {adopted}",
                orphan.old_parent
            );
        }
    }
    for deadlock in &report.deadlocks {
        let _ = writeln!(text, "{}", deadlock_line(deadlock));
    }
    let check = &report.conservation;
    if report.tier == Tier::Sampled {
        text.push_str("run + ready + blocked = wall by construction: all are differences of the same sums\n");
    } else if check.checked == 0 {
        text.push_str(
            "run + ready + blocked = wall: not checked, no process was blocked long enough to be asked\n",
        );
    } else {
        let unasked = report.processes.len().saturating_sub(check.checked);
        let unasked = match unasked {
            0 => String::new(),
            _ => format!("; {unasked} could not be asked in time"),
        };
        let percent = check.largest_difference_ns as f64 / check.of_ns.max(1) as f64 * 100.0;
        let verdict = match check.checked - check.holding {
            0 if check.checked == 1 => "the one process that was compared with schedstat agrees".to_owned(),
            0 => format!("all {} processes that were compared with schedstat agree", check.checked),
            n => {
                format!("{n} of {} processes DIFFER from schedstat: do not trust their times", check.checked)
            }
        };
        let _ = writeln!(
            text,
            "run + ready + blocked = wall: {verdict}{unasked}; largest difference {} of a life of {} ({percent:.1} %; {} allowed)",
            short(check.largest_difference_ns),
            short(check.of_ns),
            short(check.tolerance_ns)
        );
    }
    text.push_str(&unseen(report));
    if report.folded_processes > 0 {
        let _ =
            writeln!(text, "{} more processes ended long ago and are only counted", report.folded_processes);
    }
    text
}

/// How much of the blocked time has no reason: a wait may be over before it is asked about.
fn unseen(report: &WatchReport) -> String {
    let threads =
        report.processes.iter().flat_map(|process| process.threads.iter().map(move |of| (process, of)));
    let (mut blocked_ns, mut unseen_ns, mut longest) = (0, 0, None);
    for (process, thread) in threads {
        for wait in &thread.waits {
            blocked_ns += wait.ns;
            if wait.on == "not seen" {
                unseen_ns += wait.ns;
                longest = longest.max(Some((wait.longest_ns, thread.tid, &process.name)));
            }
        }
    }
    let Some((longest_ns, tid, name)) = longest else { return String::new() };
    let seen = (blocked_ns - unseen_ns) as f64 / blocked_ns.max(1) as f64 * 100.0;
    let longest = short(longest_ns);
    format!(
        "what was waited for is known for {seen:.1} % of the blocked time; the longest wait not seen is {longest} of {tid} {name}\n"
    )
}

/// One line that names a deadlock.
pub fn deadlock_line(deadlock: &super::model::DeadlockReport) -> String {
    let waits = circle(deadlock.waits.iter().map(|one| (one.pid, one.tid, one.on.as_str())));
    let lasted = match deadlock.to_ns {
        Some(to_ns) => format!("for {}", short(to_ns.saturating_sub(deadlock.from_ns))),
        None => "to the end".to_owned(),
    };
    let behind = match &deadlock.behind[..] {
        [] => String::new(),
        pids => {
            let pids: Vec<String> = pids.iter().map(Pid::to_string).collect();
            format!("; {} waits behind", pids.join(", "))
        }
    };
    format!("DEADLOCK from {} {lasted}: {}{behind}", short(deadlock.from_ns), waits)
}

/// Who waits for what in a deadlock, the first few of many: they can be seen in the table too.
pub fn circle<'a>(circle: impl Iterator<Item = (Pid, Pid, &'a str)>) -> String {
    const TOLD: usize = 3;
    let waits = |(pid, tid, on)| match pid {
        main if main == tid => format!("{pid} waits for {on}"),
        _ => format!("thread {tid} of {pid} waits for {on}"),
    };
    let mut all: Vec<String> = circle.map(waits).collect();
    // One more is as short as the word for it.
    if all.len() > TOLD + 1 {
        let rest = all.split_off(TOLD).len();
        all.push(format!("and {rest} more"));
    }
    all.join("; ")
}

/// The processes depth first, each with its depth: a child stands under the parent that it began with.
pub fn as_tree(processes: &[ProcessReport]) -> Vec<(usize, &ProcessReport)> {
    let mut children: BTreeMap<Pid, Vec<usize>> = BTreeMap::new();
    let pids: BTreeSet<Pid> = processes.iter().map(|process| process.pid).collect();
    let mut roots = Vec::new();
    for (index, process) in processes.iter().enumerate() {
        let parent = process.orphan.as_ref().map_or(process.ppid, |orphan| orphan.old_parent);
        if pids.contains(&parent) && parent != process.pid {
            children.entry(parent).or_default().push(index);
        } else {
            roots.push(index);
        }
    }
    let mut told = vec![false; processes.len()];
    let mut order = Vec::with_capacity(processes.len());
    let mut todo: Vec<(usize, usize)> = roots.into_iter().rev().map(|index| (0, index)).collect();
    // A PID that was used twice could make a circle: what no root leads to is told at the end.
    let mut rest = (0..processes.len()).rev();
    loop {
        let Some((depth, index)) = todo.pop() else {
            match rest.next() {
                Some(index) => todo.push((0, index)),
                None => return order,
            }
            continue;
        };
        if std::mem::replace(&mut told[index], true) {
            continue;
        }
        order.push((depth, &processes[index]));
        let below = children.get(&processes[index].pid).into_iter().flatten();
        todo.extend(below.rev().map(|child| (depth + 1, *child)));
    }
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
