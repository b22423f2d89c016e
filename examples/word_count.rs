//! A map-reduce word count: each worker reads its part of a file, and the parent adds up the counts.
//!
//! `cargo run --example word_count -- FILE`; without a file it counts its own source.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use proclab::pool::Pool;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes per part of the file.
const PART: u64 = 4 << 20;

/// The words that begin in `PART` bytes of the file from `offset` on.
fn count(path: String, offset: u64) -> Result<HashMap<String, u64>, String> {
    read_part(&path, offset)
        .map(|text| {
            let mut words = HashMap::new();
            for word in text.split_ascii_whitespace() {
                *words.entry(word.to_owned()).or_default() += 1;
            }
            words
        })
        .map_err(|error| error.to_string())
}

fn read_part(path: &str, offset: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    // The byte before the part shows whether the first word begins in it; the bytes after it hold the end of the last word.
    let begin = offset.saturating_sub(1);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(PART + (offset - begin) + 4096).read_to_end(&mut bytes)?;
    let is_space = |byte: &u8| byte.is_ascii_whitespace();
    let first = if offset == 0 { 0 } else { bytes.iter().position(is_space).unwrap_or(bytes.len()) };
    let part_end = ((offset - begin + PART) as usize).min(bytes.len());
    let last = match bytes.get(part_end.saturating_sub(1)) {
        Some(byte) if is_space(byte) => part_end,
        _ => bytes[part_end..].iter().position(is_space).map_or(bytes.len(), |at| part_end + at),
    };
    Ok(String::from_utf8_lossy(&bytes[first.min(last)..last]).into_owned())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    proclab::child_entry();
    let path = std::env::args().nth(1).unwrap_or_else(|| file!().to_owned());
    let length = std::fs::metadata(&path)?.len();
    let pool = Pool::new()?;
    let parts = (0..length).step_by(PART as usize).map(|offset| (path.clone(), offset));
    let mut total: HashMap<String, u64> = HashMap::new();
    for (_, part) in pool.map_unordered(count, parts) {
        for (word, times) in part?? {
            *total.entry(word).or_default() += times;
        }
    }
    let mut words: Vec<_> = total.into_iter().collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    for (word, times) in words.iter().take(10) {
        println!("{times:>8} {word}");
    }
    Ok(())
}
