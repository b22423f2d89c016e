//! The sending end of a transfer.

use crate::net::connection::{Connection, ConnectionError};
use crate::net::file::digest::{BUFFER, Hash, Hasher, Sum};
use crate::net::file::header::{Header, judge_name};
use crate::net::file::pace::Pace;
use crate::net::file::receive::{Answer, refused};
use crate::net::framing;
use crate::sys::tmpfile::open_to_read;
use crate::wire::frame::{PREFIX, encode};
use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

sentences! {
    /// Remarks of the sender.
    pub(super) enum Note {
        Resumes { offset: u64, size: u64 } =>
            "the other end has {offset} of {size} bytes: sending the rest", "对方已有 {size} 字节中的 {offset} 字节：发送其余部分";
    }
}

/// The maximum length of a reply of the other end in bytes.
const REPLY: usize = 1024;

/// Files of up to this size are read before the header is sent, because the actual size of the kernel's own files
/// (`/proc`, `/sys`) differs from the stated one.
const SNAPSHOT: u64 = 1 << 20;

/// Sends the file at `path` and returns its digest. With `resume`, the other end must be `proclab` too, and says where
/// to continue.
///
/// # Errors
/// If the file cannot be read or changes its size while it is sent, or the other end refuses, stalls or disconnects. A
/// receiver then keeps nothing.
pub(super) fn send(
    connection: &Connection,
    path: &Path,
    hash: Hash,
    resume: bool,
) -> Result<Sum, ConnectionError> {
    let (mut source, mut header) = open(path)?;
    let size = header.filesize;
    if resume {
        let mut hasher = Hasher::new(hash, size);
        hash_only(&mut source, size, &mut hasher)?;
        header.resume = Some(hasher.finish().to_string());
        source.seek(SeekFrom::Start(0)).map_err(ConnectionError::io("cannot read the file a second time"))?;
    }
    // Without it the header equals that of the Python programs.
    header.hash = (resume || hash != Hash::default()).then_some(hash);
    let mut hasher = Hasher::new(hash, size);
    let mut answers = Answers { connection, ahead: Vec::new() };
    let frame = encode(header.to_json().as_bytes(), super::header::LIMIT)?;
    let sent = connection.write_all(&frame).and_then(|()| {
        let from = if resume { answers.offset(size)? } else { 0 };
        hash_only(&mut source, from, &mut hasher)?;
        send_rest(connection, &mut source, &mut hasher, from, size)
    });
    if let Err(error) = sent {
        return Err(better_reason(connection, error));
    }
    let sum = hasher.finish();
    if resume {
        answers.confirm(sum)?;
    }
    connection.finish_sending();
    // The other end closes once it has received everything; a reply says why it refuses the file.
    match last_reply(connection) {
        Ok(reply) if reply.is_empty() => Ok(sum),
        Ok(reply) => Err(refused(format!("the other end says {reply:?}"))),
        Err(error) => Err(error),
    }
}

/// Checks that the file at `path` can be sent, before any connection is made.
///
/// # Errors
/// If it cannot be read, is not a regular file, or has a name that the other end would refuse.
pub(super) fn check(path: &Path) -> Result<(), ConnectionError> {
    open(path).map(|_| ())
}

/// The file, or its content if it is small.
enum Source {
    File(File),
    Snapshot(Cursor<Vec<u8>>),
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Snapshot(bytes) => bytes.read(buffer),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Snapshot(bytes) => bytes.seek(to),
        }
    }
}

fn open(path: &Path) -> Result<(Source, Header), ConnectionError> {
    let mut file = open_to_read(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::IsADirectory => refused("only a regular file can be sent"),
        _ => ConnectionError::Io { doing: "cannot open the file", source: error },
    })?;
    let name = path.file_name().unwrap_or_default();
    let Some(name) = name.to_str() else {
        return Err(refused(format!("the name {name:?} cannot be sent: it is not UTF-8")));
    };
    judge_name(name).map_err(|why| refused(format!("the name {name:?} cannot be sent: {why}")))?;
    let stated = file.metadata().map_err(ConnectionError::io("cannot read the file's size"))?.len();
    let (source, filesize) = if stated > SNAPSHOT {
        (Source::File(file), stated)
    } else {
        let mut bytes = Vec::new();
        let read = file.by_ref().take(SNAPSHOT + 1).read_to_end(&mut bytes);
        let n = read.map_err(ConnectionError::io("cannot read the file"))? as u64;
        if n > SNAPSHOT {
            return Err(refused(format!(
                "the file states a size of {stated} bytes and has more: copy it, and send the copy"
            )));
        }
        (Source::Snapshot(Cursor::new(bytes)), n)
    };
    Ok((source, Header { filename: name.to_owned(), filesize, hash: None, resume: None }))
}

fn send_rest(
    connection: &Connection,
    source: &mut Source,
    hasher: &mut Hasher,
    from: u64,
    size: u64,
) -> Result<(), ConnectionError> {
    let mut pace = Pace::new(connection, from, size);
    let mut at = from;
    while at < size {
        let mut buffer = hasher.buffer();
        let want = usize::try_from(size - at).unwrap_or(BUFFER).min(buffer.len());
        let n = read_some(source, &mut buffer[..want])?;
        at += n as u64;
        // Checked before the last bytes are sent, so that no receiver mistakes the beginning for the whole file.
        if at == size && read_once(source, &mut [0])? > 0 {
            return Err(refused(format!("the file grew beyond {size} bytes while it was sent")));
        }
        hasher.hash_and(buffer, n, |bytes| connection.write_all(bytes))?;
        pace.at(at);
    }
    Ok(())
}

/// Hashes the first bytes of the file without sending them.
fn hash_only(source: &mut Source, upto: u64, hasher: &mut Hasher) -> Result<(), ConnectionError> {
    let mut at = 0;
    while at < upto {
        let mut buffer = hasher.buffer();
        let want = usize::try_from(upto - at).unwrap_or(BUFFER).min(buffer.len());
        let n = read_some(source, &mut buffer[..want])?;
        hasher.hash(buffer, n);
        at += n as u64;
    }
    Ok(())
}

fn read_some(source: &mut Source, buffer: &mut [u8]) -> Result<usize, ConnectionError> {
    match read_once(source, buffer)? {
        0 => Err(refused("the file became shorter while it was sent")),
        n => Ok(n),
    }
}

fn read_once(source: &mut Source, buffer: &mut [u8]) -> Result<usize, ConnectionError> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map_err(ConnectionError::io("cannot read the file")),
        }
    }
}

/// The answers of the other end of a resumed transfer.
struct Answers<'a> {
    connection: &'a Connection,
    /// Bytes that arrived after an answer: the next answer, if nothing was left to send.
    ahead: Vec<u8>,
}

impl Answers<'_> {
    fn offset(&mut self, size: u64) -> Result<u64, ConnectionError> {
        match self.next()? {
            Answer::Offset(offset) if offset <= size => {
                if offset > 0 {
                    self.connection.note(Note::Resumes { offset, size });
                }
                Ok(offset)
            }
            other => Err(refused(format!("the other end's answer {other:?} is not valid here"))),
        }
    }

    fn confirm(&mut self, sum: Sum) -> Result<(), ConnectionError> {
        match self.next()? {
            answer if answer == Answer::digest(sum) => Ok(()),
            other => Err(refused(format!("the other end has not confirmed {sum:?} but said {other:?}"))),
        }
    }

    fn next(&mut self) -> Result<Answer, ConnectionError> {
        let bytes = framing::receive_one(self.connection, REPLY, &mut self.ahead)?;
        match serde_json::from_slice(&bytes) {
            Ok(Answer::Refused(why)) => Err(refused(format!("the other end says {why:?}"))),
            Ok(answer) => Ok(answer),
            Err(_) => Err(refused("the other end cannot resume: it needs `receive --resume`")),
        }
    }
}

/// A send usually fails because the other end refuses the file; the reason may already have arrived.
fn better_reason(connection: &Connection, error: ConnectionError) -> ConnectionError {
    let mut reply = [0; REPLY];
    match connection.read_timeout(&mut reply, Duration::from_millis(200)) {
        Ok(Some(n)) if n > 0 && matches!(error, ConnectionError::Reset) => {
            let reply = &reply[..n];
            let why = match reply.get(PREFIX..).map(serde_json::from_slice) {
                Some(Ok(Answer::Refused(why))) => why,
                _ => String::from_utf8_lossy(reply).trim_end().to_owned(),
            };
            refused(format!("the other end says {why:?}"))
        }
        _ => error,
    }
}

fn last_reply(connection: &Connection) -> Result<String, ConnectionError> {
    let mut reply = Vec::new();
    let mut piece = [0; REPLY];
    while reply.len() < REPLY {
        match connection.read(&mut piece)? {
            0 => break,
            n => reply.extend_from_slice(&piece[..n]),
        }
    }
    reply.truncate(REPLY);
    Ok(String::from_utf8_lossy(&reply).trim_end().to_owned())
}
