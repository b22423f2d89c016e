//! The sources of information, and why a better one is unavailable.

use std::fmt;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::sys::perf::event::paranoid_level;

/// A source of information about states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// `/proc`, read periodically: sums are exact, the order within a period is not, and a process that lives for less
    /// than a period may be missed.
    Sampled,
    /// Every switch, fork, exec, and exit, to the nanosecond, but not the time of a wake-up.
    Exact,
    /// As `Exact`, with the time of each wake-up and the waker, from tracepoints.
    Root,
}

impl Tier {
    /// The name of the tier.
    pub fn word(self) -> &'static str {
        match self {
            Tier::Sampled => "sampled",
            Tier::Exact => "exact",
            Tier::Root => "root",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a better tier is unavailable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The unavailable tier.
    pub tier: Tier,
    /// Why.
    pub why: String,
}

impl Refusal {
    /// The fields of tracepoints hold PIDs of the initial PID namespace, which belong to other processes in another one.
    pub(super) fn of_namespace() -> Self {
        let why =
            "tracepoints number processes as outside this PID namespace (a container): watch from outside it";
        Self { tier: Tier::Root, why: why.to_owned() }
    }

    pub(super) fn of_perf(tier: Tier, errno: Errno) -> Self {
        let level = paranoid_level().map_or_else(|| "missing".to_owned(), |level| level.to_string());
        let why = match errno {
            Errno::EACCES | Errno::EPERM if tier == Tier::Root && nix::unistd::geteuid().is_root() => {
                "tracefs is not mounted: mount -t tracefs nodev /sys/kernel/tracing".to_owned()
            }
            Errno::EACCES | Errno::EPERM if tier == Tier::Root => {
                format!("tracepoints need root, CAP_PERFMON, or perf_event_paranoid -1 (it is {level})")
            }
            Errno::EACCES | Errno::EPERM if paranoid_level().is_some_and(|level| level <= 2) => format!(
                "perf_event_open was refused though perf_event_paranoid is {level}: a container's seccomp filter, or not your process"
            ),
            Errno::EACCES | Errno::EPERM => {
                format!("perf_event_open was refused: perf_event_paranoid is {level}, 2 or less is needed")
            }
            Errno::ENOSYS | Errno::ENOENT | Errno::EOPNOTSUPP => "this kernel has no perf events".to_owned(),
            Errno::EMFILE | Errno::ENFILE => "too few file descriptors: raise `ulimit -n`".to_owned(),
            errno => format!("perf_event_open failed: {}", errno.desc()),
        };
        Self { tier, why }
    }
}
