//! The demo: two clients, a short buffer, and a network that loses every second datagram.

use super::{ANSWER, Ends, Patience, Receiving};
use crate::net::demo::{DemoError, Stage};
use crate::said::Said;
use std::time::Duration;

/// The bytes of the server's buffer.
const BUFFER: u32 = 16;

sentences! {
    /// What the demo says.
    enum Say {
        TwoClients { buffer: u32 } =>
            "Two clients, distinguished by their addresses. The server's buffer has {buffer} bytes, and it ignores every second datagram of each client, as if the network had lost it.",
            "两个客户端，靠地址区分。服务器的缓冲区有 {buffer} 字节，并忽略每个客户端的每第二个数据报，就像网络丢了它一样。";
        Answered { answer: &'static str } => "each message was answered with {answer}", "每条消息都得到了“{answer}”的回答";
        SentAgain => "a loss was noticed, and the message sent again", "丢失被发现，消息重发了";
        WasCut { sent: usize, kept: u32 } =>
            "a datagram of {sent} bytes was cut to {kept}: datagrams are whole or cut, never joined",
            "{sent} 字节的数据报被截成 {kept} 字节：数据报要么完整要么被截断，从不粘连";
        Distinguished =>
            "the server received every client's messages and distinguished the clients",
            "服务器收到了每个客户端的消息，并区分了它们";
    }
}

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    stage.scene(Say::TwoClients { buffer: BUFFER });
    let bind = "127.0.0.1:0".to_owned();
    let server = stage.serve(Ends::Serve(Receiving { bind, buffer: BUFFER, drop: 50 }), &[])?;
    let lines: [&[&str]; 2] =
        [&["hello", "this one is longer than the buffer", "q"], &["火锅", "still there?", "q"]];
    for lines in lines {
        let address = server.address().to_string();
        let patience =
            Patience { address, timeout: stage.answer_within(Duration::from_millis(400)), retries: 5 };
        let (client, ended) = stage.connect(Ends::Connect(patience), lines)?;
        let answers = stage.messages_of(client);
        let held = ended.is_ok() && answers == [ANSWER; 2];
        stage.check(Say::Answered { answer: ANSWER }, held);
    }
    let notes = stage.notes_of(server.pid());
    let noted = |of: &dyn Fn(&Said) -> bool| notes.iter().any(of);
    stage.check(Say::SentAgain, noted(&|note| note.code == "dropped"));
    let cut = [("sent", "34".to_owned()), ("kept", BUFFER.to_string())];
    let is_cut = |note: &Said| cut.iter().all(|(name, value)| note.values.get(*name) == Some(value));
    stage.check(Say::WasCut { sent: 34, kept: BUFFER }, noted(&is_cut));
    let mut heard = stage.messages_of(server.pid());
    // After a late answer, a message that the server has already received is sent again.
    heard.dedup();
    let expected = [(1, "hello"), (1, "this one is long"), (2, "火锅"), (2, "still there?")];
    let is_right = |line: &String, (client, text): (u32, &str)| {
        line.starts_with(&format!("client {client} (")) && line.ends_with(&format!("): {text}"))
    };
    stage.check(
        Say::Distinguished,
        heard.len() == expected.len() && heard.iter().zip(expected).all(|(line, one)| is_right(line, one)),
    );
    stage.stop(&server)
}
