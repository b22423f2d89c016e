//! The demo: two people talk at the same time.

use super::Ends;
use crate::net::args::{Bounds, ClientBounds, ConnectArgs, ServeArgs};
use crate::net::demo::{DemoError, Stage};
use crate::net::event::What;

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    stage.scene(
        "Two people talk at the same time. The server reads 4 bytes at a time, so each character of 你好 \
         (3 bytes) can be split over two reads; Q ends the conversation.",
    );
    let each = ClientBounds { max_message: Some(4), ..ClientBounds::default() };
    let bounds = Bounds { each, ..Bounds::default() };
    let server = stage.serve(Ends::Serve(ServeArgs { bounds, ..ServeArgs::default() }), &["hello"])?;
    let client = Ends::Connect(ConnectArgs::to(server.address()));
    let (client, ended) = stage.connect(client, &["你好", "q"])?;
    stage.wait_until(|stage| stage.events_of(server.pid()).contains(&What::Closed));
    let heard = stage.messages_of(client).concat();
    stage.check("the client received \"hello\"", heard == "hello");
    // Without boundaries, `q` may be read together with the text before it.
    let heard = stage.messages_of(server.pid()).concat();
    stage.check("the server put 你好 together again", heard.trim_end_matches('q') == "你好");
    stage.check("the conversation ended without an error", ended.is_ok());
    stage.stop(&server)
}
