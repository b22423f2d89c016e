//! The receiving end of a transfer.

use crate::net::connection::{Connection, ConnectionError};
use crate::net::file::digest::{Hash, Hasher, Sum};
use crate::net::file::header::{self, Header};
use crate::net::file::pace::Pace;
use crate::net::file::store::{Incoming, Store};
use crate::net::framing;
use crate::net::server::dismiss;
use crate::process::chain;
use crate::wire::frame::encode;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

/// How long the sender may take to end its stream after the last byte. Bytes that arrive within that time show that the
/// stated size was wrong.
const END: Duration = Duration::from_secs(1);

/// A file that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Received {
    /// Its name in the folder.
    pub(super) name: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// The digest of what was received.
    pub(super) sum: Sum,
}

/// The receiver's answer to a sender that resumes, as JSON in a frame.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// This many bytes have been received already.
    Offset(u64),
    /// The whole file has been received, and has this digest.
    Blake3(String),
    /// Like `Blake3`.
    Sha256(String),
    /// The file is refused, for this reason.
    Refused(String),
}

impl Answer {
    pub(super) fn digest(sum: Sum) -> Self {
        match sum.hash {
            Hash::Blake3 => Self::Blake3(sum.to_string()),
            Hash::Sha256 => Self::Sha256(sum.to_string()),
        }
    }

    fn to_frame(&self) -> Vec<u8> {
        // A number or a string can always be serialized, and is shorter than the limit.
        let json = serde_json::to_vec(self).unwrap_or_default();
        encode(&json, header::LIMIT).unwrap_or_default()
    }
}

/// Receives one file into `store`. A sender may resume a transfer only if `resume` is true. The digest is
/// computed with the function that the sender names, or else with `hash`.
///
/// # Errors
/// If the header or its name is refused, the size is above `limit`, there are more or fewer bytes than stated, the file
/// cannot be written, or the connection stalls or breaks. The folder is then unchanged, and the sender has been told
/// why.
pub(super) fn receive(
    connection: &Connection,
    store: &Store,
    limit: u64,
    hash: Hash,
    resume: bool,
) -> Result<Received, ConnectionError> {
    let mut asked_to_resume = false;
    receive_file(connection, store, limit, hash, resume, &mut asked_to_resume).inspect_err(|error| {
        if matches!(error, ConnectionError::Refused(_) | ConnectionError::Frame(_)) {
            let reply = if asked_to_resume {
                Answer::Refused(error.to_string()).to_frame()
            } else {
                format!("refused: {error}\n").into_bytes()
            };
            dismiss(connection.stream(), &reply);
        }
    })
}

fn receive_file(
    connection: &Connection,
    store: &Store,
    limit: u64,
    hash: Hash,
    resume: bool,
    asked_to_resume: &mut bool,
) -> Result<Received, ConnectionError> {
    let mut early = Vec::new();
    let bytes = framing::receive_one(connection, header::LIMIT, &mut early)?;
    let header = Header::parse(&bytes).map_err(because)?;
    *asked_to_resume = header.resume.is_some();
    let hash = header.hash.unwrap_or(if *asked_to_resume { Hash::Sha256 } else { hash });
    let size = header.filesize;
    if size > limit {
        return Err(refused(format!("a file of {size} bytes is refused: the limit is {limit} bytes")));
    }
    match &header.resume {
        None => {
            let incoming = store.begin(&header.filename).map_err(because)?;
            let mut hasher = Hasher::new(hash, size);
            receive_bytes(connection, &incoming, &mut hasher, &early, 0, size)?;
            expect_end(connection)?;
            finish(incoming, header, hasher.finish())
        }
        Some(_) if !resume => Err(refused("the sender wants to resume: this end needs --resume too")),
        Some(_) if !early.is_empty() => Err(refused("bytes arrived before they were requested")),
        Some(digest) => {
            let incoming = store.resume(&header.filename, digest).map_err(because)?;
            let mut hasher = Hasher::new(hash, size);
            let from = hash_present(&incoming, &mut hasher, size)?;
            connection.write_all(&Answer::Offset(from).to_frame())?;
            receive_bytes(connection, &incoming, &mut hasher, &[], from, size)?;
            let sum = hasher.finish();
            if sum.to_string() != *digest {
                incoming.discard();
                return Err(refused(format!("the file's digest is {sum:?}, but the sender stated {digest}")));
            }
            let received = finish(incoming, header, sum)?;
            connection.write_all(&Answer::digest(sum).to_frame())?;
            Ok(received)
        }
    }
}

fn receive_bytes(
    connection: &Connection,
    incoming: &Incoming<'_>,
    hasher: &mut Hasher,
    mut early: &[u8],
    from: u64,
    size: u64,
) -> Result<(), ConnectionError> {
    let mut pace = Pace::new(connection, from, size);
    let mut at = from;
    if early.len() as u64 > size - at {
        return Err(more_than_said(size));
    }
    while at < size {
        let mut buffer = hasher.buffer();
        let room = usize::try_from(size - at).unwrap_or(usize::MAX).min(buffer.len());
        let ahead = early.len().min(room);
        buffer[..ahead].copy_from_slice(&early[..ahead]);
        early = &early[ahead..];
        let (n, filled) = fill(connection, &mut buffer[..room], ahead);
        // Bytes that arrived before an end or an error are kept: a later transfer continues after them.
        hasher.hash_and(buffer, n, |bytes| incoming.write_all(bytes)).map_err(because)?;
        at += n as u64;
        filled?;
        if n < room {
            return Err(ConnectionError::Cut { what: "the file", got: at, want: size });
        }
        pace.at(at);
    }
    Ok(())
}

/// Fills `buffer` after its first `n` bytes, to its end or that of the stream, and returns how many bytes it then
/// contains. Passing on full buffers avoids a write and a wake-up per read.
fn fill(connection: &Connection, buffer: &mut [u8], mut n: usize) -> (usize, Result<(), ConnectionError>) {
    while n < buffer.len() {
        match connection.read(&mut buffer[n..]) {
            Ok(0) => break,
            Ok(got) => n += got,
            Err(error) => return (n, Err(error)),
        }
    }
    (n, Ok(()))
}

/// Checks that no more bytes arrive: the sender ends its stream, or sends nothing for a while.
fn expect_end(connection: &Connection) -> Result<(), ConnectionError> {
    match connection.read_timeout(&mut [0; 1], END) {
        Ok(Some(0) | None) | Err(ConnectionError::Reset) => Ok(()),
        Ok(Some(_)) => Err(refused("more bytes arrived than the header stated")),
        Err(error) => Err(error),
    }
}

fn finish(incoming: Incoming<'_>, header: Header, sum: Sum) -> Result<Received, ConnectionError> {
    incoming.publish().map_err(because)?;
    Ok(Received { name: header.filename, size: header.filesize, sum })
}

/// Hashes the part that an earlier transfer left, and moves to its end.
fn hash_present(incoming: &Incoming<'_>, hasher: &mut Hasher, size: u64) -> Result<u64, ConnectionError> {
    let failed = || ConnectionError::io("cannot read the part that an earlier transfer left");
    let mut file = incoming.file();
    let mut present = file.metadata().map_err(failed())?.len();
    if present > size {
        file.set_len(0).map_err(failed())?;
        present = 0;
    }
    let mut at = 0;
    while at < present {
        let mut buffer = hasher.buffer();
        let room = usize::try_from(present - at).unwrap_or(usize::MAX).min(buffer.len());
        let n = file.read(&mut buffer[..room]).map_err(failed())?;
        if n == 0 {
            break;
        }
        hasher.hash(buffer, n);
        at += n as u64;
    }
    file.seek(SeekFrom::Start(at)).map_err(failed())?;
    Ok(at)
}

pub(super) fn refused(why: impl Into<String>) -> ConnectionError {
    ConnectionError::Refused(why.into())
}

fn because(error: impl std::error::Error + 'static) -> ConnectionError {
    refused(chain(&error))
}

fn more_than_said(size: u64) -> ConnectionError {
    refused(format!("more bytes arrived than the {size} that the header stated"))
}
