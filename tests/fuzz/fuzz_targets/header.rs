//! Any bytes as the header of a transfer: what is accepted names a plain file in the folder itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proclab::net::file::header::Header;
use std::path::{Component, Path};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = Header::parse(bytes) {
        let parts: Vec<_> = Path::new(&header.filename).components().collect();
        assert!(matches!(parts[..], [Component::Normal(_)]), "{:?}", header.filename);
        assert_eq!(Header::parse(header.to_json().as_bytes()).unwrap(), header);
    }
});
