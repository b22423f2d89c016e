//! The loop on a terminal: the question, the answer below it, and a progress bar and the keys that are always visible.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use self::draw::draw;
use self::view::View;
use super::session::Session;
use crate::cli::fault::Fault;
use crate::lab::mark::State;
use crate::lab::question::Kind;
use crate::sys::poll::{Deadline, has_hung_up, readable};
use crate::sys::signal::Interrupt;
use crate::sys::terminal_guard::TerminalGuard;

mod draw;
mod view;

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
        busy: None,
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
                    Ok(answer) => {
                        if !check(session, screen, &mut view, Some(answer))? {
                            return Ok(false);
                        }
                    }
                }
            }
            Wish::Nothing if !is_saved => {}
            Wish::Enter | Wish::Nothing => {
                view.stamps = stamps;
                if !check(session, screen, &mut view, None)? {
                    return Ok(false);
                }
            }
        }
    }
}

/// Marks what is there. Returns false if the student leaves meanwhile.
fn check(
    session: &mut Session<'_>,
    screen: &mut DefaultTerminal,
    view: &mut View,
    answer: Option<crate::lab::question::Answer>,
) -> Result<bool, Fault> {
    let failed = |error: io::Error| Fault::could_not_run(&error).context("cannot use the terminal");
    let submission = session.submit(view.at, answer)?;
    let (over, end) = io::pipe().map_err(failed)?;
    let (begin, at, asked) = (Instant::now(), view.at, &*session);
    let marked = std::thread::scope(|scope| {
        let measuring = scope.spawn(move || {
            let marked = asked.mark(at, &submission);
            drop(end);
            marked
        });
        let mut watched = Ok(());
        while watched.is_ok() && !measuring.is_finished() {
            view.busy = Some(begin.elapsed());
            watched = screen.draw(|frame| draw(frame, asked, view)).and_then(|_| stop_if_asked(over.as_fd()));
        }
        if watched.is_err() {
            stop();
        }
        (watched, measuring.join())
    });
    view.busy = None;
    if is_asked_to_end() {
        return Ok(false);
    }
    marked.0.map_err(failed)?;
    let marked = marked.1.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let marked = session.record(view.at, marked)?;
    view.is_over = marked.state == State::Right;
    view.said.clear();
    let width = screen.size().map_err(failed)?.width;
    let result = session.result(view.at, &marked, width);
    view.say(&anstream::adapter::strip_str(&result).to_string());
    Ok(true)
}

/// Waits a moment for the measurement, and stops it if the student leaves.
fn stop_if_asked(over: BorrowedFd<'_>) -> io::Result<()> {
    readable(&[io::stdin().as_fd(), over], Deadline::after(LOOK))?;
    if has_hung_up(io::stdin().as_fd()) {
        stop();
        // `event::poll` would never return.
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    while event::poll(Duration::ZERO)? {
        if let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
            && leaves(key)
        {
            stop();
        }
    }
    Ok(())
}

/// Ends what is being measured, and the loop.
fn stop() {
    if let Some(interrupt) = Interrupt::installed() {
        interrupt.request();
    }
}

fn is_asked_to_end() -> bool {
    Interrupt::installed().and_then(Interrupt::received).is_some()
}

/// Whether this key leaves at any moment.
fn leaves(key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('c' | 'd') => key.modifiers.contains(KeyModifiers::CONTROL),
        code => code == KeyCode::Esc,
    }
}

/// Waits a moment for a key. `None` if the terminal is gone.
fn wait(view: &mut View, is_program: bool) -> io::Result<Option<Wish>> {
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

fn pressed(view: &mut View, key: KeyEvent, is_program: bool) -> Wish {
    let page = isize::try_from(view.rows.saturating_sub(1)).unwrap_or(10);
    if leaves(key) {
        return Wish::Quit;
    }
    match key.code {
        KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => view.typed.clear(),
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
