//! The child's side: it reports that it is ready, runs its body, and reports the outcome.

use super::applied::Refusal;
use super::unforked::register;
use crate::sys::pid::Pid;
use crate::wire::control::{Message, SendError, Sender};
use crate::wire::panics;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message of a panic and its location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panic {
    /// Its message.
    pub message: String,
    /// Its location in the source: `file:line:column`.
    pub location: Option<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "{} (at {location})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// What a child reports to its parent, in this order: one of the first three, then at most one of the others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "T: Message")]
pub(crate) enum Report<T> {
    /// It has its arguments and begins now.
    Ready {
        /// Its PID, for a parent that could not learn it otherwise.
        pid: Pid,
    },
    /// It cannot read its arguments.
    BadArgs(Obstacle),
    /// A setting was refused.
    Refused(Refusal),
    /// Its body returned.
    Returned(T),
    /// Its body panicked.
    Panicked(Panic),
    /// Its body returned something that cannot be sent.
    Unsendable(Obstacle),
}

/// Why a value cannot be sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Obstacle {
    /// The value itself cannot be sent.
    Value(String),
    /// The kernel refused something, with this number (`errno(3)`).
    Os(i32),
}

impl Obstacle {
    pub(crate) fn new(reason: String, errno: Option<i32>) -> Self {
        errno.map_or(Obstacle::Value(reason), Obstacle::Os)
    }
}

/// The exit code of a Rust program that panicked.
const PANICKED: i32 = 101;

thread_local! {
    static LAST_PANIC: RefCell<Option<(Text, Panic)>> = const { RefCell::new(None) };
}

/// Runs `body` and ends the process: code 0 when it returned, 101 when it panicked, 1 when its result
/// cannot be sent. Ends it at once if the parent is gone.
pub(crate) fn live<A, T: Message>(body: fn(A) -> T, args: A, report: &Sender<Report<T>>) -> ! {
    // The copy in a forked child would keep the parent from noticing the end of this process.
    let _ = report.socket().map(register);
    if report.send(Report::Ready { pid: Pid::this() }).is_err() {
        std::process::exit(1);
    }
    remember_panics();
    // The drop of a result that was sent is the body's own code too, and may panic.
    let code = match catch_unwind(AssertUnwindSafe(|| send_result(body(args), report))) {
        Ok(code) => code,
        Err(payload) => {
            let panic = panic_of(&*payload);
            // If the parent is gone, the process that reaps this one still gets the exit code.
            let _ = report.send(Report::Panicked(panic));
            PANICKED
        }
    };
    std::process::exit(code)
}

/// Reports that a setting is refused, and ends the process.
pub(crate) fn refuse<T: Message>(refusal: Refusal, report: &Sender<Report<T>>) -> ! {
    // If the parent is gone, no process would read the report.
    let _ = report.send(Report::Refused(refusal));
    std::process::exit(1)
}

fn send_result<T: Message>(value: T, report: &Sender<Report<T>>) -> i32 {
    let reason = match report.send(Report::Returned(value)) {
        Ok(()) => return 0,
        Err(SendError::Encode(error)) => Obstacle::Value(error.reason().to_owned()),
        Err(error) => Obstacle::new(error.to_string(), error.errno()),
    };
    let _ = report.send(Report::Unsendable(reason));
    1
}

/// Records the message and location of each panic of this thread, in addition to the usual report on stderr.
fn remember_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let message = panics::message_of(info.payload());
        let panic = Panic { message, location: info.location().map(ToString::to_string) };
        // A panic while the thread-local is being destroyed cannot be recorded.
        let _ = LAST_PANIC.try_with(|last| last.replace(Some((address_of(info.payload()), panic))));
        usual(info);
    }));
}

/// The panic that ended the body, identified by its payload. The hook may have recorded others that the body caught,
/// and is not called for one that was resumed (`resume_unwind`), so the location is reported only if it is that of
/// the same panic.
pub(crate) fn panic_of(payload: &(dyn Any + Send)) -> Panic {
    match LAST_PANIC.take() {
        Some((text, panic)) if text.is_some() && text == address_of(payload) => panic,
        _ => Panic { message: panics::message_of(payload), location: None },
    }
}

/// The address and the length of the text of a panic, which stay the same from the hook to the end of unwinding.
type Text = Option<(usize, usize)>;

fn address_of(payload: &dyn Any) -> Text {
    panics::text_of(payload).map(|text| (text.as_ptr() as usize, text.len()))
}
