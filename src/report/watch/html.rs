//! A page that needs no network: the sentences, the timeline with zoom and hover, tables.
//!
//! The timeline is drawn by the module that the live page draws with, from the drawing as JSON.

use std::fmt::Write;

use super::TIMELINE;
use super::deadlock::deadlock_line;
use super::drawing::draw;
use super::lanes::Drawing;
use super::model::{ProcessReport, WatchReport};
use super::numbers::{between, short};
use super::svg::escape;
use super::table::{end, ready};
use super::text::heading;
use super::tree::as_tree;
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
         <h1>{title}</h1><p>{sentences}</p><p class=\"notes\">{notes}</p>{deadlocks}\n\
         <div class=\"timeline\" id=\"timeline\"></div>\
         <p class=\"notes\">Ctrl and the wheel zoom at the mouse, Shift and the wheel pan; hover over a mark for its meaning.</p>\n\
         <h2>Processes</h2>{table}\n<h2>Blocked on</h2>{waits}\n\
         <script type=\"application/json\" id=\"drawing\">{data}</script>\n\
         <script type=\"module\">\n{TIMELINE}\n{SCRIPT}</script></body></html>\n",
        sentences = report.summary.iter().map(|said| escape(&said.text)).collect::<Vec<_>>().join("<br>"),
        notes = notes.join("<br>"),
        data = data(&drawing),
        table = table(&rows),
        waits = waits(&rows),
    )
    .into_bytes()
}

const STYLE: &str = concat!(include_str!("page.css"), include_str!("timeline.css"));

/// Draws the embedded data.
const SCRIPT: &str = "\
const timeline = new Timeline(document.getElementById(\"timeline\"));\n\
timeline.set(JSON.parse(document.getElementById(\"drawing\").textContent));\n\
timeline.fit();\n";

/// The drawing as JSON that cannot end the element that embeds it.
fn data(drawing: &Drawing) -> String {
    serde_json::to_string(drawing).unwrap_or_default().replace('<', "\\u003c")
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
            between(process.zombie_ns, process.zombie_at_least_ns),
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
                between(wait.ns, wait.at_least_ns)
            );
        }
    }
    html.push_str("</table></div>");
    html
}
