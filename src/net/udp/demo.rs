//! The demo: two clients, a short buffer, and a network that loses every second datagram.

use super::{ANSWER, Ends, Patience, Receiving};
use crate::net::demo::{DemoError, Stage};
use crate::net::event::What;
use std::time::Duration;

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    stage.scene(
        "Two clients, distinguished by their addresses. The server's buffer has 16 bytes, and it ignores every \
         second datagram of each client, as if the network had lost it.",
    );
    let bind = "127.0.0.1:0".to_owned();
    let server = stage.serve(Ends::Serve(Receiving { bind, buffer: 16, drop: 50 }), &[])?;
    let lines: [&[&str]; 2] =
        [&["hello", "this one is longer than the buffer", "q"], &["火锅", "still there?", "q"]];
    for lines in lines {
        let address = server.address().to_string();
        let patience =
            Patience { address, timeout: stage.answer_within(Duration::from_millis(400)), retries: 5 };
        let (client, ended) = stage.connect(Ends::Connect(patience), lines)?;
        let answers = stage.messages_of(client);
        let held = ended.is_ok() && answers == [ANSWER; 2];
        stage.check(format!("each message was answered with {ANSWER}"), held);
    }
    let notes = stage.events_of(server.pid());
    let noted = |part: &str| notes.iter().any(|what| matches!(what, What::Note(text) if text.contains(part)));
    stage.check("a loss was noticed, and the message sent again", noted("dropped on purpose"));
    stage.check(
        "a datagram of 34 bytes was cut to 16: datagrams are whole or cut, never joined",
        noted("34 bytes is cut to the 16"),
    );
    let mut heard = stage.messages_of(server.pid());
    // After a late answer, a message that the server has already received is sent again.
    heard.dedup();
    let expected = [(1, "hello"), (1, "this one is long"), (2, "火锅"), (2, "still there?")];
    let is_right = |line: &String, (client, text): (u32, &str)| {
        line.starts_with(&format!("client {client} (")) && line.ends_with(&format!("): {text}"))
    };
    stage.check(
        "the server received every client's messages and distinguished the clients",
        heard.len() == expected.len() && heard.iter().zip(expected).all(|(line, one)| is_right(line, one)),
    );
    stage.stop(&server)
}
