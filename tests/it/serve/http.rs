//! A server under test, and requests to it over plain TCP.

use crate::common::PATIENCE;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// `proclab serve`, which is ended with this value.
pub(super) struct Server {
    pub(super) program: Child,
    /// The lecturer's address: host and port, and the path with the secret, which ends in a slash.
    pub(super) host: String,
    pub(super) path: String,
    /// The students'.
    pub(super) class: Option<(String, String)>,
    /// Where it keeps what is done in labs.
    state: PathBuf,
}

static STARTED: AtomicUsize = AtomicUsize::new(0);

/// Host and path of an address.
fn parts(address: &str) -> (String, String) {
    let (host, path) = address.trim().strip_prefix("http://").unwrap().split_once('/').unwrap();
    (host.to_owned(), format!("/{path}"))
}

impl Server {
    pub(super) fn start(args: &[&str]) -> Server {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let state = std::env::temp_dir().join(format!("proclab-served-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&state).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_proclab"));
        command.current_dir(&state).env("XDG_STATE_HOME", &state).env("PROCLAB_STUDENT", "ada");
        // Cargo's: where its folder is a temporary one, the loader's looks into it would be named as uncontrolled.
        command.env_remove("LD_LIBRARY_PATH");
        command.arg("serve").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut program = command.spawn().unwrap();
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        let (host, path) = parts(&lines.next().unwrap().unwrap());
        let class = args.contains(&"--class").then(|| parts(&lines.next().unwrap().unwrap()[6..]));
        Server { program, host, path, class, state }
    }

    /// Its working folder.
    pub(super) fn folder(&self) -> &Path {
        &self.state
    }

    pub(super) fn address(&self) -> String {
        format!("http://{}{}", self.host, self.path)
    }

    /// Sends a request of these header lines as a browser's page of this server would.
    pub(super) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        post(&self.host, &format!("{}{path}", self.path), body)
    }

    pub(super) fn get(&self, path: &str) -> (u16, String) {
        let head =
            format!("GET {}{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.path, self.host);
        raw(&self.host, head.as_bytes())
    }

    /// Starts a job and returns its number.
    pub(super) fn begin(&self, request: &Value) -> String {
        let (status, view) = self.post("jobs", request);
        assert_eq!(status, 200, "{view}");
        view["job"].as_str().unwrap().to_owned()
    }

    pub(super) fn follow(&self, job: &str) -> Stream {
        Stream::open(&self.host, &format!("{}events?job={job}", self.path))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

pub(super) fn post(host: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let (status, text) = raw(host, head.as_bytes());
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub(super) fn connect(host: &str) -> TcpStream {
    let stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends these bytes; the status and the body of the answer, 0 if the connection is closed without one.
pub(super) fn raw(host: &str, bytes: &[u8]) -> (u16, String) {
    let mut stream = connect(host);
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}

/// Server-sent events as they come.
pub(super) struct Stream {
    lines: BufReader<TcpStream>,
    /// Messages of a job that came in one event with one that was looked for, and after it.
    rest: VecDeque<Value>,
}

impl Stream {
    pub(super) fn open(host: &str, path: &str) -> Stream {
        let mut stream = connect(host);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        let mut lines = BufReader::new(stream);
        let mut status = String::new();
        lines.read_line(&mut status).unwrap();
        assert!(status.contains(" 200 "), "{status}");
        Stream { lines, rest: VecDeque::new() }
    }

    /// The next event: its name and its data.
    pub(super) fn next(&mut self) -> (String, Value) {
        let begin = Instant::now();
        let mut name = String::new();
        while begin.elapsed() < PATIENCE {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the stream has ended");
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.trim().to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).unwrap());
            }
        }
        panic!("no event comes");
    }

    /// The next message of the job.
    pub(super) fn message(&mut self) -> Value {
        loop {
            if let Some(message) = self.rest.pop_front() {
                return message;
            }
            let (name, data) = self.next();
            if name == "job" {
                self.rest.extend(data.as_array().unwrap().iter().cloned());
            }
        }
    }

    /// The first message of the job for which this holds.
    pub(super) fn until(&mut self, what: &str, mut holds: impl FnMut(&Value) -> bool) -> Value {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE * 2 {
            let message = self.message();
            if holds(&message) {
                return message;
            }
        }
        panic!("{what}: it never came");
    }

    /// The first state of the class for which this holds.
    pub(super) fn class(&mut self, mut holds: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let (name, data) = self.next();
            if name == "class" && holds(&data) {
                return data;
            }
        }
    }
}
