//! The stock file that a run begins from: `{"count": 3}`.

use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

use crate::sys::tmpfile::open_to_read;

/// The most tickets that a sale can begin with.
pub const MAX_STOCK: i64 = 1_000_000;

/// A stock file is a few bytes; more are not read.
const LARGEST: u64 = 4096;

/// The file that ships with the program.
const DEFAULT: &[u8] = include_bytes!("../../../data/ticket_count.json");

/// A stock file says no number of tickets.
#[derive(Debug, thiserror::Error)]
pub enum StockFileError {
    /// It cannot be read.
    #[error("the stock file {path} cannot be read")]
    Read {
        /// Its path.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("the stock file {path} {what}")]
    Content {
        /// Its path.
        path: String,
        /// What is wrong with it.
        what: String,
    },
}

/// The content of a file that says how many tickets are left.
pub fn text(count: i64) -> String {
    format!("{{\"count\": {count}}}")
}

#[derive(Deserialize)]
struct Stock {
    count: i64,
}

/// The number in such a content; `None` if it is half-written.
pub fn parse(content: &[u8]) -> Option<i64> {
    serde_json::from_slice(content).ok().map(|stock: Stock| stock.count)
}

/// How many tickets there are, by this file or by the one that ships with the program.
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

/// The content of a regular file; one that is longer than a stock file ever is, is cut and so refused.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open_to_read(path)?.take(LARGEST).read_to_end(&mut content)?;
    Ok(content)
}

fn counted(content: &[u8]) -> Result<i64, String> {
    // A list of one number would pass for the object.
    let is_object = content.trim_ascii_start().starts_with(b"{");
    match parse(content).filter(|_| is_object) {
        None => Err("holds no JSON object with a whole number as its `count`".to_owned()),
        Some(count) if count < 0 => Err(format!("counts {count} tickets: fewer than 0")),
        Some(count) if count > MAX_STOCK => Err(format!("counts {count} tickets: more than {MAX_STOCK}")),
        Some(count) => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_ships_with_the_program_counts_three() {
        assert_eq!(count(None).unwrap(), 3);
    }

    #[test]
    fn what_is_no_stock_is_refused() {
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
