//! The view on a terminal, wide or narrow.

use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span as Text};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::detail::life;
use super::rows::{Row, n_unlisted};
use super::strip::glyph;
use super::view::{Asking, Frame, Pane, View};
use crate::observe::event::State;
use crate::report::watch::numbers::short;

/// Draws everything.
pub fn draw(view: &mut View, frame: &Frame<'_>, screen: &mut ratatui::Frame<'_>) {
    let area = screen.area();
    let shown_ns = view.refresh(frame.timeline, frame.now_ns);
    let pane_height = if area.height >= 18 { (area.height / 3).clamp(7, 14) } else { 0 };
    // A deadlock takes more than one line on a narrow screen.
    let alarm_height = frame.alarm.map_or(0, |text| lines_of(text, area.width));
    let [head, alarm_area, table, pane, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(alarm_height),
        Constraint::Min(2),
        Constraint::Length(pane_height),
        Constraint::Length(1),
    ])
    .areas(area);
    screen.render_widget(heading(view, frame, area.width.into()), head);
    if let Some(text) = frame.alarm {
        let style = Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD);
        screen.render_widget(Paragraph::new(text).style(style).wrap(Wrap { trim: true }), alarm_area);
    }
    screen.render_widget(table_lines(view, frame, shown_ns, table), table);
    if pane_height > 0 {
        draw_pane(view, frame, shown_ns, screen, pane);
    }
    screen.render_widget(footing(view, frame, area.width.into()), foot);
    if view.help {
        draw_help(screen, area);
    }
}

/// Lines that an alarm takes, three at most: each but the last may end a word early.
fn lines_of(text: &str, width: u16) -> u16 {
    const WORD: usize = 10;
    let (length, width) = (text.chars().count(), usize::from(width));
    (1..3).find(|&lines| length + usize::from(lines - 1) * WORD <= usize::from(lines) * width).unwrap_or(3)
}

fn heading<'a>(view: &View, frame: &Frame<'a>, width: usize) -> Paragraph<'a> {
    let (alive, all) = (frame.timeline.n_living(), frame.timeline.n_processes());
    // Of the past, only the rows are shown.
    let mut told = if view.past_ns().is_some() { String::new() } else { format!("  {alive} alive of {all}") };
    if let (true, n @ 1..) = (view.all, n_unlisted(frame.timeline)) {
        told.push_str(&format!(", {n} not listed"));
    }
    if let Some(ended) = frame.ended {
        told.push_str(&format!("  ended: {ended}"));
    }
    let paused = match view.past_ns() {
        Some(past_ns) => format!("  {} AGO", short(frame.now_ns.saturating_sub(past_ns))),
        None if view.is_paused() => "  PAUSED".to_owned(),
        None => String::new(),
    };
    // What changes is always shown, the title as far as there is room.
    let room = width.saturating_sub(told.chars().count() + paused.chars().count());
    let title =
        if frame.title.chars().count() > room { fit(frame.title, room) } else { frame.title.to_owned() };
    let first = vec![
        Text::styled(title, Style::new().add_modifier(Modifier::BOLD)),
        Text::raw(told),
        Text::styled(paused, Style::new().add_modifier(Modifier::REVERSED)),
    ];
    let source =
        if frame.source.chars().count() > width { fit(frame.source, width) } else { frame.source.to_owned() };
    Paragraph::new(vec![Line::from(first), Line::styled(source, Style::new().fg(Color::DarkGray))])
}

/// Widths of the columns. With little room the parent is dropped first, since the tree shows it too, then the strip and
/// what a process is blocked on, which the pane below has, and the times last.
struct Columns {
    name: usize,
    strip: usize,
    parent: bool,
    times: bool,
    note: usize,
}

impl Columns {
    /// PID 8, the state 10.
    const FIXED: usize = 8 + 10;
    const PARENT: usize = 8;
    const TIMES: usize = 3 * (1 + TIME);

    fn of(width: usize) -> Self {
        const LEAST_STRIP: usize = 8;
        let times = width >= Self::FIXED + 12 + 1 + Self::TIMES;
        let parent = width >= 96;
        let name = if width >= 100 { 20 } else { 12 };
        let optional = if times { Self::TIMES } else { 0 } + if parent { Self::PARENT } else { 0 };
        let left = width.saturating_sub(Self::FIXED + name + 1 + optional);
        let strip = match times && left < LEAST_STRIP + 6 {
            true => 0,
            false => (left / 2).clamp(LEAST_STRIP.min(left), 60),
        };
        Self { name, strip, parent, times, note: left.saturating_sub(strip + 1) }
    }
}

/// `12.40 ms`, `1.203 s`.
const TIME: usize = 8;

fn table_lines<'a>(view: &mut View, frame: &Frame<'_>, shown_ns: u64, area: Rect) -> Paragraph<'a> {
    let columns = Columns::of(usize::from(area.width));
    let visible = usize::from(area.height).saturating_sub(1);
    let chosen = view.chosen().map_or(0, |(place, _)| place);
    // The chosen row stays on the screen, in the middle if there are more rows above and below.
    let from = chosen.saturating_sub(visible / 2).min(view.rows().len().saturating_sub(visible));
    view.fill(frame.timeline, shown_ns, from, visible, columns.strip);
    let window = view.window_ns() as f64 / 1e9;
    let mut header = format!("{:>7} ", if view.threads { "PID/TID" } else { "PID" });
    if columns.parent {
        header.push_str(&format!("{:>7} ", "PPID"));
    }
    header.push_str(&format!("{:<name$} {:<9} ", "NAME", "STATE", name = columns.name));
    header.push_str(&fit(&format!("last {window} s"), columns.strip));
    if columns.times {
        // Wake-up delays, which are ready and not blocked time, are not known for the past.
        let (ready, blocked) =
            if view.past_ns().is_some() { ("READY≥", "BLOCKED≤") } else { ("READY", "BLOCKED") };
        header.push_str(&format!(" {:>TIME$} {ready:>TIME$} {blocked:>TIME$}", "RUN"));
    }
    if columns.note > 3 {
        header.push_str(" BLOCKED ON / END");
    }
    let mut lines =
        vec![Line::styled(fit(&header, area.width.into()), Style::new().add_modifier(Modifier::UNDERLINED))];
    for (place, row) in view.rows().iter().enumerate().skip(from).take(visible) {
        lines.push(row_line(row, &columns, place == chosen));
    }
    if view.rows().is_empty() && !view.search.is_empty() {
        lines.push(Line::from(format!("nothing matches `{}`: / searches again, Esc clears", view.search)));
    }
    Paragraph::new(lines)
}

fn row_line<'a>(row: &Row, columns: &Columns, chosen: bool) -> Line<'a> {
    let base = if chosen { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let base = if row.state == State::Reaped { base.fg(Color::DarkGray) } else { base };
    let mark = if row.tid.is_some() { "·" } else { "└" };
    let indent = mark.repeat(usize::from(row.depth > 0));
    let name =
        fit(&format!("{}{indent}{}", " ".repeat(row.depth.saturating_sub(1).min(6)), row.name), columns.name);
    let (_, colour) = glyph(row.state);
    let parent = if columns.parent { format!("{:>7} ", row.ppid) } else { String::new() };
    let mut texts = vec![
        Text::styled(format!("{:>7} {parent}{name} ", row.tid.unwrap_or(row.pid)), base),
        Text::styled(
            format!("{:<7} {} ", row.state.word(), row.letter),
            if chosen { base } else { Style::new().fg(colour).add_modifier(Modifier::BOLD) },
        ),
    ];
    for cell in &row.strip {
        let (symbol, colour) = cell.map_or((" ", Color::Reset), glyph);
        texts.push(Text::styled(symbol, Style::new().fg(colour)));
    }
    if columns.times {
        let (run, ready, blocked) = (short(row.running_ns), short(row.ready_ns), short(row.blocked_ns));
        texts.push(Text::styled(format!(" {run:>TIME$} {ready:>TIME$} {blocked:>TIME$}"), base));
    }
    texts.push(Text::styled(format!(" {}", fit(&row.note, columns.note)), base));
    Line::from(texts)
}

fn draw_pane(view: &View, frame: &Frame<'_>, shown_ns: u64, screen: &mut ratatui::Frame<'_>, area: Rect) {
    let height = usize::from(area.height).saturating_sub(2);
    let (title, lines) = match (view.pane, frame.output) {
        (Pane::Output, Some(output)) => {
            let typing = if view.typing { ": your keys go to the program, Ctrl-] ends that" } else { "" };
            (format!(" output{typing} "), output.last_lines(height, view.scrolled))
        }
        (Pane::Log, _) => {
            let end = frame.log.len().saturating_sub(view.scrolled).max(height.min(frame.log.len()));
            (" log ".to_owned(), frame.log[end.saturating_sub(height)..end].to_vec())
        }
        (Pane::Output, None) => (
            " output ".to_owned(),
            vec!["is not captured: it goes where it went without the watch".to_owned()],
        ),
        (Pane::Life, _) => match view.chosen().and_then(|(_, id)| frame.timeline.process(id)) {
            Some(process) => (
                format!(" life of {} {} ", process.pid, process.name),
                life(process, frame.timeline, shown_ns.max(process.since_ns()))
                    .into_iter()
                    .skip(view.scrolled)
                    .collect(),
            ),
            None => (" life ".to_owned(), Vec::new()),
        },
    };
    let lines: Vec<Line<'_>> = lines.into_iter().take(height).map(Line::from).collect();
    let text = Paragraph::new(lines).block(Block::bordered().title(title));
    // The last lines of a log or an output must not be pushed out by long ones before them.
    let text = if view.pane == Pane::Life { text.wrap(Wrap { trim: false }) } else { text };
    screen.render_widget(text, area);
}

/// The keys, the most important first; help has those for which there is no room.
fn footing<'a>(view: &View, frame: &Frame<'_>, width: usize) -> Line<'a> {
    if let Some(Asking { pid, name }) = &view.asking {
        let ask = format!("signal {pid} {name}? y TERM  9 KILL  i INT  s STOP  c CONT  other keys cancel");
        let style = Style::new().add_modifier(Modifier::REVERSED);
        return Line::styled(fit(&ask, width), style);
    }
    if view.searching {
        return Line::from(format!("search: {}_   Enter keeps it, Esc clears it", view.search));
    }
    let sort = format!("s sort:{}", view.sort.word());
    let types = frame.output.is_some() && frame.ended.is_none();
    let search = (!view.search.is_empty()).then(|| format!("[{}] Esc clears", view.search));
    let pause = if view.is_paused() { "p go on" } else { "p pause" };
    let keys = [
        Some("? help"),
        Some("q leave"),
        Some(pause),
        view.is_paused().then_some("← → past"),
        search.as_deref(),
        Some("Tab log, output"),
        Some(&sort),
        Some("x signal"),
    ];
    let rest =
        [Some("/ search"), Some("↑↓ choose"), types.then_some("i type"), Some("a all"), Some("+ - zoom")];
    let mut line = String::new();
    for key in keys.into_iter().chain(rest).flatten() {
        if line.chars().count() + key.chars().count() + 2 > width.max(8) {
            continue;
        }
        let gap = if line.is_empty() { "" } else { "  " };
        line.push_str(gap);
        line.push_str(key);
    }
    Line::styled(line, Style::new().fg(Color::DarkGray))
}

fn draw_help(screen: &mut ratatui::Frame<'_>, area: Rect) {
    const TEXT: [&str; 21] = [
        "q          leave the view; the program goes on",
        "↑ ↓ j k    choose a process; PgUp PgDn Home End",
        "Tab l      its life, the log, the program's output",
        "J K        scroll that pane (or ] and [)",
        "s          sort: tree, running, ready, blocked, newest",
        "/          search name, PID, or what it is blocked on",
        "H          a row for each thread",
        "a          show all, those reaped long ago too",
        "p ← →      pause the view, go back in time and forth",
        "x          send the process a signal, after a question",
        "+ -        a shorter or longer strip",
        "i          type to the program; Ctrl-] ends that",
        "",
        "█ running: it has a CPU",
        "▒ ready: it could run and waits for a CPU",
        "─ blocked: it waits for something else",
        "■ stopped: by a signal or a debugger",
        "z zombie: ended, its exit status not taken",
        "? unknown: alive, in an unknown state",
        "The letter is the kernel's, as ps shows it: R is",
        "running and ready alike. Any key closes this.",
    ];
    let height = (TEXT.len() as u16 + 2).min(area.height);
    let width = 58.min(area.width);
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    screen.render_widget(Clear, place);
    let lines: Vec<Line<'_>> = TEXT.into_iter().map(Line::from).collect();
    screen.render_widget(Paragraph::new(lines).block(Block::bordered().title(" help ")), place);
}

/// Exactly `width` columns: cut with an ellipsis, or padded.
fn fit(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return format!("{text}{}", " ".repeat(width - count));
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::view::Key;
    use super::*;
    use crate::observe::event::{Event, What};
    use crate::observe::timeline::{Limits, Timeline};
    use crate::observe::waits::{Kind, Wait};
    use crate::sys::pid::Pid;

    fn screen(width: u16, height: u16) -> String {
        screen_after(&[], width, height)
    }

    fn screen_after(keys: &[Key], width: u16, height: u16) -> String {
        let mut timeline = Timeline::new(Limits::default());
        let mut tell = |at_ns, pid, what| {
            timeline.apply(&Event { at_ns, pid: Pid::from_raw(pid), tid: Pid::from_raw(pid), what })
        };
        tell(0, 7, What::Rooted { ppid: Pid::from_raw(1), before_exec: Default::default() });
        tell(1, 7, What::Named { name: "python3".to_owned(), exec: true });
        tell(2, 7, What::In { cpu: 0 });
        tell(3_000_000_000, 7, What::Out { preempted: false });
        let on = Wait::outside(Kind::FileLock, "lock data/ticket_count held by 4240 buyer-1");
        tell(3_100_000_000, 7, What::Blocked(on));
        let frame = Frame {
            title: "python3 homework.py --with --arguments that --fill the line",
            source: "exact tier",
            alarm: None,
            ended: None,
            timeline: &timeline,
            now_ns: 5_000_000_000,
            output: None,
            log: &["[   1.00 s] 7 python3 stopped".to_owned()],
        };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut view = View::default();
        for key in keys {
            view.key(*key, 4_000_000_000);
        }
        terminal.draw(|screen| draw(&mut view, &frame, screen)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_wide_screen_shows_times_and_what_it_is_blocked_on() {
        let text = screen(160, 30);
        for part in ["python3", "blocked S", "3.000 s", "held by 4240 buyer-1", "█", "─", "exact tier"] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn eighty_columns_have_the_three_times_and_threads_have_rows_on_demand() {
        let text = screen(80, 24);
        for part in ["RUN", "READY", "BLOCKED", "3.000 s", "blocked S"] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(!text.contains("PPID"), "{text}");
        assert!(screen_after(&[Key::Char('H')], 80, 24).contains("PID/TID"));
    }

    #[test]
    fn sixty_columns_have_the_three_times_whole_rather_than_a_strip() {
        for width in 60..80 {
            let text = screen(width, 20);
            let row = text.lines().find(|line| line.contains("blocked S")).unwrap_or_default();
            assert!(text.contains("     RUN    READY  BLOCKED"), "{text}");
            assert!(row.contains("  3.000 s     1 ns  2.000 s"), "{text}");
        }
    }

    #[test]
    fn a_narrow_and_low_screen_still_shows_pid_state_and_strip() {
        let text = screen(50, 6);
        for part in ["7", "python3", "blocked S", "█"] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn title_and_keys_fit_a_narrow_screen_and_a_pause_is_seen() {
        let running = screen(60, 20);
        for part in ["python3", "1 alive of 1", "? help", "q leave", "p pause", "sort:tree"] {
            assert!(running.contains(part), "{part:?} is not in\n{running}");
        }
        assert!(!running.contains("PAUSED") && !running.contains("zo…"), "{running}");
        let paused = screen_after(&[Key::Char('p')], 60, 20);
        assert!(paused.contains("1 alive of 1  PAUSED") && paused.contains("p go on"), "{paused}");
        let gone_on = screen_after(&[Key::Char('p'), Key::Char(' ')], 60, 20);
        assert!(gone_on.contains("p pause") && !gone_on.contains("PAUSED"), "{gone_on}");
    }

    #[test]
    fn the_log_a_question_and_the_past_are_seen() {
        assert!(screen_after(&[Key::Char('l')], 80, 24).contains("7 python3 stopped"));
        let asked = screen_after(&[Key::Char('x')], 80, 24);
        assert!(!asked.contains("signal 7"), "there were no rows yet:\n{asked}");
        let past = screen_after(&[Key::Left], 80, 24);
        assert!(past.contains("READY≥") && past.contains("AGO") && past.contains("← → past"), "{past}");
    }

    #[test]
    fn an_alarm_that_is_longer_than_a_line_is_told_whole() {
        let alarm =
            "DEADLOCK since 238 ms: 4241 waits for lock a held by 4242; 4242 waits for lock b held by 4241";
        for (width, lines) in [(200, 1), (100, 1), (60, 2), (40, 3)] {
            assert_eq!(lines_of(alarm, width), lines, "{width} columns");
        }
    }

    #[test]
    fn no_size_makes_it_panic() {
        for width in [1, 2, 8, 20, 40, 300] {
            for height in [1, 2, 3, 5, 17, 18, 60] {
                screen(width, height);
            }
        }
    }
}
