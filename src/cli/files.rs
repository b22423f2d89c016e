//! The files that a command reads and writes. An output file appears complete or not at all, and no temporary name
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

/// Reads a regular file of at most `most` bytes; a pipe or a terminal is refused.
///
/// # Errors
/// `FileTooLarge`; `InvalidInput` if it is not a regular file; those of `open(2)` and `read(2)`.
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
    /// The file has no name until it is complete, so a kill leaves nothing behind.
    Nameless(Folder),
    /// For file systems without nameless files: a file with this temporary name in this folder.
    Aside(Folder, String),
}

impl Output {
    /// Creates the file in the folder of `path`, so that an unwritable path fails immediately.
    pub(super) fn create(path: &Path) -> Result<Self, Fault> {
        // Replaces the target of a link, not the link.
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
                // `linkat` cannot replace a file, and `rename` needs a name: first a temporary name, then the rename.
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
            // Fails harmlessly after `publish`, which has renamed it.
            let _ = folder.remove(aside);
        }
    }
}

/// Opens a device or a pipe for writing. Waits until a pipe has a reader; Ctrl-C ends the wait.
fn open_device(path: &Path) -> io::Result<File> {
    loop {
        match open_to_write_at_once(path) {
            // A pipe without a reader.
            Err(error) if error.raw_os_error() == Some(ENXIO) => wait_a_moment()?,
            opened => return opened,
        }
    }
}

/// Writes all bytes, as fast as the reader takes them; Ctrl-C ends the wait for a slow or stopped reader.
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

/// The fault of a failed write: the signal that interrupted it, or the error.
fn interrupted_or(path: &Path, error: &io::Error) -> Fault {
    let signal = Interrupt::installed().and_then(Interrupt::received);
    match signal.filter(|_| error.kind() == io::ErrorKind::Interrupted) {
        Some(signal) => Fault::interrupted(signal),
        None => fault(path, error),
    }
}

/// The file name, which need not be UTF-8.
fn name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

/// A temporary name that other users of the folder cannot predict, short enough for every file system.
fn aside() -> String {
    format!(".proclab-{:032x}.part", rand::random::<u128>())
}

/// A fault that says why a file cannot be written, and what to do.
fn fault(path: &Path, error: &io::Error) -> Fault {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: free some space, or give a path on another disk"
        }
        io::ErrorKind::NotFound => "create the folder first",
        io::ErrorKind::PermissionDenied => "give a path that you may write to",
        _ => "give another path",
    };
    Fault::could_not_run(error).context(format!("cannot write {}", path.display())).hint(hint)
}
