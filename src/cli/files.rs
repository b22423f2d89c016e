//! Files that a command reads and leaves. One that it leaves is whole or not there, and nothing lies about
//! under another name, even if the command is killed.

use super::fault::Fault;
use crate::sys::tmpfile::{Folder, open_to_read};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Reads a regular file of at most `most` bytes; nobody waits for what a pipe or a terminal may say.
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

/// A file to be: nobody sees it under its name before it is whole.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    place: Place,
    file: File,
}

#[derive(Debug)]
enum Place {
    /// A device or a pipe is written to directly.
    Device,
    /// It has no name until it is whole, so that no kill leaves it behind.
    Nameless(Folder),
    /// The file system can't do that: it lies beside its place under this name.
    Aside(PathBuf),
}

impl Output {
    /// Makes the file in the folder of `path`, so that a path that cannot be written to fails at once.
    pub(super) fn create(path: &Path) -> Result<Self, Fault> {
        // What a link points to is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Self::open(path.clone()).map_err(|error| fault(&path, &error))
    }

    fn open(path: PathBuf) -> io::Result<Self> {
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(meta) if !meta.is_file() => {
                let file = OpenOptions::new().write(true).open(&path)?;
                return Ok(Self { path, place: Place::Device, file });
            }
            _ => {}
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = Folder::open(parent.unwrap_or(Path::new(".")))?;
        if let Some(file) = folder.nameless()?.filter(|_| name(&path).is_some()) {
            return Ok(Self { path, place: Place::Nameless(folder), file });
        }
        let aside = path.with_file_name(aside(&path));
        let file = File::create(&aside)?;
        Ok(Self { path, place: Place::Aside(aside), file })
    }

    /// Writes the bytes and gives the file its name.
    pub(super) fn publish(mut self, bytes: &[u8]) -> Result<(), Fault> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.flush());
        written.and_then(|()| self.name_it()).map_err(|error| fault(&self.path, &error))
    }

    fn name_it(&self) -> io::Result<()> {
        match &self.place {
            Place::Device => Ok(()),
            Place::Aside(aside) => fs::rename(aside, &self.path),
            Place::Nameless(folder) => {
                // A name is given only where there is none, and a file replaced only by one with a name.
                let (name, aside) = (name(&self.path).unwrap_or_default(), aside(&self.path));
                let _ = folder.remove(&aside);
                folder.publish(&self.file, &aside)?;
                folder.rename(&aside, name).inspect_err(|_| {
                    let _ = folder.remove(&aside);
                })
            }
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Place::Aside(aside) = &self.place {
            // After it was published it is not there any more.
            let _ = fs::remove_file(aside);
        }
    }
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn aside(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.{}.part", std::process::id())
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
