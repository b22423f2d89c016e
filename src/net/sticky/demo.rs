//! The demo: the same small sends joined, split, and finally framed.

use super::{Ends, Reading, Sending, message};
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::demo::{DemoError, Stage};
use crate::net::event::{Bytes, What};
use crate::sys::pid::Pid;
use std::time::Duration;

const COUNT: u32 = 12;

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    let sent: String = (1..=COUNT).map(message).collect();
    let late = Duration::from_millis(300);
    for (text, no_delay, read, late) in [
        ("12 small sends with Nagle's algorithm on, read late.", false, 1024, late),
        ("The same with Nagle's algorithm off: more packets, and still no boundaries.", true, 1024, late),
        ("Nagle's algorithm off and reads of 7 bytes: now messages are split.", true, 7, Duration::ZERO),
    ] {
        stage.scene(text);
        let reading = Reading { serve: ServeArgs::default(), read, late, framed: false };
        let (server, ended) = exchange(stage, reading, no_delay)?;
        let reads: Vec<Bytes> = stage
            .events_of(server)
            .into_iter()
            .filter_map(|what| if let What::Received(bytes) = what { Some(bytes) } else { None })
            .filter(|bytes| bytes.length > 0)
            .collect();
        // An event holds more bytes than are sent here.
        let arrived: Vec<u8> = reads.iter().flat_map(|bytes| &bytes.head).copied().collect();
        let plural = if reads.len() == 1 { "" } else { "s" };
        stage.fact(format!("{COUNT} sends, {} bytes, arrived in {} read{plural}", sent.len(), reads.len()));
        let (verb, held) = if read == 7 {
            ("split over more reads than sends", reads.len() > COUNT as usize)
        } else {
            ("joined into fewer reads than sends", reads.len() < COUNT as usize)
        };
        stage.check(format!("every byte arrived, {verb}"), ended && held && arrived == sent.as_bytes());
    }
    stage.scene("The same messages as frames, read 7 bytes at a time: each one is complete.");
    let reading = Reading { serve: ServeArgs::default(), read: 7, late: Duration::ZERO, framed: true };
    let (server, ended) = exchange(stage, reading, false)?;
    let framed = stage.messages_of(server);
    let whole: Vec<String> = (1..=COUNT).map(message).collect();
    stage.check("12 frames sent, 12 messages received, in order", ended && framed == whole);
    stage.fact("A stream has no boundaries, with or without Nagle's algorithm: a protocol must add them.");
    Ok(())
}

/// Runs both ends. Returns the server's PID, and whether the client ended without an error.
fn exchange(stage: &mut Stage<'_>, reading: Reading, no_delay: bool) -> Result<(Pid, bool), DemoError> {
    let framed = reading.framed;
    let server = stage.serve(Ends::Serve(reading), &[])?;
    let sending = Sending { connect: ConnectArgs::to(server.address()), count: COUNT, no_delay, framed };
    let (_, ended) = stage.connect(Ends::Connect(sending), &[])?;
    stage.stop(&server)?;
    Ok((server.pid(), ended.is_ok()))
}
