//! What a pending call would do: the objects that it touches, whether it can go on, and how it is carried out.

use crate::explore::step::{Access, Touch};

/// The plan for one call.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The objects that it touches, the principal one first; none: the call is no step.
    pub(super) touches: Vec<Touch>,
    /// Whether it can go on now.
    pub(super) ready: bool,
    /// How it is carried out.
    pub(super) act: Act,
    /// Nothing that the tracer keeps follows from its result.
    pub(super) is_quiet: bool,
}

/// How a call is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// By the kernel.
    Pass,
    /// By the kernel, where it may sleep although it looked ready.
    MaySleep,
    /// Not at all: the tracer has done it, and this is the result.
    Skip(i64),
    /// It does not return.
    Leave,
    /// Not at all: what it writes is kept as output (0) or as error messages (1).
    Output(usize),
    /// By the kernel, unless the tracer decides when the signal arrives.
    Send,
}

impl Plan {
    /// A call that others neither see nor influence.
    pub(super) fn invisible() -> Self {
        Self { touches: Vec::new(), ready: true, act: Act::Pass, is_quiet: false }
    }

    /// A call on what is not the program's own: no step, and its result means nothing to the tracer.
    pub(super) fn outside() -> Self {
        Self { is_quiet: true, ..Self::invisible() }
    }

    /// A call that the tracer has carried out itself, invisible to others.
    pub(super) fn answered(result: i64) -> Self {
        Self { act: Act::Skip(result), ..Self::invisible() }
    }

    /// A visible call.
    pub(super) fn of(object: impl AsRef<str>, access: Access) -> Self {
        Self::invisible().and(object, access)
    }

    /// It touches this, too.
    pub(super) fn and(mut self, object: impl AsRef<str>, access: Access) -> Self {
        let touch = Touch::new(object.as_ref(), access);
        if !self.touches.contains(&touch) {
            self.touches.push(touch);
        }
        self
    }

    /// It can go on only if `ready`.
    pub(super) fn when(mut self, ready: bool) -> Self {
        self.ready &= ready;
        self
    }

    /// Carried out in this way.
    pub(super) fn by(mut self, act: Act) -> Self {
        self.act = act;
        self
    }

    /// Whether it writes what the tracer keeps.
    pub(super) fn is_output(&self) -> bool {
        matches!(self.act, Act::Output(_))
    }

    /// Whether it is a step.
    pub(super) fn is_visible(&self) -> bool {
        !self.touches.is_empty()
    }
}
