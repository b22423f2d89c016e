//! Any bytes as a captured packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proclab::net::trace::{diagram::Diagram, segment::Segment};

fuzz_target!(|bytes: &[u8]| {
    if let Some(segment) = Segment::parse(bytes, bytes.len()) {
        let _ = Diagram::new(segment.to.port(), bytes.len()).add(0, &segment);
    }
});
