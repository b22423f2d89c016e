//! The demo: the same small sends joined, split, and finally framed.

use super::{Ends, Reading, Sending, message};
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::demo::{DemoError, Stage};
use crate::net::event::{Bytes, What};
use crate::sys::pid::Pid;
use std::time::Duration;

sentences! {
    /// What the demo says.
    enum Say {
        SmallSends { sends: u32 } =>
            "{sends} small sends with Nagle's algorithm on, read late.",
            "{sends} 次小的发送，开启 Nagle 算法，稍后才读取。";
        NagleOff =>
            "The same with Nagle's algorithm off: more packets, and still no boundaries.",
            "同上，但关闭 Nagle 算法：报文段更多，仍然没有边界。";
        ShortReads { bytes: u32 } =>
            "Nagle's algorithm off and reads of {bytes} bytes: now messages are split.",
            "关闭 Nagle 算法，每次读 {bytes} 字节：现在消息被拆开了。";
        InOneRead { sends: u32, bytes: usize } =>
            "{sends} sends, {bytes} bytes, arrived in 1 read",
            "{sends} 次发送，共 {bytes} 字节，由 1 次读取得到";
        InReads { sends: u32, bytes: usize, reads: usize } =>
            "{sends} sends, {bytes} bytes, arrived in {reads} reads",
            "{sends} 次发送，共 {bytes} 字节，由 {reads} 次读取得到";
        Split => "every byte arrived, split over more reads than sends", "每个字节都到了，读取比发送多：被拆开了";
        Joined => "every byte arrived, joined into fewer reads than sends", "每个字节都到了，读取比发送少：粘在一起了";
        Framed { bytes: u32 } =>
            "The same messages as frames, read {bytes} bytes at a time: each one is complete.",
            "同样的消息加上长度成为帧，每次读 {bytes} 字节：每条都完整。";
        InOrder { frames: u32, messages: usize } =>
            "{frames} frames sent, {messages} messages received, in order",
            "发送了 {frames} 帧，按次序收到 {messages} 条消息";
        NoBoundaries =>
            "A stream has no boundaries, with or without Nagle's algorithm: a protocol must add them.",
            "流没有边界，与 Nagle 算法无关：边界要由协议来加。";
    }
}

const COUNT: u32 = 12;
/// The bytes of a read that splits messages.
const SHORT: u32 = 7;

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    let sent: String = (1..=COUNT).map(message).collect();
    let late = Duration::from_millis(300);
    for (scene, no_delay, read, late) in [
        (Say::SmallSends { sends: COUNT }, false, 1024, late),
        (Say::NagleOff, true, 1024, late),
        (Say::ShortReads { bytes: SHORT }, true, SHORT, Duration::ZERO),
    ] {
        stage.scene(scene);
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
        stage.fact(match reads.len() {
            1 => Say::InOneRead { sends: COUNT, bytes: sent.len() },
            reads => Say::InReads { sends: COUNT, bytes: sent.len(), reads },
        });
        let (said, held) = if read == SHORT {
            (Say::Split, reads.len() > COUNT as usize)
        } else {
            (Say::Joined, reads.len() < COUNT as usize)
        };
        stage.check(said, ended && held && arrived == sent.as_bytes());
    }
    stage.scene(Say::Framed { bytes: SHORT });
    let reading = Reading { serve: ServeArgs::default(), read: SHORT, late: Duration::ZERO, framed: true };
    let (server, ended) = exchange(stage, reading, false)?;
    let framed = stage.messages_of(server);
    let whole: Vec<String> = (1..=COUNT).map(message).collect();
    stage.check(Say::InOrder { frames: COUNT, messages: framed.len() }, ended && framed == whole);
    stage.fact(Say::NoBoundaries);
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
