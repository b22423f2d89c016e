//! A terminal in raw mode that is put back when a fatal signal ends the program.
//!
//! # Safety
//! The handler calls only what `signal-safety(7)` allows (`tcsetattr`, `write`, `raise`) and reads a structure
//! that was written before it was installed.
#![expect(unsafe_code, reason = "handlers of fatal signals")]

use std::sync::OnceLock;

use nix::libc;

/// Signals that end a program by default and that nothing here reads as data.
const FATAL: [i32; 14] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGABRT,
    libc::SIGSYS,
    libc::SIGTRAP,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGXCPU,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSTKFLT,
];

/// The terminal's mode when the first guard was made.
static BEFORE: OnceLock<libc::termios> = OnceLock::new();

/// While it lives, a fatal signal leaves the alternate screen and puts the terminal's mode back before it ends
/// the program.
#[derive(Debug)]
pub struct TerminalGuard {
    actions: Vec<(i32, libc::sigaction)>,
}

impl TerminalGuard {
    /// Guards the terminal of standard input, in the mode that it has now. Without a terminal it does nothing.
    pub fn new() -> Self {
        // SAFETY: all-zero bytes are a valid termios, which the call fills.
        let mode = unsafe {
            let mut mode: libc::termios = std::mem::zeroed();
            (libc::tcgetattr(0, &raw mut mode) == 0).then_some(mode)
        };
        let Some(mode) = mode else { return Self { actions: Vec::new() } };
        BEFORE.get_or_init(|| mode);
        let install = |signal: i32| {
            // SAFETY: the structures are valid; the handler keeps to `signal-safety(7)`. A signal that is ignored
            // stays ignored.
            unsafe {
                let mut before: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, std::ptr::null(), &raw mut before);
                if before.sa_sigaction == libc::SIG_IGN {
                    return None;
                }
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = put_back as extern "C" fn(i32) as usize;
                action.sa_flags = libc::SA_RESETHAND | libc::SA_NODEFER | libc::SA_ONSTACK;
                libc::sigaction(signal, &raw const action, std::ptr::null_mut());
                Some((signal, before))
            }
        };
        Self { actions: FATAL.into_iter().filter_map(install).collect() }
    }
}

impl Default for TerminalGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        for (signal, before) in &self.actions {
            // SAFETY: the action is the one that was there before.
            unsafe { libc::sigaction(*signal, before, std::ptr::null_mut()) };
        }
    }
}

/// Puts the terminal back and lets the signal have its default effect, which `SA_RESETHAND` has restored.
extern "C" fn put_back(signal: i32) {
    const LEAVE: &[u8] = b"\x1b[?1049l\x1b[?25h";
    // SAFETY: async-signal-safe calls on memory that was initialised before the handler was installed.
    unsafe {
        libc::write(1, LEAVE.as_ptr().cast(), LEAVE.len());
        if let Some(mode) = BEFORE.get() {
            libc::tcsetattr(0, libc::TCSANOW, mode);
        }
        libc::raise(signal);
    }
}
