//! The demo: a key is proven, a recorded proof is replayed, and a short key is guessed.

use super::{Connect, Ends, Key, NONCE, Scheme, Secret, Serve, md5_answer};
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::demo::{DemoError, Running, Stage};
use crate::net::event::What;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The key, for this demo only.
const DEMO_KEY: &str = "alexsb";

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    md5(stage)?;
    stage.scene("hmac-sha256: each end proves to the other that it has the key, over both nonces.");
    let server = stage.serve(server(Scheme::HmacSha256, DEMO_KEY), &[])?;
    let (pid, ended) = stage.connect(client(&server, Scheme::HmacSha256, DEMO_KEY), &["hello"])?;
    let got = stage.messages_of(pid);
    stage.check("both ends have proven that they have the key", ended.is_ok() && got == ["HELLO"]);
    stage.stop(&server)?;
    let imposter = stage.serve(self::server(Scheme::HmacSha256, "another key"), &[])?;
    let (pid, ended) = stage.connect(client(&imposter, Scheme::HmacSha256, DEMO_KEY), &["hello"])?;
    let got = stage.messages_of(pid);
    stage.check("a client sends nothing to a server without the key", ended.is_err() && got.is_empty());
    stage.stop(&imposter)
}

fn md5(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    stage.scene(format!(
        "md5 of key and nonce. The key is {DEMO_KEY:?}, which is public: use it for this demo only."
    ));
    let server = stage.serve(server(Scheme::Md5, DEMO_KEY), &[])?;
    let (pid, ended) = stage.connect(client(&server, Scheme::Md5, DEMO_KEY), &["hello"])?;
    let got = stage.messages_of(pid);
    stage.check("a client with the key is served", ended.is_ok() && got == ["HELLO"]);
    let overheard = stage.events_of(pid);
    let (_, ended) = stage.connect(client(&server, Scheme::Md5, "wrong"), &["hello"])?;
    stage.check("a client with another key is closed without a reply", ended.is_err());

    stage.scene("An eavesdropper has recorded the first client's proof and sends it again.");
    let (nonce, answer) = recorded(&overheard);
    let mut thief =
        TcpStream::connect(server.address()).map_err(DemoError::failed("the server is reachable"))?;
    let _ = thief.set_read_timeout(Some(Duration::from_secs(10)));
    let mut fresh = [0; NONCE];
    thief.read_exact(&mut fresh).map_err(DemoError::failed("the server sends a challenge"))?;
    let _ = thief.write_all(&answer);
    let mut reply = Vec::new();
    let closed = thief.read_to_end(&mut reply).is_ok();
    drop(thief);
    stage.check(
        "the nonce is new, so the old proof is wrong: closed without a reply",
        closed && reply.is_empty() && fresh != nonce,
    );

    stage.scene("But the eavesdropper can test keys against the recorded proof, unnoticed.");
    let began = Instant::now();
    let (found, tried) = guess(&nonce, &answer);
    let found_out = found.as_deref().map_or("not found".to_owned(), |key| format!("the key is {key:?}"));
    stage.fact(format!(
        "{tried} guesses of the form \"a first name and two letters\" took {:.0} ms: {found_out}",
        began.elapsed().as_secs_f64() * 1000.0,
    ));
    stage.check("the short key was guessed", found.as_deref() == Some(DEMO_KEY));
    stage.fact("hmac-sha256 can be attacked in the same way: only a long random key resists.");
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
