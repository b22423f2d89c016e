//! Any bytes as a captured packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proclab::net::trace::{diagram::Diagram, flow::Flows, segment::Segment};

fuzz_target!(|bytes: &[u8]| {
    if let Some(segment) = Segment::parse(bytes, bytes.len()) {
        if let Some(passed) = Flows::new(segment.to.port()).add(0, &segment) {
            let _ = Diagram::new(bytes.len()).draw(&passed);
        }
    }
});
