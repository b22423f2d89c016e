//! The shared secret, and where the command line finds it.

use crate::net::program::EndError;
use crate::sys::poll::{Deadline, readable};
use crate::sys::tmpfile::open_to_read_at_once;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::proof::Scheme;

/// The environment variable that holds the key.
const VARIABLE: &str = "PROCLAB_KEY";

/// The maximum length of a key in bytes.
const LONGEST: u64 = 64 << 10;

/// A shared secret, which is never shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct Key(Vec<u8>);

impl Key {
    /// A key of these bytes; `None` for an empty one.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        if bytes.is_empty() { None } else { Some(Self(bytes)) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The source of the key, and the scheme that proves it.
#[derive(Debug, Args, Serialize, Deserialize)]
pub struct Secret {
    /// Read the key from this file, without a line ending at its end [default: the key is in the environment
    /// variable PROCLAB_KEY]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// How an end proves that it has the key
    #[arg(long, value_enum, value_name = "SCHEME", default_value_t = Scheme::Md5)]
    pub scheme: Scheme,
    /// The key itself. Never an argument, because every user of the machine can read the command line.
    #[arg(skip)]
    pub key: Option<Key>,
}

impl Secret {
    /// The key; `None` if one of `stops` became readable before the key had arrived through a pipe.
    ///
    /// # Errors
    /// If the file is unreadable, or there is no key.
    pub(super) fn key(&self, stops: &[BorrowedFd<'_>]) -> Result<Option<Key>, EndError> {
        if let Some(key) = &self.key {
            return Ok(Some(key.clone()));
        }
        let (bytes, place) = match &self.key_file {
            Some(path) => match read(path, stops).map_err(usage)? {
                Some(bytes) => (bytes, path.display().to_string()),
                None => return Ok(None),
            },
            None => {
                let bytes = std::env::var_os(VARIABLE).map(OsStringExt::into_vec).unwrap_or_default();
                (bytes, VARIABLE.to_owned())
            }
        };
        let key = Key::new(bytes).ok_or_else(|| usage(format!("no key: {place} is empty or missing")))?;
        Ok(Some(key))
    }
}

fn usage(what: String) -> EndError {
    let hint = format!("set the environment variable {VARIABLE} to the key, or give a file with --key-file");
    EndError::Usage { what, hint }
}

/// The contents of the file without the line ending at its end; `None` if one of `stops` became readable first.
fn read(path: &Path, stops: &[BorrowedFd<'_>]) -> Result<Option<Vec<u8>>, String> {
    let unreadable = |why: &dyn fmt::Display| format!("the key is unreadable: {}: {why}", path.display());
    let Some(mut bytes) = read_to_end(path, stops).map_err(|error| unreadable(&error))? else {
        return Ok(None);
    };
    if bytes.len() as u64 > LONGEST {
        return Err(unreadable(&format_args!("it is longer than {LONGEST} bytes")));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(Some(bytes))
}

/// Reads at most one byte more than the longest key, regardless of the file's size: a pipe has none, and a device may
/// never end.
fn read_to_end(path: &Path, stops: &[BorrowedFd<'_>]) -> io::Result<Option<Vec<u8>>> {
    let file = open_to_read_at_once(path)?;
    let mut awaited = vec![file.as_fd()];
    awaited.extend(stops);
    let mut file = (&file).take(LONGEST + 1);
    let mut bytes = Vec::new();
    loop {
        if readable(&awaited, Deadline::NEVER)?[1..].contains(&true) {
            return Ok(None);
        }
        match file.read_to_end(&mut bytes) {
            Ok(_) => return Ok(Some(bytes)),
            // The bytes read so far are in `bytes`.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = Key::new(b"secret".to_vec()).unwrap();
        let secret = Secret { key_file: None, scheme: Scheme::Md5, key: Some(key) };
        assert!(!format!("{secret:?}").contains("secret\""), "{secret:?}");
        assert_eq!(format!("{:?}", secret.key.unwrap()), "Key(…)");
    }
}
