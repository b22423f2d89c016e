//! Reading single keys from a terminal.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

use super::poll::{Deadline, readable};

/// Standard input in a mode that returns single keys without echo. Keys such as Ctrl-C still raise signals.
///
/// Dropping it restores the terminal. SIGQUIT, which would kill the process before that, is blocked until then.
#[derive(Debug)]
pub struct Keys {
    before: Termios,
    mask: SigSet,
    quit: SignalFd,
}

/// What ended the wait for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressed {
    /// A key that sent this byte.
    Byte(u8),
    /// The end of the input.
    End,
    /// SIGQUIT, or `interrupt` became readable.
    Signal,
}

impl Keys {
    /// Sets the mode of the terminal.
    ///
    /// # Errors
    /// `ENOTTY` if standard input is not a terminal.
    pub fn listen() -> io::Result<Keys> {
        let before = tcgetattr(io::stdin())?;
        let (mut set, mut mask) = (SigSet::empty(), SigSet::empty());
        set.add(Signal::SIGQUIT);
        let quit = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut mask))?;
        let keys = Keys { before: before.clone(), mask, quit };
        let mut single = before;
        single.local_flags -= LocalFlags::ICANON | LocalFlags::ECHO;
        single.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        single.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &single)?;
        Ok(keys)
    }

    /// Waits for a key.
    ///
    /// # Errors
    /// `EIO` when the terminal is gone.
    pub fn next(&self, interrupt: BorrowedFd<'_>) -> io::Result<Pressed> {
        let stdin = io::stdin();
        let ready = readable(&[stdin.as_fd(), interrupt, self.quit.as_fd()], Deadline::NEVER)?;
        if ready[1] || ready[2] {
            return Ok(Pressed::Signal);
        }
        // Read one byte without the buffer of standard input, because poll does not see bytes left in the buffer.
        let mut byte = [0];
        let file = std::fs::File::from(stdin.as_fd().try_clone_to_owned()?);
        Ok(if (&file).read(&mut byte)? == 0 { Pressed::End } else { Pressed::Byte(byte[0]) })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
        // A SIGQUIT that arrived meanwhile takes effect now.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None);
    }
}
