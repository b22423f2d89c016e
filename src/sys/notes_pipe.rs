//! A pipe that a watched program inherits, and whose number it finds in its environment.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

/// The environment variable that holds the number of the pipe.
pub const VARIABLE: &str = "PROCLAB_NOTES_FD";

/// Creates a pipe whose reading end does not block. Both ends are close-on-exec.
///
/// # Errors
/// `EMFILE` when no descriptor is left.
pub fn pair() -> io::Result<(File, OwnedFd)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader.into(), writer))
}

/// The writing end that this program has inherited, if it is watched. Its children do not inherit the returned file.
///
/// Each call opens the pipe again through `/proc`, because the number may refer to another file by now and is never
/// owned here.
pub fn inherited() -> Option<File> {
    let fd: u32 = std::env::var(VARIABLE).ok()?.parse().ok().filter(|fd| *fd > 2)?;
    // Do not block if the watching process is gone.
    let mut options = File::options();
    options.write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let path = format!("/proc/self/fd/{fd}");
    if !std::fs::metadata(&path).ok()?.file_type().is_fifo() {
        return None;
    }
    let pipe = options.open(path).ok()?;
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::empty())).ok()?;
    Some(pipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::process::{Command, Stdio};

    #[test]
    fn the_pipe_can_be_opened_any_number_of_times() {
        if std::env::var_os(VARIABLE).is_some() {
            // This is the copy of the program that is started below.
            for note in ["one", "two"] {
                inherited().unwrap().write_all(note.as_bytes()).unwrap();
            }
            return;
        }
        let (mut reader, writer) = pair().unwrap();
        let number = writer.as_raw_fd();
        fcntl(&writer, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
        let name = "sys::notes_pipe::tests::the_pipe_can_be_opened_any_number_of_times";
        let status = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact"])
            .env(VARIABLE, number.to_string())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        drop(writer);
        let mut notes = String::new();
        reader.read_to_string(&mut notes).unwrap();
        assert_eq!(notes, "onetwo");
    }
}
