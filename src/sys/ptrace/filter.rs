//! The seccomp filter, which decides which calls stop for the tracer, which are refused, and which pass.
//!
//! # Safety
//! The one unsafe call gives the kernel a BPF program, which it copies and verifies.
#![expect(unsafe_code, reason = "nix does not wrap seccomp")]

use std::io;
use std::ops::Range;

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

/// What a filter does with the calls that do not stop the program.
#[derive(Debug)]
pub struct Rules<'a> {
    /// The calls that pass.
    pub passed: &'a [i64],
    /// The calls that fail with `ENOSYS`.
    pub refused: &'a [i64],
    /// The signals whose new handlers stop.
    pub handlers: Handlers,
    /// `rt_sigprocmask` passes unless one of its pointers is in one of these ranges, each within 4 GiB.
    pub masks: &'a [Range<u64>],
    /// The instructions of the dynamic loader, within 4 GiB: its calls on descriptors pass, and so do its private mappings.
    pub loader: Option<Range<u64>>,
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
const INSTRUCTION: u32 = 8;
const ARGUMENTS: u32 = 16;

impl Filter {
    /// Creates a filter. Beside what the rules say, private anonymous mappings and questions about a signal's handler pass,
    /// and calls of another architecture are refused; all other calls stop for the tracer.
    pub fn new(rules: &Rules<'_>) -> Self {
        let refuse = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
        let mut program = vec![
            statement(LOAD_WORD, ARCHITECTURE),
            jump(JUMP_IF_EQUAL, AUDIT_ARCH, 1, 0),
            statement(RETURN, refuse),
            statement(LOAD_WORD, NUMBER),
            jump(JUMP_IF_NOT_LESS, X32, 0, 1),
            statement(RETURN, refuse),
        ];
        let answers = [(rules.passed, libc::SECCOMP_RET_ALLOW), (rules.refused, refuse)];
        for (numbers, answer) in answers {
            for number in numbers.iter().filter(|number| **number != ABSENT) {
                program.push(jump(JUMP_IF_EQUAL, *number as u32, 0, 1));
                program.push(statement(RETURN, answer));
            }
        }
        if let Some(text) = rules.loader.as_ref().filter(|text| is_narrow(text)) {
            program.extend(pass_loader(text));
        }
        if rules.masks.len() <= MOST_RANGES {
            program.extend(pass_masks(rules.masks));
        }
        if rules.handlers == Handlers::Children {
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

/// The maximum number of ranges that are compared with pointers, because a jump skips at most 255 instructions.
const MOST_RANGES: usize = 16;

/// Whether all addresses of the range have the same upper half.
fn is_narrow(range: &Range<u64>) -> bool {
    !range.is_empty() && range.start >> 32 == range.end >> 32
}

/// Lets calls of the loader pass: those on descriptors, and private mappings. The number of the call is loaded before and after.
fn pass_loader(text: &Range<u64>) -> Vec<sock_filter> {
    let calls: &[sock_filter] = &[
        statement(LOAD_WORD, NUMBER),
        jump(JUMP_IF_EQUAL, libc::SYS_close as u32, 9, 0),
        jump(JUMP_IF_EQUAL, libc::SYS_read as u32, 8, 0),
        jump(JUMP_IF_EQUAL, libc::SYS_pread64 as u32, 7, 0),
        jump(JUMP_IF_EQUAL, libc::SYS_fstat as u32, 6, 0),
        jump(JUMP_IF_EQUAL, libc::SYS_newfstatat as u32, 0, 2),
        // With this flag, and from the loader, the path is empty.
        statement(LOAD_WORD, ARGUMENTS + 8 * 3),
        jump(JUMP_IF_SET, libc::AT_EMPTY_PATH as u32, 3, 4),
        jump(JUMP_IF_EQUAL, libc::SYS_mmap as u32, 0, 3),
        statement(LOAD_WORD, ARGUMENTS + 8 * 3),
        jump(JUMP_IF_SET, libc::MAP_SHARED as u32, 1, 0),
        statement(RETURN, libc::SECCOMP_RET_ALLOW),
    ];
    let skipped = calls.len() as u8;
    let mut program = vec![
        statement(LOAD_WORD, INSTRUCTION + 4),
        jump(JUMP_IF_EQUAL, (text.start >> 32) as u32, 0, skipped + 3),
        statement(LOAD_WORD, INSTRUCTION),
        jump(JUMP_IF_NOT_LESS, text.start as u32, 0, skipped + 1),
        jump(JUMP_IF_NOT_LESS, text.end as u32, skipped, 0),
    ];
    program.extend(calls);
    program.push(statement(LOAD_WORD, NUMBER));
    program
}

/// Lets `rt_sigprocmask` pass if neither of its pointers, the second and third argument, is in one of the ranges. The number
/// of the call is loaded before and after.
fn pass_masks(ranges: &[Range<u64>]) -> Vec<sock_filter> {
    let is_in = |(pointer, range): (u32, &Range<u64>)| {
        [
            statement(LOAD_WORD, ARGUMENTS + 8 * pointer + 4),
            jump(JUMP_IF_EQUAL, (range.start >> 32) as u32, 0, 4),
            statement(LOAD_WORD, ARGUMENTS + 8 * pointer),
            jump(JUMP_IF_NOT_LESS, range.start as u32, 0, 2),
            jump(JUMP_IF_NOT_LESS, range.end as u32, 1, 0),
            statement(RETURN, libc::SECCOMP_RET_TRACE),
        ]
    };
    let pointers = ranges.iter().flat_map(|range| [(1, range), (2, range)]);
    let mut call: Vec<sock_filter> = pointers.flat_map(is_in).collect();
    let answer = if ranges.iter().all(is_narrow) { libc::SECCOMP_RET_ALLOW } else { libc::SECCOMP_RET_TRACE };
    call.push(statement(RETURN, answer));
    let mut program = vec![jump(JUMP_IF_EQUAL, libc::SYS_rt_sigprocmask as u32, 0, call.len() as u8)];
    program.extend(call);
    program
}

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { code, jt: yes, jf: no, k }
}
