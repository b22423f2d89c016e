//! The output of a child, line by line.

use super::stdio::{ChildOutput, Stream};
use crate::sys::poll::{Deadline, readable};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;

/// A longer line is returned in pieces, so that a child without line ends cannot fill its parent's memory.
const LONGEST: usize = 64 << 10;

/// A line that a child has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLine {
    /// The child's name.
    pub name: Arc<str>,
    /// Which stream it was written to.
    pub stream: Stream,
    /// The line without its end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// `NAME: TEXT`
impl fmt::Display for OutputLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)
    }
}

/// The lines that a child writes to its standard output and error, as they arrive.
///
/// Lines of one stream are in order; between the streams the order is that of their arrival. The iterator ends once
/// no process has the streams open any more. A line longer than 64 KiB is returned in pieces.
#[derive(Debug)]
pub struct Lines {
    name: Arc<str>,
    sources: Vec<Source>,
    ready: VecDeque<OutputLine>,
}

#[derive(Debug)]
struct Source {
    stream: Stream,
    output: ChildOutput,
    /// The beginning of a line.
    partial: Vec<u8>,
}

impl Lines {
    pub(super) fn new(name: &str, outputs: [(Stream, Option<ChildOutput>); 2]) -> Lines {
        let source =
            |(stream, output): (_, Option<_>)| Some(Source { stream, output: output?, partial: Vec::new() });
        Lines {
            name: name.into(),
            sources: outputs.into_iter().filter_map(source).collect(),
            ready: VecDeque::new(),
        }
    }

    /// Reads the available bytes, and splits them into lines.
    fn read(&mut self) -> io::Result<()> {
        let fds: Vec<_> = self.sources.iter().map(|source| source.output.as_fd()).collect();
        let ready = readable(&fds, Deadline::NEVER)?;
        let (name, lines) = (&self.name, &mut self.ready);
        let mut buffer = [0; 8 << 10];
        for (at, _) in ready.iter().enumerate().rev().filter(|(_, ready)| **ready) {
            let source = &mut self.sources[at];
            let line = |bytes: &[u8]| OutputLine {
                name: Arc::clone(name),
                stream: source.stream,
                text: String::from_utf8_lossy(bytes).into_owned(),
            };
            let count = source.output.read(&mut buffer)?;
            for &byte in &buffer[..count] {
                if byte != b'\n' {
                    source.partial.push(byte);
                }
                if byte == b'\n' || source.partial.len() == LONGEST {
                    lines.push_back(line(&source.partial));
                    source.partial.clear();
                }
            }
            if count == 0 {
                if !source.partial.is_empty() {
                    lines.push_back(line(&source.partial));
                }
                self.sources.remove(at);
            }
        }
        Ok(())
    }
}

impl Iterator for Lines {
    type Item = io::Result<OutputLine>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            if self.sources.is_empty() {
                return None;
            }
            if let Err(error) = self.read() {
                return Some(Err(error));
            }
        }
    }
}
