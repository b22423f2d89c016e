//! Each program with its Python counterpart at either end, with whole sends and split at every byte: by Python's own end,
//! and by a proxy between both that passes one byte at a time.

use super::ends::{End, Folder, file_with, noise, notes, proclab};
use super::wire::byte_by_byte as wire;
use libtest_mimic::{Failed, Trial};

pub(crate) fn tests() -> Vec<Trial> {
    let test = |name: &str, run: fn() -> Result<(), Failed>| {
        crate::common::bounded(format!("net::python::{name}"), run)
    };
    vec![
        test("chat_serves_python", chat_serves_python),
        test("chat_goes_to_python", chat_goes_to_python),
        test("udp_both_ways", udp_both_ways),
        test("sticky_both_ways", sticky_both_ways),
        test("frames_both_ways", frames_both_ways),
        test("echo_both_ways", echo_both_ways),
        test("upper_both_ways", upper_both_ways),
        test("auth_both_ways", auth_both_ways),
        test("files_both_ways", files_both_ways),
        test("a_wire_that_splits_every_byte_serves_python", split_wire_from_python),
        test("a_wire_that_splits_every_byte_goes_to_python", split_wire_to_python),
        test("a_wire_that_splits_every_byte_carries_files", split_wire_with_files),
        test("a_wire_that_splits_every_byte_connects_two_of_our_ends", split_wire_between_ours),
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
        assert_eq!(said, ["你好", "again", "last"]);
    })
}

fn udp_both_ways() -> Result<(), Failed> {
    let (server, address) = End::serve(proclab(&["udp", "serve"]), "");
    let Some(client) = python("udp", "connect", &address, &[]) else { return Ok(()) };
    assert_eq!(End::start(client, "hello\n火锅\nQ\n").finish(), (0, vec!["收到".to_owned(); 2]));
    assert!(server.line().ends_with(": hello") && server.line().ends_with(": 火锅"));
    assert_eq!(server.interrupt(), 0);

    // Datagrams are not joined: each byte is a message of its own, and is answered.
    let (server, address) = End::serve(proclab(&["udp", "serve"]), "");
    let Some(client) = python("udp", "connect", &address, &["--split"]) else { return Ok(()) };
    assert_eq!(End::start(client, "hello\nq\n").finish(), (0, vec!["收到".to_owned(); 5]));
    "hello".chars().for_each(|c| assert!(server.line().ends_with(&format!(": {c}"))));
    assert_eq!(server.interrupt(), 0);

    let Some(server) = python("udp", "serve", "127.0.0.1:0", &[]) else { return Ok(()) };
    let (server, address) = End::serve(server, "");
    let client = End::start(proclab(&["udp", "connect", &address]), "hello\n火锅\nq\n");
    assert_eq!(client.finish(), (0, vec!["收到".to_owned(); 2]));
    assert_eq!((server.line(), server.line()), ("hello".to_owned(), "火锅".to_owned()));
    Ok(())
}

fn twenty() -> Vec<String> {
    (1..=20).map(|n| format!("message {n};")).collect()
}

fn sticky_both_ways() -> Result<(), Failed> {
    whole_and_split(|split| {
        let (server, address) = End::serve(proclab(&["sticky", "serve"]), "");
        let Some(client) = python("sticky", "connect", &address, split) else { return };
        assert_eq!(End::start(client, "").finish().0, 0);
        server.error_with(&format!("{} bytes arrived in", twenty().concat().len()));
        assert_eq!(server.interrupt(), 0);

        let (server, address) = End::serve(proclab(&["sticky", "serve", "--framed"]), "");
        let Some(client) = python("framed", "connect", &address, split) else { return };
        assert_eq!(End::start(client, "").finish().0, 0);
        twenty().iter().for_each(|message| assert_eq!(&server.line(), message));
        assert_eq!(server.interrupt(), 0);
    })?;
    for no_delay in [&[][..], &["--no-delay"]] {
        let Some(server) = python("sticky", "serve", "127.0.0.1:0", &[]) else { return Ok(()) };
        let (server, address) = End::serve(server, "");
        let client = End::start(proclab(&[&["sticky", "connect", &address], no_delay].concat()), "");
        assert_eq!(client.finish().0, 0);
        assert_eq!(server.finish().1.concat(), twenty().concat());

        let Some(server) = python("framed", "serve", "127.0.0.1:0", &[]) else { return Ok(()) };
        let (server, address) = End::serve(server, "");
        let client =
            End::start(proclab(&[&["sticky", "connect", &address, "--framed"], no_delay].concat()), "");
        assert_eq!(client.finish().0, 0);
        assert_eq!(server.finish().1, twenty());
    }
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
    // The Python server answers one message.
    whole_and_split(|split| {
        let Some(server) = python("echo", "serve", "127.0.0.1:0", split) else { return };
        let (_server, address) = End::serve(server, "");
        let client = End::start(proclab(&["echo", "connect", &address]), "火锅\n");
        assert_eq!(client.finish(), (0, vec!["火锅".to_owned()]));
    })
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
    whole_and_split(|split| {
        let Some(server) = python("upper", "serve", "127.0.0.1:0", split) else { return };
        let (_server, address) = End::serve(server, "");
        let client = End::start(proclab(&["upper", "connect", &address]), "wusir\n火锅 a\n");
        assert_eq!(client.finish(), (0, lines.to_vec()));
    })
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
        assert!(server.line().starts_with(&format!("received {name} {length} bytes blake3 ")));
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

fn split_wire_from_python() -> Result<(), Failed> {
    let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    let cases: [(&[&str], &str, &str, Vec<String>); 6] = [
        (&["frames", "serve"], "frames", "", lines(&["Parallel"])),
        (&["echo", "serve"], "echo", "hello\n火锅\n", lines(&["hello", "火锅"])),
        (&["echo", "serve", "--workers", "process"], "echo", "火锅\n", lines(&["火锅"])),
        (&["upper", "serve", "--mode", "busy"], "upper", "wusir\n火锅 a\n", lines(&["WUSIR", "火锅 A"])),
        (&["upper", "serve", "--mode", "ready"], "upper", "wusir\n火锅 a\n", lines(&["WUSIR", "火锅 A"])),
        (&["auth", "serve"], "auth", "", lines(&["HELLO"; 3])),
    ];
    for (args, program, input, said) in cases {
        let (server, address) = End::serve(proclab(args), "");
        let Some(client) = python(program, "connect", &wire(&address), &[]) else { return Ok(()) };
        assert_eq!(End::start(client, input).finish(), (0, said), "{args:?}");
        assert_eq!(server.interrupt(), 0, "{args:?}");
    }
    let (server, address) = End::serve(proclab(&["sticky", "serve", "--framed"]), "");
    let Some(client) = python("framed", "connect", &wire(&address), &[]) else { return Ok(()) };
    assert_eq!(End::start(client, "").finish().0, 0);
    twenty().iter().for_each(|message| assert_eq!(&server.line(), message));
    assert_eq!(server.interrupt(), 0);
    Ok(())
}

/// Not `chat` and `echo`, whose Python ends treat the result of one `recv` as a message.
fn split_wire_to_python() -> Result<(), Failed> {
    let cases: [(&str, &[&str], &str, &[&str]); 4] = [
        ("frames", &["frames", "connect"], "", &["Parallel"]),
        ("upper", &["upper", "connect"], "wusir\nb a\n", &["WUSIR", "B A"]),
        ("auth", &["auth", "connect"], "hello\n", &["HELLO"]),
        ("framed", &["sticky", "connect", "--framed"], "", &[]),
    ];
    for (program, args, input, said) in cases {
        let Some(server) = python(program, "serve", "127.0.0.1:0", &[]) else { return Ok(()) };
        let (server, address) = End::serve(server, "");
        let client = End::start(proclab(&[args, &[&wire(&address)]].concat()), input);
        assert_eq!(client.finish(), (0, said.iter().map(ToString::to_string).collect()), "{program}");
        if program == "framed" {
            assert_eq!(server.finish().1, twenty());
        }
    }
    Ok(())
}

fn split_wire_with_files() -> Result<(), Failed> {
    let (from, into) = (Folder::new("wire-from"), Folder::new("wire-into"));
    let (name, bytes) = ("火 1.bin", noise(700));
    file_with(&from.0.join(name), &bytes);
    let (path, inbox) = (from.path(name), into.path(""));
    let check = |who: &str| {
        assert_eq!(std::fs::read(into.0.join(name)).unwrap(), bytes, "{who}");
        std::fs::remove_file(into.0.join(name)).unwrap();
    };
    let listen = |args: &[&str]| proclab(&[&["file"], args, &["--bind", "127.0.0.1:0", "--once"]].concat());

    let (server, address) = End::serve(listen(&["receive", "--into", &inbox]), "");
    let Some(client) = python("file-send", "connect", &wire(&address), &[]) else { return Ok(()) };
    let client = End::start(client, &path);
    assert_eq!((client.finish().0, server.finish().0), (0, 0));
    check("python sends");

    let (server, address) = End::serve(listen(&["send", &path]), "");
    let client = python("file-receive", "connect", &wire(&address), &[]).unwrap();
    let client = End::start(client, &inbox);
    assert_eq!((client.finish().0, server.finish().0), (0, 0));
    check("python receives");

    let (server, address) = End::serve(python("file-send", "serve", "127.0.0.1:0", &[]).unwrap(), &path);
    let client = End::start(proclab(&["file", "receive", "--into", &inbox, "--to", &wire(&address)]), "");
    assert_eq!((client.finish().0, server.finish().0), (0, 0));
    check("python listens and sends");

    let (server, address) = End::serve(python("file-receive", "serve", "127.0.0.1:0", &[]).unwrap(), &inbox);
    let client = End::start(proclab(&["file", "send", &path, "--to", &wire(&address)]), "");
    assert_eq!((client.finish().0, server.finish().0), (0, 0));
    check("python listens and receives");

    let (server, address) = End::serve(listen(&["receive", "--into", &inbox, "--resume"]), "");
    let client = End::start(proclab(&["file", "send", &path, "--to", &wire(&address), "--resume"]), "");
    assert_eq!((client.finish().0, server.finish().0), (0, 0));
    check("two of ours");
    Ok(())
}

fn split_wire_between_ours() -> Result<(), Failed> {
    let (server, address) = End::serve(proclab(&["chat", "serve"]), "你好\n");
    let client = End::start(proclab(&["chat", "connect", &wire(&address)]), "火锅 one\ntwo\nq\n");
    assert_eq!((server.line(), server.line()), ("火锅 one".to_owned(), "two".to_owned()));
    assert_eq!(client.finish(), (0, vec!["你好".to_owned()]));
    assert_eq!(server.interrupt(), 0);

    for scheme in ["md5", "hmac-sha256"] {
        let (server, address) = End::serve(proclab(&["auth", "serve", "--scheme", scheme]), "");
        let args = ["auth", "connect", &wire(&address), "--scheme", scheme];
        let client = End::start(proclab(&args), "火锅 a\n");
        assert_eq!(client.finish(), (0, vec!["火锅 A".to_owned()]), "{scheme}");
        assert_eq!(server.interrupt(), 0);
    }
    Ok(())
}
