//! The reports of a child, as its parent receives them.

use super::applied::Refusal;
use super::live::{Obstacle, Panic, Report};
use super::unforked::Unforked;
use crate::sys::pid::Pid;
use crate::wire::control::{Message, Receiver, TryRecvError, Undecoded};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, Mutex};

/// An inbox whose type only the child's handle knows.
pub(crate) type SharedInbox = Arc<Mutex<dyn Drain + Send>>;

/// Taking reports without knowing their type.
pub(crate) trait Drain {
    /// Takes the next report, or the end of reports, without waiting.
    fn take_one(&mut self);
    /// The number of the socket for reports, while more can arrive.
    fn socket(&self) -> Option<RawFd>;
}

/// How the child's body ended, as far as it was reported.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    Nothing,
    /// It was reported but not decoded, because decoding a large result could exceed the timeout of a join.
    Undecoded(Undecoded<Report<T>>),
    Returned(T),
    Panicked(Panic),
    Unreadable(Obstacle),
    Taken,
}

/// The receiving end of a child's reports, and the outcome.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    reports: Option<Unforked<Receiver<Report<T>>>>,
    ready: Option<Pid>,
    outcome: Outcome<T>,
    not_ready: Option<NotReady>,
}

/// Why a child does not run its body.
#[derive(Debug)]
pub(crate) enum NotReady {
    /// It cannot read its arguments.
    BadArgs(Obstacle),
    /// A setting was refused.
    Refused(Refusal),
}

impl<T: Message> Inbox<T> {
    pub(crate) fn new(reports: Receiver<Report<T>>) -> Self {
        Inbox {
            reports: Some(Unforked::new(reports)),
            ready: None,
            outcome: Outcome::Nothing,
            not_ready: None,
        }
    }

    /// The PID of the child once it is ready.
    pub(crate) fn ready(&self) -> Option<Pid> {
        self.ready
    }

    /// Why the child will not become ready, if it reported that.
    pub(crate) fn not_ready(&mut self) -> Option<NotReady> {
        self.not_ready.take()
    }

    pub(crate) fn panic(&mut self) -> Option<Panic> {
        self.decode();
        match &self.outcome {
            Outcome::Panicked(panic) => Some(panic.clone()),
            _ => None,
        }
    }

    /// Takes the outcome. A value can be taken once, an error repeatedly.
    pub(crate) fn take(&mut self) -> Outcome<T> {
        self.decode();
        match &self.outcome {
            Outcome::Returned(_) => mem::replace(&mut self.outcome, Outcome::Taken),
            Outcome::Panicked(panic) => Outcome::Panicked(panic.clone()),
            Outcome::Unreadable(reason) => Outcome::Unreadable(reason.clone()),
            Outcome::Nothing | Outcome::Undecoded(_) => Outcome::Nothing,
            Outcome::Taken => Outcome::Taken,
        }
    }
}

impl<T: Message> Inbox<T> {
    /// Whether the child has reported that it runs its body, or that it cannot.
    fn has_begun(&self) -> bool {
        self.ready.is_some() || self.not_ready.is_some()
    }

    fn decode(&mut self) {
        match mem::replace(&mut self.outcome, Outcome::Nothing) {
            Outcome::Undecoded(report) => self.record(report.decode()),
            outcome => self.outcome = outcome,
        }
    }

    fn record(&mut self, report: Result<Report<T>, TryRecvError>) {
        match report {
            Ok(Report::Ready { pid }) => self.ready = Some(pid),
            Ok(Report::BadArgs(reason)) => self.not_ready = Some(NotReady::BadArgs(reason)),
            Ok(Report::Refused(refusal)) => self.not_ready = Some(NotReady::Refused(refusal)),
            Ok(Report::Returned(value)) => self.outcome = Outcome::Returned(value),
            Ok(Report::Panicked(panic)) => self.outcome = Outcome::Panicked(panic),
            Ok(Report::Unsendable(reason)) => self.outcome = Outcome::Unreadable(reason),
            Err(TryRecvError::Empty) => {}
            // The child is gone or has closed its end: no more reports arrive.
            Err(TryRecvError::Disconnected) => self.reports = None,
            Err(error) => {
                self.outcome = Outcome::Unreadable(Obstacle::new(error.to_string(), error.errno()));
                self.reports = None;
            }
        }
    }
}

impl<T: Message> Drain for Inbox<T> {
    fn take_one(&mut self) {
        let Some(reports) = &self.reports else { return };
        match reports.try_recv_undecoded() {
            Ok(report) if self.has_begun() => self.outcome = Outcome::Undecoded(report),
            report => self.record(report.and_then(Undecoded::decode)),
        }
    }

    fn socket(&self) -> Option<RawFd> {
        self.reports.as_ref().map(|reports| reports.as_fd().as_raw_fd())
    }
}
