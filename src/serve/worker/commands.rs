//! Receives commands while the worker is busy with something that a signal ends, as Ctrl-C does.

use std::io;
use std::os::fd::AsFd;
use std::sync::mpsc;

use crate::process::Signal;
use crate::serve::protocol::Command;
use crate::sys::pid::Pid;
use crate::sys::pidfd;
use crate::sys::poll::{Deadline, readable};
use crate::sys::signal::Interrupt;
use crate::wire::control::Receiver;

/// Passes commands on. Once the page stops the job or is gone, this process is interrupted.
pub(super) fn receive(
    commands: Receiver<Command>,
    interrupt: Interrupt,
) -> io::Result<mpsc::Receiver<Command>> {
    let (tell, heard) = mpsc::channel();
    std::thread::Builder::new().spawn(move || {
        loop {
            let ready = readable(&[commands.as_fd(), interrupt.as_fd()], Deadline::NEVER);
            let command = match ready {
                Ok(ready) if !ready[1] => commands.recv().ok(),
                _ => return,
            };
            let passed = command.filter(|command| !matches!(command, Command::Stop));
            if passed.is_none_or(|command| tell.send(command).is_err()) {
                break;
            }
        }
        if let Ok(this) = pidfd::open(Pid::this()) {
            let _ = pidfd::send_signal(this.as_fd(), Signal::TERM.0);
        }
    })?;
    Ok(heard)
}
