//! The timeline: a pure state machine from events to lives, spans, and sums.
//!
//! It does no I/O and reads no clock, so a list of events is a test of it. Events come in the order of their time; a
//! late or duplicate event changes nothing but a counter.

mod folded;
mod ids;
mod index;
mod lifecycle;
mod looks;
mod machine;
mod process;
mod reasons;
mod room;
mod sampling;
mod seen;
mod signals;
mod spans;
mod sums;
mod switching;
mod thread;

pub use folded::{Folded, LONG_ZOMBIE_NS, LongestWait, Named, Shares, Whole};
pub use machine::{Limits, News, NewsKind, Records, SentSignal, Timeline, Wake};
pub use process::{Orphan, Process, Reaping, old_in_words};
pub use spans::{Span, Spans};
pub use sums::{Check, Sums, WaitSum};
pub use thread::Thread;
