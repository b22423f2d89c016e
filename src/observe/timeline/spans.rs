//! Spans of one state; their number is bounded by joining neighbours.

use std::collections::VecDeque;

use crate::observe::event::State;

/// A period in which a thread was in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Begin, `CLOCK_MONOTONIC` nanoseconds.
    pub from_ns: u64,
    /// End.
    pub to_ns: u64,
    /// The state; of joined spans, the one that lasted longest.
    pub state: State,
    /// The CPU, meaningful only while running.
    pub cpu: u32,
    /// What it was blocked on: a number for [`Timeline::wait_name`](super::Timeline::wait_name), 0 if unknown.
    pub wait: u32,
    /// The number of spans that were joined into this one; 1 is exact.
    pub joined: u32,
    longest_ns: u64,
    /// The share of each state in a joined span, out of 65,535.
    mix: [u16; MIXED.len()],
}

/// The states that joined spans can hold.
const MIXED: [State; 5] = [State::Running, State::Ready, State::Blocked, State::Stopped, State::Unknown];

impl Span {
    /// An exact span.
    pub fn new(from_ns: u64, to_ns: u64, state: State, cpu: u32, wait: u32) -> Self {
        let longest_ns = to_ns.saturating_sub(from_ns);
        let mix = MIXED.map(|kind| if kind == state { u16::MAX } else { 0 });
        Self { from_ns, to_ns, state, cpu, wait, joined: 1, longest_ns, mix }
    }

    /// A span with known sums by state but unknown order; drawn as `self.state`.
    pub(super) fn with_parts(mut self, parts: &[(State, u64)]) -> Self {
        self.joined = u32::try_from(parts.iter().filter(|(_, ns)| *ns > 0).count()).unwrap_or(1).max(1);
        let all: u64 = parts.iter().map(|(_, ns)| ns).sum();
        if all > 0 {
            self.mix = MIXED.map(|kind| {
                let ns: u64 = parts.iter().filter(|(state, _)| *state == kind).map(|(_, ns)| ns).sum();
                (ns as f64 / all as f64 * f64::from(u16::MAX)).round() as u16
            });
        }
        self
    }

    /// The share of this time that was spent in `state`, from 0 to 1.
    pub fn share(&self, state: State) -> f64 {
        match MIXED.iter().position(|kind| *kind == state) {
            Some(place) => f64::from(self.mix[place]) / f64::from(u16::MAX),
            None => f64::from(u8::from(self.state == state)),
        }
    }

    /// How long it lasted.
    pub fn ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }

    /// The part of it between two moments.
    pub fn cut(mut self, from_ns: u64, to_ns: u64) -> Self {
        self.from_ns = self.from_ns.max(from_ns).min(self.to_ns);
        self.to_ns = self.to_ns.min(to_ns).max(self.from_ns);
        self.longest_ns = self.longest_ns.min(self.ns());
        self
    }

    /// Joins the following span: the state becomes that of the longest one joined so far.
    pub fn join(&mut self, next: &Span) {
        let (own, other) = (self.ns() as f64, next.ns() as f64);
        if own + other > 0.0 {
            for (part, more) in self.mix.iter_mut().zip(next.mix) {
                *part = ((f64::from(*part) * own + f64::from(more) * other) / (own + other)).round() as u16;
            }
        }
        if next.longest_ns > self.longest_ns {
            self.state = next.state;
            self.cpu = next.cpu;
            self.wait = next.wait;
            self.longest_ns = next.longest_ns;
        }
        self.to_ns = next.to_ns;
        self.joined = self.joined.saturating_add(next.joined);
    }
}

/// A thread's spans, oldest first, without gaps.
#[derive(Debug, Clone, Default)]
pub struct Spans(VecDeque<Span>);

impl Spans {
    /// Adds a span; neighbours that together last at most `grain_ns` become one. Returns whether the list grew.
    pub(super) fn push(&mut self, span: Span, grain_ns: u64) -> bool {
        if span.ns() == 0 {
            return false;
        }
        if let Some(last) = self.0.back_mut() {
            let same = last.state == span.state
                && last.wait == span.wait
                && (last.cpu == span.cpu || span.state != State::Running)
                && last.to_ns == span.from_ns;
            if same && last.joined == 1 {
                last.to_ns = span.to_ns;
                last.longest_ns = last.ns();
                return false;
            }
            if span.to_ns - last.from_ns <= grain_ns {
                last.join(&span);
                return false;
            }
        }
        self.0.push_back(span);
        true
    }

    /// Turns the last `ns` of a final ready span into running on `cpu`; returns how many those were.
    pub(super) fn had_cpu_at_the_end(&mut self, ended_ns: u64, ns: u64, cpu: u32) -> u64 {
        let in_line =
            |span: &&mut Span| span.state == State::Ready && span.joined == 1 && span.to_ns == ended_ns;
        let Some(last) = self.0.back_mut().filter(in_line) else { return 0 };
        let ns = ns.min(last.ns());
        last.to_ns -= ns;
        last.longest_ns = last.ns();
        if last.ns() == 0 {
            self.0.pop_back();
        }
        self.push(Span::new(ended_ns - ns, ended_ns, State::Running, cpu, 0), 0);
        ns
    }

    /// Turns the last `ran_ns` of a final unknown span into running on `cpu`, and the `waited_ns` before them into ready;
    /// returns how many those were.
    pub(super) fn settle_the_end(&mut self, ran_ns: u64, waited_ns: u64, cpu: u32) -> (u64, u64) {
        let unknown = |span: &&Span| span.state == State::Unknown && span.joined == 1;
        let Some(last) = self.0.back().filter(unknown).copied() else { return (0, 0) };
        self.0.pop_back();
        let ran_ns = ran_ns.min(last.ns());
        let waited_ns = waited_ns.min(last.ns() - ran_ns);
        let got_ns = last.to_ns - ran_ns;
        self.push(last.cut(last.from_ns, got_ns - waited_ns), 0);
        self.push(Span::new(got_ns - waited_ns, got_ns, State::Ready, 0, 0), 0);
        self.push(Span::new(got_ns, last.to_ns, State::Running, cpu, 0), 0);
        (ran_ns, waited_ns)
    }

    /// Turns the first `ns` after `from_ns` of a final running span into ready; returns how many those were.
    pub(super) fn lost_cpu_after(&mut self, from_ns: u64, ns: u64) -> u64 {
        let running = |span: &&Span| span.state == State::Running && span.joined == 1;
        let Some(last) = self.0.back().filter(running).copied() else { return 0 };
        let from_ns = from_ns.max(last.from_ns);
        let ns = ns.min(last.to_ns.saturating_sub(from_ns));
        if ns > 0 {
            self.0.pop_back();
            self.push(last.cut(last.from_ns, from_ns), 0);
            self.push(Span::new(from_ns, from_ns + ns, State::Ready, 0, 0), 0);
            self.push(last.cut(from_ns + ns, last.to_ns), 0);
        }
        ns
    }

    /// Joins neighbours that together last at most `grain_ns`.
    pub(super) fn coarsen(&mut self, grain_ns: u64) {
        let mut coarse: VecDeque<Span> = VecDeque::with_capacity(self.0.len() / 2);
        for span in self.0.drain(..) {
            match coarse.back_mut() {
                Some(last) if span.to_ns - last.from_ns <= grain_ns => last.join(&span),
                _ => coarse.push_back(span),
            }
        }
        coarse.shrink_to_fit();
        self.0 = coarse;
    }

    /// Gives back the room for further spans.
    pub(super) fn compact(&mut self) {
        self.0.shrink_to_fit();
    }

    /// The number of spans.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no spans.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The spans, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Span> + Clone {
        self.0.iter()
    }

    /// Those that end after `from_ns`, oldest first.
    pub fn since(&self, from_ns: u64) -> impl Iterator<Item = &Span> + Clone {
        let first = self.0.partition_point(|span| span.to_ns <= from_ns);
        self.0.range(first..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: u64, to: u64, state: State) -> Span {
        Span::new(from, to, state, 0, 0)
    }

    #[test]
    fn neighbours_of_one_state_are_one_span() {
        let mut spans = Spans::default();
        assert!(spans.push(span(0, 10, State::Ready), 0));
        assert!(!spans.push(span(10, 30, State::Ready), 0));
        assert!(spans.push(span(30, 31, State::Running), 0));
        assert_eq!(spans.iter().map(Span::ns).collect::<Vec<_>>(), [30, 1]);
    }

    #[test]
    fn coarser_spans_keep_the_whole_time_and_the_longest_state() {
        let mut spans = Spans::default();
        for n in 0..100 {
            spans.push(span(n * 10, n * 10 + 3, State::Running), 0);
            spans.push(span(n * 10 + 3, n * 10 + 10, State::Blocked), 0);
        }
        spans.coarsen(100);
        assert!(spans.len() <= 12, "{} left", spans.len());
        assert_eq!(spans.iter().map(Span::ns).sum::<u64>(), 1000);
        assert!(spans.iter().all(|span| span.state == State::Blocked));
        assert_eq!(spans.iter().map(|span| span.joined).sum::<u32>(), 200);
        let running: f64 = spans.iter().map(|span| span.share(State::Running) * span.ns() as f64).sum();
        assert!((running - 300.0).abs() < 1.0, "the joined spans still say how much was running: {running}");
    }

    #[test]
    fn the_last_moments_are_found_without_the_rest() {
        let mut spans = Spans::default();
        for n in 0..10 {
            let state = if n % 2 == 0 { State::Ready } else { State::Running };
            spans.push(span(n * 10, n * 10 + 10, state), 0);
        }
        assert_eq!(spans.since(85).map(|span| span.from_ns).collect::<Vec<_>>(), [80, 90]);
    }
}
