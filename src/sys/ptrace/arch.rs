//! The registers of a system call on each architecture: its number, arguments, and result.
//!
//! arm64 has no `open`, `fork`, `pipe` and similar calls. There, their numbers are `ABSENT`.

use crate::sys::pid::Pid;
use std::io;

use nix::libc;
use nix::sys::ptrace;

/// A number that no system call has.
pub const ABSENT: i64 = -1;

/// The registers of a stopped task.
#[derive(Clone, Copy, Debug)]
pub struct Registers(libc::user_regs_struct);

/// `AUDIT_ARCH_X86_64` of `<linux/audit.h>`.
#[cfg(target_arch = "x86_64")]
pub const AUDIT_ARCH: u32 = 0xC000_003E;
/// `AUDIT_ARCH_AARCH64` of `<linux/audit.h>`.
#[cfg(target_arch = "aarch64")]
pub const AUDIT_ARCH: u32 = 0xC000_00B7;

/// The length of the system call instruction, in bytes.
#[cfg(target_arch = "x86_64")]
pub const ENTRY_LENGTH: u64 = 2;
/// The length of the system call instruction, in bytes.
#[cfg(target_arch = "aarch64")]
pub const ENTRY_LENGTH: u64 = 4;

/// Which argument of `clone(2)` says where the number of the new thread is cleared.
#[cfg(target_arch = "x86_64")]
pub const CLONE_CHILD_TID: usize = 3;
/// Which argument of `clone(2)` says where the number of the new thread is cleared.
#[cfg(not(target_arch = "x86_64"))]
pub const CLONE_CHILD_TID: usize = 4;

macro_rules! legacy {
    ($($name:ident = $call:ident),+ $(,)?) => {
        $(
            /// The number of a call that only older architectures have.
            #[cfg(target_arch = "x86_64")]
            pub const $name: i64 = libc::$call;
            /// The number of a call that only older architectures have.
            #[cfg(not(target_arch = "x86_64"))]
            pub const $name: i64 = ABSENT;
        )+
    };
}

legacy! {
    OPEN = SYS_open, CREAT = SYS_creat, STAT = SYS_stat, LSTAT = SYS_lstat, ACCESS = SYS_access,
    RENAME = SYS_rename, MKDIR = SYS_mkdir, RMDIR = SYS_rmdir, LINK = SYS_link, UNLINK = SYS_unlink,
    SYMLINK = SYS_symlink, READLINK = SYS_readlink, CHMOD = SYS_chmod, CHOWN = SYS_chown, MKNOD = SYS_mknod,
    GETDENTS = SYS_getdents, PIPE = SYS_pipe, DUP2 = SYS_dup2, FORK = SYS_fork, VFORK = SYS_vfork,
    POLL = SYS_poll, SELECT = SYS_select, EPOLL_WAIT = SYS_epoll_wait, PAUSE = SYS_pause, TIME = SYS_time,
    GETPGRP = SYS_getpgrp, EPOLL_CREATE = SYS_epoll_create, EVENTFD = SYS_eventfd,
    SIGNALFD = SYS_signalfd, INOTIFY_INIT = SYS_inotify_init, UTIME = SYS_utime, UTIMES = SYS_utimes, FUTIMESAT = SYS_futimesat, ALARM = SYS_alarm, LCHOWN = SYS_lchown,
}

impl Registers {
    /// The registers of the stopped task `tid`.
    ///
    /// # Errors
    /// `ESRCH` when the task is not stopped or was killed.
    pub fn of(tid: Pid) -> io::Result<Self> {
        Ok(Self(ptrace::getregs(tid.as_nix())?))
    }

    /// Sets the registers of the stopped task `tid`.
    ///
    /// # Errors
    /// As [`Registers::of`].
    pub fn set(&self, tid: Pid) -> io::Result<()> {
        Ok(ptrace::setregs(tid.as_nix(), self.0)?)
    }
}

/// The length of the instruction at the beginning of `code`, if it reads the time stamp counter.
pub fn reads_counter(code: &[u8]) -> Option<u64> {
    if cfg!(not(target_arch = "x86_64")) {
        return None;
    }
    match code {
        [0x0f, 0x31, ..] => Some(2),
        [0x0f, 0x01, 0xf9, ..] => Some(3),
        _ => None,
    }
}

#[cfg(target_arch = "x86_64")]
impl Registers {
    /// The general registers in the order of their numbers, and the bases of the segments `fs` and `gs`.
    pub(super) fn bases(&self) -> Option<([u64; 16], [u64; 2])> {
        let r = &self.0;
        let general = [
            r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
            r.r14, r.r15,
        ];
        Some((general, [r.fs_base, r.gs_base]))
    }

    /// Where what belongs to the thread begins.
    pub fn thread(&self) -> u64 {
        self.0.fs_base
    }

    /// Emulates the instruction of this length that reads the time stamp counter: it reads `value`.
    pub fn answer_counter(&mut self, value: u64, length: u64) {
        (self.0.rax, self.0.rdx) = (value & 0xffff_ffff, value >> 32);
        self.0.rip += length;
        if length == 3 {
            // `rdtscp` also reads the processor number.
            self.0.rcx = 0;
        }
    }

    /// Passes over an instruction of this length.
    pub fn pass_over(&mut self, length: u64) {
        self.0.rip += length;
    }

    /// The number of the call, at its entry.
    pub fn number(&self) -> i64 {
        self.0.orig_rax.cast_signed()
    }

    /// Its six arguments.
    pub fn arguments(&self) -> [u64; 6] {
        [self.0.rdi, self.0.rsi, self.0.rdx, self.0.r10, self.0.r8, self.0.r9]
    }

    /// The result of the call, at its exit; an errno is negative.
    pub fn result(&self) -> i64 {
        self.0.rax.cast_signed()
    }

    /// The stack pointer.
    pub fn stack(&self) -> u64 {
        self.0.rsp
    }

    /// The address of the next instruction.
    pub fn instruction(&self) -> u64 {
        self.0.rip
    }

    /// Skips the call, at its entry; it returns `result`.
    pub fn skip(&mut self, result: i64) {
        self.0.orig_rax = ABSENT.cast_unsigned();
        self.0.rax = result.cast_unsigned();
    }

    /// Makes the task execute the system call instruction at `at`, with this number and these arguments,
    /// of which there are at most five.
    pub fn call(&mut self, at: u64, number: i64, args: &[u64]) {
        self.0.rip = at;
        self.0.rax = number.cast_unsigned();
        self.0.orig_rax = ABSENT.cast_unsigned();
        let r = &mut self.0;
        for (register, arg) in
            [&mut r.rdi, &mut r.rsi, &mut r.rdx, &mut r.r10, &mut r.r8].into_iter().zip(args)
        {
            *register = *arg;
        }
    }

    /// Replaces an argument of the call.
    pub fn set_argument(&mut self, place: usize, value: u64) {
        let r = &mut self.0;
        let registers = [&mut r.rdi, &mut r.rsi, &mut r.rdx, &mut r.r10, &mut r.r8, &mut r.r9];
        registers.into_iter().skip(place).take(1).for_each(|register| *register = value);
    }

    /// Replaces the result of the call, at its exit.
    pub fn set_result(&mut self, result: i64) {
        self.0.rax = result.cast_unsigned();
    }

    /// Makes the task execute the call `number` again, with the same arguments.
    pub fn enter_again(&mut self, number: i64) {
        self.0.rip -= ENTRY_LENGTH;
        self.0.rax = number.cast_unsigned();
        self.0.orig_rax = ABSENT.cast_unsigned();
    }
}

#[cfg(target_arch = "aarch64")]
impl Registers {
    /// Not known on this architecture.
    pub(super) fn bases(&self) -> Option<([u64; 16], [u64; 2])> {
        None
    }

    /// Not known on this architecture.
    pub fn thread(&self) -> u64 {
        0
    }

    /// Does nothing: the counter of this architecture is read without a trap.
    pub fn answer_counter(&mut self, _value: u64, _length: u64) {}

    /// Passes over an instruction of this length.
    pub fn pass_over(&mut self, length: u64) {
        self.0.pc += length;
    }

    /// The number of the call, at its entry.
    pub fn number(&self) -> i64 {
        self.0.regs[8].cast_signed()
    }

    /// Its six arguments.
    pub fn arguments(&self) -> [u64; 6] {
        std::array::from_fn(|index| self.0.regs[index])
    }

    /// The result of the call, at its exit; an errno is negative.
    pub fn result(&self) -> i64 {
        self.0.regs[0].cast_signed()
    }

    /// The stack pointer.
    pub fn stack(&self) -> u64 {
        self.0.sp
    }

    /// The address of the next instruction.
    pub fn instruction(&self) -> u64 {
        self.0.pc
    }

    /// Skips the call, at its entry; it returns `result`.
    pub fn skip(&mut self, result: i64) {
        self.0.regs[8] = ABSENT.cast_unsigned();
        self.0.regs[0] = result.cast_unsigned();
    }

    /// Makes the task execute the system call instruction at `at`, with this number and these arguments,
    /// of which there are at most five.
    pub fn call(&mut self, at: u64, number: i64, args: &[u64]) {
        self.0.pc = at;
        self.0.regs[8] = number.cast_unsigned();
        for (register, arg) in self.0.regs[..5].iter_mut().zip(args) {
            *register = *arg;
        }
    }

    /// Replaces an argument of the call.
    pub fn set_argument(&mut self, place: usize, value: u64) {
        self.0.regs.iter_mut().take(6).skip(place).take(1).for_each(|register| *register = value);
    }

    /// Replaces the result of the call, at its exit.
    pub fn set_result(&mut self, result: i64) {
        self.0.regs[0] = result.cast_unsigned();
    }

    /// Makes the task execute the call `number` again, with the same arguments.
    pub fn enter_again(&mut self, number: i64) {
        self.0.pc -= ENTRY_LENGTH;
        self.0.regs[8] = number.cast_unsigned();
    }
}
