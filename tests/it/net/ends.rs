//! Ends as child processes: started, given input, waited for, and always ended with the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The limit of every wait.
pub(crate) const WAIT: Duration = Duration::from_secs(20);

/// A process whose lines of output are collected.
pub(crate) struct End {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
    name: String,
}

/// `proclab net ARGS…`.
pub(crate) fn proclab(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proclab"));
    command.arg("net").args(args).env("PROCLAB_KEY", "alexsb");
    command
}

/// A Python program of `notes.py`, or `None` if there is no Python.
pub(crate) fn notes(args: &[&str]) -> Option<Command> {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("    left out: there is no python3 here");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/net/notes.py")).args(args);
    Some(command)
}

impl End {
    /// Starts a program that reads `input` to its end.
    pub(crate) fn start(command: Command, input: &str) -> Self {
        let (end, hold) = Self::start_unfed(command);
        feed(hold, input.to_owned());
        end
    }

    /// Starts a program whose input follows; dropping the second value ends the input.
    fn start_unfed(mut command: Command) -> (Self, ChildStdin) {
        let name = format!("{command:?}");
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let stdin = child.stdin.take().unwrap();
        let (out, err) = (collect(child.stdout.take().unwrap()), collect(child.stderr.take().unwrap()));
        (Self { child, out, err, name }, stdin)
    }

    /// Starts a server, and returns the address in its first line.
    pub(crate) fn serve(command: Command, input: &str) -> (Self, String) {
        let (server, address, hold) = Self::serve_unfed(command);
        feed(hold, input.to_owned());
        (server, address)
    }

    /// Like [`serve`](Self::serve), with input that [`feed`] gives once clients are connected.
    pub(crate) fn serve_unfed(command: Command) -> (Self, String, ChildStdin) {
        let (server, hold) = Self::start_unfed(command);
        let first = server.line();
        let address =
            first.strip_prefix("listening on ").unwrap_or_else(|| panic!("{}: {first}", server.name));
        let address = address.to_owned();
        (server, address, hold)
    }

    /// The next line of its output.
    pub(crate) fn line(&self) -> String {
        self.out.recv_timeout(WAIT).unwrap_or_else(|_| panic!("{}: no line; {:?}", self.name, self.errors()))
    }

    /// Lines of its output so far.
    pub(crate) fn lines_so_far(&self) -> Vec<String> {
        self.out.try_iter().collect()
    }

    /// The next line of its standard error, or none at its end.
    pub(crate) fn next_error(&self) -> Option<String> {
        match self.err.recv_timeout(WAIT) {
            Err(RecvTimeoutError::Timeout) => panic!("{}: says nothing", self.name),
            line => line.ok(),
        }
    }

    /// Lines of its standard error so far.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.err.try_iter().collect()
    }

    /// Waits for a line of its standard error that contains `part`.
    pub(crate) fn error_with(&self, part: &str) -> String {
        let until = Instant::now() + WAIT;
        let mut seen = Vec::new();
        while let Ok(line) = self.err.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if line.contains(part) {
                return line;
            }
            seen.push(line);
        }
        panic!("{}: no line with {part:?} but {seen:?}", self.name)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Sends SIGINT, and returns the exit code.
    pub(crate) fn interrupt(mut self) -> i32 {
        self.signal(nix::sys::signal::Signal::SIGINT);
        self.exit().0
    }

    /// Waits for its end. Returns the exit code and the lines of output that were not read yet.
    pub(crate) fn finish(mut self) -> (i32, Vec<String>) {
        self.exit()
    }

    /// Like [`finish`](Self::finish), but also returns the lines of its standard error that were not read yet.
    pub(crate) fn finish_with_errors(mut self) -> (i32, Vec<String>, Vec<String>) {
        let (code, lines) = self.exit();
        let errors = std::iter::from_fn(|| self.next_error()).collect();
        (code, lines, errors)
    }

    fn exit(&mut self) -> (i32, Vec<String>) {
        let until = Instant::now() + WAIT;
        let mut lines = Vec::new();
        loop {
            match self.out.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("{}: does not end; {:?}", self.name, self.errors()),
            }
        }
        // The output is closed, so the process is about to end.
        let status = self.child.wait().unwrap();
        (status.code().unwrap_or(-1), lines)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives a program its whole input, which may exceed the capacity of a pipe.
pub(crate) fn feed(mut stdin: ChildStdin, input: String) {
    std::thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes());
    });
}

fn collect(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (lines, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// A folder that is removed at the end of a test.
pub(crate) struct Folder(pub PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("proclab-it-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// The names in it, including hidden ones.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Waits until `holds`.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Incompressible bytes, the same every time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

pub(crate) fn file_with(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}
