//! A copy of this process as the first process of a new PID namespace, with its own `/proc`.
//!
//! PIDs in the namespace can be chosen: the kernel assigns the one after the last PID, and the last PID can be set.
//! When the first process ends, however it ends, the kernel kills all others in the namespace.
//!
//! # Safety
//! `clone` without a new stack is a fork; the calls around it take integers and prepared strings.
#![expect(unsafe_code, reason = "fork, exit and mount through raw calls")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;

use crate::sys::fork::Forked;
use crate::sys::pid::Pid;

/// Forks a child into new PID and mount namespaces, and into a new user namespace if the others require it. The child
/// is killed when the calling thread ends.
///
/// # Safety
/// No other thread of this process may hold a lock that the child will take.
///
/// # Errors
/// `EPERM` if the system forbids it, `ENOSPC` at the limit on namespaces.
pub unsafe fn fork_first() -> io::Result<Forked> {
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let plain = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
    for flags in [plain, plain | libc::CLONE_NEWUSER] {
        let flags = libc::c_ulong::from((flags | libc::SIGCHLD).cast_unsigned());
        // SAFETY: without CLONE_VM and a stack this is a fork; the caller is responsible for other threads.
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        match Errno::result(pid) {
            Err(Errno::EPERM) => {}
            Err(errno) => return Err(errno.into()),
            Ok(0) => {
                // SAFETY: takes two integers.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                if flags & libc::c_ulong::from(libc::CLONE_NEWUSER.cast_unsigned()) != 0 {
                    // The program keeps its user and group; nothing else is mapped.
                    let _ = fs::write("/proc/self/setgroups", "deny");
                    let _ = fs::write("/proc/self/uid_map", format!("{user} {user} 1"));
                    let _ = fs::write("/proc/self/gid_map", format!("{group} {group} 1"));
                }
                return Ok(Forked::Child);
            }
            Ok(pid) => return Ok(Forked::Parent(Pid::from_raw(pid as i32))),
        }
    }
    Err(Errno::EPERM.into())
}

/// Mounts a new `/proc` and new shared memory for the namespace, and an empty file system in memory at `root`. Must
/// be called in the first process of the namespace. The mounts end with the namespace.
///
/// # Errors
/// `EPERM` if parts of the current `/proc` are hidden, as in many containers.
pub fn mount_own(root: &Path) -> io::Result<()> {
    let done = |result: i32| Errno::result(result).map(drop);
    let nothing = std::ptr::null();
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    // SAFETY: constant strings, and null where the kernel takes no argument.
    unsafe {
        done(libc::mount(nothing, c"/".as_ptr(), nothing, libc::MS_REC | libc::MS_PRIVATE, nothing.cast()))?;
        let proc = c"proc".as_ptr();
        done(libc::mount(proc, c"/proc".as_ptr(), proc, flags, nothing.cast()))?;
        let memory = c"tmpfs".as_ptr();
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        if Path::new(SHARED_MEMORY).is_dir() {
            let place = c"/dev/shm".as_ptr();
            done(libc::mount(memory, place, memory, flags, c"mode=1777,size=50%".as_ptr().cast()))?;
        }
        if !root.starts_with(SHARED_MEMORY) {
            let place = CString::new(root.as_os_str().as_bytes())?;
            done(libc::mount(memory, place.as_ptr(), memory, flags, c"mode=700,size=50%".as_ptr().cast()))?;
        }
    }
    fs::create_dir_all(root)?;
    Ok(())
}

/// Moves this process, and the children that it creates from now on, into a new network namespace, with nothing but the
/// loopback interface, or into a new IPC namespace, without System V objects and message queues.
///
/// # Errors
/// `EPERM` outside of a namespace that this process owns.
pub fn renew(network: bool, ipc: bool) -> io::Result<()> {
    let flags = if network { libc::CLONE_NEWNET } else { 0 } | if ipc { libc::CLONE_NEWIPC } else { 0 };
    // SAFETY: takes an integer.
    Errno::result(unsafe { libc::unshare(flags) })?;
    if network {
        let name = b"lo";
        // SAFETY: a structure of integers, for which zeros are a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let socket = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Inet,
            nix::sys::socket::SockType::Datagram,
            nix::sys::socket::SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        // SAFETY: the kernel reads the structure, which outlives the call.
        let done = unsafe {
            libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&socket), libc::SIOCSIFFLAGS as _, &raw const request)
        };
        Errno::result(done)?;
    }
    Ok(())
}

/// Waits until a child that [`fork_first`] created ends, and reaps it.
pub fn reap(child: Pid) {
    while nix::sys::wait::waitpid(child.as_nix(), None) == Err(Errno::EINTR) {}
}

/// Exits without running exit handlers (`_exit(2)`).
pub fn leave() -> ! {
    // SAFETY: takes an integer and never returns.
    unsafe { libc::_exit(0) }
}

/// The directory of named shared memory and semaphores.
pub const SHARED_MEMORY: &str = "/dev/shm";

/// Chooses the PID of the next process in this namespace.
#[derive(Debug)]
pub struct Numbers(fs::File);

impl Numbers {
    /// Opens the namespace of the calling process.
    ///
    /// # Errors
    /// `EACCES` in a namespace that this process does not own.
    pub fn open() -> io::Result<Self> {
        let numbers = Self(fs::OpenOptions::new().write(true).open("/proc/sys/kernel/ns_last_pid")?);
        numbers.next(2)?;
        Ok(numbers)
    }

    /// Assigns `number`, or the first free PID after it, to the next process.
    ///
    /// # Errors
    /// `EPERM`, `EINVAL` for a number out of range.
    pub fn next(&self, number: i32) -> io::Result<()> {
        let last = number.saturating_sub(1).to_string();
        self.0.write_all_at(last.as_bytes(), 0)
    }
}
