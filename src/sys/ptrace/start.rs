//! Starts a program that is traced from its first instruction.
//!
//! # Safety
//! Between fork and exec the child makes only raw calls with memory that was prepared before the fork.
#![expect(unsafe_code, reason = "fork, exec, and descriptors by number in the child")]

use crate::sys::pid::Pid;
use std::ffi::CString;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::pipe2;

use super::filter::Filter;
use super::stops::seize;
use crate::sys::fork::{Forked, fork};

/// The program to start, and its environment.
#[derive(Debug)]
pub struct Program<'a> {
    /// The path of the executable.
    pub path: &'a CString,
    /// Its arguments, beginning with its name.
    pub arguments: &'a [CString],
    /// Its complete environment.
    pub environment: &'a [CString],
    /// Its working directory.
    pub directory: &'a CString,
    /// Its standard input, output and error.
    pub stdio: [BorrowedFd<'a>; 3],
    /// The filter that decides which of its calls stop.
    pub filter: &'a Filter,
    /// The limit on the size of its files, in bytes.
    pub file_size: u64,
    /// The most memory that it may have for its data, in bytes.
    pub memory: u64,
}

/// Why a traced program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartTracedError {
    /// A process could not be created.
    #[error("a process could not be created")]
    Fork(#[source] io::Error),
    /// Tracing is not allowed.
    #[error("tracing is not allowed here (ptrace)")]
    Trace(#[source] io::Error),
    /// A call of the child failed before it executed the program.
    #[error("the program could not be started ({0})")]
    Prepare(&'static str, #[source] io::Error),
}

/// The calls of the child, in order. It reports the index of the one that failed.
const CALLS: [&str; 7] = ["fork", "chdir", "dup2", "personality", "no_new_privs", "seccomp", "execve"];

/// Forks the child and seizes it. It runs until its first stop, at its `execve`.
///
/// The child leads a new session, writes no core dumps, has no address space randomization, cannot gain
/// privileges, and dies with the calling thread.
///
/// # Safety
/// No other thread of this process may hold a lock.
///
/// # Errors
/// [`StartTracedError`]; no child is left behind.
pub unsafe fn start(program: &Program<'_>) -> Result<Started, StartTracedError> {
    let pointers = |strings: &[CString]| {
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(std::ptr::null());
        pointers
    };
    let (argv, envp) = (pointers(program.arguments), pointers(program.environment));
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|errno| StartTracedError::Fork(errno.into()));
    let (gate_out, gate_in) = pipe()?;
    let (failure_out, failure_in) = pipe()?;
    // SAFETY: the child immediately calls `run`, which takes no lock and never returns.
    let pid = match unsafe { fork() }.map_err(StartTracedError::Fork)? {
        Forked::Child => {
            let (gate, failure) = (gate_out.as_raw_fd(), failure_in.as_raw_fd());
            // SAFETY: all memory was prepared above, and copied by the fork.
            unsafe { run(program, &argv, &envp, [gate, gate_in.as_raw_fd(), failure]) }
        }
        Forked::Parent(pid) => pid,
    };
    drop((gate_out, failure_in));
    if let Err(error) = seize(pid) {
        kill_and_reap(pid);
        return Err(StartTracedError::Trace(error));
    }
    let _ = std::fs::File::from(gate_in).write_all(&[1]);
    Ok(Started { pid, failure: failure_out.into() })
}

/// A traced child that has not yet executed the program. Its first stop is at its `execve`.
#[derive(Debug)]
pub struct Started {
    /// Its PID.
    pub pid: Pid,
    failure: std::fs::File,
}

impl Started {
    /// Why the child ended without executing the program. Call it after the child has ended.
    pub fn failure(mut self) -> StartTracedError {
        let mut report = [0; 5];
        if self.failure.read_exact(&mut report).is_err() {
            return StartTracedError::Prepare("killed", io::ErrorKind::Interrupted.into());
        }
        let errno = i32::from_ne_bytes([report[1], report[2], report[3], report[4]]);
        let call = CALLS.get(usize::from(report[0])).copied().unwrap_or("?");
        StartTracedError::Prepare(call, io::Error::from_raw_os_error(errno))
    }
}

/// Kills and reaps a child that has not executed the program.
fn kill_and_reap(pid: Pid) {
    let mut status = 0;
    // SAFETY: `pid` is an unreaped child; the pointer is to a local integer.
    unsafe {
        libc::kill(pid.as_raw(), libc::SIGKILL);
        while libc::waitpid(pid.as_raw(), &raw mut status, libc::__WALL) == pid.as_raw()
            && libc::WIFSTOPPED(status)
        {
            libc::ptrace(libc::PTRACE_CONT, pid.as_raw(), 0, 0);
        }
    }
}

/// # Safety
/// Must be called in a freshly forked child; the arrays are null-terminated and their strings valid.
unsafe fn run(
    program: &Program<'_>,
    argv: &[*const libc::c_char],
    envp: &[*const libc::c_char],
    [gate, our_gate, failure]: [i32; 3],
) -> ! {
    // SAFETY: async-signal-safe calls on integers and on memory prepared before the fork.
    unsafe {
        let check = |index: u8, result: i64| {
            if result < 0 {
                let [a, b, c, d] = Errno::last_raw().to_ne_bytes();
                libc::write(failure, [index, a, b, c, d].as_ptr().cast(), 5);
                libc::_exit(127);
            }
        };
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::close(our_gate);
        let mut go = 0_u8;
        if libc::read(gate, (&raw mut go).cast(), 1) != 1 {
            libc::_exit(127);
        }
        libc::setsid();
        libc::umask(0o022);
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        for signal in 1..libc::SIGRTMAX() {
            libc::signal(signal, libc::SIG_DFL);
        }
        let nothing = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const nothing);
        let size = libc::rlimit { rlim_cur: program.file_size, rlim_max: program.file_size };
        libc::setrlimit(libc::RLIMIT_FSIZE, &raw const size);
        let memory = libc::rlimit { rlim_cur: program.memory, rlim_max: program.memory };
        libc::setrlimit(libc::RLIMIT_DATA, &raw const memory);
        check(1, libc::chdir(program.directory.as_ptr()).into());
        for (number, fd) in (0..).zip(&program.stdio) {
            check(2, libc::dup2(fd.as_raw_fd(), number).into());
        }
        check(3, libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong).into());
        // The time stamp counter differs from run to run, so reading it raises a signal, and the tracer emulates it.
        #[cfg(target_arch = "x86_64")]
        libc::prctl(libc::PR_SET_TSC, libc::PR_TSC_SIGSEGV);
        check(4, libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into());
        check(5, if program.filter.install().is_ok() { 0 } else { -1 });
        check(6, libc::execve(program.path.as_ptr(), argv.as_ptr(), envp.as_ptr()).into());
        libc::_exit(127)
    }
}
