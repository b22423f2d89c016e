//! The timeline: a pure state machine from events to lives, spans, and sums.
//!
//! It does no I/O and reads no clock, so a list of events is a test of it. Events come in the order of their time; a
//! late or duplicate event changes nothing but a counter.

mod ids;
mod index;
mod lifecycle;
mod looks;
mod machine;
mod process;
mod sampling;
mod seen;
mod spans;
mod sums;
mod switching;
mod thread;

pub use machine::{Folded, Limits, News, NewsKind, Records, SentSignal, Timeline, Wake};
pub use process::{Orphan, Process, Reaping, old_in_words};
pub use spans::{Span, Spans};
pub use sums::{Check, Sums, WaitSum};
pub use thread::Thread;
