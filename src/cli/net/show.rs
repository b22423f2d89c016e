//! A demo as text: its scenes and checks; with `-v` each event as well.

use super::text::{printable, wrap};
use crate::net::demo::Entry;
use crate::net::demo::damage::Harm;
use crate::net::event::{Event, What};
use crate::net::trace::diagram::Diagram;
use anstyle::{AnsiColor, Style};
use std::iter::successors;

/// How many events of a scene are shown; the rest are only counted.
const SHOWN: usize = 40;

/// How many consecutive connections at one end are shown; the rest are only counted.
const IN_A_ROW: usize = 3;

/// How many lines of a server's trace are shown from its beginning and from its end.
const TRACED: [usize; 2] = [40, 20];

/// The columns of a check's text and of an event's text, where a long line continues.
const CHECK_COLUMN: usize = 10;
const EVENT_COLUMN: usize = 30;

/// The width below which an event continues at [`CHECK_COLUMN`] instead.
const NARROW: usize = 60;

/// The column of the text of a line of a trace.
pub(super) const TRACE_COLUMN: usize = 12;

const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// How a demo is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show {
    /// Columns of the terminal; `None` in a pipe, where lines are not wrapped.
    pub(super) width: Option<usize>,
    /// Whether to show each event.
    pub(super) verbose: bool,
    /// Whether to show the middle of a long trace.
    pub(super) whole_trace: bool,
}

impl Show {
    /// The demo of `program` as text; it began at `began` nanoseconds.
    pub(super) fn demo(self, program: &str, about: &str, began: u64, entries: &[Entry]) -> String {
        let title = self.wrap(&format!("{program}: {about}"), 0);
        let mut text = format!("{BOLD}{title}{BOLD:#}\n");
        for scene in entries.chunk_by(|_, next| !matches!(next, Entry::Scene(_))) {
            self.scene(&mut text, began, scene);
        }
        text.push('\n');
        text
    }

    fn scene(self, text: &mut String, began: u64, entries: &[Entry]) {
        let mut events = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            match entry {
                Entry::Event { who, event } if self.verbose => {
                    if let Some(what) = describe(entries, at, event) {
                        let ms = event.at_ns.saturating_sub(began) as f64 / 1e6;
                        let what = printable(&what).replace('\n', "\\n");
                        events.push(format!("{ms:>9.2} ms  {who} {:<8} {what}", event.pid));
                        if events.len() <= SHOWN {
                            let column = match self.width {
                                Some(width) if width < NARROW => CHECK_COLUMN,
                                _ => EVENT_COLUMN,
                            };
                            self.line(text, &events[events.len() - 1], column);
                        }
                    }
                }
                Entry::Event { .. } => {}
                Entry::Touched(touched) => {
                    if let Some(place) = touched.place() {
                        let what = if place.harm == Harm::Cut { "cut" } else { "a bit is flipped" };
                        let line = format!("{:CHECK_COLUMN$}{what} at {place}", "");
                        self.line(text, &line, CHECK_COLUMN);
                    }
                }
                Entry::Scene(scene) => self.line(text, &format!("\n{scene}"), 0),
                Entry::Trace(sights) => {
                    let mut diagram = Diagram::new(self.width.unwrap_or(usize::MAX));
                    let lines: Vec<String> =
                        sights.iter().flat_map(|sight| sight.lines(&mut diagram)).collect();
                    self.trace(text, &lines);
                }
                Entry::Fact(fact) => {
                    self.line(text, &format!("{:CHECK_COLUMN$}{fact}", ""), CHECK_COLUMN);
                }
                Entry::Check { what, held } => {
                    let (word, style) = if *held { ("ok", GOOD) } else { ("FAILED", BAD) };
                    let line = self.wrap(&format!("{word:>8}  {what}"), CHECK_COLUMN);
                    *text += &line.replacen(word, &format!("{style}{word}{style:#}"), 1);
                    text.push('\n');
                }
            }
        }
        if let Some(more @ 1..) = events.len().checked_sub(SHOWN) {
            *text += &format!("{:CHECK_COLUMN$}… and {more} more events\n", "");
        }
    }

    fn line(self, text: &mut String, line: &str, column: usize) {
        *text += &self.wrap(line, column);
        text.push('\n');
    }

    fn wrap(self, line: &str, column: usize) -> String {
        self.width.map_or_else(|| line.to_owned(), |width| wrap(line, column, width))
    }

    /// The first lines and the last: they show how connections begin and end, and those between are data.
    fn trace(self, text: &mut String, lines: &[String]) {
        let [first, last] = TRACED;
        let left_out = if self.whole_trace { 0 } else { lines.len().saturating_sub(first + last) };
        for (at, line) in lines.iter().enumerate() {
            if left_out == 0 || at < first || at >= lines.len() - last {
                self.line(text, line, TRACE_COLUMN);
            } else if at == first {
                let more = format!(
                    "{:TRACE_COLUMN$}… {left_out} more lines of the trace; --trace=all shows them",
                    ""
                );
                self.line(text, &more, TRACE_COLUMN);
            }
        }
    }
}

/// What the event at `at` says; `None` where it is counted with others or says nothing.
fn describe(entries: &[Entry], at: usize, event: &Event) -> Option<String> {
    let opens = |at: usize| {
        matches!(entries.get(at), Some(Entry::Event { event: other, .. })
            if other.what == What::Opened && other.pid == event.pid)
    };
    let in_a_row = successors(Some(at), |at| at.checked_sub(1)).take_while(|at| opens(*at)).count();
    Some(match &event.what {
        What::Opened if in_a_row > IN_A_ROW && opens(at + 1) => return None,
        What::Opened if in_a_row > IN_A_ROW => {
            format!("connected to {} more", in_a_row - IN_A_ROW)
        }
        What::Opened => format!("connected to {}", event.peer?),
        What::Listening(address) => format!("listening on {address}"),
        What::Sent(bytes) => format!("--> {bytes}"),
        What::Received(bytes) if bytes.length == 0 => "<-- end of stream".to_owned(),
        What::Received(bytes) => format!("<-- {bytes}"),
        What::Message(text) => format!("message: {text}"),
        What::Note(note) => format!("note: {note}"),
        What::Failed(why) => format!("failed: {why}"),
        What::Closed => format!("closed {}", event.peer?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::trace::Sight;
    use crate::said::Said;
    use crate::sys::pid::Pid;

    const SHOW: Show = Show { width: None, verbose: true, whole_trace: false };

    fn event(what: What) -> Entry {
        let peer = Some(([127, 0, 0, 1], 9).into());
        Entry::Event { who: "server", event: Event { at_ns: 0, pid: Pid::from_raw(7), peer, what } }
    }

    fn said(text: &str) -> Said {
        Said { code: String::new(), values: Default::default(), text: text.to_owned(), zh: String::new() }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_long_trace_is_shown_from_both_ends_or_as_a_whole() {
        let remark = |n| Sight::Remark(said(&format!("line {n}.")));
        let trace = |count: usize| Entry::Trace((0..count).map(remark).collect());
        assert!(!SHOW.demo("file", "", 0, &[trace(60)]).contains('…'));
        let text = SHOW.demo("file", "", 0, &[trace(100)]);
        assert_eq!(text.matches("line ").count(), 60);
        assert!(
            text.contains("line 39.\n            … 40 more lines")
                && text.contains("all shows them\nline 80.")
        );
        let all = Show { whole_trace: true, ..SHOW }.demo("file", "", 0, &[trace(100)]);
        assert_eq!((all.matches("line ").count(), all.contains('…')), (100, false));
    }

    #[test]
    fn many_connections_in_a_row_are_counted() {
        let mut entries: Vec<Entry> = (0..50).map(|_| event(What::Opened)).collect();
        entries.push(event(What::Closed));
        let text = SHOW.demo("upper", "", 0, &entries);
        assert_eq!(text.matches("connected to 127").count(), 3);
        assert!(text.contains("connected to 47 more\n"), "{text}");
        assert!(text.contains("closed 127"), "{text}");
    }

    #[test]
    fn events_are_shown_on_request_only_and_the_rest_of_many_is_counted_at_the_end_of_its_scene() {
        let mut entries = vec![Entry::Scene(said("First."))];
        entries.extend((0..100).map(|n| event(What::Message(format!("number {n}.")))));
        entries.push(Entry::Check { what: said("it holds"), held: true });
        entries.push(Entry::Scene(said("Second.")));
        let short = plain(&Show { verbose: false, ..SHOW }.demo("chat", "talk", 0, &entries));
        assert_eq!(short, "chat: talk\n\nFirst.\n      ok  it holds\n\nSecond.\n\n");
        let long = plain(&SHOW.demo("chat", "talk", 0, &entries));
        assert!(
            long.contains("number 39.\n      ok  it holds\n          … and 60 more events\n\nSecond"),
            "{long}"
        );
    }

    #[test]
    fn a_narrow_terminal_is_never_exceeded() {
        let entries = [
            Entry::Scene(said(&"word ".repeat(30))),
            event(What::Message("火锅 ".repeat(30))),
            Entry::Check { what: said(&"word ".repeat(30)), held: false },
            Entry::Fact(said(&"word ".repeat(30))),
        ];
        for width in [40, 60, 80] {
            let text = plain(&Show { width: Some(width), ..SHOW }.demo("chat", "talk", 0, &entries));
            let widest = text.lines().map(unicode_width::UnicodeWidthStr::width).max();
            assert!(widest <= Some(width), "{widest:?} of {width}:\n{text}");
        }
    }
}
