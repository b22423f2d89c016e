//! What keeps a program that may do anything within its folder, from inside namespaces of processes and mounts that
//! were made for it.
//!
//! # Safety
//! System calls on integers, prepared strings and one structure of ours.
#![expect(unsafe_code, reason = "mount_setattr, and kill of all processes of a namespace")]

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::statvfs::statvfs;

use super::pid::Pid;

/// Makes every mount read-only but the folder `root`, `/tmp` and shared memory, which get `bytes` of room each; as far
/// as the kernel can (`mount_setattr(2)`, Linux 5.12).
///
/// To be called in a mount namespace of the caller's own, whose `root` or `/dev/shm` is a `tmpfs` of its own.
pub fn only_writable(root: &Path, bytes: u64) {
    let room = CString::new(format!("size={}", bytes.max(1 << 20))).unwrap_or_default();
    let nothing = std::ptr::null();
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    let Ok(place) = CString::new(root.as_os_str().as_bytes()) else { return };
    let memory = c"tmpfs".as_ptr();
    // A folder below /tmp would be hidden by a new /tmp.
    let has_tmp = !root.starts_with("/tmp") && Path::new("/tmp").is_dir();
    // SAFETY: constant strings and one of ours; null where the kernel takes no argument.
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
            // One that is no mount of its own is part of one that is.
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
    // SAFETY: the kernel reads a string and a structure of the size that it is told, both of which outlive the call.
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

/// Sends SIGKILL to every other process of the namespace, at one moment: none of them can fork any more. Does nothing
/// unless the caller is the first process of a namespace.
pub fn kill_all_others() {
    if std::process::id() == 1 {
        // SAFETY: two integers; the namespace ends where process 1 does, so nothing outside it can be meant.
        unsafe { libc::kill(-1, libc::SIGKILL) };
    }
}

/// Bytes in use on the file system of its own that `root` lies in; `None` for a file system that others use as well.
pub fn written(root: &Path) -> Option<u64> {
    if std::process::id() != 1 {
        return None;
    }
    let about = statvfs(root).ok()?;
    Some(about.blocks().saturating_sub(about.blocks_free()).saturating_mul(about.fragment_size()))
}

/// Pages of a process that are in memory and its own (`/proc/PID/statm`).
pub fn resident_pages(pid: Pid) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let mut fields = text.split_whitespace().skip(1).map(|field| field.parse::<u64>().unwrap_or(0));
    fields.next().unwrap_or(0).saturating_sub(fields.next().unwrap_or(0))
}

/// Bytes of a page.
pub fn page_size() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().map_or(4096, i64::cast_unsigned)
}
