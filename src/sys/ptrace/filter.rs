//! The seccomp filter, which decides which calls stop for the tracer, which are refused, and which pass.
//!
//! # Safety
//! The one unsafe call gives the kernel a BPF program, which it copies and verifies.
#![expect(unsafe_code, reason = "nix does not wrap seccomp")]

use std::io;

use nix::errno::Errno;
use nix::libc::{self, sock_filter, sock_fprog};

use super::arch::{ABSENT, AUDIT_ARCH};

/// The signals whose new handlers stop for the tracer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handlers {
    /// All signals.
    All,
    /// `SIGCHLD`.
    Children,
}

/// A seccomp filter.
#[derive(Clone, Debug)]
pub struct Filter(Vec<sock_filter>);

const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_IF_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const JUMP_IF_NOT_LESS: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// The bit in the numbers of x32 calls on x86-64.
const X32: u32 = 0x4000_0000;
// Offsets in `struct seccomp_data`. The low half of an argument comes first, because both architectures are
// little-endian.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

impl Filter {
    /// Creates a filter. Calls in `passed` pass, and so do private anonymous mappings, questions about a signal's handler,
    /// and new handlers of signals that are not in `handlers`; calls in `refused`, and those of another architecture,
    /// fail with `ENOSYS`; all others stop for the tracer.
    pub fn new(passed: &[i64], refused: &[i64], handlers: Handlers) -> Self {
        let refuse = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
        let mut program = vec![
            statement(LOAD_WORD, ARCHITECTURE),
            jump(JUMP_IF_EQUAL, AUDIT_ARCH, 1, 0),
            statement(RETURN, refuse),
            statement(LOAD_WORD, NUMBER),
            jump(JUMP_IF_NOT_LESS, X32, 0, 1),
            statement(RETURN, refuse),
        ];
        let answers = [(passed, libc::SECCOMP_RET_ALLOW), (refused, refuse)];
        for (numbers, answer) in answers {
            for number in numbers.iter().filter(|number| **number != ABSENT) {
                program.push(jump(JUMP_IF_EQUAL, *number as u32, 0, 1));
                program.push(statement(RETURN, answer));
            }
        }
        if handlers == Handlers::Children {
            program.extend([
                jump(JUMP_IF_EQUAL, libc::SYS_rt_sigaction as u32, 0, 4),
                statement(LOAD_WORD, ARGUMENTS),
                jump(JUMP_IF_EQUAL, libc::SIGCHLD as u32, 1, 0),
                statement(RETURN, libc::SECCOMP_RET_ALLOW),
                statement(LOAD_WORD, NUMBER),
            ]);
        }
        // The new handler is the second argument; null only asks.
        program.extend([
            jump(JUMP_IF_EQUAL, libc::SYS_rt_sigaction as u32, 0, 6),
            statement(LOAD_WORD, ARGUMENTS + 8),
            jump(JUMP_IF_EQUAL, 0, 0, 3),
            statement(LOAD_WORD, ARGUMENTS + 8 + 4),
            jump(JUMP_IF_EQUAL, 0, 0, 1),
            statement(RETURN, libc::SECCOMP_RET_ALLOW),
            statement(RETURN, libc::SECCOMP_RET_TRACE),
        ]);
        // The flags are the fourth argument, the descriptor is the fifth.
        program.extend([
            jump(JUMP_IF_EQUAL, libc::SYS_mmap as u32, 0, 5),
            statement(LOAD_WORD, ARGUMENTS + 8 * 3),
            jump(JUMP_IF_SET, libc::MAP_SHARED as u32, 3, 0),
            statement(LOAD_WORD, ARGUMENTS + 8 * 4),
            jump(JUMP_IF_EQUAL, u32::MAX, 0, 1),
            statement(RETURN, libc::SECCOMP_RET_ALLOW),
            statement(RETURN, libc::SECCOMP_RET_TRACE),
        ]);
        Self(program)
    }

    /// Installs the filter in the calling thread; its descendants and the programs that they execute inherit it.
    /// Async-signal-safe.
    ///
    /// # Errors
    /// `EINVAL` if the kernel has no seccomp, `EACCES` without `no_new_privs`.
    pub(super) fn install(&self) -> io::Result<()> {
        let program = sock_fprog { len: self.0.len() as u16, filter: self.0.as_ptr().cast_mut() };
        // SAFETY: the program and its instructions outlive the call; the kernel only reads them.
        let result =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
        Errno::result(result).map(drop).map_err(Into::into)
    }
}

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { code, jt: yes, jf: no, k }
}
