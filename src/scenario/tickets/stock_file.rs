//! The stock file from which a run starts: `{"count": 3}`.

use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

use crate::sys::tmpfile::open_to_read;

/// The maximum number of tickets.
pub const MAX_STOCK: i64 = 1_000_000;

/// The maximum number of bytes that are read. A stock file has a few bytes.
const MAX_FILE_SIZE: u64 = 4096;

/// The file that ships with the program.
const DEFAULT: &[u8] = include_bytes!("../../../data/ticket_count.json");

/// A stock file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StockFileError {
    /// It cannot be read.
    #[error("the stock file {path} cannot be read")]
    Read {
        /// Its path.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// Its content is invalid.
    #[error("the stock file {path} {what}")]
    Content {
        /// Its path.
        path: String,
        /// What is wrong with it.
        what: String,
    },
}

/// The content of a stock file with `count` tickets.
pub fn text(count: i64) -> String {
    format!("{{\"count\": {count}}}")
}

#[derive(Deserialize)]
struct Stock {
    count: i64,
}

/// The number in the content of a stock file; `None` if it is half-written.
pub fn parse(content: &[u8]) -> Option<i64> {
    serde_json::from_slice(content).ok().map(|stock: Stock| stock.count)
}

/// The number of tickets in this file, or in the one that ships with the program.
///
/// # Errors
/// [`StockFileError`].
pub fn count(path: Option<&Path>) -> Result<i64, StockFileError> {
    let Some(path) = path else {
        return counted(DEFAULT)
            .map_err(|what| StockFileError::Content { path: "of the program".into(), what });
    };
    let name = path.display().to_string();
    let content = read(path).map_err(|source| StockFileError::Read { path: name.clone(), source })?;
    counted(&content).map_err(|what| StockFileError::Content { path: name, what })
}

/// The content of a regular file. A file that is too long is cut off and therefore rejected.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open_to_read(path)?.take(MAX_FILE_SIZE).read_to_end(&mut content)?;
    Ok(content)
}

fn counted(content: &[u8]) -> Result<i64, String> {
    // serde would also accept a list of one number.
    let is_object = content.trim_ascii_start().starts_with(b"{");
    match parse(content).filter(|_| is_object) {
        None => Err("does not contain a JSON object with a whole number as its `count`".to_owned()),
        Some(count) if count < 0 => Err(format!("has {count} tickets: fewer than 0")),
        Some(count) if count > MAX_STOCK => Err(format!("has {count} tickets: more than {MAX_STOCK}")),
        Some(count) => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stock_file_of_the_program_has_three_tickets() {
        assert_eq!(count(None).unwrap(), 3);
    }

    #[test]
    fn an_invalid_stock_file_is_rejected() {
        for content in [
            "",
            "3",
            "[3]",
            "{}",
            "{\"count\": -1}",
            "{\"count\": 1e99}",
            "{\"count\": 1.5}",
            "{\"count\": 1000001}",
        ] {
            assert!(counted(content.as_bytes()).is_err(), "{content}");
        }
    }
}
