//! The loop on a terminal: the question, the answer below it, and a progress bar and the keys that are always visible.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::Paragraph;
use ratatui::{DefaultTerminal, Frame};
use unicode_width::UnicodeWidthStr;

use super::session::Session;
use crate::cli::fault::Fault;
use crate::lab::answers::form;
use crate::lab::mark::State;
use crate::lab::question::{Kind, LONGEST};
use crate::report::lab::page::page;
use crate::report::lab::text::points;
use crate::sys::poll::{Deadline, has_hung_up, readable};
use crate::sys::signal::Interrupt;
use crate::sys::terminal_guard::TerminalGuard;

/// The interval between two checks of the student's file.
const LOOK: Duration = Duration::from_millis(200);

/// What a key asks for.
enum Wish {
    Nothing,
    Hint,
    Skip,
    List,
    Quit,
    Enter,
}

/// What is on the screen.
struct View {
    /// The index of the current part.
    at: usize,
    /// The texts below the question: hints and results.
    said: Vec<String>,
    typed: String,
    /// The first line that is shown; if it is beyond the text, the end is shown.
    top: usize,
    /// Whether the part is right, so that Enter continues.
    is_over: bool,
    busy: bool,
    stamps: Vec<Option<SystemTime>>,
    lines: usize,
    rows: usize,
}

/// Works until all is right or the student leaves.
pub(super) fn work(session: &mut Session<'_>) -> Result<(), Fault> {
    let failed = |error: io::Error| Fault::could_not_run(&error).context("cannot use the terminal");
    let guard = TerminalGuard::new();
    let mut screen = ratatui::try_init().map_err(failed)?;
    let worked = parts(session, &mut screen);
    ratatui::restore();
    drop(guard);
    worked
}

fn parts(session: &mut Session<'_>, screen: &mut DefaultTerminal) -> Result<(), Fault> {
    let mut passed: Vec<usize> = Vec::new();
    loop {
        let open = session.open();
        // Each part once per session; the rest is left for the next one.
        let Some(at) = open.iter().copied().find(|at| !passed.contains(at)) else { return Ok(()) };
        passed.push(at);
        if !part(session, screen, at)? {
            return Ok(());
        }
    }
}

/// Works on one part. Returns false if the student leaves.
fn part(session: &mut Session<'_>, screen: &mut DefaultTerminal, at: usize) -> Result<bool, Fault> {
    let failed = |error: io::Error| Fault::could_not_run(&error).context("cannot use the terminal");
    let part = session.lab.card.parts[at].clone();
    let is_program = part.kind == Kind::Program;
    let mut view = View {
        at,
        said: Vec::new(),
        typed: String::new(),
        top: 0,
        is_over: false,
        busy: false,
        stamps: session.stamps(&part),
        lines: 0,
        rows: 0,
    };
    loop {
        screen.draw(|frame| draw(frame, session, &mut view)).map_err(failed)?;
        let wish = match wait(&mut view, is_program).map_err(failed)? {
            Some(wish) => wish,
            None => return Ok(false),
        };
        let stamps = if is_program { session.stamps(&part) } else { Vec::new() };
        let is_saved = is_program && stamps != view.stamps;
        match wish {
            Wish::Quit => return Ok(false),
            Wish::Enter if view.is_over => return Ok(true),
            Wish::Skip => {
                if !view.is_over {
                    session.skip(at)?;
                }
                return Ok(true);
            }
            Wish::Hint => {
                let hint = session.hint(at)?;
                view.say(&hint);
            }
            Wish::List => {
                let list = session.list();
                view.say(&list);
            }
            Wish::Enter if !is_program => {
                let typed = std::mem::take(&mut view.typed);
                if typed.trim().is_empty() {
                    continue;
                }
                match session.read(at, &typed) {
                    Err(why) => {
                        view.typed = typed;
                        view.say(&why);
                    }
                    Ok(answer) => check(session, screen, &mut view, Some(answer))?,
                }
            }
            Wish::Enter => check(session, screen, &mut view, None)?,
            Wish::Nothing if is_saved => {
                view.stamps = stamps;
                check(session, screen, &mut view, None)?;
            }
            Wish::Nothing => {}
        }
    }
}

fn check(
    session: &mut Session<'_>,
    screen: &mut DefaultTerminal,
    view: &mut View,
    answer: Option<crate::lab::question::Answer>,
) -> Result<(), Fault> {
    let failed = |error: io::Error| Fault::could_not_run(&error).context("cannot use the terminal");
    view.busy = true;
    screen.draw(|frame| draw(frame, session, view)).map_err(failed)?;
    let marked = session.check(view.at, answer)?;
    view.busy = false;
    view.is_over = marked.state == State::Right;
    view.said.clear();
    let width = screen.size().map_err(failed)?.width;
    let result = session.result(view.at, &marked, width);
    view.say(&anstream::adapter::strip_str(&result).to_string());
    Ok(())
}

impl View {
    /// Adds a text and scrolls to it.
    fn say(&mut self, text: &str) {
        self.said.push(text.to_owned());
        self.top = usize::MAX;
    }

    fn scroll(&mut self, by: isize) {
        let last = self.lines.saturating_sub(self.rows);
        self.top = self.top.min(last).saturating_add_signed(by).min(last);
    }
}

/// Waits a moment for a key. `None` if the terminal is gone.
fn wait(view: &mut View, is_program: bool) -> io::Result<Option<Wish>> {
    let is_asked_to_end = || Interrupt::installed().and_then(Interrupt::received).is_some();
    let is_over = || has_hung_up(io::stdin().as_fd()) || is_asked_to_end();
    if is_over() {
        return Ok(None);
    }
    if !event::poll(Duration::ZERO)? {
        // Not in `event::poll`, which never returns if the terminal hangs up meanwhile.
        readable(&[io::stdin().as_fd()], Deadline::after(LOOK))?;
        if is_over() {
            return Ok(None);
        }
        if !event::poll(Duration::ZERO)? {
            return Ok(Some(Wish::Nothing));
        }
    }
    Ok(Some(match event::read()? {
        Event::Key(key) if key.kind != KeyEventKind::Release => pressed(view, key, is_program),
        Event::Paste(text) => {
            text.chars().filter(|c| !c.is_control()).for_each(|c| view.type_one(c));
            Wish::Nothing
        }
        _ => Wish::Nothing,
    }))
}

impl View {
    fn type_one(&mut self, c: char) {
        if self.typed.len() < LONGEST {
            self.typed.push(c);
        }
    }
}

fn pressed(view: &mut View, key: KeyEvent, is_program: bool) -> Wish {
    let page = isize::try_from(view.rows.saturating_sub(1)).unwrap_or(10);
    match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => return Wish::Quit,
        KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => view.typed.clear(),
        KeyCode::Esc => return Wish::Quit,
        KeyCode::Enter => return Wish::Enter,
        KeyCode::Up => view.scroll(-1),
        KeyCode::Down => view.scroll(1),
        KeyCode::PageUp => view.scroll(-page),
        KeyCode::PageDown => view.scroll(page),
        KeyCode::Backspace => drop(view.typed.pop()),
        // No answer begins with one of these.
        KeyCode::Char('?') if view.typed.is_empty() => return Wish::Hint,
        KeyCode::Char('>') if view.typed.is_empty() => return Wish::Skip,
        KeyCode::Char('#') if view.typed.is_empty() => return Wish::List,
        KeyCode::Char('!') if view.typed.is_empty() => return Wish::Quit,
        KeyCode::Char(c) if !is_program && !view.is_over => view.type_one(c),
        _ => {}
    }
    Wish::Nothing
}

fn draw(frame: &mut Frame<'_>, session: &Session<'_>, view: &mut View) {
    let area = frame.area();
    let lang = session.lang();
    let part = &session.lab.card.parts[view.at];
    let [head, body, input, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(header(session, head.width)), head);

    let intro = if view.at == 0 { session.intro(body.width) + "\n" } else { String::new() };
    let question = intro + &session.question(view.at, body.width);
    let mut text = anstream::adapter::strip_str(&question).to_string();
    for said in &view.said {
        text.push('\n');
        // A result is laid out already; a sentence is wrapped.
        let is_laid_out = said.contains('\n');
        text.push_str(&if is_laid_out {
            said.clone()
        } else {
            anstream::adapter::strip_str(&page(said, body.width)).to_string()
        });
    }
    let lines: Vec<Line<'_>> = text.lines().map(styled).collect();
    view.lines = lines.len();
    view.rows = usize::from(body.height);
    let top = view.top.min(view.lines.saturating_sub(view.rows));
    frame.render_widget(Paragraph::new(Text::from(lines)).scroll((u16::try_from(top).unwrap_or(0), 0)), body);

    let width = usize::from(input.width);
    let prompt = if view.busy {
        lang.say("measuring …", "正在测量……").to_owned()
    } else if view.is_over {
        lang.say("Right! Enter: the next question", "正确！按回车看下一题").to_owned()
    } else if part.kind == Kind::Program {
        lang.say("Save your file to check it, or press Enter.", "保存文件就会检查，也可以按回车。").to_owned()
    } else {
        let form = form(part, lang);
        let shown: &str = if form.width() + 20 > width { "" } else { &form };
        // Of a long answer the end is shown, which is being typed.
        let room = width.saturating_sub(shown.width() + 4);
        let mut typed = view.typed.as_str();
        while typed.width() > room {
            typed = &typed[typed.chars().next().map_or(0, char::len_utf8)..];
        }
        format!("{shown}> {typed}█")
    };
    let style =
        if view.is_over { Style::new().fg(Color::Green) } else { Style::new().add_modifier(Modifier::BOLD) };
    frame.render_widget(Paragraph::new(prompt).style(style), input);
    frame.render_widget(Paragraph::new(footer(session, foot.width, view.lines > view.rows)), foot);
}

/// The title and the progress.
fn header(session: &Session<'_>, width: u16) -> Line<'static> {
    let (right, all, best, most) = session.score();
    let tail = format!(" {right}/{all}  {}/{most}", points(best));
    let title = session.title();
    let room = usize::from(width).saturating_sub(tail.width());
    // The bar shrinks before the title does.
    let bar = room.saturating_sub(title.width() + 2).clamp(5, 20);
    let mut shown = title;
    while shown.width() + bar + 1 > room && !shown.is_empty() {
        shown.pop();
    }
    let filled = bar * right / all.max(1);
    Line::from(vec![
        Span::styled(shown, Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(" "),
        Span::styled("█".repeat(filled), Style::new().fg(Color::Green)),
        Span::styled("░".repeat(bar - filled), Style::new().add_modifier(Modifier::DIM)),
        Span::raw(tail),
    ])
}

/// The keys.
fn footer(session: &Session<'_>, width: u16, scrolls: bool) -> Line<'static> {
    let lang = session.lang();
    let mut keys = vec![
        ("?", lang.say("hint", "提示")),
        (">", lang.say("skip", "跳过")),
        ("#", lang.say("list", "列表")),
        ("Esc", lang.say("quit", "退出")),
    ];
    if scrolls {
        keys.push(("↑↓", lang.say("scroll", "滚动")));
    }
    let mut spans = Vec::new();
    let mut used = 0;
    for (key, what) in keys {
        used += key.width() + what.width() + 4;
        if used > usize::from(width) + 3 {
            break;
        }
        spans.push(Span::styled(key, Style::new().add_modifier(Modifier::REVERSED)));
        spans.push(Span::raw(format!(" {what}   ")));
    }
    Line::from(spans)
}

/// A line in the colour of its content.
fn styled(line: &str) -> Line<'static> {
    let line = line.to_owned();
    let style = if line.starts_with('✓') || line.trim_end().ends_with('✓') {
        Style::new().fg(Color::Green)
    } else if line.starts_with('✗') || line.starts_with('◐') || line.trim_end().ends_with('✗') {
        Style::new().fg(Color::Red)
    } else if line.starts_with("    ") {
        Style::new().fg(Color::Cyan)
    } else {
        Style::new()
    };
    Line::styled(line, style)
}
