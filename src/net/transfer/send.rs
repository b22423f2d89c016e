//! The sending end of a transfer.

use crate::net::connection::{Connection, ConnectionError};
use crate::net::event::What;
use crate::net::frames;
use crate::net::transfer::digest::{BUFFER, Hasher, Sum};
use crate::net::transfer::header::{Header, judge_name};
use crate::net::transfer::receive::{Answer, Pace, refused};
use crate::wire::frame::{PREFIX, encode};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// The most that the other end's last words may be.
const WORDS: usize = 1024;

/// Sends the file at `path`. With `resume`, the other end must be ours and says where to go on.
///
/// # Errors
/// When the file cannot be read or changes its size, or the other end refuses, stalls or is gone.
pub fn send(connection: &Connection, path: &Path, resume: bool) -> Result<Sum, ConnectionError> {
    let (mut file, header) = open(path, resume)?;
    let mut hasher = Hasher::new(header.filesize);
    let mut from = 0;
    let mut answers = Answers { connection, ahead: Vec::new() };
    let frame = encode(header.to_json().as_bytes(), super::header::LIMIT)?;
    let sent = connection.write_all(&frame).and_then(|()| {
        if resume {
            from = answers.offset(header.filesize)?;
            hash_only(&mut file, from, &mut hasher)?;
        }
        send_rest(connection, &mut file, &mut hasher, from, header.filesize)
    });
    if let Err(error) = sent {
        return Err(better_reason(connection, error));
    }
    let sum = hasher.finish();
    if resume {
        answers.confirm(sum)?;
    }
    connection.finish_sending();
    // The other end closes when it has all of it; its last words are why it does not want it.
    match last_words(connection) {
        Ok(words) if words.is_empty() => Ok(sum),
        Ok(words) => Err(ConnectionError::Refused(format!("the other end says {words:?}"))),
        Err(error) => Err(error),
    }
}

/// Says whether the file at `path` can be sent, before anyone is connected to.
///
/// # Errors
/// When it cannot be read, is no regular file, or has a name that the other end would refuse.
pub fn check(path: &Path) -> Result<(), ConnectionError> {
    open(path, false).map(|_| ())
}

fn open(path: &Path, resume: bool) -> Result<(File, Header), ConnectionError> {
    let open_error = || ConnectionError::io("the file cannot be opened");
    // Looked at first: opening a FIFO without a writer would wait here for ever.
    if !std::fs::metadata(path).map_err(open_error())?.is_file() {
        return Err(refused("only a regular file can be sent"));
    }
    let mut file = File::open(path).map_err(open_error())?;
    let about = file.metadata().map_err(ConnectionError::io("the file cannot be looked at"))?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    judge_name(name).map_err(|why| refused(format!("the name {name:?} cannot be sent: {why}")))?;
    let mut header = Header { filename: name.to_owned(), filesize: about.len(), resume: None };
    if resume {
        let mut hasher = Hasher::new(header.filesize);
        hash_only(&mut file, header.filesize, &mut hasher)?;
        header.resume = Some(hasher.finish().to_string());
        file.seek(SeekFrom::Start(0)).map_err(ConnectionError::io("the file cannot be read again"))?;
    }
    Ok((file, header))
}

fn send_rest(
    connection: &Connection,
    file: &mut File,
    hasher: &mut Hasher,
    from: u64,
    size: u64,
) -> Result<(), ConnectionError> {
    let mut pace = Pace::new(connection, from, size);
    let mut at = from;
    while at < size {
        let mut buffer = hasher.buffer();
        let want = usize::try_from(size - at).unwrap_or(BUFFER).min(buffer.len());
        let n = read_some(file, &mut buffer[..want])?;
        connection.write_all(&buffer[..n])?;
        hasher.hash(buffer, n);
        at += n as u64;
        pace.at(at);
    }
    Ok(())
}

/// Hashes the first bytes of the file without sending them.
fn hash_only(file: &mut File, upto: u64, hasher: &mut Hasher) -> Result<(), ConnectionError> {
    let mut at = 0;
    while at < upto {
        let mut buffer = hasher.buffer();
        let want = usize::try_from(upto - at).unwrap_or(BUFFER).min(buffer.len());
        let n = read_some(file, &mut buffer[..want])?;
        hasher.hash(buffer, n);
        at += n as u64;
    }
    Ok(())
}

fn read_some(file: &mut File, buffer: &mut [u8]) -> Result<usize, ConnectionError> {
    loop {
        match file.read(buffer) {
            Ok(0) => return Err(refused("the file has become shorter while it was sent")),
            Ok(n) => return Ok(n),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(ConnectionError::Io { doing: "the file cannot be read", source }),
        }
    }
}

/// What the other end of a transfer that is resumed says.
struct Answers<'a> {
    connection: &'a Connection,
    /// What came behind an answer: the next one, where nothing was left to send.
    ahead: Vec<u8>,
}

impl Answers<'_> {
    fn offset(&mut self, size: u64) -> Result<u64, ConnectionError> {
        match self.next()? {
            Answer::Offset(offset) if offset <= size => {
                if offset > 0 {
                    let note = format!("the other end has {offset} of {size} bytes: the rest is sent");
                    self.connection.tell(What::Note(note));
                }
                Ok(offset)
            }
            other => Err(refused(format!("the other end's answer {other:?} makes no sense"))),
        }
    }

    fn confirm(&mut self, sum: Sum) -> Result<(), ConnectionError> {
        match self.next()? {
            Answer::Sha256(theirs) if theirs == sum.to_string() => Ok(()),
            other => {
                Err(refused(format!("the other end has not confirmed SHA-256 {sum} but said {other:?}")))
            }
        }
    }

    fn next(&mut self) -> Result<Answer, ConnectionError> {
        let bytes = frames::receive_one(self.connection, WORDS, &mut self.ahead)?;
        match serde_json::from_slice(&bytes) {
            Ok(Answer::Refused(why)) => Err(refused(format!("the other end says {why:?}"))),
            Ok(answer) => Ok(answer),
            Err(_) => Err(refused("the other end does not answer as one that resumes does")),
        }
    }
}

/// A send that fails is mostly the other end's refusal, and its words may have come already.
fn better_reason(connection: &Connection, error: ConnectionError) -> ConnectionError {
    let mut words = [0; WORDS];
    match connection.read_timeout(&mut words, Duration::from_millis(200)) {
        Ok(Some(n)) if n > 0 && matches!(error, ConnectionError::Reset) => {
            let words = &words[..n];
            let why = match words.get(PREFIX..).map(serde_json::from_slice) {
                Some(Ok(Answer::Refused(why))) => why,
                _ => String::from_utf8_lossy(words).trim_end().to_owned(),
            };
            refused(format!("the other end says {why:?}"))
        }
        _ => error,
    }
}

fn last_words(connection: &Connection) -> Result<String, ConnectionError> {
    let mut words = Vec::new();
    let mut piece = [0; WORDS];
    while words.len() < WORDS {
        match connection.read(&mut piece)? {
            0 => break,
            n => words.extend_from_slice(&piece[..n]),
        }
    }
    words.truncate(WORDS);
    Ok(String::from_utf8_lossy(&words).trim_end().to_owned())
}
