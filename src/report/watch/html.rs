//! One page without a network: what happened in sentences, the drawing with zoom and hover, tables.

use std::fmt::Write;

use super::drawing::{Drawing, draw};
use super::model::{ProcessReport, WatchReport};
use super::numbers::short;
use super::svg::{self, escape};
use super::text::{as_tree, deadlock_line, end, heading, ready, zombie};
use crate::observe::watch::Observed;

/// The page; with `threads` each thread has a lane.
pub fn page(observed: &Observed, report: &WatchReport, threads: bool) -> Vec<u8> {
    let drawing = draw(observed, report, threads);
    let rows = as_tree(&report.processes);
    let mut heading = heading(report).lines().map(escape).collect::<Vec<_>>().into_iter();
    let title = heading.next().unwrap_or_default();
    let notes: Vec<String> = heading.chain(drawing.remarks.iter().map(escape)).collect();
    let deadlocks: String = report
        .deadlocks
        .iter()
        .map(|deadlock| format!("<p class=\"deadlock\">{}</p>", escape(deadlock_line(deadlock))))
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>\n{STYLE}</style></head><body>\n\
         <h1>{title}</h1><p>{sentences}</p><p class=\"notes\">{notes}</p>{deadlocks}\n{timeline}\n\
         <h2>Processes</h2>{table}\n<h2>Blocked on</h2>{waits}\n\
         <script>\n{SCRIPT}</script></body></html>\n",
        sentences = report.summary.iter().map(escape).collect::<Vec<_>>().join("<br>"),
        notes = notes.join("<br>"),
        timeline = timeline(&drawing),
        table = table(&rows),
        waits = waits(&rows),
    )
    .into_bytes()
}

const STYLE: &str = include_str!("page.css");

/// Zooms by the width of the drawing, about the place of the mouse, and sets the marks of the axis anew.
const SCRIPT: &str = include_str!("page.js");

fn timeline(drawing: &Drawing) -> String {
    let mut labels = String::new();
    for lane in &drawing.lanes {
        let class = if lane.kind == super::drawing::LaneKind::Cpu { " class=\"cpu\"" } else { "" };
        let label = escape(&lane.label);
        let _ = write!(
            labels,
            "<div{class} style=\"padding-left:{}px\" title=\"{label}\">{label}</div>",
            lane.indent * 10
        );
    }
    let body = svg::height(drawing);
    let legend: String = svg::legend(drawing)
        .iter()
        .map(|(sample, words)| {
            format!("<dt><svg width=\"24\" height=\"12\">{sample}</svg></dt><dd>{}</dd>", escape(words))
        })
        .collect();
    format!(
        "<p class=\"zoom\"><button value=\"2\">zoom in</button> <button value=\"0.5\">zoom out</button> \
         Ctrl and the wheel zoom at the mouse; hover over a mark for its meaning.</p>\
         <div class=\"lanes\"><div class=\"labels\">{labels}</div><div class=\"scroll\">\
         <svg height=\"{}\" data-length=\"{}\" data-axis=\"{body}\">{}{}{}</svg></div></div><dl>{legend}</dl>",
        body + 22,
        drawing.length_ns,
        svg::DEFINITIONS,
        svg::lanes(drawing),
        svg::axis(drawing, body),
    )
}

fn table(rows: &[(usize, &ProcessReport)]) -> String {
    let mut html = String::from(
        "<div class=\"scroll\"><table><tr><th>PID</th><th>PPID</th><th class=\"left\">name</th>\
         <th class=\"left\">end</th><th>start</th><th>CPU</th>\
         <th>running</th><th>ready</th><th>blocked</th><th>stopped</th><th>zombie</th><th>turns</th>\
         <th class=\"left\">command</th></tr>",
    );
    for (depth, process) in rows {
        let name = format!("{}{}", "&emsp;".repeat((*depth).min(8)), escape(&process.name));
        let mut command: String = process.command.clone().unwrap_or_default().chars().take(120).collect();
        command = escape(&command);
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td class=\"left\">{name}</td><td class=\"left\">{}</td>",
            process.pid,
            process.ppid,
            escape(end(process))
        );
        for cell in [
            short(process.started_ns),
            short(process.cpu_ns),
            short(process.running_ns),
            ready(process),
            short(process.blocked_ns),
            short(process.stopped_ns),
            zombie(process.zombie_ns, process.zombie_at_least_ns),
            process.turns.to_string(),
        ] {
            let _ = write!(html, "<td>{cell}</td>");
        }
        let _ = write!(html, "<td class=\"left\">{command}</td></tr>");
    }
    html.push_str("</table></div>");
    html
}

fn waits(rows: &[(usize, &ProcessReport)]) -> String {
    let mut html = String::from(
        "<div class=\"scroll\"><table><tr><th>PID</th><th>times</th><th class=\"left\">on</th><th>longest</th><th>in all</th></tr>",
    );
    for (_, process) in rows {
        for wait in process.waits.iter().take(8) {
            let _ = write!(
                html,
                "<tr><td>{}</td><td>{}</td><td class=\"left\">{}</td><td>{}</td><td>{}</td></tr>",
                process.pid,
                wait.times,
                escape(&wait.on),
                short(wait.longest_ns),
                short(wait.ns)
            );
        }
    }
    html.push_str("</table></div>");
    html
}
