//! What the person at the terminal has chosen to see, and how keys change it.

use super::rows::{Row, rows, strip};
use crate::observe::timeline::Timeline;
use crate::sys::pid::Pid;

/// A key, as far as the view knows it; the terminal's own names are translated outside.
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
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first row.
    Home,
    /// To the last row.
    End,
}

/// What a key asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing beyond what the view did itself.
    Stay,
    /// Leave the view.
    Leave,
    /// From now on keys go to the program.
    Type,
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
    Output,
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
    pub(super) typing: bool,
    /// Processes that were reaped before the strips begin are shown too.
    pub(super) all: bool,
    /// Threads have rows of their own.
    pub(super) threads: bool,
    window: usize,
    chosen: Option<(u64, Option<Pid>)>,
    /// The rows and the moment at which the view was paused.
    paused: Option<u64>,
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
            typing: false,
            all: false,
            threads: false,
            window: 3,
            chosen: None,
            paused: None,
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
    /// Something that must be seen: a deadlock, lost records.
    pub alarm: Option<&'a str>,
    /// How the command ended, once it has.
    pub ended: Option<&'a str>,
    /// The timeline.
    pub timeline: &'a Timeline,
    /// Now, `CLOCK_MONOTONIC` nanoseconds.
    pub now_ns: u64,
    /// What the program has written, when it has a terminal of its own.
    pub output: Option<&'a super::Output>,
}

impl View {
    /// The length of the strips.
    pub(super) fn window_ns(&self) -> u64 {
        WINDOWS_NS[self.window]
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
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

    /// Takes the timeline's present state, unless paused.
    pub(super) fn refresh(&mut self, timeline: &Timeline, now_ns: u64) -> u64 {
        let shown_ns = self.paused.unwrap_or(now_ns);
        if self.paused.is_none() || self.rows.is_empty() {
            self.rows = rows(timeline, self, now_ns);
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

    /// While on, keys go to the program and not to the view.
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
            Key::Char('p' | ' ') => self.paused = if self.is_paused() { None } else { Some(now_ns) },
            Key::Char('+' | '=') => self.window = self.window.saturating_sub(1),
            Key::Char('-') => self.window = (self.window + 1).min(WINDOWS_NS.len() - 1),
            Key::Tab | Key::Enter => {
                self.pane = if self.pane == Pane::Life { Pane::Output } else { Pane::Life };
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
}
