//! The header before the bytes: a frame with `{"filename": …, "filesize": …}` as Python's `json.dumps` writes it.
//! Nothing in it can be trusted.

use crate::net::file::digest::{HEX, Hash};
use std::fmt::Write;

/// The maximum length of a header in bytes; a longer one is refused before memory is allocated.
pub const LIMIT: usize = 64 << 10;

/// The maximum length of a name in bytes on common file systems.
const NAME: usize = 255;

/// The sender's description of the file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Header {
    /// The name without a folder, checked by [`Header::parse`].
    pub filename: String,
    /// The size in bytes.
    pub filesize: u64,
    /// The hash function for both ends; `None` leaves the choice to each end, as the Python programs do, which ignore
    /// unknown fields.
    #[serde(default)]
    pub hash: Option<Hash>,
    /// The digest of the whole file, by which two `proclab` ends can resume a transfer. SHA-256 if `hash` is missing.
    #[serde(default)]
    pub resume: Option<String>,
}

/// A header is malformed or refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The bytes are not UTF-8, not JSON, nested too deeply, or not an object with these fields.
    #[error("the header is not a JSON object with a filename and a filesize")]
    Json(#[source] serde_json::Error),
    /// The JSON is not an object.
    #[error("the header is JSON, but not an object")]
    NotAnObject,
    /// The name could lead out of the folder, hide the file, or harm a terminal.
    #[error("the name {name:?} is refused: {why}")]
    Name {
        /// What the peer sent.
        name: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The digest is malformed.
    #[error("the header's digest is not 256 bits in hexadecimal")]
    Digest,
}

impl Header {
    /// Parses a header and checks its name.
    ///
    /// # Errors
    /// If it is malformed, or its name or digest is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        // As a value first: that parser limits the depth to 128. A derived one would also accept an array with the
        // fields in order.
        if !serde_json::from_slice::<serde_json::Value>(bytes).map_err(HeaderError::Json)?.is_object() {
            return Err(HeaderError::NotAnObject);
        }
        let header: Self = serde_json::from_slice(bytes).map_err(HeaderError::Json)?;
        let refuse = |why| Err(HeaderError::Name { name: header.filename.chars().take(80).collect(), why });
        if let Err(why) = judge_name(&header.filename) {
            return refuse(why);
        }
        let is_digest =
            |text: &str| text.len() == HEX && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if header.resume.as_deref().is_some_and(|text| !is_digest(text)) {
            return Err(HeaderError::Digest);
        }
        Ok(header)
    }

    /// The output of Python's `json.dumps` for the same dictionary: ASCII, with spaces after `:` and `,`.
    pub fn to_json(&self) -> String {
        let mut json =
            format!("{{\"filename\": {}, \"filesize\": {}", python_string(&self.filename), self.filesize);
        if let Some(hash) = self.hash {
            let _ = write!(json, ", \"hash\": \"{hash}\"");
        }
        if let Some(digest) = &self.resume {
            let _ = write!(json, ", \"resume\": {}", python_string(digest));
        }
        json.push('}');
        json
    }
}

/// Checks a name: an accepted one can only be a plain file in the folder itself.
///
/// # Errors
/// The rule that it breaks.
pub fn judge_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("it is empty"),
        _ if name.len() > NAME => Err("it is longer than 255 bytes"),
        _ if name.contains('\0') => Err("it contains a NUL"),
        _ if name.starts_with(['/', '\\']) => Err("it is absolute"),
        _ if name.contains(['/', '\\']) => Err("it contains a separator"),
        "." | ".." => Err("it is a folder"),
        _ if name.starts_with('.') => Err("it begins with a dot"),
        _ if name.chars().any(char::is_control) => Err("it contains a control character"),
        _ => Ok(()),
    }
}

fn python_string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    // A string always serialises.
    for c in serde_json::to_string(text).unwrap_or_default().chars() {
        if c.is_ascii() {
            json.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(json, "\\u{unit:04x}");
            }
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_those_of_json_dumps() {
        // python3 -c "import json; print(json.dumps({'filename': '火 \"a\"\U0001f525', 'filesize': 5}))"
        let header = Header { filename: "火 \"a\"🔥".into(), filesize: 5, hash: None, resume: None };
        assert_eq!(header.to_json(), r#"{"filename": "\u706b \"a\"\ud83d\udd25", "filesize": 5}"#);
        let named = Header { hash: Some(Hash::Sha256), ..header };
        assert!(named.to_json().ends_with(r#""filesize": 5, "hash": "sha256"}"#), "{}", named.to_json());
        assert_eq!(Header::parse(named.to_json().as_bytes()).unwrap(), named);
    }

    #[test]
    fn malformed_headers_are_refused() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let inside = format!(r#"{{"filename": "a", "filesize": 1, "x": {deep}}}"#);
        for bad in [
            "",
            "{",
            "nonsense",
            "\u{0}",
            "[]",
            r#"["a", 5]"#,
            "5",
            "null",
            "{}",
            &deep,
            &inside,
            r#"{"filename": "a"}"#,
            r#"{"filename": "a", "filesize": -1}"#,
            r#"{"filename": "a", "filesize": 1.5}"#,
            r#"{"filename": "a", "filesize": "1"}"#,
            r#"{"filename": "a", "filesize": 99999999999999999999}"#,
            r#"{"filename": 7, "filesize": 1}"#,
            r#"{"filename": "a", "filesize": 1, "filename": "b"}"#,
            r#"{"filename": "a", "filesize": 1} x"#,
            r#"{"filename": "a", "filesize": 1, "resume": "abc"}"#,
            r#"{"filename": "a", "filesize": 1, "hash": "md5"}"#,
        ] {
            assert!(Header::parse(bad.as_bytes()).is_err(), "{bad:.60}");
        }
        assert!(Header::parse(b"{\"filename\": \"\xff\", \"filesize\": 1}").is_err());
    }

    #[test]
    fn names_that_lead_out_of_the_folder_or_hide_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "/etc/passwd",
            "../x",
            "a/b",
            "a\\b",
            "\\x",
            "a\0b",
            ".bashrc",
            "a\nb",
            "x\u{1b}[2J",
            &"x".repeat(256),
        ] {
            let header = Header { filename: bad.into(), filesize: 0, hash: None, resume: None };
            assert!(
                matches!(Header::parse(header.to_json().as_bytes()), Err(HeaderError::Name { .. })),
                "{bad:?}"
            );
        }
        for good in ["a", "a.b", "火锅.txt", "a b", "a..b", "-rf", &"x".repeat(255)] {
            assert_eq!(judge_name(good), Ok(()));
        }
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let header =
            Header::parse(br#" {"filesize": 3, "mode": [1, {"a": null}], "filename": "a"}"#).unwrap();
        assert_eq!(header, Header { filename: "a".into(), filesize: 3, hash: None, resume: None });
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Header::parse(&bytes);
        }

        #[test]
        fn a_header_comes_back_as_it_went(filename in "[^./\\\\\\p{Cc}][^/\\\\\\p{Cc}]{0,40}", filesize: u64) {
            let header = Header { filename, filesize, hash: None, resume: None };
            prop_assert_eq!(Header::parse(header.to_json().as_bytes()).unwrap(), header);
        }
    }
}
