//! Every server, each with a good client that continues its conversation while others misbehave.

use super::ends::{End, Folder, WAIT, proclab, wait_until};
use proclab::net::auth::{Key, md5_answer};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Instant;

/// The protocol of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Echo,
    Upper,
    Chat,
    Sticky,
    Frames,
    File,
    Auth,
}

/// All TCP servers, in all variants.
pub(crate) const SERVERS: [(Kind, &[&str]); 10] = [
    (Kind::Echo, &["echo", "serve"]),
    (Kind::Echo, &["echo", "serve", "--workers", "process"]),
    (Kind::Upper, &["upper", "serve", "--mode", "busy"]),
    (Kind::Upper, &["upper", "serve", "--mode", "ready"]),
    (Kind::Chat, &["chat", "serve"]),
    (Kind::Sticky, &["sticky", "serve"]),
    (Kind::Frames, &["sticky", "serve", "--framed"]),
    (Kind::Frames, &["frames", "serve"]),
    (Kind::File, &["file", "receive", "--bind", "127.0.0.1:0"]),
    (Kind::Auth, &["auth", "serve"]),
];

/// The command of a server with further options; received files go into `inbox`.
pub(crate) fn command(kind: Kind, args: &[&str], more: &[&str], inbox: &Folder) -> Command {
    let into = inbox.path("");
    let into: &[&str] = if kind == Kind::File { &["--into", &into] } else { &[] };
    proclab(&[args, into, more].concat())
}

pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.set_write_timeout(Some(WAIT)).unwrap();
    stream
}

/// Python's `struct.pack('i', n)` followed by n bytes.
pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_le_bytes(), body].concat()
}

/// A good client in the middle of its conversation.
pub(crate) struct Guest {
    kind: Kind,
    stream: TcpStream,
    turns: usize,
    name: String,
}

/// The bytes of each turn, and the turns of a file.
const TURN: usize = 6;
const FILE_TURNS: usize = 100;

impl Guest {
    /// Connects, and takes the first turn.
    pub(crate) fn new(kind: Kind, server: &End, address: &str, name: &str) -> Self {
        let unfinished = unfinished_files(server);
        let mut stream = connect(address);
        match kind {
            Kind::Auth => {
                let mut nonce = [0; 32];
                stream.read_exact(&mut nonce).unwrap();
                let key = Key::new(b"alexsb".to_vec()).unwrap();
                stream.write_all(&md5_answer(&key, &nonce)).unwrap();
            }
            Kind::File => {
                let size = FILE_TURNS * TURN;
                let json = format!("{{\"filename\": \"{name}\", \"filesize\": {size}}}");
                stream.write_all(&frame(json.as_bytes())).unwrap();
                // A server that is asked to stop need not accept waiting connections.
                wait_until("the file is begun", || unfinished_files(server) > unfinished);
            }
            _ => {}
        }
        let mut guest = Self { kind, stream, turns: 0, name: name.to_owned() };
        guest.turn(server);
        guest
    }

    fn words(turn: usize) -> String {
        format!("tür{turn:02}")
    }

    /// Sends something, and waits until the server has answered or printed it.
    pub(crate) fn turn(&mut self, server: &End) {
        let words = Self::words(self.turns % 100);
        assert_eq!(words.len(), TURN);
        self.turns += 1;
        let bytes =
            if self.kind == Kind::Frames { frame(words.as_bytes()) } else { words.clone().into_bytes() };
        if self.kind == Kind::File && self.turns > FILE_TURNS {
            return;
        }
        self.stream.write_all(&bytes).unwrap();
        match self.kind {
            Kind::Echo => self.answered(&words),
            Kind::Upper | Kind::Auth => self.answered(&words.to_uppercase()),
            Kind::Chat | Kind::Sticky | Kind::Frames => shown(server, &words),
            Kind::File => {}
        }
    }

    fn answered(&mut self, expected: &str) {
        let mut answer = [0; TURN];
        self.stream.read_exact(&mut answer).unwrap();
        assert_eq!(std::str::from_utf8(&answer), Ok(expected));
    }

    /// Ends the sending direction, and continues to receive.
    pub(crate) fn end(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the conversation. A file then has its name and is complete; it is removed.
    pub(crate) fn finish(mut self, server: &End, inbox: &Folder) {
        self.turn(server);
        if self.kind == Kind::File {
            while self.turns < FILE_TURNS {
                self.turn(server);
            }
        }
        self.stream.shutdown(Shutdown::Write).unwrap();
        self.stream.read_to_end(&mut Vec::new()).unwrap_or_else(|error| panic!("{:?}: {error}", self.kind));
        if self.kind == Kind::File {
            shown(server, &format!("received {} {} bytes", self.name, FILE_TURNS * TURN));
            let bytes = std::fs::read_to_string(inbox.0.join(&self.name)).unwrap();
            assert_eq!(bytes, (0..FILE_TURNS).map(Self::words).collect::<String>());
            std::fs::remove_file(inbox.0.join(&self.name)).unwrap();
        }
    }
}

/// Files without a name or with a temporary name that the server holds open.
pub(crate) fn unfinished_files(server: &End) -> usize {
    let held = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    held.flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter(|path| {
            path.to_string_lossy().ends_with("(deleted)") || path.to_string_lossy().contains("/.proclab-")
        })
        .count()
}

/// Waits for a line of the server's output that contains `words`; other lines may precede it.
pub(crate) fn shown(server: &End, words: &str) {
    let until = Instant::now() + WAIT;
    while !server.line().contains(words) {
        assert!(Instant::now() < until, "{words} is not shown");
    }
}
