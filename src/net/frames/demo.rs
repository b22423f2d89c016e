//! The demo: messages stay apart, and a lying length costs only its own connection.

use super::{Ends, Serve};
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::demo::{DemoError, Needed, Stage};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

sentences! {
    /// What the demo says.
    enum Say {
        TwoMessages =>
            "Two messages are sent at once, each preceded by its length; the client answers with one.",
            "一次发送两条消息，各自前面带长度；客户端回答一条。";
        TwoReceived => "the client received two separate, complete messages", "客户端收到两条分开的、完整的消息";
        Answered => "the server received the client's message", "服务器收到了客户端的消息";
        Hostile =>
            "A hostile client claims a frame of 2 GiB; another one closes inside a frame.",
            "一个恶意客户端声称有 2 GiB 的帧；另一个在帧的中间关闭。";
        CostOneLine =>
            "each cost its own connection and one line, before memory was allocated",
            "各自只损失了自己的连接，记下一行，且没有为它们分配内存";
        NextIsServed => "the next client is served", "下一个客户端得到服务";
    }
}

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    stage.scene(Say::TwoMessages);
    let messages = ["Parallel", "第二"].map(str::to_owned);
    let server = Ends::Serve(Serve { serve: ServeArgs::default(), message: messages.to_vec() });
    let server = stage.serve(server, &[])?;
    let client = || Ends::Connect(ConnectArgs::to(server.address()));
    let (first, ended) = stage.connect(client(), &["thanks"])?;
    let got = stage.messages_of(first);
    stage.check(Say::TwoReceived, ended.is_ok() && got == messages);
    let answered = stage.wait_until(|stage| stage.messages_of(server.pid()) == ["thanks"]);
    stage.check(Say::Answered, answered);

    stage.scene(Say::Hostile);
    for bytes in [&i32::MAX.to_le_bytes()[..], b"\x08\0\0\0Para"] {
        let unreachable = || DemoError::failed(Needed::Reachable);
        let mut hostile = TcpStream::connect(server.address()).map_err(unreachable())?;
        hostile.write_all(bytes).map_err(unreachable())?;
        let _ = hostile.shutdown(Shutdown::Write);
        let _ = hostile.set_read_timeout(Some(Duration::from_secs(10)));
        let _ = hostile.read_to_end(&mut Vec::new());
    }
    stage.wait_until(|stage| stage.failures_of(server.pid()).len() >= 2);
    let failures = stage.failures_of(server.pid());
    stage.check(
        Say::CostOneLine,
        failures.len() == 2 && failures.iter().any(|why| why.contains("2147483647 bytes is refused")),
    );
    let (next, _) = stage.connect(client(), &[])?;
    let got = stage.messages_of(next);
    stage.check(Say::NextIsServed, got == messages);
    stage.stop(&server)
}
