//! Standard output: what a command has to say gets there, or the command says why it did not.

use super::fault::Fault;
use std::io::{self, Write};

/// Writes `text`, without its colours where nobody would see them.
///
/// A reader that has gone away (`| head`) has read enough: that is no fault.
pub(super) fn write(text: &str) -> Result<(), Fault> {
    let mut out = anstream::stdout();
    judge(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What becomes of an attempt to write to standard output.
pub(super) fn judge(written: io::Result<()>) -> Result<(), Fault> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::could_not_run(&error).context("standard output cannot be written"))
        }
        _ => Ok(()),
    }
}
