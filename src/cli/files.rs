//! Files that a command reads and writes. A file that it writes appears complete or not at all, and no temporary name
//! is left behind, even if the command is killed.

use super::fault::Fault;
use crate::sys::poll::{Deadline, readable};
use crate::sys::signal::Interrupt;
use crate::sys::tmpfile::{ENXIO, Folder, open_to_read, open_to_write_at_once};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reads a regular file of at most `most` bytes; a pipe or a terminal is refused, not waited for.
///
/// # Errors
/// `FileTooLarge`; `InvalidInput` for what is no regular file; else as `open(2)` and `read(2)`.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_to_read(path)?;
    let mut content = Vec::new();
    file.take(most + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most {
        let what = format!("it is longer than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(content)
}

/// A file being written: it appears under its name only once it is complete.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    destination: Destination,
    file: File,
}

#[derive(Debug)]
enum Destination {
    /// A device or a pipe is written to directly.
    Device,
    /// It has no name until it is complete, so that no kill leaves it behind.
    Nameless(Folder),
    /// The file system cannot do that: it has this temporary name in this folder.
    Aside(Folder, String),
}

impl Output {
    /// Makes the file in the folder of `path`, so that a path that cannot be written to fails at once.
    pub(super) fn create(path: &Path) -> Result<Self, Fault> {
        // What a link points to is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Self::open(path.clone()).map_err(|error| interrupted_or(&path, &error))
    }

    fn open(path: PathBuf) -> io::Result<Self> {
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(meta) if !meta.is_file() => {
                let file = open_device(&path)?;
                return Ok(Self { path, destination: Destination::Device, file });
            }
            _ => {}
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = Folder::open(parent.unwrap_or(Path::new(".")))?;
        if let Some(file) = folder.nameless()? {
            return Ok(Self { path, destination: Destination::Nameless(folder), file });
        }
        let aside = aside();
        let file = folder.create(&aside)?;
        Ok(Self { path, destination: Destination::Aside(folder, aside), file })
    }

    /// Writes the bytes and gives the file its name.
    pub(super) fn publish(mut self, bytes: &[u8]) -> Result<(), Fault> {
        let written = match self.destination {
            Destination::Device => write_to_device(&mut self.file, bytes),
            _ => self.file.write_all(bytes).and_then(|()| self.file.flush()),
        };
        written.and_then(|()| self.name_it()).map_err(|error| interrupted_or(&self.path, &error))
    }

    fn name_it(&self) -> io::Result<()> {
        match &self.destination {
            Destination::Device => Ok(()),
            Destination::Aside(folder, aside) => folder.rename(aside, name(&self.path)),
            Destination::Nameless(folder) => {
                // `linkat` makes a new name only, and `rename` needs one: so first a name aside, then the rename.
                let aside = aside();
                folder.publish(&self.file, &aside)?;
                folder.rename(&aside, name(&self.path)).inspect_err(|_| {
                    let _ = folder.remove(&aside);
                })
            }
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Destination::Aside(folder, aside) = &self.destination {
            // After it was published it is not there any more.
            let _ = folder.remove(aside);
        }
    }
}

/// Opens a device or a pipe to write. A pipe is waited for until someone reads it; Ctrl-C ends the wait.
fn open_device(path: &Path) -> io::Result<File> {
    loop {
        match open_to_write_at_once(path) {
            // A pipe without a reader.
            Err(error) if error.raw_os_error() == Some(ENXIO) => wait_a_moment()?,
            opened => return opened,
        }
    }
}

/// Writes all of it, as fast as it is taken; Ctrl-C ends the wait for a reader that is slow or stopped.
fn write_to_device(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_a_moment()?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Pauses briefly, or until a signal asks the program to end.
fn wait_a_moment() -> io::Result<()> {
    let deadline = Deadline::after(Duration::from_millis(20));
    let Some(interrupt) = Interrupt::installed() else {
        std::thread::sleep(Duration::from_millis(20));
        return Ok(());
    };
    match readable(&[interrupt.as_fd()], deadline)?[0] {
        true => Err(io::ErrorKind::Interrupted.into()),
        false => Ok(()),
    }
}

/// The signal that ended a wait, or why the file cannot be written.
fn interrupted_or(path: &Path, error: &io::Error) -> Fault {
    let signal = Interrupt::installed().and_then(Interrupt::received);
    match signal.filter(|_| error.kind() == io::ErrorKind::Interrupted) {
        Some(signal) => Fault::interrupted(signal),
        None => fault(path, error),
    }
}

/// The file name, of any bytes.
fn name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

/// A temporary name that other users of the folder cannot predict, short enough for every file system.
fn aside() -> String {
    format!(".proclab-{:032x}.part", rand::random::<u128>())
}

/// Why a file cannot be written, and what to do.
fn fault(path: &Path, error: &io::Error) -> Fault {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: free some room, or give a path on another disk"
        }
        io::ErrorKind::NotFound => "make the folder first",
        io::ErrorKind::PermissionDenied => "give a path that you may write to",
        _ => "give another path",
    };
    Fault::could_not_run(error).context(format!("cannot write {}", path.display())).hint(hint)
}
