//! `posix_spawn(3)` of a program that inherits only its standard streams.
//!
//! # Safety
//! All strings and the two attribute objects outlive the call that reads them; the objects are initialized before use
//! and destroyed once.
#![expect(unsafe_code, reason = "posix_spawn, and one of its file actions by name")]

use crate::sys::pid::Pid;
use nix::libc;
use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

type CloseFrom = unsafe extern "C" fn(*mut libc::posix_spawn_file_actions_t, c_int) -> c_int;

/// Starts the program at `path` as the leader of a new process group or session, with `stdin` as its standard input, no
/// signal blocked, `SIGPIPE` at its default, the standard output and error of this process, and this environment.
/// Returns the PID.
///
/// The program inherits no other descriptor, close-on-exec or not. If the C library cannot close them before the
/// `exec` (glibc before 2.34, musl), the program must do so itself: see [`closes_before_exec`].
///
/// # Errors
/// `EAGAIN` at the limit on processes, `ENOMEM`, or the error of `execve(2)`.
pub fn spawn_isolated(
    path: &CStr,
    argv: &[CString],
    stdin: BorrowedFd<'_>,
    environment: Vec<(OsString, OsString)>,
    leads_session: bool,
) -> io::Result<Pid> {
    let environment = strings(environment);
    let pointers = |strings: &[CString]| -> Vec<*mut c_char> {
        strings.iter().map(|text| text.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
    };
    let (argv_pointers, envp_pointers) = (pointers(argv), pointers(&environment));
    let mut actions = Actions::new()?;
    actions.duplicate(stdin, 0)?;
    actions.close_all_from(3)?;
    let attributes = Attributes::new(leads_session)?;
    let mut pid = 0;
    // SAFETY: both objects are initialized, both arrays end with a null pointer, and everything outlives the call.
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

/// Whether [`spawn_isolated`] closes descriptors before the program starts.
pub fn closes_before_exec() -> bool {
    close_from().is_some()
}

/// Closes all descriptors except the standard streams (`close_range(2)`, or one by one before Linux 5.9).
///
/// # Safety
/// No value in this process may own or use such a descriptor.
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

/// An environment as the kernel takes it. No entry in it can contain a NUL byte.
fn strings(environment: Vec<(OsString, OsString)>) -> Vec<CString> {
    use std::os::unix::ffi::OsStringExt;
    let entry = |(name, value): (OsString, OsString)| {
        CString::new([name.into_vec(), value.into_vec()].join(&b'=')).ok()
    };
    environment.into_iter().filter_map(entry).collect()
}

/// `posix_spawn_file_actions_addclosefrom_np(3)`, available since glibc 2.34.
fn close_from() -> Option<CloseFrom> {
    let name = c"posix_spawn_file_actions_addclosefrom_np";
    // SAFETY: looks up a name in the loaded libraries.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: a function of this name has this type, as glibc's <spawn.h> declares it.
    (!address.is_null()).then(|| unsafe { std::mem::transmute::<*mut libc::c_void, CloseFrom>(address) })
}

struct Actions(MaybeUninit<libc::posix_spawn_file_actions_t>);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: initializes the object.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        Ok(Self(actions))
    }

    fn duplicate(&mut self, fd: BorrowedFd<'_>, to: c_int) -> io::Result<()> {
        // SAFETY: the object was initialized by `new`. If `fd` already is `to`, it loses close-on-exec.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(self.0.as_mut_ptr(), fd.as_raw_fd(), to) })
    }

    fn close_all_from(&mut self, first: c_int) -> io::Result<()> {
        // SAFETY: the object was initialized by `new`.
        close_from().map_or(Ok(()), |close_from| check(unsafe { close_from(self.0.as_mut_ptr(), first) }))
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialized by `new`, and never used again.
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}

struct Attributes(MaybeUninit<libc::posix_spawnattr_t>);

impl Attributes {
    fn new(leads_session: bool) -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initializes the object.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        let mut made = Self(attributes);
        let own = if leads_session { libc::POSIX_SPAWN_SETSID.into() } else { libc::POSIX_SPAWN_SETPGROUP };
        let flags = own | libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        let flags = i16::try_from(flags).map_err(io::Error::other)?;
        let object = made.0.as_mut_ptr();
        // SAFETY: the object was initialized above; the signal sets are filled before they are read. Group 0 means a
        // new group that the child leads.
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
        // SAFETY: initialized by `new`, and never used again.
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
        let pid =
            spawn_isolated(c"/bin/sh", &argv, input.as_fd(), std::env::vars_os().collect(), false).unwrap();
        drop(input);
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid.as_raw()), None).unwrap();
        assert!(!closes_before_exec() || text == "done\n", "{text}");
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let error = spawn_isolated(c"/no/such/program", &[c"x".to_owned()], null.as_fd(), Vec::new(), false)
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
