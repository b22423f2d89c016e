//! Calls that a process may make before a checkpoint: their effects are in its memory and its registers, or are inherited by
//! a copy of it, and their results are the same in every execution.
//!
//! Files of the folder are as they were copied until somebody changes them, so the first process may read them as long as it
//! is alone. Those calls are steps, which every execution that begins at the checkpoint has as well.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::libc;

use super::files;
use crate::explore::traced::objects::{Opened, Resolved};
use crate::explore::traced::world::{Call, World};
use crate::sys::ptrace::arch::{self, ABSENT};

/// What must be true of a call.
#[derive(Clone, Copy, Debug)]
enum If {
    /// Nothing.
    Always,
    /// It is about the caller: this argument is no PID.
    Own(usize),
    /// It is about a file that the process has opened, or asks about a standard stream: see [`of_descriptor`].
    Descriptor,
    /// It asks about a path, whose folder's descriptor (if any) and whose place are these arguments.
    Path(Option<usize>, usize),
    /// It opens a path to read: as [`If::Path`], with the place of the flags.
    Open(Option<usize>, usize, usize),
    /// It executes the program at a path.
    Execute,
    /// It maps memory: see [`of_memory`].
    Memory,
    /// It is a request of `prctl` that a copy inherits.
    Request,
}

use If::{Always, Descriptor, Execute, Memory, Open, Own, Request};

const RULES: &[(i64, If)] = &[
    (libc::SYS_brk, Always),
    (libc::SYS_munmap, Always),
    (libc::SYS_mprotect, Always),
    (libc::SYS_mremap, Always),
    (libc::SYS_madvise, Memory),
    (libc::SYS_mmap, Memory),
    (libc::SYS_futex, Memory),
    (libc::SYS_rseq, Always),
    (libc::SYS_set_robust_list, Always),
    (libc::SYS_set_tid_address, Always),
    (libc::SYS_getpid, Always),
    (libc::SYS_gettid, Always),
    (libc::SYS_getppid, Always),
    (libc::SYS_getuid, Always),
    (libc::SYS_geteuid, Always),
    (libc::SYS_getgid, Always),
    (libc::SYS_getegid, Always),
    (libc::SYS_getresuid, Always),
    (libc::SYS_getresgid, Always),
    (libc::SYS_getgroups, Always),
    (libc::SYS_uname, Always),
    (libc::SYS_sysinfo, Always),
    (libc::SYS_umask, Always),
    (libc::SYS_getcwd, Always),
    (libc::SYS_getcpu, Always),
    (libc::SYS_clock_gettime, Always),
    (libc::SYS_clock_getres, Always),
    (libc::SYS_gettimeofday, Always),
    (arch::TIME, Always),
    (libc::SYS_times, Always),
    (libc::SYS_getrusage, Always),
    (libc::SYS_getrandom, Always),
    (libc::SYS_sched_getaffinity, Own(0)),
    (libc::SYS_sched_yield, Always),
    (libc::SYS_rt_sigaction, Always),
    (libc::SYS_rt_sigprocmask, Always),
    (libc::SYS_sigaltstack, Always),
    (libc::SYS_prlimit64, Own(0)),
    (libc::SYS_prctl, Request),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_arch_prctl, Always),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_getrlimit, Always),
    (libc::SYS_read, Descriptor),
    (libc::SYS_readv, Descriptor),
    (libc::SYS_pread64, Descriptor),
    (libc::SYS_lseek, Descriptor),
    (libc::SYS_fstat, Descriptor),
    (libc::SYS_close, Descriptor),
    (libc::SYS_fcntl, Descriptor),
    (libc::SYS_ioctl, Descriptor),
    (libc::SYS_fadvise64, Descriptor),
    (libc::SYS_getdents64, Descriptor),
    // It is closed again before the checkpoint.
    (libc::SYS_epoll_create1, Always),
    (arch::STAT, If::Path(None, 0)),
    (arch::LSTAT, If::Path(None, 0)),
    (arch::ACCESS, If::Path(None, 0)),
    (arch::READLINK, If::Path(None, 0)),
    (libc::SYS_newfstatat, If::Path(Some(0), 1)),
    (libc::SYS_statx, If::Path(Some(0), 1)),
    (libc::SYS_faccessat, If::Path(Some(0), 1)),
    (libc::SYS_faccessat2, If::Path(Some(0), 1)),
    (libc::SYS_readlinkat, If::Path(Some(0), 1)),
    (arch::OPEN, Open(None, 0, 1)),
    (libc::SYS_openat, Open(Some(0), 1, 2)),
    (libc::SYS_execve, Execute),
];

/// Whether the call returns the PID of the caller.
pub(in crate::explore::traced) fn tells_number(number: i64) -> bool {
    matches!(number, libc::SYS_getpid | libc::SYS_gettid | libc::SYS_set_tid_address)
}

/// Whether nothing but memory, registers and what a copy inherits will differ after the call at whose entry the task is,
/// which is the only one of its execution. It may read files of the folder if `reads_folder`.
pub(in crate::explore::traced) fn leaves_nothing(world: &mut World, task: usize, reads_folder: bool) -> bool {
    let call = world.call(task);
    let Some((_, rule)) = RULES.iter().find(|(number, _)| *number == call.number && *number != ABSENT) else {
        return false;
    };
    match *rule {
        Always => true,
        Own(argument) => call.int(argument) == 0,
        Descriptor => of_descriptor(call),
        If::Path(at, path) => {
            let resolved = files::resolve(world, task, at, path, true);
            let is_stream = at.is_some() && is_empty(world, task, path) && call.int(0) >= 0;
            is_stream || is_fixed(&resolved, reads_folder)
        }
        Open(at, path, flags) => {
            const WRITES: i32 = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_PATH;
            let resolved = files::resolve(world, task, at, path, true);
            let is_device = ["/dev/null", "/dev/tty"].iter().any(|device| resolved.path == Path::new(device));
            is_device && call.int(flags) & libc::O_CREAT == 0
                || call.int(flags) & WRITES == libc::O_RDONLY
                    && is_readable(&resolved)
                    && is_fixed(&resolved, reads_folder)
                    && (reads_folder || resolved.inside.is_none())
        }
        Execute => {
            let resolved = files::resolve(world, task, None, 0, true);
            resolved.inside.is_none()
                && is_fixed(&resolved, false)
                && resolved.meta.as_ref().is_none_or(std::fs::Metadata::is_file)
        }
        Memory => of_memory(call) && !maps_own_file(world, task),
        Request => matches!(
            call.int(0),
            libc::PR_SET_NAME | libc::PR_GET_NAME | libc::PR_CAPBSET_READ | libc::PR_SET_VMA
        ),
    }
}

fn is_empty(world: &World, task: usize, path: usize) -> bool {
    files::path_of(world, task, path).is_empty()
}

/// Whether what is told of the path is the same in every execution: the program cannot change it, and neither can time.
fn is_fixed(resolved: &Resolved, reads_folder: bool) -> bool {
    const DEVICES: [&str; 4] = ["/dev/null", "/dev/tty", "/dev/random", "/dev/urandom"];
    let path = resolved.path.as_path();
    if !resolved.way.is_empty() && !reads_folder {
        return false;
    }
    match resolved.inside.as_deref() {
        // What is told of the folder itself is always the same.
        Some(inside) => inside == "." || reads_folder && !Path::new(inside).is_absolute(),
        None if path == Path::new("/proc/self/exe") => true,
        None if path.starts_with("/dev") => DEVICES.iter().any(|device| path == Path::new(device)),
        None if path.starts_with("/proc/self") || path.starts_with("/proc/thread-self") => false,
        None => !files::uncontrolled_source(path),
    }
}

/// Whether it is a file, a folder, or a source of random numbers, which are emulated; or if there is nothing.
fn is_readable(resolved: &Resolved) -> bool {
    let is_random =
        || ["/dev/random", "/dev/urandom"].iter().any(|device| resolved.path == Path::new(device));
    resolved.meta.as_ref().is_none_or(|meta| {
        let kind = meta.file_type();
        kind.is_file() || kind.is_dir() || kind.is_symlink() || kind.is_char_device() && is_random()
    })
}

/// Descriptors from 3 on are of files that the process has opened itself to read. The standard streams are shared by all
/// executions, so they may only be asked about, and their flags be set.
fn of_descriptor(call: Call) -> bool {
    const TCGETS: u64 = 0x5401;
    let is_opened = !(0..=2).contains(&call.int(0));
    match call.number {
        libc::SYS_fstat | libc::SYS_lseek => true,
        libc::SYS_fcntl => {
            matches!(call.int(1), libc::F_GETFD | libc::F_SETFD | libc::F_GETFL | libc::F_SETFL)
        }
        libc::SYS_ioctl => {
            let request = call.args[1] & 0xffff_ffff;
            request == TCGETS || is_opened && matches!(request, libc::FIOCLEX | libc::FIONCLEX)
        }
        _ => is_opened,
    }
}

/// Whether the call maps a file of the folder: each execution has files of its own, and a copy would map the former one's.
fn maps_own_file(world: &mut World, task: usize) -> bool {
    let call = world.call(task);
    let is_of_file = call.number == libc::SYS_mmap && call.int(3) & libc::MAP_ANONYMOUS == 0;
    is_of_file && matches!(world.opened(task, call.int(4)), Opened::File(_))
}

/// Mappings are inherited, unless they are locked or advised not to be. Another process could change shared ones that are
/// writable. A futex is woken while there is nothing to wake.
fn of_memory(call: Call) -> bool {
    match call.number {
        libc::SYS_futex => {
            const PRIVATE: i32 = libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME;
            call.int(1) & !PRIVATE == libc::FUTEX_WAKE
        }
        libc::SYS_madvise => {
            !matches!(call.int(2), libc::MADV_REMOVE | libc::MADV_DONTFORK | libc::MADV_WIPEONFORK)
        }
        _ => {
            let (protection, flags) = (call.int(2), call.int(3));
            let is_shared = flags & libc::MAP_SHARED != 0;
            let may_share = protection & libc::PROT_WRITE == 0 && flags & libc::MAP_ANONYMOUS == 0;
            flags & libc::MAP_LOCKED == 0 && (!is_shared || may_share)
        }
    }
}
