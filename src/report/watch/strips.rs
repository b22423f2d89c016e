//! The drawing of a run for a terminal: a line for each lane, a character for each stretch of time.

use std::fmt::Write;

use super::lanes::{Drawing, Lane, LaneKind, Piece};
use super::numbers::short;
use super::wrap::wrap;
use crate::observe::event::State;

/// Columns of the lanes' headings.
const LABEL: usize = 22;
/// Lanes that are drawn; of a bigger run the page and the picture show all.
const MOST_LANES: usize = 40;
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Draws the lanes `width` columns wide.
pub(super) fn text(drawing: &Drawing, width: usize) -> String {
    let cells = width.saturating_sub(LABEL + 1).clamp(20, 200);
    let mut text = axis(drawing, cells);
    for lane in drawing.lanes.iter().take(MOST_LANES) {
        let indent = " ".repeat(lane.indent.min(6));
        let label: String = format!("{indent}{}", lane.label).chars().take(LABEL).collect();
        let _ = writeln!(text, "{label:<LABEL$} {}", line(lane, drawing.length_ns, cells).trim_end());
    }
    if drawing.lanes.len() > MOST_LANES {
        let _ = writeln!(text, "{} more lanes: --html and --svg show them", drawing.lanes.len() - MOST_LANES);
    }
    text.push_str(&wrap(&legend(drawing), width));
    text
}

/// The beginning, the middle, and the end of the run.
fn axis(drawing: &Drawing, cells: usize) -> String {
    let end = short(drawing.length_ns);
    let middle = short(drawing.length_ns / 2);
    let left = cells / 2;
    let right = (cells - left).saturating_sub(middle.chars().count());
    format!("{:LABEL$} 0{:pad$}{middle}{end:>right$}\n", "", "", pad = left.saturating_sub(1))
}

fn line(lane: &Lane, length_ns: u64, cells: usize) -> String {
    let cell_ns = (length_ns / cells as u64).max(1);
    let mut times: Vec<Vec<(char, u64)>> = vec![Vec::new(); cells];
    for piece in &lane.pieces {
        for (mark, share) in marks(lane.kind, piece) {
            let mut at_ns = piece.from_ns;
            while at_ns < piece.to_ns {
                let cell = (at_ns / cell_ns) as usize;
                let Some(times) = times.get_mut(cell) else { break };
                let next_ns = piece.to_ns.min((cell as u64 + 1) * cell_ns);
                let ns = ((next_ns - at_ns) as f64 * share) as u64;
                match times.iter_mut().find(|(known, _)| *known == mark) {
                    Some((_, sum)) => *sum += ns,
                    None => times.push((mark, ns)),
                }
                at_ns = next_ns;
            }
        }
    }
    times.iter().map(|times| most(times)).collect()
}

/// The mark that lasted longest; blocked counts for an eighth, since a process that runs for a tenth of the time is not
/// idle.
fn most(times: &[(char, u64)]) -> char {
    let weight =
        |(mark, ns): &&(char, u64)| if *mark == glyph(State::Blocked) { ns.div_ceil(8) } else { *ns };
    times.iter().max_by_key(weight).map_or(' ', |(mark, _)| *mark)
}

fn marks(kind: LaneKind, piece: &Piece) -> Vec<(char, f64)> {
    match (kind, piece.owner) {
        (LaneKind::Cpu, Some(owner)) => {
            let used = piece.shares.iter().map(|(_, share)| share).sum();
            vec![(letter(owner), used)]
        }
        _ if !piece.known => vec![('~', 1.0)],
        _ => piece.shares.iter().map(|(state, share)| (glyph(*state), *share)).collect(),
    }
}

fn letter(owner: usize) -> char {
    LETTERS.get(owner).map_or('#', |letter| char::from(*letter))
}

fn glyph(state: State) -> char {
    match state {
        State::Running => '█',
        State::Ready => '▒',
        State::Blocked => '─',
        State::Stopped => '■',
        State::Zombie => 'z',
        State::Reaped => ' ',
        State::Unknown => '?',
    }
}

/// The marks that occur, with their meanings.
fn legend(drawing: &Drawing) -> String {
    let pieces = || {
        drawing
            .lanes
            .iter()
            .take(MOST_LANES)
            .flat_map(|lane| lane.pieces.iter().map(move |piece| (lane, piece)))
    };
    let states =
        [State::Running, State::Ready, State::Blocked, State::Stopped, State::Zombie, State::Unknown];
    let occurs = |state: &State| {
        pieces().any(|(lane, piece)| {
            lane.kind != LaneKind::Cpu && piece.known && piece.shares.iter().any(|(of, _)| of == state)
        })
    };
    let mut marks: Vec<String> = states
        .iter()
        .filter(|state| occurs(state))
        .map(|state| format!("{} {}", glyph(*state), state.word()))
        .collect();
    if pieces().any(|(_, piece)| !piece.known) {
        marks.push("~ reaped at some time in this period".to_owned());
    }
    let mut text = format!("{}\n", marks.join("   "));
    let mut owners: Vec<(usize, &str)> = pieces()
        .filter(|(lane, _)| lane.kind == LaneKind::Cpu)
        .filter_map(|(_, piece)| Some((piece.owner?, piece.text.split(':').next()?)))
        .collect();
    owners.sort_unstable();
    owners.dedup();
    if !owners.is_empty() {
        const SHOWN: usize = 12;
        let named: Vec<String> =
            owners.iter().take(SHOWN).map(|(owner, name)| format!("{} {name}", letter(*owner))).collect();
        let rest =
            if owners.len() > SHOWN { format!(", and {} more", owners.len() - SHOWN) } else { String::new() };
        let _ = writeln!(text, "on the CPUs: {}{rest}", named.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_is_a_line_in_which_time_has_its_place() {
        let piece = |from_ns, to_ns, state, known| Piece {
            from_ns,
            to_ns,
            shares: vec![(state, 1.0)],
            known,
            owner: None,
            text: String::new(),
        };
        let pieces = vec![
            piece(0, 500, State::Running, true),
            piece(500, 750, State::Blocked, true),
            piece(750, 900, State::Zombie, true),
            piece(900, 1_000, State::Zombie, false),
        ];
        let lane = Lane {
            label: "7 x".to_owned(),
            indent: 1,
            kind: LaneKind::Process,
            pieces,
            lock_spans: Vec::new(),
        };
        let drawing = Drawing { length_ns: 1_000, lanes: vec![lane], ..Drawing::default() };
        let text = text(&drawing, LABEL + 1 + 20);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1].trim_start(), "7 x                   ██████████─────zzz~~");
        assert!(lines[2].contains("█ running") && lines[2].contains("~ reaped") && !lines[2].contains("▒"));
    }

    #[test]
    fn a_cpu_has_the_letters_of_its_processes() {
        let piece = |from_ns, to_ns, owner, text: &str| Piece {
            from_ns,
            to_ns,
            shares: vec![(State::Running, 1.0)],
            known: true,
            owner: Some(owner),
            text: text.to_owned(),
        };
        let pieces = vec![piece(0, 500, 1, "8 b: running"), piece(700, 1_000, 0, "7 a: running")];
        let lane = Lane {
            label: "CPU 0".to_owned(),
            indent: 0,
            kind: LaneKind::Cpu,
            pieces,
            lock_spans: Vec::new(),
        };
        let drawing = Drawing { length_ns: 1_000, lanes: vec![lane], ..Drawing::default() };
        let text = text(&drawing, LABEL + 1 + 20);
        assert!(text.contains("bbbbbbbbbb    aaaaaa"), "{text}");
        assert!(text.contains("on the CPUs: a 7 a, b 8 b"), "{text}");
    }
}
