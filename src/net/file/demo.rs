//! The demo: a file arrives whole, hostile senders leave nothing, and a broken transfer continues.

use super::digest::Hash;
use super::header::Header;
use super::send::Note;
use super::{Ends, Meeting, Receiving, Sending};
use crate::net::args::Bounds;
use crate::net::demo::{DemoError, Needed, Running, Stage};
use crate::process::Scratch;
use crate::wire::frame::encode;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

sentences! {
    /// What the demo says.
    enum Say {
        ReceiverListens =>
            "The receiver listens, the sender connects: a length, a JSON header, then 3 MB.",
            "接收方监听，发送方连接：先是长度，然后 JSON 头，然后 3 MB。";
        SameDigest => "both ends show the same digest, that of the file", "两端显示相同的摘要，就是文件的摘要";
        Arrived => "the file arrived whole", "文件完整到达";
        SenderListens => "The sender listens, the receiver connects.", "发送方监听，接收方连接。";
        SameName =>
            "The same name again: an existing file is not replaced without --overwrite.",
            "再用同一个名字：没有 --overwrite 就不会覆盖已有文件。";
        ToldWhy => "the sender is told why", "发送方得知原因";
        Hostile =>
            "Hostile senders: names that lead out of the folder, and sizes that lie.",
            "恶意的发送方：想逃出文件夹的名字，以及虚假的大小。";
        OneLine => "each cost one line", "各自只多记了一行";
        EarlierFileOnly => "the folder holds the earlier file and nothing else", "文件夹里只有先前的文件";
        BreaksOff =>
            "A transfer breaks off after 1 MB. With --resume at both ends, the next one continues there.",
            "传输在 1 MB 后中断。两端都用 --resume 时，下一次从那里继续。";
        NoFile => "a broken transfer leaves no file of that name", "中断的传输不留下该名字的文件";
        OnlyTheRest => "only the rest was sent, and the file is whole", "只发送了剩余部分，文件完整";
        NothingElse => "the folder holds nothing else", "文件夹里没有别的东西";
    }
}

/// A file, and the folder that it is sent to.
struct Files {
    /// Removed at the end of the demo, even after SIGKILL.
    _scratch: Scratch,
    path: PathBuf,
    inbox: PathBuf,
    bytes: Vec<u8>,
    digest: String,
}

impl Files {
    fn new() -> Result<Self, DemoError> {
        let scratch = Scratch::new().map_err(DemoError::process)?;
        let (path, inbox) = (scratch.path().join("photo.bin"), scratch.path().join("inbox"));
        let bytes: Vec<u8> =
            (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        fs::create_dir(&inbox).map_err(DemoError::io("cannot create a folder for the demo"))?;
        fs::write(&path, &bytes).map_err(DemoError::io("cannot write the file to send"))?;
        let digest = blake3::hash(&bytes).to_string();
        Ok(Self { _scratch: scratch, path, inbox, bytes, digest })
    }

    fn arrived(&self) -> bool {
        fs::read(self.inbox.join("photo.bin")).is_ok_and(|got| got == self.bytes)
    }

    /// Removes the copy so that the file can be received again.
    fn remove_copy(&self) -> Result<(), DemoError> {
        let copy = self.inbox.join("photo.bin");
        fs::remove_file(copy).map_err(DemoError::failed(Needed::HasFile))
    }

    fn send(&self, meeting: Meeting, resume: bool) -> Ends {
        let (path, hash) = (self.path.clone(), Hash::default());
        Ends::Send(Sending { path, meeting, hash, resume, once: false, bounds: Bounds::default() })
    }

    fn receive(&self, meeting: Meeting, resume: bool) -> Ends {
        Ends::Receive(self.receiving(meeting, resume))
    }

    fn receive_once(&self) -> Ends {
        Ends::Receive(Receiving { once: true, ..self.receiving(listening(), false) })
    }

    fn receiving(&self, meeting: Meeting, resume: bool) -> Receiving {
        Receiving {
            into: self.inbox.clone(),
            meeting,
            max_size: 1 << 30,
            overwrite: false,
            hash: Hash::default(),
            resume,
            once: false,
            bounds: Bounds::default(),
        }
    }
}

fn listening() -> Meeting {
    Meeting { bind: Some("127.0.0.1:0".to_owned()), to: None }
}

fn connecting(server: &Running) -> Meeting {
    Meeting { bind: None, to: Some(server.address().to_string()) }
}

pub(super) fn play(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    let files = Files::new()?;
    stage.scene(Say::ReceiverListens);
    let server = stage.serve(files.receive_once(), &[])?;
    let (client, ended) = stage.connect(files.send(connecting(&server), false), &[])?;
    let (sent, got) = (stage.messages_of(client).concat(), stage.messages_of(server.pid()).concat());
    stage.check(Say::SameDigest, sent.contains(&files.digest) && got.contains(&files.digest));
    stage.check(Say::Arrived, ended.is_ok() && files.arrived());

    refuse(stage, &files)?;
    resume(stage, &files)?;

    stage.scene(Say::SenderListens);
    files.remove_copy()?;
    let server = stage.serve(files.send(listening(), false), &[])?;
    let (_, ended) = stage.connect(files.receive(connecting(&server), false), &[])?;
    stage.check(Say::Arrived, ended.is_ok() && files.arrived());
    stage.stop(&server)
}

fn refuse(stage: &mut Stage<'_>, files: &Files) -> Result<(), DemoError> {
    stage.scene(Say::SameName);
    let server = stage.serve(files.receive(listening(), false), &[])?;
    let (_, ended) = stage.connect(files.send(connecting(&server), false), &[])?;
    stage.check(Say::ToldWhy, ended.is_err_and(|why| why.contains("already exists")));

    stage.scene(Say::Hostile);
    for (filename, filesize) in [("../photo.bin", 4), ("/etc/motd", 4), ("less", 2), ("more", 9)] {
        let header = Header { filename: filename.to_owned(), filesize, hash: None, resume: None };
        raw_sender(&server, &header, b"four")?;
    }
    stage.wait_until(|stage| stage.failures_of(server.pid()).len() >= 5);
    let failures = stage.failures_of(server.pid()).len();
    stage.check(Say::OneLine, failures == 5);
    stage.check(Say::EarlierFileOnly, names(&files.inbox) == ["photo.bin"]);
    stage.stop(&server)
}

fn resume(stage: &mut Stage<'_>, files: &Files) -> Result<(), DemoError> {
    stage.scene(Say::BreaksOff);
    files.remove_copy()?;
    let server = stage.serve(files.receive(listening(), true), &[])?;
    let header = Header {
        filename: "photo.bin".to_owned(),
        filesize: files.bytes.len() as u64,
        hash: Some(Hash::default()),
        resume: Some(files.digest.clone()),
    };
    raw_sender(&server, &header, &files.bytes[..1_000_000])?;
    stage.wait_until(|stage| stage.failures_of(server.pid()).len() == 1);
    stage.check(Say::NoFile, !files.inbox.join("photo.bin").exists());
    let (client, ended) = stage.connect(files.send(connecting(&server), true), &[])?;
    let note = Note::Resumes { offset: 1_000_000, size: 3_000_000 }.into();
    let resumed = stage.notes_of(client).contains(&note);
    let held = ended.is_ok() && resumed && files.arrived();
    stage.check(Say::OnlyTheRest, held);
    stage.check(Say::NothingElse, names(&files.inbox) == ["photo.bin"]);
    stage.stop(&server)
}

/// Sends a dishonest header and bytes, and waits for the end. Only a sender that resumes gets an answer, before its
/// bytes.
fn raw_sender(server: &Running, header: &Header, bytes: &[u8]) -> Result<(), DemoError> {
    let mut stream = TcpStream::connect(server.address()).map_err(DemoError::failed(Needed::Reachable))?;
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let frame = encode(header.to_json().as_bytes(), 1 << 16).unwrap_or_default();
    // A server that refuses may close before everything is sent.
    let _ = stream.write_all(&frame);
    if header.resume.is_some() {
        let mut prefix = [0; 4];
        stream.read_exact(&mut prefix).map_err(DemoError::failed(Needed::Answers))?;
        let mut answer = vec![0; u32::from_le_bytes(prefix).min(1024) as usize];
        stream.read_exact(&mut answer).map_err(DemoError::failed(Needed::Answers))?;
    }
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
    Ok(())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
