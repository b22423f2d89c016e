//! One offline page: a row of states for each process, zoom and hover, the tree, waits.
//!
//! Plotly draws it; its script (4.7 MB) is embedded, so that the page needs no network, and none of its
//! optional parts (MathJax) is.

use std::fmt::Write;

use plotly::Plot;
use serde_json::{Value, json};

use super::build;
use super::model::{ProcessReport, WatchReport};
use super::numbers::short;
use super::text::{as_tree, deadlock_line, end, heading};
use super::told;
use crate::observe::event::State;
use crate::observe::timeline::{Span, Timeline};
use crate::observe::watch::Watch;

/// Colours of Okabe and Ito's palette, which colour-blind people can tell apart, chosen so that their
/// brightness differs too; blocked, the commonest, is the quietest.
pub const COLOURS: [(State, &str); 5] = [
    (State::Running, "#0072B2"),
    (State::Ready, "#E69F00"),
    (State::Blocked, "#D0D5DB"),
    (State::Stopped, "#CC79A7"),
    (State::Zombie, "#333333"),
];

/// More bars than this make a browser slow: neighbours are joined then.
const MOST_BARS: usize = 12_000;
/// Rows of the page; the longest lives of a bigger run.
const MOST_ROWS: usize = 400;

/// The page.
pub fn page(watch: &Watch, report: &WatchReport) -> Vec<u8> {
    let timeline = watch.timeline();
    let mut rows = as_tree(&report.processes);
    let left_out = rows.len().saturating_sub(MOST_ROWS);
    if left_out > 0 {
        let mut lives: Vec<u64> = rows.iter().map(|(_, process)| life_ns(process)).collect();
        lives.sort_unstable_by_key(|ns| std::cmp::Reverse(*ns));
        let shortest = lives[MOST_ROWS - 1];
        rows.retain(|(_, process)| life_ns(process) >= shortest);
        rows.truncate(MOST_ROWS);
    }
    let (bars, joined_below_ns) = bars(&rows, report, timeline);
    let mut notes: Vec<String> = heading(report).lines().skip(1).map(escape).collect();
    if joined_below_ns > 0 {
        notes.push(format!(
            "drawn with spans below {} joined into the longest of them",
            short(joined_below_ns)
        ));
    }
    if left_out > 0 {
        notes.push(format!("{left_out} shorter lives are only in the JSON report"));
    }
    let title = heading(report).lines().next().map(escape).unwrap_or_default();
    let deadlocks: String = report
        .deadlocks
        .iter()
        .map(|deadlock| format!("<p class=\"deadlock\">{}</p>", escape(deadlock_line(deadlock))))
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style>\n{script}\n</head><body>\n\
         <h1>{title}</h1><p class=\"notes\">{notes}</p>{deadlocks}\n\
         <div id=\"timeline\"></div>\n<h2>Processes</h2>{table}\n<h2>Blocked on</h2>{waits}\n\
         <script>{draw}</script></body></html>\n",
        script = plotly_script(),
        notes = notes.join("<br>"),
        table = table(&rows),
        waits = waits(&rows),
        draw = draw(&rows, &bars, report, watch),
    )
    .into_bytes()
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:1.2rem;color:#1c1e21;background:#fff}\
h1{font-size:1.25rem;margin:0 0 .3rem}h2{font-size:1.05rem;margin:1.4rem 0 .4rem}\
.notes{color:#555;margin:.2rem 0}.deadlock{background:#fde8e4;border-left:4px solid #D55E00;padding:.4rem .7rem}\
div.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}\
th,td{padding:.2rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid #e3e5e8}\
th:nth-child(3),td:nth-child(3),th:nth-child(4),td:nth-child(4),td.left,th.left{text-align:left}";

/// The first of the two scripts that the crate embeds is Plotly itself.
fn plotly_script() -> String {
    let both = Plot::offline_js_sources();
    let end = both.find("</script>").map_or(both.len(), |at| at + "</script>".len());
    both[..end].to_owned()
}

fn life_ns(process: &ProcessReport) -> u64 {
    process.running_ns + process.ready_ns + process.blocked_ns + process.stopped_ns + process.zombie_ns
}

struct Bar {
    row: usize,
    span: Span,
}

/// All spans of all rows, joined until there are few enough to draw, and below which length they were joined.
fn bars(rows: &[(usize, &ProcessReport)], report: &WatchReport, timeline: &Timeline) -> (Vec<Bar>, u64) {
    let now_ns = build::end(timeline);
    let mut lives: std::collections::HashMap<(u32, u64), Vec<Span>> = timeline
        .processes()
        .map(|(_, process)| {
            let started_ns = process.started_ns.saturating_sub(report.origin_ns);
            ((process.pid, started_ns), process.spans(0, now_ns))
        })
        .collect();
    let mut spans: Vec<Vec<Span>> = rows
        .iter()
        .map(|(_, process)| lives.remove(&(process.pid, process.started_ns)).unwrap_or_default())
        .collect();
    let mut grain_ns = 0;
    while spans.iter().map(Vec::len).sum::<usize>() > MOST_BARS && grain_ns <= report.wall_ns {
        grain_ns = (grain_ns * 2).max(report.wall_ns / 100_000).max(1_000);
        for row in &mut spans {
            let mut joined: Vec<Span> = Vec::with_capacity(row.len());
            for span in row.drain(..) {
                match joined.last_mut() {
                    Some(last) if span.to_ns - last.from_ns <= grain_ns => last.join(&span),
                    _ => joined.push(span),
                }
            }
            *row = joined;
        }
    }
    let bars = spans
        .into_iter()
        .enumerate()
        .flat_map(|(row, spans)| spans.into_iter().map(move |span| Bar { row, span }));
    (bars.collect(), grain_ns)
}

fn draw(rows: &[(usize, &ProcessReport)], bars: &[Bar], report: &WatchReport, watch: &Watch) -> String {
    let timeline = watch.timeline();
    let millis = |ns: u64| ns as f64 / 1e6;
    let mut traces: Vec<Value> = COLOURS
        .iter()
        .map(|(state, colour)| {
            let mine = || bars.iter().filter(|bar| bar.span.state == *state);
            let text: Vec<String> = mine()
                .map(|bar| {
                    let (_, process) = rows[bar.row];
                    let doing = match bar.span.state {
                        State::Running => format!("running on CPU {}", bar.span.cpu),
                        State::Blocked if bar.span.wait != 0 => {
                            format!("blocked on {}", escape(timeline.wait_name(bar.span.wait)))
                        }
                        state => state.word().to_owned(),
                    };
                    let joined = if bar.span.joined > 1 {
                        format!("<br>{} spans joined, the longest shown", bar.span.joined)
                    } else {
                        String::new()
                    };
                    format!(
                        "{} {}<br>{doing} for {}{joined}",
                        process.pid,
                        escape(&process.name),
                        short(bar.span.ns())
                    )
                })
                .collect();
            json!({
                "type": "bar", "orientation": "h", "name": state.word(),
                "marker": {"color": colour, "line": {"width": 0}},
                "base": mine().map(|bar| millis(bar.span.from_ns.saturating_sub(report.origin_ns))).collect::<Vec<_>>(),
                "x": mine().map(|bar| millis(bar.span.ns())).collect::<Vec<_>>(),
                "y": mine().map(|bar| bar.row).collect::<Vec<_>>(),
                "text": text, "textposition": "none",
                "hovertemplate": "%{text}<br>from %{base:.3f} ms<extra></extra>",
            })
        })
        .collect();
    traces.extend(locks(rows, report, watch));
    let depth = told::depth(watch.notes());
    if !depth.is_empty() {
        let since = |at_ns: &u64| millis(at_ns.saturating_sub(report.origin_ns));
        traces.push(json!({
            "type": "scatter", "mode": "lines", "name": "queue depth", "yaxis": "y2",
            "line": {"shape": "hv", "color": "#009E73"}, "fill": "tozeroy",
            "x": depth.iter().map(|(at_ns, _)| since(at_ns)).collect::<Vec<_>>(),
            "y": depth.iter().map(|(_, depth)| depth).collect::<Vec<_>>(),
        }));
    }
    let labels: Vec<String> = rows
        .iter()
        .map(|(depth, process)| {
            format!(
                "{}{} {}",
                if *depth > 0 { "\u{2514}".repeat((*depth).min(6)) + " " } else { String::new() },
                process.pid,
                escape(&process.name)
            )
        })
        .collect();
    // The queue's depth stands below the rows, on the same axis of time.
    let below = if depth.is_empty() { 0 } else { 120 };
    let lowest = if depth.is_empty() { "y" } else { "y2" };
    let height = 140 + 26 * rows.len().max(2) + below;
    let share = below as f64 / height as f64;
    let layout = json!({
        "yaxis2": {"domain": [0.0, share * 0.8], "title": {"text": "queue depth"}, "fixedrange": true, "rangemode": "tozero"},
        "barmode": "overlay", "bargap": 0.25, "height": height, "hovermode": "closest", "dragmode": "zoom",
        "margin": {"l": 10, "r": 20, "t": 40, "b": 50},
        "xaxis": {"anchor": lowest, "title": {"text": "milliseconds since the start"}, "range": [0, millis(report.wall_ns)], "zeroline": false},
        "yaxis": {"domain": [share, 1.0], "autorange": "reversed", "automargin": true, "fixedrange": true, "zeroline": false,
                  "tickmode": "array", "tickvals": (0..rows.len()).collect::<Vec<_>>(), "ticktext": labels},
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
    });
    let config = json!({"responsive": true, "displaylogo": false, "scrollZoom": true});
    // `</script>` in a process's name must not end the script.
    let safe = |value: Value| value.to_string().replace("</", "<\\/");
    format!("Plotly.newPlot('timeline',{},{},{});", safe(Value::Array(traces)), safe(layout), safe(config))
}

/// Locks as thin dark bars over the rows of those who held them.
fn locks(rows: &[(usize, &ProcessReport)], report: &WatchReport, watch: &Watch) -> Option<Value> {
    let millis = |ns: u64| ns as f64 / 1e6;
    let held: Vec<(usize, told::Held)> = told::held(watch.notes(), build::end(watch.timeline()))
        .into_iter()
        .filter_map(|held| Some((rows.iter().position(|(_, process)| process.pid == held.pid)?, held)))
        .collect();
    let text = |(row, held): &(usize, told::Held)| {
        let (_, process) = rows[*row];
        format!(
            "{} {}<br>held the lock for {}",
            process.pid,
            escape(&process.name),
            short(held.to_ns - held.from_ns)
        )
    };
    (!held.is_empty()).then(|| {
        json!({
            "type": "bar", "orientation": "h", "name": "lock held", "width": 0.22, "offset": 0.18,
            "marker": {"color": "#000000"},
            "base": held.iter().map(|(_, held)| millis(held.from_ns.saturating_sub(report.origin_ns))).collect::<Vec<_>>(),
            "x": held.iter().map(|(_, held)| millis(held.to_ns - held.from_ns)).collect::<Vec<_>>(),
            "y": held.iter().map(|(row, _)| row).collect::<Vec<_>>(),
            "text": held.iter().map(text).collect::<Vec<_>>(), "textposition": "none",
            "hovertemplate": "%{text}<br>from %{base:.3f} ms<extra></extra>",
        })
    })
}

fn table(rows: &[(usize, &ProcessReport)]) -> String {
    let mut html = String::from(
        "<div class=\"scroll\"><table><tr><th>PID</th><th>PPID</th><th>name</th><th>end</th><th>start</th>\
         <th>running</th><th>ready</th><th>blocked</th><th>stopped</th><th>zombie</th><th>turns</th>\
         <th class=\"left\">command</th></tr>",
    );
    for (depth, process) in rows {
        let name = format!("{}{}", "&emsp;".repeat((*depth).min(8)), escape(&process.name));
        let mut command: String = process.command.clone().unwrap_or_default().chars().take(120).collect();
        command = escape(&command);
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{name}</td><td>{}</td>",
            process.pid,
            process.ppid,
            escape(end(process))
        );
        for ns in [
            process.started_ns,
            process.running_ns,
            process.ready_ns,
            process.blocked_ns,
            process.stopped_ns,
            process.zombie_ns,
        ] {
            let _ = write!(html, "<td>{}</td>", short(ns));
        }
        let _ = write!(html, "<td>{}</td><td class=\"left\">{command}</td></tr>", process.turns);
    }
    html.push_str("</table></div>");
    html
}

fn waits(rows: &[(usize, &ProcessReport)]) -> String {
    let mut html = String::from(
        "<div class=\"scroll\"><table><tr><th>PID</th><th>times</th><th>on</th><th>longest</th><th>in all</th></tr>",
    );
    for (_, process) in rows {
        for wait in process.waits.iter().take(8) {
            let _ = write!(
                html,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
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

fn escape(text: impl AsRef<str>) -> String {
    text.as_ref().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_embedded_and_asks_for_no_network() {
        let script = plotly_script();
        assert!(script.len() > 1_000_000 && script.contains("Plotly"));
        assert!(!script.contains("<script src"));
    }
}
