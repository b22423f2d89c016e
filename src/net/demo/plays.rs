//! The demos of `chat`, `udp`, `sticky`, `frames` and `echo`.

use super::stage::{DemoError, Stage};
use crate::net::datagram::{ANSWER, Patience, Receiving};
use crate::net::end::{Connecting, Serving};
use crate::net::event::{Bytes, What};
use crate::net::limits::Limits;
use crate::net::sticky::{Reading, Sending, message};
use crate::sys::pid::Pid;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(super) fn chat(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    stage.scene(
        "Two people talk at once. The server reads 4 bytes at a time, so the characters of 你好, 3 bytes \
         each, are split over two reads; Q ends it.",
    );
    let narrow = Limits { message: 4, ..Limits::default() };
    let server = stage.serve(Serving::Chat, narrow, &["hello"])?;
    let (client, ended) = stage.connect(Connecting::Chat, &server, Limits::default(), &["你好", "q"])?;
    stage.wait_until(|stage| stage.events_of(server.pid).contains(&What::Closed));
    let heard = stage_text(stage, client);
    stage.check("the client heard the server", heard == "hello");
    // Without borders nothing forbids that Q is read together with what went before it.
    let heard = stage_text(stage, server.pid);
    stage.check(
        "the server heard 你好, put together from split characters",
        heard.trim_end_matches('q') == "你好",
    );
    stage.check("the conversation ended well", ended.is_ok());
    stage.stop(&server)
}

fn stage_text(stage: &mut Stage<'_>, pid: Pid) -> String {
    stage.messages_of(pid).concat()
}

pub(super) fn udp(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    stage.scene(
        "Two clients, told apart by their addresses. The server's buffer has 16 bytes, and it ignores every \
         second datagram of each client, as a network might lose it.",
    );
    let server = stage.serve(Serving::Udp(Receiving { buffer: 16, drop: 50 }), Limits::default(), &[])?;
    let patient = || Connecting::Udp(Patience { timeout: Duration::from_millis(400), retries: 5 });
    let lines: [&[&str]; 2] =
        [&["hello", "this one is longer than the buffer", "q"], &["火锅", "still there?", "q"]];
    for lines in lines {
        let (client, ended) = stage.connect(patient(), &server, Limits::default(), lines)?;
        let answers = stage.messages_of(client);
        stage.check(
            format!("each message was answered with {ANSWER}"),
            ended.is_ok() && answers == [ANSWER; 2],
        );
    }
    let notes = stage.events_of(server.pid);
    let noted = |part: &str| notes.iter().any(|what| matches!(what, What::Note(text) if text.contains(part)));
    stage.check("a loss was seen, and the message sent again", noted("dropped on purpose"));
    stage.check(
        "a datagram of 34 bytes was cut to 16: datagrams are whole or cut, never joined",
        noted("34 bytes is cut to the 16"),
    );
    let mut heard = stage.messages_of(server.pid);
    // An answer that comes late has a message sent again that was heard already.
    heard.dedup();
    let expected =
        [(1, "hello"), (1, "this one is long"), (2, "火锅"), (2, "still there?")].map(|(client, text)| {
            move |line: &String| {
                line.starts_with(&format!("client {client} (")) && line.ends_with(&format!("): {text}"))
            }
        });
    stage.check(
        "the server heard what each client said, and told the clients apart",
        heard.len() == expected.len() && heard.iter().zip(expected).all(|(line, is_right)| is_right(line)),
    );
    stage.stop(&server)
}

pub(super) fn sticky(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    const COUNT: u32 = 12;
    let sent: String = (1..=COUNT).map(message).collect();
    let late = Duration::from_millis(300);
    let scenes = [
        ("12 small sends with Nagle's algorithm on, read late", true, 1024, late),
        ("The same with Nagle's algorithm off: more packets, and still no borders", false, 1024, late),
        ("Nagle's algorithm off and reads of 7 bytes: now messages are split", false, 7, Duration::ZERO),
    ];
    for (text, nagle, buffer, late) in scenes {
        stage.scene(text);
        let reading = Reading { buffer, late, framed: false };
        let server = stage.serve(Serving::Sticky(reading), Limits::default(), &[])?;
        let sending = Sending { count: COUNT, nagle, framed: false };
        let (_, ended) = stage.connect(Connecting::Sticky(sending), &server, Limits::default(), &[])?;
        stage.stop(&server)?;
        let reads: Vec<Bytes> = stage
            .events_of(server.pid)
            .into_iter()
            .filter_map(|what| if let What::Received(bytes) = what { Some(bytes) } else { None })
            .filter(|bytes| bytes.length > 0)
            .collect();
        // An event keeps more bytes than are sent here.
        let came: Vec<u8> = reads.iter().flat_map(|bytes| &bytes.head).copied().collect();
        stage.fact(format!("{COUNT} sends of {} bytes in all came in {} reads", sent.len(), reads.len()));
        let (verb, held) = if buffer == 7 {
            ("split over more reads than sends", reads.len() > COUNT as usize)
        } else {
            ("joined into fewer reads than sends", reads.len() < COUNT as usize)
        };
        stage.check(format!("every byte came, {verb}"), ended.is_ok() && held && came == sent.as_bytes());
    }
    stage.scene("The same messages as frames, still in reads that know nothing of them: whole, every one");
    let reading = Reading { buffer: 7, late: Duration::ZERO, framed: true };
    let server = stage.serve(Serving::Sticky(reading), Limits::default(), &[])?;
    let sending = Sending { count: COUNT, nagle: true, framed: true };
    let (_, ended) = stage.connect(Connecting::Sticky(sending), &server, Limits::default(), &[])?;
    stage.stop(&server)?;
    let framed = stage.messages_of(server.pid);
    let whole: Vec<String> = (1..=COUNT).map(message).collect();
    stage.check("12 frames in, 12 messages out, in order", ended.is_ok() && framed == whole);
    stage.fact("A stream has no borders, whatever Nagle's algorithm does; a protocol must draw them.");
    Ok(())
}

pub(super) fn frames(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    stage.scene("Two messages sent at once, each with its length before it; the client answers with one.");
    let messages = ["Parallel", "第二"].map(str::to_owned);
    let server = stage.serve(Serving::Frames(messages.to_vec()), Limits::default(), &[])?;
    let (client, ended) = stage.connect(Connecting::Frames, &server, Limits::default(), &["thanks"])?;
    let got = stage.messages_of(client);
    stage.check("the client got two messages, whole and apart", ended.is_ok() && got == messages);
    let answered = stage.wait_until(|stage| stage.messages_of(server.pid) == ["thanks"]);
    stage.check("the server got the client's message", answered);

    stage.scene("A hostile client claims a frame of 2 GiB, another closes inside a frame.");
    for bytes in [&i32::MAX.to_le_bytes()[..], b"\x08\0\0\0Para"] {
        let mut hostile =
            TcpStream::connect(server.address).map_err(DemoError::not_so("the server can be spoken to"))?;
        hostile.write_all(bytes).map_err(DemoError::not_so("the server can be spoken to"))?;
        let _ = hostile.shutdown(std::net::Shutdown::Write);
        let _ = hostile.set_read_timeout(Some(Duration::from_secs(10)));
        let _ = hostile.read_to_end(&mut Vec::new());
    }
    stage.wait_until(|stage| stage.failures_of(server.pid).len() >= 2);
    let failures = stage.failures_of(server.pid);
    stage.check(
        "each cost its own connection and one line, before memory was taken",
        failures.len() == 2 && failures.iter().any(|why| why.contains("2147483647 bytes is refused")),
    );
    let (client, _) = stage.connect(Connecting::Frames, &server, Limits::default(), &[])?;
    let got = stage.messages_of(client);
    stage.check("the next client is served", got == messages);
    stage.stop(&server)
}

pub(super) fn echo(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    for (processes, text) in [
        (false, "A thread for each connection"),
        (true, "A process for each connection, under the supervisor"),
    ] {
        stage.scene(format!("{text}: two clients at once."));
        let server = stage.serve(Serving::Echo { processes }, Limits::default(), &[])?;
        let lines: [&[&str]; 2] = [&["one", "两个"], &["three"]];
        let mut clients = Vec::new();
        for lines in lines {
            clients.push(stage.launch(Connecting::Echo, &server, Limits::default(), lines)?);
        }
        for (child, lines) in clients.iter().zip(lines) {
            let (client, ended) = stage.await_client(child)?;
            let got = stage.messages_of(client);
            stage.check("every byte came back", ended.is_ok() && got == lines);
        }
        stage.stop(&server)?;
    }
    Ok(())
}
