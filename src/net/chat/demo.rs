//! The demo: two people talk at the same time.

use super::Ends;
use crate::net::args::{Bounds, ClientBounds, ConnectArgs, ServeArgs};
use crate::net::demo::{DemoError, Stage};
use crate::net::event::What;

/// The most bytes of a read.
const READ: u32 = 4;

sentences! {
    /// What the demo says.
    enum Say {
        TwoTalk { bytes: u32 } =>
            "Two people talk at the same time. The server reads {bytes} bytes at a time, so each character of 你好 (3 bytes) can be split over two reads; Q ends the conversation.",
            "两个人同时说话。服务器每次读 {bytes} 字节，所以“你好”的每个字（3 字节）可能被拆到两次读取中；Q 结束对话。";
        ClientGot { text: &'static str } => "the client received {text:?}", "客户端收到了 {text:?}";
        PutTogether { text: &'static str } => "the server put {text} together again", "服务器把“{text}”重新拼好了";
        Ended => "the conversation ended without an error", "对话正常结束";
    }
}

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    stage.scene(Say::TwoTalk { bytes: READ });
    let each = ClientBounds { max_message: Some(READ), ..ClientBounds::default() };
    let bounds = Bounds { each, ..Bounds::default() };
    let server = stage.serve(Ends::Serve(ServeArgs { bounds, ..ServeArgs::default() }), &["hello"])?;
    let client = Ends::Connect(ConnectArgs::to(server.address()));
    let (client, ended) = stage.connect(client, &["你好", "q"])?;
    stage.wait_until(|stage| stage.events_of(server.pid()).contains(&What::Closed));
    let heard = stage.messages_of(client).concat();
    stage.check(Say::ClientGot { text: "hello" }, heard == "hello");
    // Without boundaries, `q` may be read together with the text before it.
    let heard = stage.messages_of(server.pid()).concat();
    stage.check(Say::PutTogether { text: "你好" }, heard.trim_end_matches('q') == "你好");
    stage.check(Say::Ended, ended.is_ok());
    stage.stop(&server)
}
