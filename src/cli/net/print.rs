//! Prints events as lines: messages to standard output, everything else to standard error.

use super::text::printable;
use crate::net::event::{Event, Log, What};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

/// A log that prints. A server must not end because its reader has closed the pipe, so write errors are ignored.
pub(super) fn printer() -> Log {
    let printer = Mutex::new(Printer {
        out_is_terminal: io::stdout().is_terminal(),
        err_is_terminal: io::stderr().is_terminal(),
        bars: HashMap::new(),
    });
    Log::new(move |event| printer.lock().unwrap_or_else(PoisonError::into_inner).print(event))
}

struct Printer {
    out_is_terminal: bool,
    err_is_terminal: bool,
    bars: HashMap<Option<SocketAddr>, ProgressBar>,
}

impl Printer {
    fn print(&mut self, event: Event) {
        let peer = event.peer.map(|peer| format!("{peer}: ")).unwrap_or_default();
        match event.what {
            What::Listening(address) => self.out(&format!("listening on {address}")),
            What::Message(text) => {
                self.finish_bar(event.peer);
                self.out(&text);
            }
            What::Note(note) => self.err(&note.text),
            What::Failed(why) => {
                self.finish_bar(event.peer);
                self.err(&format!("{peer}{why}"));
            }
            What::Progress { done, total } => self.progress(event.peer, done, total),
            What::Closed => self.finish_bar(event.peer),
            _ => {}
        }
    }

    fn out(&self, text: &str) {
        let mut out = io::stdout().lock();
        let text = if self.out_is_terminal { printable(text) } else { text.to_owned() };
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// Always one line, even if a peer chose parts of the text.
    fn err(&self, text: &str) {
        let text = printable(text).replace('\n', "\\n");
        let print = || {
            let _ = writeln!(io::stderr().lock(), "{text}");
        };
        match self.bars.values().next() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn progress(&mut self, peer: Option<SocketAddr>, done: u64, total: u64) {
        // A bar redraws its line; two bars would overwrite each other.
        if !self.err_is_terminal || (self.bars.len() == 1 && !self.bars.contains_key(&peer)) {
            return;
        }
        let bar = self.bars.entry(peer).or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let template = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
            bar.with_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        bar.set_position(done);
        if done == total {
            self.finish_bar(peer);
        }
    }

    fn finish_bar(&mut self, peer: Option<SocketAddr>) {
        if let Some(bar) = self.bars.remove(&peer) {
            bar.finish_and_clear();
        }
    }
}
