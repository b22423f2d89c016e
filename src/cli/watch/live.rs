//! The watch with a live view: the command runs on a terminal of its own, so that its output and the view do not mix;
//! its output is shown in a pane, and printed when the view is left.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::failure;
use super::lines::Told;
use crate::cli::fault::Fault;
use crate::observe::watch::{Subject, Watch, origin_ns};
use crate::process::{Guard, Signal};
use crate::report::live::{Action, Frame, Key, Output, View, draw};
use crate::report::watch::build::resolution;
use crate::report::watch::deadlock::circle;
use crate::report::watch::numbers::short;

use crate::sys::clock::monotonic_ns;
use crate::sys::exec::resize_terminal;
use crate::sys::poll::has_hung_up;
use crate::sys::signalfd::Signals;
use crate::sys::terminal_guard::TerminalGuard;

/// Between two drawings, unless a key comes.
const REDRAW: Duration = Duration::from_millis(100);

/// Whether a view can be drawn in a window of this size: a cell takes some fifty bytes, and a terminal may claim any size.
pub(super) fn can_draw(columns: u16, rows: u16) -> bool {
    (1..=2_000).contains(&columns) && (1..=1_000).contains(&rows)
}

/// Shows the view until it is left, then follows the program to its end without it.
pub(super) fn follow(
    watch: &mut Watch,
    signals: &Signals,
    command: Option<File>,
    guard: Option<Guard>,
    title: &str,
    threads: bool,
) -> Result<(), Fault> {
    let terminal_guard = TerminalGuard::new();
    let mut screen = ratatui::try_init().map_err(|error| failure::system(&error))?;
    let mut live = Live {
        own_terminal: command.is_some(),
        command,
        guard,
        output: Output::default(),
        view: View::with_threads(threads),
        told: Told::default(),
        log: Vec::new(),
        typing: false,
        over_ns: None,
    };
    let shown = live.show(watch, signals, &mut screen, title);
    ratatui::restore();
    drop(terminal_guard);
    let goes_on = shown.map_err(|error| failure::system(&error))?;
    // If the terminal is gone, there is nowhere to print, but files are still written.
    let printed = live.print_output(0);
    if goes_on {
        printed.map_err(|error| failure::system(&error))?;
        live.follow_unseen(watch, signals).map_err(|error| failure::system(&error))?;
    }
    watch.finish();
    Ok(())
}

struct Live {
    /// Our end of the command's terminal.
    command: Option<File>,
    guard: Option<Guard>,
    /// The command has one; its output stays after it has closed it.
    own_terminal: bool,
    output: Output,
    view: View,
    told: Told,
    log: Vec<String>,
    typing: bool,
    /// When all had ended.
    over_ns: Option<u64>,
}

impl Live {
    /// Returns whether there is still something to follow when the view is left.
    fn show(
        &mut self,
        watch: &mut Watch,
        signals: &Signals,
        screen: &mut DefaultTerminal,
        title: &str,
    ) -> io::Result<bool> {
        let mut drawn: Option<Instant> = None;
        let mut rest = REDRAW;
        loop {
            let over = watch.is_over();
            self.step(watch, signals, &[io::stdin().as_fd()])?;
            self.log(watch);
            for came in signals.take() {
                match watch.subject() {
                    // The terminal is gone, and with it that of the command, which is told in the same way.
                    _ if Signal(came.signal) == Signal::HUP => return Ok(self.hang_up(watch)),
                    // It has a terminal of its own, so no other process has forwarded this.
                    Subject::Command(running) if watch.exit().is_none() => running.signal(came.signal),
                    _ if Signal(came.signal) == Signal::USR1 => {}
                    _ => return Ok(false),
                }
            }
            if has_hung_up(io::stdin().as_fd()) {
                return Ok(self.hang_up(watch));
            }
            let mut changed = false;
            while event::poll(Duration::ZERO)? {
                changed = true;
                match event::read()? {
                    Event::Key(key)
                        if key.kind != KeyEventKind::Release && self.key(key, watch) == Action::Leave =>
                    {
                        return Ok(!over && matches!(watch.subject(), Subject::Command(_)));
                    }
                    Event::Paste(text) if self.typing => self.type_bytes(text.as_bytes()),
                    Event::Resize(columns, rows) => {
                        if let Some(command) = &self.command {
                            resize_terminal(command.as_fd(), rows, columns);
                        }
                    }
                    _ => {}
                }
            }
            let fits =
                ratatui::crossterm::terminal::size().is_ok_and(|(columns, rows)| can_draw(columns, rows));
            if fits && (changed || drawn.is_none_or(|at| at.elapsed() >= rest)) {
                let begin = Instant::now();
                self.draw(watch, screen, title)?;
                drawn = Some(Instant::now());
                // A drawing of thousands of rows takes long, and the records are not read meanwhile.
                rest = REDRAW.max(begin.elapsed() * 4);
            }
        }
    }

    /// Appends new events to the log, of which the latest lines are kept.
    fn log(&mut self, watch: &mut Watch) {
        const MOST: usize = 10_000;
        self.log.extend(self.told.news(watch).lines().map(str::to_owned));
        let surplus = self.log.len().saturating_sub(MOST);
        if surplus > MOST / 4 {
            self.log.drain(..surplus);
        }
    }

    /// Ends the view with the terminal; returns that there is nothing left to follow.
    fn hang_up(&mut self, watch: &Watch) -> bool {
        if let (Subject::Command(running), None) = (watch.subject(), watch.exit()) {
            running.signal(Signal::HUP.0);
        }
        // Closing our end hangs up the command's terminal.
        self.command = None;
        false
    }

    fn draw(&mut self, watch: &Watch, screen: &mut DefaultTerminal, title: &str) -> io::Result<()> {
        let timeline = watch.timeline();
        if watch.is_over() {
            self.over_ns.get_or_insert_with(monotonic_ns);
        }
        let alarm = watch.hangs().iter().find(|hang| hang.to_ns.is_none()).map(|hang| {
            format!(
                "DEADLOCK since {}: {}",
                short(hang.from_ns.saturating_sub(origin_ns(timeline))),
                circle(hang.waits.iter().map(|one| (one.pid, one.tid, one.on.as_str())))
            )
        });
        let lost = watch.n_lost();
        let alarm = alarm.or_else(|| (lost > 0).then(|| format!("{lost} records lost: times may be wrong")));
        let mut source = format!("{} tier: {}", watch.tier(), resolution(watch.tier()));
        if let Some(refusal) = watch.refusals().last() {
            source.push_str(&format!(" · not {}: {}", refusal.tier, refusal.why));
        }
        let ended = watch.exit().map(|exit| exit.to_string());
        let frame = Frame {
            title,
            source: &source,
            alarm: alarm.as_deref(),
            ended: ended.as_deref(),
            timeline,
            // After the end of all processes nothing changes: the strips stand still.
            now_ns: self.over_ns.unwrap_or_else(monotonic_ns),
            output: self.own_terminal.then_some(&self.output),
            log: &self.log,
        };
        screen.draw(|screen| draw(&mut self.view, &frame, screen)).map(drop)
    }

    fn key(&mut self, key: KeyEvent, watch: &Watch) -> Action {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if self.typing {
            match key.code {
                // Terminals traditionally send Ctrl-] as Ctrl-5.
                KeyCode::Char(']' | '5') if control => self.set_typing(false),
                _ => self.type_key(key),
            }
            return Action::Stay;
        }
        if control && key.code == KeyCode::Char('c') {
            // As at a shell, it ends the program or, if that has ended, the view.
            return match (&self.command, watch.exit()) {
                (Some(_), None) => {
                    self.type_bytes(&[3]);
                    Action::Stay
                }
                _ => Action::Leave,
            };
        }
        let Some(key) = as_key(key) else { return Action::Stay };
        match self.view.key(key, monotonic_ns()) {
            Action::Type if self.command.is_some() && watch.exit().is_none() => {
                self.set_typing(true);
                Action::Stay
            }
            Action::Signal(pid, signal) => {
                let sent = watch.signal(pid, signal);
                let outcome =
                    sent.map_or_else(|error| format!("was refused: {error}"), |()| "was sent".to_owned());
                self.log.push(format!("{signal} to {pid} {outcome}"));
                Action::Stay
            }
            action => action,
        }
    }

    fn set_typing(&mut self, on: bool) {
        self.typing = on;
        self.view.set_typing(on);
    }

    fn type_key(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let mut buffer = [0; 4];
        let bytes: &[u8] = match key.code {
            KeyCode::Char(c) if control && c.is_ascii_alphabetic() => &[c.to_ascii_uppercase() as u8 & 0x1f],
            KeyCode::Char(c) => c.encode_utf8(&mut buffer).as_bytes(),
            KeyCode::Enter => b"\r",
            KeyCode::Backspace => b"\x7f",
            KeyCode::Tab => b"\t",
            KeyCode::Esc => b"\x1b",
            KeyCode::Up => b"\x1b[A",
            KeyCode::Down => b"\x1b[B",
            KeyCode::Right => b"\x1b[C",
            KeyCode::Left => b"\x1b[D",
            _ => return,
        };
        let bytes = bytes.to_vec();
        self.type_bytes(&bytes);
    }

    /// If the program does not read, the terminal's buffer fills up; what does not fit is lost.
    fn type_bytes(&mut self, bytes: &[u8]) {
        if let Some(command) = &mut self.command {
            let _ = command.write_all(bytes);
        }
    }

    /// One step of the watch, which also reads the program's output.
    fn step(&mut self, watch: &mut Watch, signals: &Signals, also: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut fds = vec![signals.as_fd()];
        fds.extend(also);
        fds.extend(self.command.as_ref().map(File::as_fd));
        watch.step(&fds, REDRAW)?;
        if let Some(guard) = self.guard.filter(|guard| guard.is_gone()) {
            // The shell has the terminal already.
            ratatui::restore();
            guard.follow_into_death();
        }
        self.read_output();
        Ok(())
    }

    fn read_output(&mut self) {
        /// Bounds the work for a program that writes without end.
        const MOST_READS: usize = 64;
        let mut buffer = [0; 16 << 10];
        for _ in 0..MOST_READS {
            match self.command.as_mut().map(|command| command.read(&mut buffer)) {
                Some(Ok(count @ 1..)) => self.output.push(&buffer[..count]),
                Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => return,
                // The other end is closed (EIO); this end stays readable, so it must not be polled.
                Some(_) => {
                    self.command = None;
                    return;
                }
                None => return,
            }
        }
    }

    /// Prints the output from byte `from` on; returns its length.
    fn print_output(&self, from: usize) -> io::Result<usize> {
        let bytes = self.output.bytes();
        let mut stdout = io::stdout().lock();
        if from == 0 && self.output.n_forgotten() > 0 {
            writeln!(stdout, "[{} bytes of output before this were not kept]", self.output.n_forgotten())?;
        }
        stdout.write_all(bytes.get(from..).unwrap_or_default())?;
        stdout.flush()?;
        Ok(bytes.len())
    }

    /// Follows the program without a view: its output is printed as it comes.
    fn follow_unseen(&mut self, watch: &mut Watch, signals: &Signals) -> io::Result<()> {
        while !watch.is_over() {
            self.output = Output::default();
            self.step(watch, signals, &[])?;
            self.print_output(0)?;
            for came in signals.take() {
                match watch.subject() {
                    // It has a terminal of its own, so no other process has forwarded this.
                    Subject::Command(running) if watch.exit().is_none() => running.signal(came.signal),
                    _ => return Ok(()),
                }
            }
        }
        self.read_output();
        self.print_output(0).map(drop)
    }
}

fn as_key(key: KeyEvent) -> Option<Key> {
    Some(match key.code {
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
