//! A terminal that gives its keys one by one.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

use super::poll::{Deadline, readable};

/// Standard input while it gives single keys, without echo. Signals are raised by their keys as always.
///
/// However the wait ends, the terminal is as it was before: SIGQUIT, which kills, is held back until then.
#[derive(Debug)]
pub struct Keys {
    before: Termios,
    mask: SigSet,
    quit: SignalFd,
}

/// What came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressed {
    /// This byte.
    Byte(u8),
    /// The end of the input.
    End,
    /// A signal that ends the program, or `interrupt` became readable.
    Signal,
}

impl Keys {
    /// Sets the terminal.
    ///
    /// # Errors
    /// `ENOTTY` if standard input is no terminal.
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
        // One byte, past the buffer of standard input: what is left there would not be seen by the poll.
        let mut byte = [0];
        let file = std::fs::File::from(stdin.as_fd().try_clone_to_owned()?);
        Ok(if (&file).read(&mut byte)? == 0 { Pressed::End } else { Pressed::Byte(byte[0]) })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
        // Now a SIGQUIT that came meanwhile does what it does.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None);
    }
}
