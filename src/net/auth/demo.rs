//! The demo: a key is proven, a recorded proof is replayed, and a short key is guessed.

use super::{Connect, Ends, Key, NONCE, Scheme, Secret, Serve, md5_answer};
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::demo::{DemoError, Needed, Running, Stage};
use crate::net::event::What;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

sentences! {
    /// What the demo says.
    enum Say {
        Md5 { key: &'static str } =>
            "md5 of key and nonce. The key is {key:?}, which is public: use it for this demo only.",
            "对密钥和随机数求 md5。密钥是公开的 {key:?}：只可用于这个演示。";
        Served => "a client with the key is served", "持有密钥的客户端得到服务";
        OtherKey => "a client with another key is closed without a reply", "密钥不同的客户端被关闭，没有回答";
        Eavesdropper =>
            "An eavesdropper has recorded the first client's proof and sends it again.",
            "窃听者录下了第一个客户端的证明，再发一次。";
        NonceIsNew =>
            "the nonce is new, so the old proof is wrong: closed without a reply",
            "随机数是新的，旧证明无效：被关闭，没有回答";
        TestsKeys =>
            "But the eavesdropper can test keys against the recorded proof, unnoticed.",
            "但窃听者可以拿录下的证明来试密钥，无人察觉。";
        Guessed { tried: u32, ms: f64, key: String } =>
            "{tried} guesses of the form \"a first name and two letters\" took {ms:.0} ms: the key is {key:?}",
            "按“名字加两个字母”的形式猜 {tried} 次，用时 {ms:.0} 毫秒：密钥是 {key:?}";
        NotGuessed { tried: u32, ms: f64 } =>
            "{tried} guesses of the form \"a first name and two letters\" took {ms:.0} ms: not found",
            "按“名字加两个字母”的形式猜 {tried} 次，用时 {ms:.0} 毫秒：没有猜到";
        ShortKey => "the short key was guessed", "短密钥被猜出";
        OnlyLongKeys =>
            "hmac-sha256 can be attacked in the same way: only a long random key resists.",
            "hmac-sha256 也能这样攻击：只有长的随机密钥才安全。";
        HmacSha256 =>
            "hmac-sha256: each end proves to the other that it has the key, over both nonces.",
            "hmac-sha256：两端用双方的随机数互相证明持有密钥。";
        BothProven => "both ends have proven that they have the key", "两端都证明了自己持有密钥";
        SendsNothing => "a client sends nothing to a server without the key", "客户端不会向没有密钥的服务器发送任何内容";
    }
}

/// The key, for this demo only.
const DEMO_KEY: &str = "alexsb";

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    md5(stage)?;
    stage.scene(Say::HmacSha256);
    let server = stage.serve(server(Scheme::HmacSha256, DEMO_KEY), &[])?;
    let (pid, ended) = stage.connect(client(&server, Scheme::HmacSha256, DEMO_KEY), &["hello"])?;
    let got = stage.messages_of(pid);
    stage.check(Say::BothProven, ended.is_ok() && got == ["HELLO"]);
    stage.stop(&server)?;
    let imposter = stage.serve(self::server(Scheme::HmacSha256, "another key"), &[])?;
    let (pid, ended) = stage.connect(client(&imposter, Scheme::HmacSha256, DEMO_KEY), &["hello"])?;
    let got = stage.messages_of(pid);
    stage.check(Say::SendsNothing, ended.is_err() && got.is_empty());
    stage.stop(&imposter)
}

fn md5(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    stage.scene(Say::Md5 { key: DEMO_KEY });
    let server = stage.serve(server(Scheme::Md5, DEMO_KEY), &[])?;
    let (pid, ended) = stage.connect(client(&server, Scheme::Md5, DEMO_KEY), &["hello"])?;
    let got = stage.messages_of(pid);
    stage.check(Say::Served, ended.is_ok() && got == ["HELLO"]);
    let overheard = stage.events_of(pid);
    let (_, ended) = stage.connect(client(&server, Scheme::Md5, "wrong"), &["hello"])?;
    stage.check(Say::OtherKey, ended.is_err());

    stage.scene(Say::Eavesdropper);
    let (nonce, answer) = recorded(&overheard);
    let mut thief = TcpStream::connect(server.address()).map_err(DemoError::failed(Needed::Reachable))?;
    let _ = thief.set_read_timeout(Some(Duration::from_secs(10)));
    let mut fresh = [0; NONCE];
    thief.read_exact(&mut fresh).map_err(DemoError::failed(Needed::Challenges))?;
    let _ = thief.write_all(&answer);
    let mut reply = Vec::new();
    let closed = thief.read_to_end(&mut reply).is_ok();
    drop(thief);
    stage.check(Say::NonceIsNew, closed && reply.is_empty() && fresh != nonce);

    stage.scene(Say::TestsKeys);
    let began = Instant::now();
    let (found, tried) = guess(&nonce, &answer);
    let ms = began.elapsed().as_secs_f64() * 1000.0;
    stage.fact(match found.clone() {
        Some(key) => Say::Guessed { tried, ms, key },
        None => Say::NotGuessed { tried, ms },
    });
    stage.check(Say::ShortKey, found.as_deref() == Some(DEMO_KEY));
    stage.fact(Say::OnlyLongKeys);
    stage.stop(&server)
}

fn server(scheme: Scheme, key: &str) -> Ends {
    Ends::Serve(Serve { serve: ServeArgs::default(), secret: secret(scheme, key) })
}

fn client(server: &Running, scheme: Scheme, key: &str) -> Ends {
    Ends::Connect(Connect { connect: ConnectArgs::to(server.address()), secret: secret(scheme, key) })
}

fn secret(scheme: Scheme, key: &str) -> Secret {
    Secret { key_file: None, scheme, key: Key::new(key.as_bytes().to_vec()) }
}

/// The challenge and the answer that crossed the wire at the client.
fn recorded(events: &[What]) -> ([u8; NONCE], [u8; 32]) {
    let mut received = Vec::new();
    let mut sent = Vec::new();
    for what in events {
        match what {
            What::Received(bytes) if received.len() < NONCE => received.extend_from_slice(&bytes.head),
            What::Sent(bytes) if sent.len() < 32 => sent.extend_from_slice(&bytes.head),
            _ => {}
        }
    }
    let first = |bytes: &[u8]| std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(0));
    (first(&received), first(&sent))
}

fn guess(nonce: &[u8; NONCE], answer: &[u8; 32]) -> (Option<String>, u32) {
    const NAMES: [&str; 12] =
        ["anna", "ben", "carl", "dora", "eva", "fritz", "wang", "li", "tom", "max", "alex", "bob"];
    let mut tried = 0;
    for name in NAMES {
        for (a, b) in ('a'..='z').flat_map(|a| ('a'..='z').map(move |b| (a, b))) {
            tried += 1;
            let word = format!("{name}{a}{b}");
            if Key::new(word.clone().into_bytes()).is_some_and(|key| md5_answer(&key, nonce) == *answer) {
                return (Some(word), tried);
            }
        }
    }
    (None, tried)
}
