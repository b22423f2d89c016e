//! Each program against the Python program of the notes, at either end, whole and split at every byte.

use super::ends::{End, Folder, file_with, noise, notes, proclab};
use libtest_mimic::{Failed, Trial};

pub(crate) fn tests() -> Vec<Trial> {
    let test = |name: &str, run: fn() -> Result<(), Failed>| {
        crate::common::bounded(format!("net::python::{name}"), run)
    };
    vec![
        test("chat_serves_python", chat_serves_python),
        test("chat_goes_to_python", chat_goes_to_python),
        test("udp_both_ways", udp_both_ways),
        test("frames_both_ways", frames_both_ways),
        test("echo_both_ways", echo_both_ways),
        test("upper_both_ways", upper_both_ways),
        test("auth_both_ways", auth_both_ways),
        test("files_both_ways", files_both_ways),
    ]
}

/// Runs `body` with no further argument and with `--split`.
fn whole_and_split(body: impl Fn(&[&str])) -> Result<(), Failed> {
    body(&[]);
    body(&["--split"]);
    Ok(())
}

fn python(program: &str, role: &str, address: &str, split: &[&str]) -> Option<std::process::Command> {
    notes(&[&[program, role, address], split].concat())
}

fn chat_serves_python() -> Result<(), Failed> {
    whole_and_split(|split| {
        let (server, address) = End::serve(proclab(&["chat", "serve"]), "你好\nagain\nQ\n");
        let Some(client) = python("chat", "connect", &address, split) else { return };
        let client = End::start(client, "火锅 one\ntwo\n");
        assert_eq!(client.line(), "你好");
        assert_eq!(server.line(), "火锅 one");
        assert_eq!(client.line(), "again");
        assert_eq!(server.line(), "two");
        assert_eq!(client.finish(), (0, vec![]));
        assert_eq!(server.interrupt(), 0);
    })
}

fn chat_goes_to_python() -> Result<(), Failed> {
    whole_and_split(|split| {
        let Some(server) = python("chat", "serve", "127.0.0.1:0", split) else { return };
        let (server, address) = End::serve(server, "你好\nagain\nlast\n");
        let client = End::start(proclab(&["chat", "connect", &address]), "火锅\ntwo\nq\n");
        let (code, said) = client.finish();
        let (_, heard) = server.finish();
        assert_eq!((code, heard), (0, vec!["火锅".to_owned(), "two".to_owned()]));
        assert_eq!(said[..2], ["你好", "again"]);
    })
}

fn udp_both_ways() -> Result<(), Failed> {
    let (server, address) = End::serve(proclab(&["udp", "serve"]), "");
    let Some(client) = python("udp", "connect", &address, &[]) else { return Ok(()) };
    assert_eq!(End::start(client, "hello\n火锅\nQ\n").finish(), (0, vec!["收到".to_owned(); 2]));
    assert!(server.line().ends_with(": hello") && server.line().ends_with(": 火锅"));
    assert_eq!(server.interrupt(), 0);

    let Some(server) = python("udp", "serve", "127.0.0.1:0", &[]) else { return Ok(()) };
    let (server, address) = End::serve(server, "");
    let client = End::start(proclab(&["udp", "connect", &address]), "hello\n火锅\nq\n");
    assert_eq!(client.finish(), (0, vec!["收到".to_owned(); 2]));
    assert_eq!((server.line(), server.line()), ("hello".to_owned(), "火锅".to_owned()));
    Ok(())
}

fn frames_both_ways() -> Result<(), Failed> {
    whole_and_split(|split| {
        let (server, address) = End::serve(proclab(&["frames", "serve"]), "");
        let Some(client) = python("frames", "connect", &address, split) else { return };
        assert_eq!(End::start(client, "").finish(), (0, vec!["Parallel".to_owned()]));
        assert_eq!(server.interrupt(), 0);

        let Some(server) = python("frames", "serve", "127.0.0.1:0", split) else { return };
        let (_server, address) = End::serve(server, "");
        let client = End::start(proclab(&["frames", "connect", &address]), "");
        assert_eq!(client.finish(), (0, vec!["Parallel".to_owned()]));
    })
}

fn echo_both_ways() -> Result<(), Failed> {
    whole_and_split(|split| {
        for workers in ["thread", "process"] {
            let (server, address) = End::serve(proclab(&["echo", "serve", "--workers", workers]), "");
            let Some(client) = python("echo", "connect", &address, split) else { return };
            let lines = ["hello".to_owned(), "火锅".to_owned()];
            assert_eq!(End::start(client, "hello\n火锅\n").finish(), (0, lines.to_vec()));
            assert_eq!(server.interrupt(), 0);
        }
    })?;
    // The notes' server answers one message.
    let Some(server) = python("echo", "serve", "127.0.0.1:0", &["--split"]) else { return Ok(()) };
    let (_server, address) = End::serve(server, "");
    let client = End::start(proclab(&["echo", "connect", &address]), "火锅\n");
    assert_eq!(client.finish(), (0, vec!["火锅".to_owned()]));
    Ok(())
}

fn upper_both_ways() -> Result<(), Failed> {
    let lines = ["WUSIR".to_owned(), "火锅 A".to_owned()];
    whole_and_split(|split| {
        for mode in ["busy", "ready"] {
            let (server, address) = End::serve(proclab(&["upper", "serve", "--mode", mode]), "");
            let Some(client) = python("upper", "connect", &address, split) else { return };
            assert_eq!(End::start(client, "wusir\n火锅 a\n").finish(), (0, lines.to_vec()));
            assert_eq!(server.interrupt(), 0);
        }
    })?;
    let Some(server) = python("upper", "serve", "127.0.0.1:0", &[]) else { return Ok(()) };
    let (_server, address) = End::serve(server, "");
    let client = End::start(proclab(&["upper", "connect", &address]), "wusir\n火锅 a\n");
    assert_eq!(client.finish(), (0, lines.to_vec()));
    Ok(())
}

fn auth_both_ways() -> Result<(), Failed> {
    whole_and_split(|split| {
        let (server, address) = End::serve(proclab(&["auth", "serve"]), "");
        let Some(client) = python("auth", "connect", &address, split) else { return };
        assert_eq!(End::start(client, "").finish(), (0, vec!["HELLO".to_owned(); 3]));
        assert_eq!(server.interrupt(), 0);

        let Some(server) = python("auth", "serve", "127.0.0.1:0", split) else { return };
        let (server, address) = End::serve(server, "");
        let client = End::start(proclab(&["auth", "connect", &address]), "hello\nstraße\n");
        assert_eq!(client.finish(), (0, vec!["HELLO".to_owned(), "STRASSE".to_owned()]));
        assert_eq!(server.line(), "是合法的客户端");
        let mut wrong = proclab(&["auth", "connect", &address]);
        wrong.env("PROCLAB_KEY", "wrong");
        assert_eq!(End::start(wrong, "hello\n").finish().0, 1);
        assert_eq!(server.line(), "不是合法的客户端");
    })
}

fn files_both_ways() -> Result<(), Failed> {
    for (name, length, split) in [
        ("a 火.bin", 300_000, &[][..]),
        ("split", 700, &["--split"]),
        ("empty", 0, &[]),
        ("big", 5_000_000, &[]),
    ] {
        let (from, into) = (Folder::new("from"), Folder::new("into"));
        let bytes = noise(length);
        file_with(&from.0.join(name), &bytes);
        let (path, inbox) = (from.path(name), into.path(""));
        let check = |who: &str| {
            assert_eq!(std::fs::read(into.0.join(name)).unwrap(), bytes, "{who}");
            assert_eq!(into.names(), [name], "{who}");
            std::fs::remove_file(into.0.join(name)).unwrap();
        };

        let receive = proclab(&["file", "receive", "--into", &inbox, "--bind", "127.0.0.1:0", "--once"]);
        let (server, address) = End::serve(receive, "");
        let Some(client) = python("file-send", "connect", &address, split) else { return Ok(()) };
        let client = End::start(client, &path);
        assert!(server.line().starts_with(&format!("received {name} {length} bytes sha256 ")));
        assert_eq!((client.finish().0, server.finish().0), (0, 0));
        check("python connects and sends");

        let (server, address) =
            End::serve(python("file-send", "serve", "127.0.0.1:0", split).unwrap(), &path);
        let client = End::start(proclab(&["file", "receive", "--into", &inbox, "--to", &address]), "");
        assert_eq!((client.finish().0, server.finish().0), (0, 0));
        check("python listens and sends");

        let send = proclab(&["file", "send", &path, "--bind", "127.0.0.1:0", "--once"]);
        let (server, address) = End::serve(send, "");
        let client = End::start(python("file-receive", "connect", &address, &[]).unwrap(), &inbox);
        assert_eq!((client.finish().0, server.finish().0), (0, 0));
        check("python connects and receives");

        let (server, address) =
            End::serve(python("file-receive", "serve", "127.0.0.1:0", &[]).unwrap(), &inbox);
        let client = End::start(proclab(&["file", "send", &path, "--to", &address]), "");
        assert_eq!((client.finish().0, server.finish().0), (0, 0));
        check("python listens and receives");
    }
    Ok(())
}
