//! The stock file of the notes: `{"count": 3}`.

use super::files;
use crate::scenario::experiment::MAX_STOCK;
use crate::scenario::tickets::body as sale;
use std::io;
use std::path::Path;

/// A stock file is a few bytes; more are not read.
const LARGEST: u64 = 4096;

/// The file that ships with the program.
const DEFAULT: &[u8] = include_bytes!("../../data/ticket_count.json");

/// A stock file says no number of tickets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StockFileError {
    /// It cannot be read.
    #[error("the stock file {path} cannot be read")]
    Read { path: String, source: io::Error },
    /// It is not what it should be.
    #[error("the stock file {path} {what}")]
    Content { path: String, what: String },
}

/// How many tickets there are, by this file or by the one that ships with the program.
pub(crate) fn count(path: Option<&Path>) -> Result<i64, StockFileError> {
    let Some(path) = path else {
        return counted(DEFAULT)
            .map_err(|what| StockFileError::Content { path: "of the program".into(), what });
    };
    let name = path.display().to_string();
    let content =
        files::read(path, LARGEST).map_err(|source| StockFileError::Read { path: name.clone(), source })?;
    counted(&content).map_err(|what| StockFileError::Content { path: name, what })
}

fn counted(content: &[u8]) -> Result<i64, String> {
    // A list of one number would pass for the object.
    let is_object = content.trim_ascii_start().starts_with(b"{");
    match sale::count(content).filter(|_| is_object) {
        None => Err("holds no JSON object with a whole number as its `count`".to_owned()),
        Some(count) if count < 0 => Err(format!("counts {count} tickets: fewer than none")),
        Some(count) if count > MAX_STOCK => Err(format!("counts {count} tickets: more than {MAX_STOCK}")),
        Some(count) => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_notes_counts_three() {
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
