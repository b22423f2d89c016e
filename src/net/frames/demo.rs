//! The demo: messages stay apart, and a lying length costs only its own connection.

use super::{Ends, Serve};
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::demo::{DemoError, Stage};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    stage.scene("Two messages are sent at once, each preceded by its length; the client answers with one.");
    let messages = ["Parallel", "第二"].map(str::to_owned);
    let server = Ends::Serve(Serve { serve: ServeArgs::default(), message: messages.to_vec() });
    let server = stage.serve(server, &[])?;
    let client = || Ends::Connect(ConnectArgs::to(server.address()));
    let (first, ended) = stage.connect(client(), &["thanks"])?;
    let got = stage.messages_of(first);
    stage.check("the client received two separate, complete messages", ended.is_ok() && got == messages);
    let answered = stage.wait_until(|stage| stage.messages_of(server.pid()) == ["thanks"]);
    stage.check("the server received the client's message", answered);

    stage.scene("A hostile client claims a frame of 2 GiB; another one closes inside a frame.");
    for bytes in [&i32::MAX.to_le_bytes()[..], b"\x08\0\0\0Para"] {
        let unreachable = || DemoError::failed("the server is reachable");
        let mut hostile = TcpStream::connect(server.address()).map_err(unreachable())?;
        hostile.write_all(bytes).map_err(unreachable())?;
        let _ = hostile.shutdown(Shutdown::Write);
        let _ = hostile.set_read_timeout(Some(Duration::from_secs(10)));
        let _ = hostile.read_to_end(&mut Vec::new());
    }
    stage.wait_until(|stage| stage.failures_of(server.pid()).len() >= 2);
    let failures = stage.failures_of(server.pid());
    stage.check(
        "each cost its own connection and one line, before memory was allocated",
        failures.len() == 2 && failures.iter().any(|why| why.contains("2147483647 bytes is refused")),
    );
    let (next, _) = stage.connect(client(), &[])?;
    let got = stage.messages_of(next);
    stage.check("the next client is served", got == messages);
    stage.stop(&server)
}
