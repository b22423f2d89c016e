//! The demos of `file`, `upper` and `auth`, in which the parent plays a part itself.

use super::stage::{DemoError, Running, Stage};
use crate::net::auth::{Key, NONCE, Scheme, md5_answer};
use crate::net::end::{Connecting, Serving, Transfer, Until};
use crate::net::event::What;
use crate::net::limits::Limits;
use crate::net::transfer::digest::Hash;
use crate::net::transfer::header::Header;
use crate::process::Scratch;
use crate::sys::resource::cpu_time_of;
use crate::wire::frame::encode;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The key of the demo, and of nothing else.
const DEMO_KEY: &str = "alexsb";

pub(super) fn file(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    // Gone at the end of the demo, also if it is killed.
    let scratch = Scratch::new().map_err(DemoError::process)?;
    let (path, inbox) = (scratch.path().join("photo.bin"), scratch.path().join("inbox"));
    std::fs::create_dir(&inbox).map_err(DemoError::io("no folder can be created for the demo"))?;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(&path, &bytes).map_err(DemoError::io("the file to send cannot be written"))?;
    let digest = blake3::hash(&bytes).to_string();
    let hash = Hash::Blake3;
    let receive =
        |resume| Transfer::Receive { into: inbox.clone(), limit: 1 << 30, overwrite: false, hash, resume };
    let send = |resume| Transfer::Send { path: path.clone(), hash, resume };
    let arrived = || std::fs::read(inbox.join("photo.bin")).is_ok_and(|got| got == bytes);

    stage.scene("The receiver listens, the sender connects: a length, a JSON header, then 3 MB.");
    let server = stage.serve(Serving::File(receive(false), Until::Once), Limits::default(), &[])?;
    let (client, ended) = stage.connect(Connecting::File(send(false)), &server, Limits::default(), &[])?;
    let (sent, got) = (stage.messages_of(client).concat(), stage.messages_of(server.pid).concat());
    stage.check(
        "both ends show the same digest, that of the file",
        sent.contains(&digest) && got.contains(&digest),
    );
    stage.check("the file is there, whole", ended.is_ok() && arrived());

    stage.scene("The same name again: what is there is not replaced unless that is asked for.");
    let server = stage.serve(Serving::File(receive(false), Until::Stopped), Limits::default(), &[])?;
    let (_, ended) = stage.connect(Connecting::File(send(false)), &server, Limits::default(), &[])?;
    stage.check("the sender is told why not", ended.is_err_and(|why| why.contains("there already")));

    stage.scene("Hostile senders: names that leave the folder, and a size that lies.");
    for (filename, filesize) in [("../photo.bin", 4), ("/etc/motd", 4), ("less", 2), ("more", 9)] {
        let header = Header { filename: filename.to_owned(), filesize, hash: None, resume: None };
        raw_sender(&server, &header, b"four")?;
    }
    stage.wait_until(|stage| stage.failures_of(server.pid).len() >= 5);
    let failures = stage.failures_of(server.pid).len();
    stage.check("each cost one line", failures == 5);
    stage.check("nothing is in the folder but the file from before", names(&inbox) == ["photo.bin"]);
    stage.stop(&server)?;

    stage.scene("A transfer breaks off after 1 MB; with --resume on both ends the next one goes on there.");
    std::fs::remove_file(inbox.join("photo.bin")).map_err(DemoError::not_so("the file is in the folder"))?;
    let server = stage.serve(Serving::File(receive(true), Until::Stopped), Limits::default(), &[])?;
    let header = Header {
        filename: "photo.bin".to_owned(),
        filesize: bytes.len() as u64,
        hash: Some(hash),
        resume: Some(digest.clone()),
    };
    raw_sender(&server, &header, &bytes[..1_000_000])?;
    stage.wait_until(|stage| stage.failures_of(server.pid).len() == 1);
    stage.check("a broken transfer shows no file", !inbox.join("photo.bin").exists());
    let (client, ended) = stage.connect(Connecting::File(send(true)), &server, Limits::default(), &[])?;
    let resumed = stage
        .events_of(client)
        .iter()
        .any(|what| matches!(what, What::Note(text) if text.contains("has 1000000 of 3000000 bytes")));
    stage.check("only the rest was sent, and the whole is right", ended.is_ok() && resumed && arrived());
    stage.check("nothing else is left in the folder", names(&inbox) == ["photo.bin"]);
    stage.stop(&server)?;

    stage.scene("The sender listens, the receiver connects.");
    std::fs::remove_file(inbox.join("photo.bin")).map_err(DemoError::not_so("the file is in the folder"))?;
    let server = stage.serve(Serving::File(send(false), Until::Stopped), Limits::default(), &[])?;
    let (_, ended) = stage.connect(Connecting::File(receive(false)), &server, Limits::default(), &[])?;
    stage.check("the file is there, whole", ended.is_ok() && arrived());
    stage.stop(&server)
}

/// Sends a header and bytes as no honest sender would, and waits for the end. Only a sender that
/// resumes is answered, before its bytes.
fn raw_sender(server: &Running, header: &Header, bytes: &[u8]) -> Result<(), DemoError> {
    let mut stream =
        TcpStream::connect(server.address).map_err(DemoError::not_so("the server can be spoken to"))?;
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let frame = encode(header.to_json().as_bytes(), 1 << 16).unwrap_or_default();
    // A server that refuses may have closed before all is sent, and that is what is looked for.
    let _ = stream.write_all(&frame);
    if header.resume.is_some() {
        let mut prefix = [0; 4];
        stream.read_exact(&mut prefix).map_err(DemoError::not_so("the receiver answers"))?;
        let mut answer = vec![0; u32::from_le_bytes(prefix).min(1024) as usize];
        stream.read_exact(&mut answer).map_err(DemoError::not_so("the receiver answers"))?;
    }
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
    Ok(())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

pub(super) fn upper(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    const IDLE: Duration = Duration::from_millis(500);
    const REQUESTS: usize = 2000;
    for (busy, text) in [
        (true, "The busy loop asks every socket without end"),
        (false, "Readiness: the kernel says which socket has something"),
    ] {
        stage.scene(format!("{text}. 50 connections, 49 of them idle."));
        let server = stage.serve(Serving::Upper { busy }, Limits::default(), &[])?;
        let (client, ended) =
            stage.connect(Connecting::Upper, &server, Limits::default(), &["wusir", "straße 火锅"])?;
        let got = stage.messages_of(client);
        stage.check("the text came back in upper case", ended.is_ok() && got == ["WUSIR", "STRASSE 火锅"]);

        let connect =
            || TcpStream::connect(server.address).map_err(DemoError::not_so("the server can be spoken to"));
        let mut streams = (0..50).map(|_| connect()).collect::<Result<Vec<_>, _>>()?;
        let idle = core_share(&server, || std::thread::sleep(IDLE))?;
        let stream = &mut streams[0];
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        let mut right = true;
        let began = Instant::now();
        let load = core_share(&server, || {
            for _ in 0..REQUESTS {
                let mut answer = [0; 5];
                right &= stream.write_all(b"wusir").and_then(|()| stream.read_exact(&mut answer)).is_ok();
                right &= &answer == b"WUSIR";
            }
        })?;
        let rate = REQUESTS as f64 / began.elapsed().as_secs_f64();
        stage.check(format!("{REQUESTS} requests were answered"), right);
        stage.fact(format!(
            "{}: {idle:.1} % of a core idle, {load:.1} % under load, {rate:.0} requests a second of one client",
            if busy { "busy loop" } else { "readiness" }
        ));
        // On a machine that has other work, even a busy loop gets little of a core; asleep it gets none.
        let held = if busy { idle > 5.0 } else { idle < 5.0 };
        stage.check(if busy { "idle, it burns processor time" } else { "idle, it costs nothing" }, held);
        drop(streams);
        stage.stop(&server)?;
    }
    Ok(())
}

/// How much of a core the server used while `during` ran, in percent.
fn core_share(server: &Running, during: impl FnOnce()) -> Result<f64, DemoError> {
    let used = || cpu_time_of(server.pid).map_err(DemoError::io("the server's clock cannot be read"));
    let (began, before) = (Instant::now(), used()?);
    during();
    let spent = used()?.saturating_sub(before).as_secs_f64();
    Ok(100.0 * spent / began.elapsed().as_secs_f64())
}

pub(super) fn auth(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    let key = |text: &str| Key::new(text.as_bytes().to_vec()).expect("the demo's keys are not empty");
    stage.scene(format!(
        "md5 of key and nonce. The key is the demo's default, {DEMO_KEY:?}: everybody knows it, so it is for \
         this demo only."
    ));
    let server = stage.serve(Serving::Auth(Scheme::Md5, key(DEMO_KEY)), Limits::default(), &[])?;
    let (client, ended) = stage.connect(
        Connecting::Auth(Scheme::Md5, key(DEMO_KEY)),
        &server,
        Limits::default(),
        &["hello"],
    )?;
    let got = stage.messages_of(client);
    stage.check("who has the key is served", ended.is_ok() && got == ["HELLO"]);
    let overheard = stage.events_of(client);
    let (_, ended) =
        stage.connect(Connecting::Auth(Scheme::Md5, key("wrong")), &server, Limits::default(), &["hello"])?;
    stage.check("who has another key is closed without a word", ended.is_err());

    stage.scene("A listener has recorded the first client's proof and sends it again.");
    let (nonce, answer) = recorded(&overheard);
    let mut thief =
        TcpStream::connect(server.address).map_err(DemoError::not_so("the server can be spoken to"))?;
    let _ = thief.set_read_timeout(Some(Duration::from_secs(10)));
    let mut fresh = [0; NONCE];
    thief.read_exact(&mut fresh).map_err(DemoError::not_so("the server sends a challenge"))?;
    let _ = thief.write_all(&answer);
    let mut said = Vec::new();
    let closed = thief.read_to_end(&mut said).is_ok();
    drop(thief);
    stage.check(
        "the nonce is another, so the old answer is wrong: closed without a word",
        closed && said.is_empty() && fresh != nonce,
    );

    stage.scene("But the listener can try keys against what it heard, alone and unseen.");
    let began = Instant::now();
    let (found, tried) = guess(&nonce, &answer);
    stage.fact(format!(
        "{tried} guesses of the form \"a first name and two letters\" took {:.0} ms: {}",
        began.elapsed().as_secs_f64() * 1000.0,
        found.as_deref().map_or("not found".to_owned(), |key| format!("the key is {key:?}"))
    ));
    stage.check("the short key was guessed", found.as_deref() == Some(DEMO_KEY));
    stage.fact("hmac-sha256 can be guessed at in the same way: only a long random key withstands.");
    stage.stop(&server)?;

    stage.scene("hmac-sha256: both ends prove the key, over both nonces.");
    let server = stage.serve(Serving::Auth(Scheme::HmacSha256, key(DEMO_KEY)), Limits::default(), &[])?;
    let (client, ended) = stage.connect(
        Connecting::Auth(Scheme::HmacSha256, key(DEMO_KEY)),
        &server,
        Limits::default(),
        &["hello"],
    )?;
    let got = stage.messages_of(client);
    stage.check("both ends have proven the key", ended.is_ok() && got == ["HELLO"]);
    stage.stop(&server)?;
    let imposter = stage.serve(Serving::Frames(vec!["x".repeat(64)]), Limits::default(), &[])?;
    let (_, ended) = stage.connect(
        Connecting::Auth(Scheme::HmacSha256, key(DEMO_KEY)),
        &imposter,
        Limits::default(),
        &["hello"],
    )?;
    stage.check("a server without the key is found out before anything is told to it", ended.is_err());
    stage.stop(&imposter)
}

/// The challenge and the answer as they crossed the wire at the client.
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
