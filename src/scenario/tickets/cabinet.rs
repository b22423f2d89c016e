//! A cabinet of locks: right ones, and those that people have believed to be.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A way to keep two buyers apart.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LockKind {
    /// Nothing.
    None,
    /// `flock(2)` on a file that only serves as the lock.
    #[default]
    Flock,
    /// A record lock of `fcntl(2)` on such a file.
    Posix,
    /// A record lock on the data file itself, which is then opened and closed to read it.
    PosixClosed,
    /// A file that exists while the lock is held (`O_EXCL`).
    ExclusiveFile,
    /// `flock(2)` on a file that every buyer deletes and makes anew.
    UnlinkedFile,
    /// `flock(2)` on one descriptor, opened before the children share it.
    Inherited,
    /// A mutex for threads, of which every process has its own.
    ThreadMutex,
    /// `flock(2)`, but the stock is read before.
    CheckOutside,
    /// `flock(2)`, taken by the caller and once more by the called.
    Twice,
    /// A robust mutex in shared memory.
    Mutex,
    /// No lock: a new version is published if nobody else has published one since.
    CompareAndSwap,
}

/// What exploration must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Every schedule is right, also if a buyer is killed.
    Right,
    /// Every schedule is right until somebody is killed.
    RightUntilKilled,
    /// Some schedules sell too much.
    Broken,
    /// No schedule comes to an end.
    Deadlocks,
}

impl LockKind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Flock,
        Self::Posix,
        Self::PosixClosed,
        Self::ExclusiveFile,
        Self::UnlinkedFile,
        Self::Inherited,
        Self::ThreadMutex,
        Self::CheckOutside,
        Self::Twice,
        Self::Mutex,
        Self::CompareAndSwap,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Flock => "flock",
            Self::Posix => "posix",
            Self::PosixClosed => "posix-closed",
            Self::ExclusiveFile => "exclusive-file",
            Self::UnlinkedFile => "unlinked-file",
            Self::Inherited => "inherited",
            Self::ThreadMutex => "thread-mutex",
            Self::CheckOutside => "check-outside",
            Self::Twice => "twice",
            Self::Mutex => "mutex",
            Self::CompareAndSwap => "compare-and-swap",
        }
    }

    /// Two letters for tokens.
    pub fn code(self) -> &'static str {
        match self {
            Self::None => "no",
            Self::Flock => "fl",
            Self::Posix => "po",
            Self::PosixClosed => "pc",
            Self::ExclusiveFile => "ex",
            Self::UnlinkedFile => "un",
            Self::Inherited => "in",
            Self::ThreadMutex => "th",
            Self::CheckOutside => "co",
            Self::Twice => "tw",
            Self::Mutex => "mu",
            Self::CompareAndSwap => "cs",
        }
    }

    /// Why it works, or why not, in two sentences.
    pub fn why(self) -> &'static str {
        match self {
            Self::None => {
                "Nothing keeps two buyers from reading the same stock. Both sell the same ticket, and both \
                 write back the same number."
            }
            Self::Flock => {
                "The kernel lets one open file description hold the lock, and each buyer has opened its own. \
                 It goes with the holder's last descriptor, so a killed holder lets go."
            }
            Self::Posix => {
                "The kernel lets one process hold the record, and each buyer is a process of its own. It goes \
                 with the process, so a killed holder lets go."
            }
            Self::PosixClosed => {
                "The lock is on the stock file, and reading the stock opens and closes that file once more. \
                 Closing any descriptor of a file drops all the record locks that the process has on it, so \
                 the lock is gone right after the read."
            }
            Self::ExclusiveFile => {
                "Only one of several buyers can make a file that must not exist yet (O_EXCL). Nobody removes \
                 the file of a killed holder, so after that nobody ever buys again."
            }
            Self::UnlinkedFile => {
                "Each buyer deletes the lock file, for it might be stale, and makes it anew. The lock is on \
                 the file, not on its name, so each holds a lock on a file of its own."
            }
            Self::Inherited => {
                "The lock belongs to the open file description, which the parent opened and all children \
                 share. It is theirs together, so nobody is ever refused."
            }
            Self::ThreadMutex => {
                "The mutex lies in the memory of a process, and every process has its own copy of it. It keeps \
                 the threads of one process apart, and no two processes."
            }
            Self::CheckOutside => {
                "The stock is read and the decision made before the lock is taken. Inside, a right lock \
                 guards the writing of a number that may be out of date."
            }
            Self::Twice => {
                "The task takes the lock, and the function that it calls opens the lock file again and waits \
                 for the same lock. Two descriptors are two owners, so the buyer waits for itself."
            }
            Self::Mutex => {
                "One word in memory that all share says who holds it. The kernel hands it on when the holder \
                 dies (a robust futex), so a killed holder lets go."
            }
            Self::CompareAndSwap => {
                "Nobody waits: a buyer publishes version n+1 only if nobody else has, and reads again \
                 otherwise. Publishing is one step (link(2) fails if the name is taken), so a kill leaves the \
                 old version or the new."
            }
        }
    }

    /// What exploration must find, if the store is atomic and nobody searches outside the lock.
    pub fn promise(self) -> Promise {
        match self {
            Self::Flock | Self::Posix | Self::Mutex | Self::CompareAndSwap => Promise::Right,
            Self::ExclusiveFile => Promise::RightUntilKilled,
            Self::Twice => Promise::Deadlocks,
            Self::None
            | Self::PosixClosed
            | Self::UnlinkedFile
            | Self::Inherited
            | Self::ThreadMutex
            | Self::CheckOutside => Promise::Broken,
        }
    }
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no such lock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no lock called `{0}`")]
pub struct UnknownLock(String);

impl FromStr for LockKind {
    type Err = UnknownLock;

    fn from_str(name: &str) -> Result<Self, UnknownLock> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| UnknownLock(name.to_owned()))
    }
}
