//! `setrlimit(2)`: limits on the resources of a process.

use nix::sys::resource::{Resource as Kernels, setrlimit};
use serde::{Deserialize, Serialize};
use std::io;

/// A resource that the kernel can limit, named as in `setrlimit(2)` without `RLIMIT_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Resource {
    /// Bytes of address space. An allocation beyond it fails, and a Rust program then aborts.
    As,
    /// Bytes of a core dump; 0 for none.
    Core,
    /// Seconds of processor time. `SIGXCPU` at the soft limit, `SIGKILL` at the hard one.
    Cpu,
    /// Bytes of heap and data.
    Data,
    /// Bytes of a file that is written. A write beyond it raises `SIGXFSZ`, or fails with `EFBIG` if that is ignored.
    Fsize,
    /// Bytes locked in memory.
    Memlock,
    /// One more than the highest descriptor number, which limits the number of open files.
    Nofile,
    /// Processes and threads of the user.
    Nproc,
    /// Bytes of the main thread's stack.
    Stack,
}

impl Resource {
    /// No limit (`RLIM_INFINITY`).
    pub const INFINITY: u64 = u64::MAX;
}

/// Sets the soft and the hard limit of this process.
///
/// # Errors
/// `EPERM` when the hard limit would be raised, `EINVAL` when the soft limit exceeds the hard one.
pub(crate) fn set_limit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let resource = match resource {
        Resource::As => Kernels::RLIMIT_AS,
        Resource::Core => Kernels::RLIMIT_CORE,
        Resource::Cpu => Kernels::RLIMIT_CPU,
        Resource::Data => Kernels::RLIMIT_DATA,
        Resource::Fsize => Kernels::RLIMIT_FSIZE,
        Resource::Memlock => Kernels::RLIMIT_MEMLOCK,
        Resource::Nofile => Kernels::RLIMIT_NOFILE,
        Resource::Nproc => Kernels::RLIMIT_NPROC,
        Resource::Stack => Kernels::RLIMIT_STACK,
    };
    Ok(setrlimit(resource, soft, hard)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soft_limit_above_the_hard_one_is_refused() {
        let error = set_limit(Resource::Core, 2, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
