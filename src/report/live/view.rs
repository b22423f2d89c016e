//! What is shown, and how keys change it.

use super::rows::{Row, rows, strip};
use crate::observe::event::State;
use crate::observe::timeline::Timeline;
use crate::process::Signal;
use crate::sys::pid::Pid;

/// A key; the terminal's own names are translated outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Enter.
    Enter,
    /// Escape.
    Escape,
    /// Backspace.
    Backspace,
    /// Tab.
    Tab,
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// Back in time.
    Left,
    /// Forward in time.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first row.
    Home,
    /// To the last row.
    End,
}

/// What a key requests of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing more.
    Stay,
    /// Leave the view.
    Leave,
    /// From now on keys go to the program.
    Type,
    /// Sends a signal to a process, as the person has confirmed.
    Signal(Pid, Signal),
}

/// A signal that is about to be sent, if the person confirms it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asking {
    pub(super) pid: Pid,
    pub(super) name: String,
}

/// The order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Tree,
    Running,
    Ready,
    Blocked,
    Newest,
}

impl Sort {
    pub(super) fn word(self) -> &'static str {
        match self {
            Sort::Tree => "tree",
            Sort::Running => "running",
            Sort::Ready => "ready",
            Sort::Blocked => "blocked",
            Sort::Newest => "newest",
        }
    }

    fn next(self) -> Self {
        match self {
            Sort::Tree => Sort::Running,
            Sort::Running => Sort::Ready,
            Sort::Ready => Sort::Blocked,
            Sort::Blocked => Sort::Newest,
            Sort::Newest => Sort::Tree,
        }
    }
}

/// What the lower pane shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    Life,
    Log,
    Output,
}

impl Pane {
    fn next(self) -> Self {
        match self {
            Pane::Life => Pane::Log,
            Pane::Log => Pane::Output,
            Pane::Output => Pane::Life,
        }
    }
}

const WINDOWS_NS: [u64; 7] = [
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// What is shown.
#[derive(Debug)]
pub struct View {
    pub(super) sort: Sort,
    pub(super) search: String,
    pub(super) searching: bool,
    pub(super) help: bool,
    pub(super) pane: Pane,
    /// Lines of the pane that are scrolled past: from the top of a life, from the end of a log or output.
    pub(super) scrolled: usize,
    /// The signal that waits for a confirmation.
    pub(super) asking: Option<Asking>,
    pub(super) typing: bool,
    /// Show processes that were reaped before the strips begin, too.
    pub(super) all: bool,
    /// Show a row per thread.
    pub(super) threads: bool,
    window: usize,
    chosen: Option<(u64, Option<Pid>)>,
    /// The moment that is shown while the view is paused.
    paused: Option<u64>,
    /// The moment at which it was paused, after which nothing is shown.
    paused_at_ns: u64,
    /// The rows are those of another moment than `paused`.
    stale: bool,
    rows: Vec<Row>,
    page: usize,
}

impl Default for View {
    fn default() -> Self {
        Self {
            sort: Sort::Tree,
            search: String::new(),
            searching: false,
            help: false,
            pane: Pane::Life,
            scrolled: 0,
            asking: None,
            typing: false,
            all: false,
            threads: false,
            window: 3,
            chosen: None,
            paused: None,
            paused_at_ns: 0,
            stale: false,
            rows: Vec::new(),
            page: 10,
        }
    }
}

/// What is drawn beside the rows.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The command or process.
    pub title: &'a str,
    /// Tier and resolution, or why not better.
    pub source: &'a str,
    /// Something that must not be missed: a deadlock, lost records.
    pub alarm: Option<&'a str>,
    /// How the command ended, once it has.
    pub ended: Option<&'a str>,
    /// The timeline.
    pub timeline: &'a Timeline,
    /// Now, `CLOCK_MONOTONIC` nanoseconds.
    pub now_ns: u64,
    /// What the program has written, if it has a terminal of its own.
    pub output: Option<&'a super::Output>,
    /// The events so far, signals included, a line each.
    pub log: &'a [String],
}

impl View {
    /// The length of the strips.
    pub(super) fn window_ns(&self) -> u64 {
        WINDOWS_NS[self.window]
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// The past moment that is shown, if it is before the one at which the view was paused.
    pub(super) fn past_ns(&self) -> Option<u64> {
        self.paused.filter(|shown_ns| *shown_ns < self.paused_at_ns)
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The place of the chosen row, and its process.
    pub(super) fn chosen(&self) -> Option<(usize, u64)> {
        let at = |chosen| self.rows.iter().position(|row| (row.id, row.tid) == chosen);
        let place = self.chosen.and_then(at).unwrap_or(0);
        self.rows.get(place).map(|row| (place, row.id))
    }

    /// Takes the current state of the timeline, unless paused; returns the time that is shown.
    pub(super) fn refresh(&mut self, timeline: &Timeline, now_ns: u64) -> u64 {
        let shown_ns = self.paused.unwrap_or(now_ns);
        if self.paused.is_none() || self.rows.is_empty() || std::mem::take(&mut self.stale) {
            self.rows = rows(timeline, self, shown_ns);
        }
        shown_ns
    }

    /// Fills in the strips of the rows that are on the screen.
    pub(super) fn fill(
        &mut self,
        timeline: &Timeline,
        shown_ns: u64,
        from: usize,
        count: usize,
        cells: usize,
    ) {
        self.page = count.max(1);
        let window_ns = self.window_ns();
        for row in self.rows.iter_mut().skip(from).take(count) {
            row.strip = strip((row.id, row.tid), timeline, window_ns, shown_ns, cells);
        }
    }

    /// A view with a row for each thread.
    pub fn with_threads(threads: bool) -> Self {
        Self { threads, ..Self::default() }
    }

    /// While on, keys go to the program instead of the view.
    pub fn set_typing(&mut self, on: bool) {
        self.typing = on;
        if on {
            self.pane = Pane::Output;
        }
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key, now_ns: u64) -> Action {
        if self.help {
            self.help = false;
            return Action::Stay;
        }
        if self.searching {
            self.search_key(key);
            return Action::Stay;
        }
        if let Some(asking) = self.asking.take() {
            return confirmed(key).map_or(Action::Stay, |signal| Action::Signal(asking.pid, signal));
        }
        match key {
            Key::Char('q') => return Action::Leave,
            Key::Char('i') => return Action::Type,
            Key::Char('?' | 'h') => self.help = true,
            Key::Char('/') => {
                self.searching = true;
                self.search.clear();
            }
            Key::Escape => self.search.clear(),
            Key::Char('H') => self.threads = !self.threads,
            Key::Char('a') => self.all = !self.all,
            Key::Char('s') => self.sort = self.sort.next(),
            Key::Char('p' | ' ') if self.is_paused() => self.paused = None,
            Key::Char('p' | ' ') => self.pause(now_ns),
            Key::Left => self.scroll_time(-1, now_ns),
            Key::Right => self.scroll_time(1, now_ns),
            Key::Char('x') => self.ask(),
            Key::Char('l') => self.show(Pane::Log),
            Key::Char('K' | '[') => self.scroll_pane(true),
            Key::Char('J' | ']') => self.scroll_pane(false),
            Key::Char('+' | '=') => self.window = self.window.saturating_sub(1),
            Key::Char('-') => self.window = (self.window + 1).min(WINDOWS_NS.len() - 1),
            Key::Tab | Key::Enter => {
                self.show(self.pane.next());
            }
            Key::Up | Key::Char('k') => self.choose(-1),
            Key::Down | Key::Char('j') => self.choose(1),
            Key::PageUp => self.choose(-self.page_step()),
            Key::PageDown => self.choose(self.page_step()),
            Key::Home | Key::Char('g') => self.choose(isize::MIN / 2),
            Key::End | Key::Char('G') => self.choose(isize::MAX / 2),
            Key::Char(_) | Key::Backspace => {}
        }
        Action::Stay
    }

    fn show(&mut self, pane: Pane) {
        (self.pane, self.scrolled) = (pane, 0);
    }

    fn scroll_pane(&mut self, up: bool) {
        let further = up != (self.pane == Pane::Life);
        self.scrolled = if further { self.scrolled + 1 } else { self.scrolled.saturating_sub(1) };
    }

    fn pause(&mut self, now_ns: u64) {
        (self.paused, self.paused_at_ns) = (Some(now_ns), now_ns);
    }

    /// Moves the shown moment by quarters of the strip; a view that goes on is paused first.
    fn scroll_time(&mut self, by: i64, now_ns: u64) {
        if !self.is_paused() {
            self.pause(now_ns);
        }
        let step = by * i64::try_from(self.window_ns() / 4).unwrap_or(0);
        let shown_ns = self.paused.unwrap_or(now_ns).saturating_add_signed(step);
        self.paused = Some(shown_ns.min(self.paused_at_ns));
        self.stale = true;
    }

    /// Asks whether the chosen process is to be sent a signal.
    fn ask(&mut self) {
        let row = self.chosen().and_then(|(place, _)| self.rows.get(place));
        self.asking = row
            .filter(|row| !matches!(row.state, State::Zombie | State::Reaped))
            .map(|row| Asking { pid: row.pid, name: row.name.clone() });
    }

    fn search_key(&mut self, key: Key) {
        match key {
            Key::Char(c) => self.search.push(c),
            Key::Backspace => {
                self.search.pop();
            }
            Key::Escape => {
                self.search.clear();
                self.searching = false;
            }
            _ => self.searching = false,
        }
    }

    fn page_step(&self) -> isize {
        isize::try_from(self.page).unwrap_or(1)
    }

    fn choose(&mut self, by: isize) {
        let last = isize::try_from(self.rows.len()).unwrap_or(0) - 1;
        let place = self.chosen().map_or(0, |(place, _)| isize::try_from(place).unwrap_or(0));
        let place = usize::try_from((place + by).clamp(0, last.max(0))).unwrap_or(0);
        self.chosen = self.rows.get(place).map(|row| (row.id, row.tid));
    }
}

/// The signal that a key confirms, if any.
fn confirmed(key: Key) -> Option<Signal> {
    Some(match key {
        Key::Char('y') => Signal::TERM,
        Key::Char('9') => Signal::KILL,
        Key::Char('i') => Signal::INT,
        Key::Char('s') => Signal::STOP,
        Key::Char('c') => Signal::CONT,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::event::{Event, What};
    use crate::observe::timeline::Limits;

    fn timeline() -> Timeline {
        let mut timeline = Timeline::new(Limits::default());
        let mut tell = |at_ns, pid, what| {
            timeline.apply(&Event { at_ns, pid: Pid::from_raw(pid), tid: Pid::from_raw(pid), what })
        };
        tell(0, 7, What::Rooted { ppid: Pid::from_raw(1), before_exec: Default::default() });
        tell(1, 8, What::Forked { ppid: Pid::from_raw(7) });
        tell(2, 9, What::Forked { ppid: Pid::from_raw(8) });
        tell(3, 10, What::Forked { ppid: Pid::from_raw(7) });
        tell(4, 10, What::Named { name: "buyer".to_owned(), exec: false });
        timeline
    }

    fn pids(view: &View) -> Vec<(usize, i32)> {
        view.rows().iter().map(|row| (row.depth, row.pid.as_raw())).collect()
    }

    #[test]
    fn the_tree_is_told_depth_first_and_the_search_narrows_it() {
        let (timeline, mut view) = (timeline(), View::default());
        view.refresh(&timeline, 10);
        assert_eq!(pids(&view), [(0, 7), (1, 8), (2, 9), (1, 10)]);
        for key in [Key::Char('/'), Key::Char('b'), Key::Char('u'), Key::Enter] {
            view.key(key, 10);
        }
        view.refresh(&timeline, 10);
        assert_eq!(pids(&view), [(0, 10)]);
        view.key(Key::Escape, 10);
        view.refresh(&timeline, 10);
        assert_eq!(view.rows().len(), 4);
    }

    #[test]
    fn the_choice_stays_with_its_process_and_within_the_rows() {
        let (timeline, mut view) = (timeline(), View::default());
        view.refresh(&timeline, 10);
        view.key(Key::End, 10);
        assert_eq!(view.chosen().map(|(place, _)| place), Some(3));
        view.key(Key::Down, 10);
        assert_eq!(view.chosen().map(|(place, _)| place), Some(3));
        view.key(Key::Home, 10);
        assert_eq!(view.chosen().map(|(place, _)| place), Some(0));
    }

    #[test]
    fn a_paused_view_stands_still_and_q_leaves() {
        let (timeline, mut view) = (timeline(), View::default());
        view.refresh(&timeline, 10);
        view.key(Key::Char('p'), 10);
        assert_eq!(view.refresh(&timeline, 99), 10);
        view.key(Key::Char('p'), 99);
        assert_eq!(view.refresh(&timeline, 99), 99);
        assert_eq!(view.key(Key::Char('q'), 99), Action::Leave);
    }

    #[test]
    fn the_past_can_be_scrolled_to_and_not_beyond_the_pause() {
        let (timeline, mut view) = (timeline(), View::default());
        let (now_ns, quarter_ns) = (20_000_000_000, 1_250_000_000);
        view.refresh(&timeline, now_ns);
        view.key(Key::Left, now_ns);
        view.key(Key::Left, now_ns + 7);
        assert_eq!(view.refresh(&timeline, now_ns + 9), now_ns - 2 * quarter_ns);
        assert!(view.past_ns().is_some());
        for _ in 0..5 {
            view.key(Key::Right, now_ns + 7);
        }
        assert_eq!((view.refresh(&timeline, now_ns + 9), view.past_ns()), (now_ns, None));
        view.key(Key::Char('p'), now_ns + 7);
        assert!(!view.is_paused());
    }

    #[test]
    fn a_signal_is_sent_to_the_chosen_process_once_it_is_confirmed() {
        let (timeline, mut view) = (timeline(), View::default());
        view.refresh(&timeline, 10);
        view.key(Key::Down, 10);
        assert_eq!(view.key(Key::Char('x'), 10), Action::Stay);
        assert_eq!(view.key(Key::Char('q'), 10), Action::Stay, "any other key cancels");
        view.key(Key::Char('x'), 10);
        assert_eq!(view.key(Key::Char('y'), 10), Action::Signal(Pid::from_raw(8), Signal::TERM));
        assert_eq!(view.key(Key::Char('y'), 10), Action::Stay, "it is sent once");
    }
}
