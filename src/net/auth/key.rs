//! The shared secret, and where the command line finds it.

use crate::net::program::EndError;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::proof::Scheme;

/// The environment variable that holds the key.
const VARIABLE: &str = "PROCLAB_KEY";

/// The longest key in bytes.
const LONGEST: u64 = 64 << 10;

/// A shared secret; it is never shown.
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

/// Where the key is, and how it is proven.
#[derive(Debug, Args, Serialize, Deserialize)]
pub struct Secret {
    /// The file that holds the key, without the line ending at its end. If this option is missing, the
    /// environment variable PROCLAB_KEY holds the key
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// How the key is proven
    #[arg(long, value_enum, value_name = "SCHEME", default_value_t = Scheme::Md5)]
    pub scheme: Scheme,
    /// The key itself; never on the command line, which every user of the machine can read.
    #[arg(skip)]
    pub key: Option<Key>,
}

impl Secret {
    /// The key.
    ///
    /// # Errors
    /// When the file is unreadable, or there is no key.
    pub(super) fn key(&self) -> Result<Key, EndError> {
        if let Some(key) = &self.key {
            return Ok(key.clone());
        }
        let (bytes, place) = match &self.key_file {
            Some(path) => (read(path).map_err(usage)?, path.display().to_string()),
            None => {
                let bytes = std::env::var_os(VARIABLE).map(OsStringExt::into_vec).unwrap_or_default();
                (bytes, VARIABLE.to_owned())
            }
        };
        Key::new(bytes).ok_or_else(|| usage(format!("no key: {place} is empty or missing")))
    }
}

fn usage(what: String) -> EndError {
    let hint = format!("put the key into the environment variable {VARIABLE}, or into a file for --key-file");
    EndError::Usage { what, hint }
}

/// The contents of the file without the line ending at its end.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |why: &dyn fmt::Display| format!("the key is unreadable: {}: {why}", path.display());
    let mut bytes = Vec::new();
    // Not by the size that it states: a pipe has none, and a device may never end.
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > LONGEST {
        return Err(unreadable(&format_args!("it is longer than {LONGEST} bytes")));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(bytes)
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
