//! The drawing as an SVG file, for printing.
//!
//! Horizontal positions are percentages of the width of the lanes, so that neither text nor hatching is stretched.

use std::fmt::Write;

use super::lanes::{Arrow, ArrowKind, Drawing, Lane, LaneKind, Piece};
use super::numbers::short;
use crate::observe::event::State;

/// Height of a lane, and of the part of it that is filled, in pixels.
pub(super) const LANE: usize = 24;
const FILLED: f64 = 16.0;
const ABOVE: f64 = 4.0;
const DEPTH: usize = 80;
/// Colours of Okabe and Ito's palette, which colour-blind people can distinguish, with different brightness; blocked, the
/// most frequent state, is the least prominent.
const COLOURS: [(State, &str, &str); 6] = [
    (State::Running, "#0072B2", "it has a CPU"),
    (State::Ready, "#E69F00", "it could run and waits for a CPU"),
    (State::Blocked, "#D0D5DB", "it waits for something else"),
    (State::Stopped, "#CC79A7", "stopped by a signal or a debugger"),
    (State::Zombie, "#4A4F57", "ended, its exit status not yet taken by its parent"),
    (State::Unknown, "url(#unknown)", "alive, in an unknown state"),
];
/// A process's colour in the lanes of CPUs.
const OWNERS: [&str; 8] =
    ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8C6D31"];
const LOCK: &str = "#006B4F";

/// Patterns that the lanes refer to.
pub(super) const DEFINITIONS: &str = "<defs><pattern id=\"bounds\" width=\"6\" height=\"6\" \
     patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
     <rect width=\"6\" height=\"6\" fill=\"#fff\"/><rect width=\"2.4\" height=\"6\" fill=\"#4A4F57\"/></pattern>\
     <pattern id=\"unknown\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\">\
     <rect width=\"5\" height=\"5\" fill=\"#fff\"/><circle cx=\"2.5\" cy=\"2.5\" r=\"0.9\" fill=\"#8a9099\"/></pattern></defs>";

/// A file, 1,000 pixels wide.
pub fn file(drawing: &Drawing, title: &str, remarks: &[String]) -> Vec<u8> {
    const WIDTH: usize = 1_000;
    const LABELS: usize = 190;
    const LINE: usize = 16;
    const LETTERS: usize = 150;
    let remarks: Vec<String> = remarks.iter().flat_map(|remark| broken(remark, LETTERS)).collect();
    let top = 34 + remarks.len() * LINE;
    let body = height(drawing);
    let legend_at = top + body + 34;
    let rows = legend(drawing);
    let whole = legend_at + rows.len() * LINE + 10;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{whole}\" viewBox=\"0 0 {WIDTH} {whole}\" \
         font-family=\"system-ui,sans-serif\" font-size=\"12\" fill=\"#1c1e21\">\n<title>{title}</title>{DEFINITIONS}\
         <rect width=\"{WIDTH}\" height=\"{whole}\" fill=\"#fff\"/>\
         <text x=\"10\" y=\"20\" font-size=\"15\" font-weight=\"600\">{}</text>\n",
        escape(cut(title, 115)),
        title = escape(title),
    );
    for (at, remark) in remarks.iter().enumerate() {
        let y = 38 + at * LINE;
        let _ = writeln!(
            svg,
            "<text x=\"10\" y=\"{y}\" font-size=\"11\" fill=\"#555\">{}</text>",
            escape(remark)
        );
    }
    for (at, lane) in drawing.lanes.iter().enumerate() {
        let (x, y) = (10 + lane.indent * 10, top + at * LANE + 16);
        let weight = if lane.kind == LaneKind::Cpu { " font-weight=\"600\"" } else { "" };
        let label = cut(&lane.label, 26usize.saturating_sub(lane.indent * 3 / 2));
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\"{weight}>{}</text>", escape(label));
    }
    let inner = WIDTH - LABELS - 20;
    let _ = write!(svg, "<svg x=\"{LABELS}\" y=\"{top}\" width=\"{inner}\" height=\"{}\">", body + 22);
    svg.push_str(&lanes(drawing));
    svg.push_str(&axis(drawing, body));
    svg.push_str("</svg>\n");
    for (at, (sample, words)) in rows.iter().enumerate() {
        let y = legend_at + at * LINE;
        let _ = writeln!(
            svg,
            "<svg x=\"10\" y=\"{y}\" width=\"24\" height=\"12\">{sample}</svg><text x=\"42\" y=\"{}\" font-size=\"11\">{}</text>",
            y + 10,
            escape(words)
        );
    }
    svg.push_str("</svg>\n");
    svg.into_bytes()
}

/// Height of the lanes, and of the queue's depth below them.
pub(super) fn height(drawing: &Drawing) -> usize {
    drawing.lanes.len() * LANE + if drawing.depth.is_empty() { 0 } else { DEPTH + 20 }
}

/// The lanes, without headings and axis.
pub(super) fn lanes(drawing: &Drawing) -> String {
    let scale = Scale { length_ns: drawing.length_ns as f64 };
    let mut svg = String::new();
    for (at, lane) in drawing.lanes.iter().enumerate() {
        let y = (at * LANE) as f64;
        let _ = write!(svg, "<line x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\" stroke=\"#eceef0\"/>");
        draw_lane(lane, y + ABOVE, &scale, &mut svg);
        svg.push('\n');
    }
    for arrow in &drawing.arrows {
        draw_arrow(arrow, &scale, &mut svg);
    }
    draw_depth(drawing, &scale, &mut svg);
    svg
}

struct Scale {
    length_ns: f64,
}

impl Scale {
    fn percent(&self, ns: u64) -> f64 {
        // Four decimals are a thousandth of a pixel.
        (ns as f64 / self.length_ns * 1e6).round() / 1e4
    }
}

fn draw_lane(lane: &Lane, y: f64, scale: &Scale, svg: &mut String) {
    for piece in &lane.pieces {
        let (x, width) =
            (scale.percent(piece.from_ns), scale.percent(piece.to_ns - piece.from_ns.min(piece.to_ns)));
        if let [(state, _)] = piece.shares[..] {
            let share = if lane.kind == LaneKind::Cpu { piece.shares[0].1 } else { 1.0 };
            let height = FILLED * share;
            rect(svg, (x, y + FILLED - height), (width, height), fill(piece, state), Some(&piece.text));
            continue;
        }
        // Running is at the bottom, so that its height reads like a gauge.
        let _ = write!(svg, "<g><title>{}</title>", escape(&piece.text));
        let mut bottom = y + FILLED;
        for (state, share) in &piece.shares {
            let height = FILLED * share;
            bottom -= height;
            rect(svg, (x, bottom), (width, height), fill(piece, *state), None);
        }
        svg.push_str("</g>");
    }
    for (from_ns, to_ns) in &lane.lock_spans {
        let text = format!("held the lock for {}", short(to_ns.saturating_sub(*from_ns)));
        let width = scale.percent(to_ns.saturating_sub(*from_ns));
        rect(svg, (scale.percent(*from_ns), y + FILLED + 1.0), (width, 3.0), LOCK, Some(&text));
    }
}

fn fill(piece: &Piece, state: State) -> &'static str {
    match piece.owner {
        Some(owner) => OWNERS[owner % OWNERS.len()],
        None if !piece.known => "url(#bounds)",
        None => COLOURS.iter().find(|(known, ..)| *known == state).map_or("#fff", |(_, colour, _)| colour),
    }
}

fn rect(svg: &mut String, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str, text: Option<&str>) {
    let y = (y * 10.0).round() / 10.0;
    let height = (height * 10.0).round().max(1.0) / 10.0;
    let _ = write!(svg, "<rect x=\"{x}%\" y=\"{y}\" width=\"{width}%\" height=\"{height}\" fill=\"{fill}\"");
    match text {
        Some(text) => {
            let _ = write!(svg, "><title>{}</title></rect>", escape(text));
        }
        None => svg.push_str("/>"),
    }
}

fn arrow_colour(kind: ArrowKind) -> &'static str {
    match kind {
        ArrowKind::Fork => "#1c1e21",
        ArrowKind::Message => "#009E73",
        ArrowKind::Signal => "#D55E00",
    }
}

/// A line with a dot at its head: a pointed head would need the angle, which depends on the width.
fn draw_arrow(arrow: &Arrow, scale: &Scale, svg: &mut String) {
    let middle = |lane: usize| (lane * LANE) as f64 + ABOVE + FILLED / 2.0;
    let (x1, y1) = (scale.percent(arrow.from.1), middle(arrow.from.0));
    let (x2, y2) = (scale.percent(arrow.to.1), middle(arrow.to.0));
    let colour = arrow_colour(arrow.kind);
    let _ = write!(
        svg,
        "<g class=\"arrow\"><title>{}</title><line x1=\"{x1}%\" y1=\"{y1}\" x2=\"{x2}%\" y2=\"{y2}\" stroke=\"{colour}\"/>\
         <circle cx=\"{x2}%\" cy=\"{y2}\" r=\"2.5\" fill=\"{colour}\"/></g>",
        escape(&arrow.text)
    );
}

fn draw_depth(drawing: &Drawing, scale: &Scale, svg: &mut String) {
    let Some(most) = drawing.depth.iter().map(|(_, depth)| *depth).max() else { return };
    let bottom = (drawing.lanes.len() * LANE + DEPTH + 14) as f64;
    let ends = drawing.depth.iter().skip(1).map(|(at_ns, _)| *at_ns).chain([drawing.length_ns]);
    for ((at_ns, depth), end_ns) in drawing.depth.iter().zip(ends) {
        let height = *depth as f64 / most.max(1) as f64 * (DEPTH - 14) as f64;
        let width = scale.percent(end_ns.saturating_sub(*at_ns));
        let text = format!("{depth} in the queue");
        rect(svg, (scale.percent(*at_ns), bottom - height), (width, height), "#009E73", Some(&text));
    }
    let y = drawing.lanes.len() * LANE + 12;
    let _ = write!(
        svg,
        "<text x=\"2\" y=\"{y}\" font-size=\"10\" fill=\"#555\">queue depth, at most {most}</text>"
    );
}

/// About ten marks, at round times.
pub(super) fn axis(drawing: &Drawing, y: usize) -> String {
    let scale = Scale { length_ns: drawing.length_ns as f64 };
    let mut svg =
        format!("<g class=\"axis\"><line x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\" stroke=\"#888\"/>");
    let step = round_step(drawing.length_ns / 8);
    for at_ns in (0..).map(|n| n * step).take_while(|at_ns| *at_ns <= drawing.length_ns) {
        let x = scale.percent(at_ns);
        let anchor = if at_ns == 0 {
            "start"
        } else if x > 97.0 {
            "end"
        } else {
            "middle"
        };
        let _ = write!(
            svg,
            "<line x1=\"{x}%\" x2=\"{x}%\" y1=\"{y}\" y2=\"{}\" stroke=\"#888\"/>\
             <text x=\"{x}%\" y=\"{}\" font-size=\"10\" text-anchor=\"{anchor}\">{}</text>",
            y + 5,
            y + 17,
            short(at_ns)
        );
    }
    svg.push_str("</g>");
    svg
}

/// The next of 1, 2, 5, 10, 20 … nanoseconds.
fn round_step(ns: u64) -> u64 {
    let mut step = 1;
    loop {
        for factor in [1, 2, 5] {
            if step * factor >= ns {
                return step * factor;
            }
        }
        step *= 10;
    }
}

/// A sample of each mark that the drawing has, and its meaning.
pub(super) fn legend(drawing: &Drawing) -> Vec<(String, String)> {
    let block = |fill: &str| format!("<rect width=\"24\" height=\"12\" fill=\"{fill}\"/>");
    let arrow = |kind| {
        let colour = arrow_colour(kind);
        format!(
            "<line x1=\"0\" y1=\"6\" x2=\"20\" y2=\"6\" stroke=\"{colour}\"/><circle cx=\"20\" cy=\"6\" r=\"2.5\" fill=\"{colour}\"/>"
        )
    };
    let mut rows: Vec<(String, String)> = COLOURS
        .iter()
        .map(|(state, colour, words)| (block(colour), format!("{}: {words}", state.word())))
        .collect();
    let bounds = "hatched: reaped at some time in this period; before that, a zombie".to_owned();
    rows.push((block("url(#bounds)"), bounds));
    let has = |kind| drawing.arrows.iter().any(|arrow| arrow.kind == kind);
    if drawing.lanes.iter().any(|lane| lane.kind == LaneKind::Cpu) {
        rows.push((
            block(OWNERS[0]),
            "in a CPU's lane: the process that had it, a colour for each".to_owned(),
        ));
    }
    if drawing.lanes.iter().any(|lane| !lane.lock_spans.is_empty()) {
        rows.push((
            format!("<rect y=\"5\" width=\"24\" height=\"3\" fill=\"{LOCK}\"/>"),
            "held the lock".to_owned(),
        ));
    }
    if has(ArrowKind::Fork) {
        rows.push((arrow(ArrowKind::Fork), "forked a process; the dot is at the child".to_owned()));
    }
    if has(ArrowKind::Message) {
        rows.push((arrow(ArrowKind::Message), "a message; the dot is where it was taken".to_owned()));
    }
    if has(ArrowKind::Signal) {
        rows.push((arrow(ArrowKind::Signal), "a signal; the dot is at the receiver".to_owned()));
    }
    rows
}

/// At most `most` characters, the last an ellipsis if some are left out.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Lines of at most `most` characters, broken at blanks.
fn broken(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > most {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}

/// Text between or in the quotes of tags; control characters, which XML forbids, are shown as `?`.
pub(super) fn escape(text: impl AsRef<str>) -> String {
    text.as_ref()
        .replace(char::is_control, "?")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing() -> Drawing {
        let piece = |from_ns, to_ns, shares: &[(State, f64)], known| Piece {
            from_ns,
            to_ns,
            shares: shares.to_vec(),
            known,
            owner: None,
            text: "a <b> & c".to_owned(),
        };
        let pieces = vec![
            piece(0, 500, &[(State::Running, 0.25), (State::Blocked, 0.75)], true),
            piece(500, 900, &[(State::Zombie, 1.0)], true),
            piece(900, 1_000, &[(State::Zombie, 1.0)], false),
        ];
        let lane = Lane {
            label: "7 x".to_owned(),
            indent: 0,
            kind: LaneKind::Process,
            pieces,
            lock_spans: Vec::new(),
        };
        Drawing { length_ns: 1_000, lanes: vec![lane], ..Drawing::default() }
    }

    #[test]
    fn a_quarter_of_running_is_a_quarter_of_the_height_and_a_bound_is_hatched() {
        let svg = lanes(&drawing());
        assert!(svg.contains("width=\"50%\" height=\"4\" fill=\"#0072B2\""), "{svg}");
        assert!(svg.contains("width=\"50%\" height=\"12\" fill=\"#D0D5DB\""), "{svg}");
        assert!(svg.contains("x=\"90%\" y=\"4\" width=\"10%\" height=\"16\" fill=\"url(#bounds)\""), "{svg}");
        assert!(svg.contains("a &lt;b&gt; &amp; c"));
    }

    #[test]
    fn every_mark_of_the_file_is_in_its_legend() {
        let svg = String::from_utf8(file(&drawing(), "t", &[])).unwrap();
        // What is white on white is not seen.
        assert!(svg.contains("fill=\"url(#unknown)\"") && !svg.to_lowercase().contains("fill=\"#ffffff\""));
        for word in ["running:", "ready:", "blocked:", "stopped:", "zombie:", "hatched:"] {
            assert!(svg.contains(word), "{word}");
        }
    }

    #[test]
    fn steps_of_the_axis_are_round() {
        assert_eq!([round_step(3), round_step(60), round_step(1_100)], [5, 100, 2_000]);
    }
}
