//! Plans of pending calls: the objects that they access, whether they can continue, and how they are executed.

use crate::explore::step::{Access, Touch};

/// The plan for one call.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The objects that it accesses, the principal one first; without any, the call is not a step.
    pub(super) touches: Vec<Touch>,
    /// Whether it can continue now.
    pub(super) ready: bool,
    /// How it is executed.
    pub(super) act: Act,
    /// Whether the tracer can ignore its result.
    pub(super) is_quiet: bool,
}

/// How a call is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// By the kernel.
    Pass,
    /// By the kernel, in which it may sleep although it appeared to be ready.
    MaySleep,
    /// By the tracer, with this result.
    Skip(i64),
    /// It does not return.
    Leave,
    /// By the tracer, which records the output to standard output (0) or standard error (1).
    Output(usize),
    /// By the kernel, unless the tracer decides when the signal arrives.
    Send,
}

impl Plan {
    /// A call that others neither observe nor influence.
    pub(super) fn invisible() -> Self {
        Self { touches: Vec::new(), ready: true, act: Act::Pass, is_quiet: false }
    }

    /// A call on something outside the program: not a step, and its result is ignored.
    pub(super) fn outside() -> Self {
        Self { is_quiet: true, ..Self::invisible() }
    }

    /// An invisible call that the tracer has executed, with this result.
    pub(super) fn answered(result: i64) -> Self {
        Self { act: Act::Skip(result), ..Self::invisible() }
    }

    /// A visible call.
    pub(super) fn of(object: impl AsRef<str>, access: Access) -> Self {
        Self::invisible().and(object, access)
    }

    /// Adds an access.
    pub(super) fn and(mut self, object: impl AsRef<str>, access: Access) -> Self {
        let touch = Touch::new(object.as_ref(), access);
        if !self.touches.contains(&touch) {
            self.touches.push(touch);
        }
        self
    }

    /// Adds the accesses and conditions of `other`.
    pub(super) fn with(self, other: Self) -> Self {
        let act = if self.act == Act::Pass { other.act } else { self.act };
        let plan =
            other.touches.iter().fold(self, |plan, touch| plan.and(touch.object.as_str(), touch.access));
        plan.when(other.ready).by(act)
    }

    /// Adds the condition that it can continue only if `ready`.
    pub(super) fn when(mut self, ready: bool) -> Self {
        self.ready &= ready;
        self
    }

    /// Sets how it is executed.
    pub(super) fn by(mut self, act: Act) -> Self {
        self.act = act;
        self
    }

    /// Whether it writes output.
    pub(super) fn is_output(&self) -> bool {
        matches!(self.act, Act::Output(_))
    }

    /// Whether it is a step.
    pub(super) fn is_visible(&self) -> bool {
        !self.touches.is_empty()
    }
}
