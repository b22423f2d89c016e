//! Files that a watch leaves: made before the run, filled and published after it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::failure;
use crate::cli::fault::Fault;

/// A file to be: nobody sees it under its name before it is whole.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    /// Written aside and renamed at the end; nothing for a device or pipe, which is written to directly.
    aside: Option<PathBuf>,
    file: File,
}

impl Output {
    /// Makes the file beside its place, so that a path that cannot be written to fails at once.
    pub(super) fn create(path: &Path) -> Result<Self, Fault> {
        let opened = match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Ok(meta) if !meta.is_file() => OpenOptions::new().write(true).open(path).map(|file| (None, file)),
            _ => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let aside = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
                File::create(&aside).map(|file| (Some(aside), file))
            }
        };
        let (aside, file) = opened.map_err(|error| failure::file(path, &error))?;
        Ok(Self { path: path.to_owned(), aside, file })
    }

    /// Writes the bytes and gives the file its name.
    pub(super) fn publish(mut self, bytes: &[u8]) -> Result<(), Fault> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.flush());
        let published = written.and_then(|()| match self.aside.take() {
            Some(aside) => fs::rename(&aside, &self.path).inspect_err(|_| {
                let _ = fs::remove_file(&aside);
            }),
            None => Ok(()),
        });
        published.map_err(|error| failure::file(&self.path, &error))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(aside) = &self.aside {
            let _ = fs::remove_file(aside);
        }
    }
}
