//! The demo: two clients at once, served by threads, then by processes.

use super::{Ends, Serve, WorkerKind};
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::demo::{DemoError, Stage};

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    for (workers, text) in [
        (WorkerKind::Thread, "A thread per connection"),
        (WorkerKind::Process, "A process per connection, under the supervisor"),
    ] {
        stage.scene(format!("{text}: two clients at once."));
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
        stage.check("every byte came back to both", held);
        stage.stop(&server)?;
    }
    Ok(())
}
