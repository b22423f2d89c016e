//! `posix_spawn(3)` of a program that inherits nothing but its standard streams.
//!
//! # Safety
//! All strings and the two attribute objects outlive the call that reads them; the objects are
//! initialised before use and destroyed once.
#![expect(unsafe_code, reason = "posix_spawn, and one of its file actions by name")]

use crate::sys::pid::Pid;
use nix::libc;
use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

type CloseFrom = unsafe extern "C" fn(*mut libc::posix_spawn_file_actions_t, c_int) -> c_int;

/// Runs the program at `path` as the leader of a process group of its own, with `stdin` as its
/// standard input, this process's standard output and error, no signal blocked, `SIGPIPE` at its default, and
/// this process's environment. Returns the PID.
///
/// No other descriptor is inherited, close-on-exec or not. Where the C library cannot do that before the
/// `exec` (glibc before 2.34, musl), the program itself must: see [`closes_before_exec`].
///
/// # Errors
/// `EAGAIN` at the limit of processes, `ENOMEM`, or what `execve(2)` says of the program.
pub fn spawn_isolated(path: &CStr, argv: &[CString], stdin: BorrowedFd<'_>) -> io::Result<Pid> {
    let environment: Vec<CString> = environment();
    let pointers = |strings: &[CString]| -> Vec<*mut c_char> {
        strings.iter().map(|text| text.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
    };
    let (argv_pointers, envp_pointers) = (pointers(argv), pointers(&environment));
    let mut actions = Actions::new()?;
    actions.duplicate(stdin, 0)?;
    actions.close_all_from(3)?;
    let attributes = Attributes::new()?;
    let mut pid = 0;
    // SAFETY: both objects are initialised, both arrays end with a null pointer, and all of it outlives the call.
    let error = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            actions.0.as_ptr(),
            attributes.0.as_ptr(),
            argv_pointers.as_ptr(),
            envp_pointers.as_ptr(),
        )
    };
    check(error).map(|()| Pid::from_raw(pid))
}

/// Whether [`spawn_isolated`] closes descriptors before the program begins.
pub fn closes_before_exec() -> bool {
    close_from().is_some()
}

/// Closes every descriptor above the standard ones (`close_range(2)`, or one by one before Linux 5.9).
///
/// # Safety
/// Nothing in this process may own or use such a descriptor.
pub unsafe fn close_all_but_standard() {
    // SAFETY: the caller's promise.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) == 0 {
            return;
        }
        let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
        let numbers = open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<c_int>().ok());
        for fd in numbers.filter(|fd| *fd > 2).collect::<Vec<_>>() {
            libc::close(fd);
        }
    }
}

/// This process's environment; an entry with a NUL byte cannot exist in it.
fn environment() -> Vec<CString> {
    use std::os::unix::ffi::OsStringExt;
    let entry = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        CString::new([name.into_vec(), value.into_vec()].join(&b'=')).ok()
    };
    std::env::vars_os().filter_map(entry).collect()
}

/// `posix_spawn_file_actions_addclosefrom_np(3)`, which came with glibc 2.34.
fn close_from() -> Option<CloseFrom> {
    let name = c"posix_spawn_file_actions_addclosefrom_np";
    // SAFETY: looks a name up among the loaded libraries.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: a function of this name has this type, as glibc's <spawn.h> declares it.
    (!address.is_null()).then(|| unsafe { std::mem::transmute::<*mut libc::c_void, CloseFrom>(address) })
}

struct Actions(MaybeUninit<libc::posix_spawn_file_actions_t>);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: initialises the object that it is given.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        Ok(Self(actions))
    }

    fn duplicate(&mut self, fd: BorrowedFd<'_>, to: c_int) -> io::Result<()> {
        // SAFETY: the object was initialised by `new`. A number that is `to` already loses close-on-exec.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(self.0.as_mut_ptr(), fd.as_raw_fd(), to) })
    }

    fn close_all_from(&mut self, first: c_int) -> io::Result<()> {
        // SAFETY: the object was initialised by `new`.
        close_from().map_or(Ok(()), |close_from| check(unsafe { close_from(self.0.as_mut_ptr(), first) }))
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, and never used again.
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}

struct Attributes(MaybeUninit<libc::posix_spawnattr_t>);

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initialises the object that it is given.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        let mut made = Self(attributes);
        let flags = libc::POSIX_SPAWN_SETPGROUP | libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        let flags = i16::try_from(flags).map_err(io::Error::other)?;
        let object = made.0.as_mut_ptr();
        // SAFETY: the object was initialised above; the signal sets are filled before they are read. Group 0 is the
        // child's own.
        unsafe {
            let mut set = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut set);
            check(libc::posix_spawnattr_setsigmask(object, &raw const set))?;
            libc::sigaddset(&raw mut set, libc::SIGPIPE);
            check(libc::posix_spawnattr_setsigdefault(object, &raw const set))?;
            check(libc::posix_spawnattr_setpgroup(object, 0))?;
            check(libc::posix_spawnattr_setflags(object, flags))?;
        }
        Ok(made)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, and never used again.
        unsafe { libc::posix_spawnattr_destroy(self.0.as_mut_ptr()) };
    }
}

fn check(error: c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn a_program_gets_its_standard_input_and_no_other_descriptor() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let (input, mut output) = std::os::unix::net::UnixStream::pair().unwrap();
        let fds = [reader.as_raw_fd(), writer.as_raw_fd()];
        let script = CString::new(format!(
            "for fd in {} {}; do [ -e /proc/$$/fd/$fd ] && echo leaked $fd >&0; done; echo done >&0",
            fds[0], fds[1]
        ))
        .unwrap();
        let argv = [c"sh".to_owned(), c"-c".to_owned(), script];
        let pid = spawn_isolated(c"/bin/sh", &argv, input.as_fd()).unwrap();
        drop(input);
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid.as_raw()), None).unwrap();
        assert!(!closes_before_exec() || text == "done\n", "{text}");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let error = spawn_isolated(c"/no/such/program", &[c"x".to_owned()], null.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
