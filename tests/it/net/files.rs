//! Failed transfers leave nothing, and resumed ones continue where they stopped.

use super::ends::{End, Folder, file_with, noise, proclab, wait_until};
use super::guests::unfinished_files;
use super::wire::up_to;
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use proclab::net::file::digest::BUFFER;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) fn tests() -> Vec<Trial> {
    let test = |name: &str, run: fn() -> Result<(), Failed>| {
        crate::common::bounded(format!("net::file::{name}"), run)
    };
    vec![
        test("a_receiver_that_is_killed_leaves_nothing", killed_receiver),
        test("a_full_disk_leaves_nothing", full_disk),
        test("a_file_size_limit_fails_only_the_transfer", file_size_limit),
        test("a_transfer_continues_after_a_kill", resumed),
        test("a_file_that_is_already_complete_is_only_confirmed", confirmed),
        test("an_unwritable_folder_is_reported_at_once", unwritable),
        test("a_refused_sender_is_told_why", told_why_not),
        test("a_file_with_a_wrong_stated_size_is_sent_completely", misstated_size),
        test("every_size_takes_the_same_memory", constant_memory),
    ]
}

fn header(json: &str) -> Vec<u8> {
    let mut bytes = (json.len() as i32).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes
}

fn killed_receiver() -> Result<(), Failed> {
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let inbox = Folder::new("killed");
        let into = inbox.path("");
        let args = ["file", "receive", "--into", &into, "--bind", "127.0.0.1:0", "--grace", "0"];
        let (server, address) = End::serve(proclab(&args), "");
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(&header(r#"{"filename": "a", "filesize": 10000000}"#)).unwrap();
        stream.write_all(&noise(3_000_000)).unwrap();
        wait_until("the file is begun", || unfinished_files(&server) == 1);
        server.signal(signal);
        let code = server.finish().0;
        assert_eq!(code, if signal == Signal::SIGINT { 0 } else { -1 });
        assert_eq!(inbox.names(), [""; 0], "after {signal}");
    }
    Ok(())
}

/// Mounts a file system of 1 MB in a separate namespace, if that is allowed.
fn full_disk() -> Result<(), Failed> {
    let (small, from) = (Folder::new("small"), Folder::new("large"));
    let mount = format!("mount -t tmpfs -o size=1m tmpfs {}", small.path(""));
    let unshare = |script: &str| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "--", "sh", "-c", script]);
        command
    };
    if !unshare(&mount).output().is_ok_and(|output| output.status.success()) {
        println!("    left out: no file system can be mounted here");
        return Ok(());
    }
    let script = format!(
        "{mount} && exec {} net file receive --into {} --bind 127.0.0.1:0",
        env!("CARGO_BIN_EXE_proclab"),
        small.path(""),
    );
    let (server, address) = End::serve(unshare(&script), "");
    let path = from.path("large");
    file_with(&from.0.join("large"), &noise(3_000_000));
    let sender = End::start(proclab(&["file", "send", &path, "--to", &address]), "");
    sender.error_with("No space left on device");
    assert_eq!(sender.finish().0, 1);
    server.error_with("the file cannot be written: No space left on device");
    file_with(&from.0.join("large"), &noise(1000));
    let sender = End::start(proclab(&["file", "send", &path, "--to", &address]), "");
    assert_eq!(sender.finish().0, 0, "the space of the failed transfer is free again");
    assert!(server.line().starts_with("received large 1000 bytes"));
    assert_eq!(server.interrupt(), 0);
    Ok(())
}

/// `ulimit -f` ends a process by a signal unless the process prevents that.
fn file_size_limit() -> Result<(), Failed> {
    let (from, inbox) = (Folder::new("limit-from"), Folder::new("limit-into"));
    let (path, into) = (from.path("a"), inbox.path(""));
    let mut command = std::process::Command::new("sh");
    // In blocks of 512 or 1024 bytes.
    let script = "ulimit -f 1000; exec \"$0\" net file receive --into \"$1\" --bind 127.0.0.1:0";
    command.args(["-c", script, env!("CARGO_BIN_EXE_proclab"), &into]);
    let (server, address) = End::serve(command, "");
    file_with(&from.0.join("a"), &noise(3_000_000));
    let sender = End::start(proclab(&["file", "send", &path, "--to", &address]), "");
    sender.error_with("File too large");
    assert_eq!(sender.finish().0, 1);
    assert_eq!(inbox.names(), [""; 0]);
    file_with(&from.0.join("a"), &noise(1000));
    let sender = End::start(proclab(&["file", "send", &path, "--to", &address]), "");
    assert_eq!(sender.finish().0, 0);
    assert_eq!(inbox.names(), ["a"]);
    assert_eq!(server.interrupt(), 0);
    Ok(())
}

fn resumed() -> Result<(), Failed> {
    let (from, inbox) = (Folder::new("resume-from"), Folder::new("resume-into"));
    let bytes = noise(20_000_000);
    file_with(&from.0.join("big"), &bytes);
    let (path, into) = (from.path("big"), inbox.path(""));
    let receive = ["file", "receive", "--into", &into, "--bind", "127.0.0.1:0", "--resume"];
    let (server, address) = End::serve(proclab(&receive), "");
    // A killed receiver leaves the complete buffers that it received.
    let slow = up_to(&address, 8_000_000);
    let sender = End::start(proclab(&["file", "send", &path, "--to", &slow, "--resume"]), "");
    let kept = 8_000_000 / BUFFER * BUFFER;
    let partial = || {
        let name = inbox.names().into_iter().find(|name| name.ends_with(".resume"))?;
        std::fs::metadata(inbox.0.join(name)).ok().map(|about| about.len())
    };
    wait_until("what came is written", || partial() == Some(kept as u64));
    server.signal(Signal::SIGKILL);
    server.finish();
    assert_eq!(sender.finish().0, 1);
    assert!(!inbox.0.join("big").exists());

    let (server, address) = End::serve(proclab(&receive), "");
    let sender = End::start(proclab(&["file", "send", &path, "--to", &address, "--resume"]), "");
    sender.error_with(&format!("the other end has {kept} of 20000000 bytes: sending the rest"));
    assert_eq!(sender.finish().0, 0);
    assert_eq!(std::fs::read(inbox.0.join("big")).unwrap(), bytes);
    assert_eq!(inbox.names(), ["big"]);
    assert_eq!(server.interrupt(), 0);
    Ok(())
}

/// The state that a receiver leaves when it is killed after the last byte and before the file has its name.
fn confirmed() -> Result<(), Failed> {
    let (from, inbox) = (Folder::new("whole-from"), Folder::new("whole-into"));
    let bytes = noise(300_000);
    file_with(&from.0.join("a"), &bytes);
    let digest = blake3::hash(&bytes).to_string();
    let (path, into) = (from.path("a"), inbox.path(""));
    let receive = ["file", "receive", "--into", &into, "--bind", "127.0.0.1:0", "--resume"];
    let (server, address) = End::serve(proclab(&receive), "");
    for _ in 0..5 {
        file_with(&inbox.0.join(format!(".proclab-{}.resume", &digest[..32])), &bytes);
        let sender = End::start(proclab(&["file", "send", &path, "--to", &address, "--resume"]), "");
        sender.error_with("the other end has 300000 of 300000 bytes");
        assert_eq!(sender.finish().0, 0);
        assert_eq!(std::fs::read(inbox.0.join("a")).unwrap(), bytes);
        assert_eq!(inbox.names(), ["a"]);
        std::fs::remove_file(inbox.0.join("a")).unwrap();
    }
    assert_eq!(server.interrupt(), 0);
    Ok(())
}

fn unwritable() -> Result<(), Failed> {
    // Not even root can create a file there.
    let end = End::start(proclab(&["file", "receive", "--into", "/proc", "--bind", "127.0.0.1:0"]), "");
    end.error_with("error: cannot receive files into /proc: the folder cannot be used");
    end.error_with("hint: --into must be a folder that you may write to");
    assert_eq!(end.finish().0, 1);
    Ok(())
}

fn told_why_not() -> Result<(), Failed> {
    let (from, inbox) = (Folder::new("why-from"), Folder::new("why-into"));
    file_with(&from.0.join("a"), &noise(8_000_000));
    file_with(&inbox.0.join("a"), b"mine");
    let (path, into) = (from.path("a"), inbox.path(""));
    let receive = ["file", "receive", "--into", &into, "--bind", "127.0.0.1:0"];
    let (server, address) = End::serve(proclab(&receive), "");
    let sender = End::start(proclab(&["file", "send", &path, "--to", &address]), "");
    sender.error_with("already exists");
    assert_eq!(sender.finish().0, 1);
    assert_eq!(std::fs::read(inbox.0.join("a")).unwrap(), b"mine");

    let sender = End::start(proclab(&["file", "send", &path, "--to", &address, "--resume"]), "");
    sender.error_with("needs --resume too");
    assert_eq!(sender.finish().0, 1);
    assert_eq!(server.interrupt(), 0);

    let (server, address) = End::serve(proclab(&[&receive[..], &["--overwrite"]].concat()), "");
    let sender = End::start(proclab(&["file", "send", &path, "--to", &address]), "");
    assert_eq!(sender.finish().0, 0);
    assert_eq!(std::fs::metadata(inbox.0.join("a")).unwrap().len(), 8_000_000);
    assert_eq!(inbox.names(), ["a"]);
    assert_eq!(server.interrupt(), 0);

    for bad in [from.path(""), from.path("not-there"), "/dev/null".to_owned()] {
        let sender = End::start(proclab(&["file", "send", &bad, "--to", "127.0.0.1:1"]), "");
        assert_eq!(sender.finish().0, 1, "{bad}");
    }
    Ok(())
}

fn constant_memory() -> Result<(), Failed> {
    let inbox = Folder::new("memory");
    let into = inbox.path("");
    let args = ["file", "receive", "--into", &into, "--bind", "127.0.0.1:0"];
    let (server, address) = End::serve(proclab(&args), "");
    let most = |pid: i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned();
        line.trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    // The program itself takes more in a build with debug information.
    let before = most(server.pid());
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&header(r#"{"filename": "a", "filesize": 40000000}"#)).unwrap();
    let piece = noise(1_000_000);
    for _ in 0..40 {
        stream.write_all(&piece).unwrap();
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    assert!(server.line().starts_with("received a 40000000 bytes"));
    let more = most(server.pid()) - before;
    assert!(more < 8_000, "{more} kB more than before");
    assert_eq!(server.interrupt(), 0);
    Ok(())
}

/// The kernel's own files state a size of 0.
fn misstated_size() -> Result<(), Failed> {
    let inbox = Folder::new("misstated");
    let into = inbox.path("");
    let receive = ["file", "receive", "--into", &into, "--bind", "127.0.0.1:0"];
    let (server, address) = End::serve(proclab(&receive), "");
    let sender = End::start(proclab(&["file", "send", "/proc/version", "--to", &address]), "");
    assert_eq!(sender.finish().0, 0);
    assert_eq!(std::fs::read(inbox.0.join("version")).unwrap(), std::fs::read("/proc/version").unwrap());
    assert_eq!(server.interrupt(), 0);
    Ok(())
}
