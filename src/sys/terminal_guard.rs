//! Restores a terminal in raw mode when a fatal signal ends the program.
//!
//! # Safety
//! The handler calls only functions that `signal-safety(7)` allows (`tcsetattr`, `write`, `raise`), and reads a
//! structure that was written before the handler was installed.
#![expect(unsafe_code, reason = "handlers of fatal signals")]

use std::sync::OnceLock;

use nix::libc;

/// Signals that end a program by default and that this program does not read through a descriptor.
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

/// The terminal's mode when the first guard was created.
static BEFORE: OnceLock<libc::termios> = OnceLock::new();

/// While it is alive, a fatal signal leaves the alternate screen and restores the terminal's mode before it ends the
/// program.
#[derive(Debug)]
pub struct TerminalGuard {
    actions: Vec<(i32, libc::sigaction)>,
}

impl TerminalGuard {
    /// Guards the terminal of standard input, whose current mode will be restored. Does nothing without a terminal.
    pub fn new() -> Self {
        // SAFETY: all-zero bytes are a valid termios, which the call fills.
        let mode = unsafe {
            let mut mode: libc::termios = std::mem::zeroed();
            (libc::tcgetattr(0, &raw mut mode) == 0).then_some(mode)
        };
        let Some(mode) = mode else { return Self { actions: Vec::new() } };
        BEFORE.get_or_init(|| mode);
        let install = |signal: i32| {
            // SAFETY: the structures are valid; the handler is async-signal-safe. An ignored signal stays ignored.
            unsafe {
                let mut before: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, std::ptr::null(), &raw mut before);
                if before.sa_sigaction == libc::SIG_IGN {
                    return None;
                }
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = restore_terminal as extern "C" fn(i32) as usize;
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
            // SAFETY: restores the previous action.
            unsafe { libc::sigaction(*signal, before, std::ptr::null_mut()) };
        }
    }
}

/// Restores the terminal, and raises the signal again with its default action, which `SA_RESETHAND` has restored.
extern "C" fn restore_terminal(signal: i32) {
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
