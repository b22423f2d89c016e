//! Confines an untrusted program to its folder, its limits, and what an ordinary user may do.
//!
//! # Safety
//! The system calls take integers, prepared strings and one local structure.
#![expect(unsafe_code, reason = "mount_setattr, capabilities, and kill of all processes of a namespace")]

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::statvfs::statvfs;

use super::pid::Pid;

/// Makes every mount read-only except the folder `root`, `/tmp` and shared memory, which are limited to `bytes` each, if
/// the kernel supports it (`mount_setattr(2)`, Linux 5.12).
///
/// Must be called in a new mount namespace in which `root` or `/dev/shm` is a `tmpfs` of its own.
pub fn only_writable(root: &Path, bytes: u64) {
    let room = CString::new(format!("size={}", bytes.max(1 << 20))).unwrap_or_default();
    let nothing = std::ptr::null();
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    let Ok(place) = CString::new(root.as_os_str().as_bytes()) else { return };
    let memory = c"tmpfs".as_ptr();
    // A new /tmp would hide a folder below /tmp.
    let has_tmp = !root.starts_with("/tmp") && Path::new("/tmp").is_dir();
    // SAFETY: constant strings and local ones; null where the kernel takes no argument.
    unsafe {
        for own in [c"/dev/shm", place.as_c_str()] {
            libc::mount(nothing, own.as_ptr(), nothing, flags | libc::MS_REMOUNT, room.as_ptr().cast());
        }
        if has_tmp {
            libc::mount(memory, c"/tmp".as_ptr(), memory, flags, room.as_ptr().cast());
        }
    }
    if set_read_only(c"/", true, libc::AT_RECURSIVE as u32).is_ok() {
        for own in [c"/dev/shm", c"/tmp", place.as_c_str()] {
            // A folder that is not a mount point belongs to a mount that is made writable here.
            if own != c"/tmp" || has_tmp {
                let _ = set_read_only(own, false, 0);
            }
        }
    }
}

/// `struct mount_attr` of `linux/mount.h`.
#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

const MOUNT_ATTR_RDONLY: u64 = 1;

fn set_read_only(path: &CStr, on: bool, flags: u32) -> nix::Result<()> {
    let (set, clear) = if on { (MOUNT_ATTR_RDONLY, 0) } else { (0, MOUNT_ATTR_RDONLY) };
    let attributes = Attributes { set, clear, propagation: 0, user_namespace: 0 };
    // SAFETY: the kernel reads a string and a structure of the given size, both of which outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    Errno::result(result).map(drop)
}

/// Lets the programs that this process starts from now on do no more than an ordinary user's, even if it is root: no
/// capability survives their `execve(2)`, so they cannot mount, set the clock, or raise a limit.
pub fn forgo_capabilities() {
    let header = Header { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut sets = [Sets { effective: 0, permitted: 0, inheritable: 0 }; 2];
    // SAFETY: integers, a structure of the version that its header names, and an array of the length that this version
    // has; all outlive the calls. An unknown capability is refused.
    unsafe {
        for capability in 0..64_u64 {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        if libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) == 0 {
            sets.iter_mut().for_each(|set| set.inheritable = 0);
            libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr());
        }
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
}

/// Closes the memory and the descriptors of this process (`/proc/PID/fd`, `ptrace(2)`) to other processes of its user, of
/// which those with fewer capabilities cannot reopen them (`PR_SET_DUMPABLE(2const)`).
pub fn hide() {
    // SAFETY: takes integers.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
}

/// `_LINUX_CAPABILITY_VERSION_3` of `linux/capability.h`.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Limits the tasks of the PID namespace whose first process this is to about `most`, if the kernel has such a limit
/// (Linux 6.14; before, `kernel.pid_max` is that of the whole system, and is left alone). Must be called while `/proc` can
/// be written.
pub fn limit_tasks(most: usize) {
    // The kernel accepts no lower value, and reuses the first 300 last.
    const LEAST: usize = 301;
    if is_first() && has_limit_per_namespace() {
        let _ = std::fs::write("/proc/sys/kernel/pid_max", LEAST.saturating_add(most).to_string());
    }
}

fn has_limit_per_namespace() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|text| text.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 14)
}

/// Whether this is the first process of a PID namespace.
pub fn is_first() -> bool {
    std::process::id() == 1
}

/// Whether the namespace has other processes than its first, which is the caller. The kernel looks at all of them at once.
pub fn has_others() -> bool {
    // SAFETY: takes two integers; 0 is no signal, and the answer is whether there is a process that could get one.
    unsafe { libc::kill(-1, 0) == 0 }
}

/// Sends SIGKILL to all other processes of the namespace at once, so that none of them can escape by forking. Does
/// nothing unless the caller is the first process of a namespace.
pub fn kill_all_others() {
    if is_first() {
        // SAFETY: takes two integers; process 1 can only signal processes in its own namespace.
        unsafe { libc::kill(-1, libc::SIGKILL) };
    }
}

/// The number of bytes in use on the file system of `root`; `None` outside a namespace, where others use it as well.
pub fn written(root: &Path) -> Option<u64> {
    if !is_first() {
        return None;
    }
    let about = statvfs(root).ok()?;
    Some(about.blocks().saturating_sub(about.blocks_free()).saturating_mul(about.fragment_size()))
}

/// The number of resident pages of a process that are not shared (`/proc/PID/statm`).
pub fn resident_pages(pid: Pid) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let mut fields = text.split_whitespace().skip(1).map(|field| field.parse::<u64>().unwrap_or(0));
    fields.next().unwrap_or(0).saturating_sub(fields.next().unwrap_or(0))
}

/// The page size in bytes.
pub fn page_size() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().map_or(4096, i64::cast_unsigned)
}
