//! Lines of input, read in a separate thread so that an end can send and receive at the same time.

use crate::said::Said;
use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, sync_channel};

/// One line of the input, without its line ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Text to send.
    Text(String),
    /// A line that is not sent, and why.
    Refused(Said),
}

sentences! {
    /// Why a line is not sent.
    enum Unsent {
        TooLong { limit: usize } => "a line of more than {limit} bytes is not sent", "超过 {limit} 字节的一行没有发送";
        NotText => "a line that is not UTF-8 is not sent", "不是 UTF-8 的一行没有发送";
    }
}

/// Reads `input` in a thread until it ends. A line longer than `limit` bytes is rejected without being held in memory.
/// The channel closes at the end of the input.
///
/// # Errors
/// If no thread can be started.
pub fn lines(input: impl BufRead + Send + 'static, limit: usize) -> io::Result<Receiver<Line>> {
    let (sender, receiver) = sync_channel(1);
    // Detached: a read of a terminal cannot be interrupted, and the thread ends with the process.
    std::thread::Builder::new().spawn(move || {
        let mut input = input;
        while let Ok(Some(line)) = next(&mut input, limit) {
            if sender.send(line).is_err() {
                break;
            }
        }
    })?;
    Ok(receiver)
}

/// The next line of `input`, or `None` at its end.
///
/// # Errors
/// If the input cannot be read.
pub fn next(input: &mut impl BufRead, limit: usize) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    // With room for `\r\n`, so that a line of exactly `limit` bytes is accepted.
    let most = limit as u64 + 2;
    if input.by_ref().take(most).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    let ended = bytes.ends_with(b"\n");
    while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.pop();
    }
    if bytes.len() > limit {
        if !ended {
            input.skip_until(b'\n')?;
        }
        return Ok(Some(Line::Refused(Unsent::TooLong { limit }.into())));
    }
    Ok(Some(match String::from_utf8(bytes) {
        Ok(text) => Line::Text(text),
        Err(_) => Line::Refused(Unsent::NotText.into()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_no_endings_and_long_ones_are_refused() {
        let input = io::Cursor::new("ab\r\n火\n\nabcdefgh\nabcd\nend");
        let got: Vec<Line> = lines(input, 4).unwrap().iter().collect();
        let text = |s: &str| Line::Text(s.to_owned());
        let refused = Line::Refused(Unsent::TooLong { limit: 4 }.into());
        assert_eq!(got, [text("ab"), text("火"), text(""), refused, text("abcd"), text("end")]);
    }
}
