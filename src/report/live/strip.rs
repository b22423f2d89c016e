//! The last seconds of a process as a strip of cells.

use ratatui::style::Color;

use crate::observe::event::State;
use crate::observe::timeline::Span;

/// The states of `cells` equal stretches from `from_ns` to `to_ns`: in each, the state that lasted longest.
/// Blocked time counts for an eighth: a program that runs for a millisecond ten times per second is not idle.
pub(super) fn cells(spans: &[Span], from_ns: u64, to_ns: u64, cells: usize) -> Vec<Option<State>> {
    const STATES: [State; 6] =
        [State::Running, State::Ready, State::Stopped, State::Zombie, State::Unknown, State::Blocked];
    let width = (to_ns.saturating_sub(from_ns) / cells.max(1) as u64).max(1);
    let mut times = vec![[0_u64; STATES.len()]; cells];
    for span in spans {
        let Some(kind) = STATES.iter().position(|state| *state == span.state) else { continue };
        let (mut at, end) = (span.from_ns.max(from_ns), span.to_ns.min(to_ns));
        while at < end {
            let cell = ((at - from_ns) / width) as usize;
            let Some(times) = times.get_mut(cell) else { break };
            let next = end.min(from_ns + (cell as u64 + 1) * width);
            times[kind] += next - at;
            at = next;
        }
    }
    let longest = |times: &[u64; STATES.len()]| {
        let weigh = |(kind, ns): (usize, &u64)| if STATES[kind] == State::Blocked { ns / 8 } else { *ns };
        let most = times.iter().enumerate().max_by_key(|pair| weigh(*pair))?.0;
        let seen = times.iter().any(|ns| *ns > 0);
        let only_blocked = times.iter().take(STATES.len() - 1).all(|ns| *ns == 0);
        seen.then(|| if only_blocked { State::Blocked } else { STATES[most] })
    };
    times.iter().map(longest).collect()
}

/// The glyph and colour of a state: the glyphs differ in shape and brightness, for colour-blind people and for terminals
/// without colour.
pub(super) fn glyph(state: State) -> (&'static str, Color) {
    match state {
        State::Running => ("█", Color::Blue),
        State::Ready => ("▒", Color::Yellow),
        State::Blocked => ("─", Color::DarkGray),
        State::Stopped => ("■", Color::Magenta),
        State::Zombie => ("z", Color::Gray),
        State::Reaped => (" ", Color::Reset),
        State::Unknown => ("?", Color::Gray),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_shows_what_lasted_longest_and_nothing_before_the_life() {
        let spans = [
            Span::new(100, 150, State::Running, 0, 0),
            Span::new(150, 300, State::Blocked, 0, 0),
            Span::new(300, 400, State::Zombie, 0, 0),
        ];
        let told = cells(&spans, 0, 400, 4);
        assert_eq!(told, [None, Some(State::Running), Some(State::Blocked), Some(State::Zombie)]);
    }
}
