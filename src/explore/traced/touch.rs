//! An object that a step touches, and how: what decides whether the order of two steps matters.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The name of an object, interned for the life of the process: compared as a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Label(&'static str);

impl Label {
    /// The label with this text.
    pub(super) fn new(text: &str) -> Self {
        static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(label) = known.get(text) {
            return Self(label);
        }
        let label: &'static str = Box::leak(text.to_owned().into_boxed_str());
        known.insert(label);
        Self(label)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// What a step does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Access {
    /// Reads it; a shared lock is one, too.
    Read,
    /// Changes it.
    Write,
    /// Changes it in a way that commutes with other additions: a name in a folder, an exit.
    Add,
    /// Takes it if it is free; until then the task is disabled.
    Acquire,
    /// Releases it.
    Release,
    /// Changes it once it is in the required state; until then the task is disabled.
    Await,
}

/// One access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Touch {
    pub(super) object: Label,
    pub(super) access: Access,
}

impl Touch {
    /// Whether the order of the two matters and either may come first. A release only makes room for what
    /// waits: that edge is none by which a race could be found, or hidden.
    pub(super) fn races(self, other: Self) -> bool {
        use Access::{Acquire, Add, Await, Read, Release};
        self.object == other.object
            && !matches!(
                (self.access, other.access),
                (Read, Read)
                    | (Add, Add)
                    | (Release, Release | Acquire | Read | Await)
                    | (Acquire | Read | Await, Release)
            )
    }

    /// Whether the order of the two is part of a class.
    pub(super) fn depends(self, other: Self) -> bool {
        use Access::{Add, Read, Release};
        self.object == other.object
            && !matches!((self.access, other.access), (Read, Read) | (Add, Add) | (Release, Release))
    }
}
