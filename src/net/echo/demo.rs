//! The demo: two clients at once, served by threads, then by processes.

use super::{Ends, Serve, WorkerKind};
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::demo::{DemoError, Stage};

sentences! {
    /// What the demo says.
    enum Say {
        Threads => "A thread per connection: two clients at once.", "每个连接一个线程：同时两个客户端。";
        Processes =>
            "A process per connection, under the supervisor: two clients at once.",
            "每个连接一个进程，由监督者管理：同时两个客户端。";
        CameBack => "every byte came back to both", "两者都收回了每个字节";
    }
}

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    for (workers, scene) in [(WorkerKind::Thread, Say::Threads), (WorkerKind::Process, Say::Processes)] {
        stage.scene(scene);
        let server = stage.serve(Ends::Serve(Serve { serve: ServeArgs::default(), workers }), &[])?;
        let all_lines: [&[&str]; 2] = [&["one", "两个"], &["three"]];
        let mut clients = Vec::new();
        for lines in all_lines {
            let client = Ends::Connect(ConnectArgs::to(server.address()));
            clients.push((stage.launch(client, lines)?, lines));
        }
        let mut held = true;
        for (client, lines) in &clients {
            let (pid, ended) = stage.await_client(client)?;
            held &= ended.is_ok() && stage.messages_of(pid) == *lines;
        }
        stage.check(Say::CameBack, held);
        stage.stop(&server)?;
    }
    Ok(())
}
