//! Hostile clients against every TCP server while a good client is being served: each costs its own
//! connection and one line, and nothing else.

use super::ends::{End, Folder, WAIT, proclab, wait_until};
use libtest_mimic::{Failed, Trial};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

pub(crate) fn tests() -> Vec<Trial> {
    let test = |name: &str, run: fn() -> Result<(), Failed>| {
        crate::common::bounded(format!("net::hostile::{name}"), run)
    };
    vec![
        test("broken_input_costs_its_own_connection_only", broken_input),
        test("who_sends_nothing_or_too_slowly_is_closed", slow_clients),
        test("who_never_reads_is_closed_and_starves_nobody", never_reads),
        test("the_connection_above_the_limit_is_told_and_closed", limit),
        test("a_stop_lets_connections_finish_within_the_grace_time", grace),
        test("guesses_of_a_key_are_made_to_wait", guesses),
    ]
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.set_write_timeout(Some(WAIT)).unwrap();
    stream
}

/// A client that asks for something now and then and must be answered each time.
struct Good {
    stream: TcpStream,
    upper: bool,
}

impl Good {
    fn new(address: &str, upper: bool) -> Self {
        let mut good = Self { stream: connect(address), upper };
        good.ask();
        good
    }

    fn ask(&mut self) {
        self.stream.write_all(b"ping").unwrap();
        let mut answer = [0; 4];
        self.stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, if self.upper { b"PING" } else { b"ping" });
    }
}

fn line_servers() -> [(Vec<&'static str>, bool); 4] {
    [
        (vec!["echo", "serve"], false),
        (vec!["echo", "serve", "--workers", "process"], false),
        (vec!["upper", "serve", "--mode", "busy"], true),
        (vec!["upper", "serve", "--mode", "ready"], true),
    ]
}

/// What a hostile client does once it is connected; whether it must be a failure with this in its line.
fn hostile_bytes(server: &str) -> Vec<(Vec<u8>, &'static str)> {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let inside = format!(r#"{{"filename": "a", "filesize": 4, "x": {deep}}}"#);
    let header = |json: &str, body: &str| {
        let mut bytes = (json.len() as i32).to_le_bytes().to_vec();
        bytes.extend_from_slice(json.as_bytes());
        bytes.extend_from_slice(body.as_bytes());
        bytes
    };
    let lengths = vec![
        ((-1_i32).to_le_bytes().to_vec(), "length of -1 is refused"),
        (0_i32.to_le_bytes().to_vec(), "length of 0 is refused"),
        (i32::MAX.to_le_bytes().to_vec(), "2147483647 bytes is refused"),
        (b"\x08\0".to_vec(), "ended inside a frame"),
        (b"\x08\0\0\0Para".to_vec(), "ended inside a frame"),
    ];
    match server {
        "frames" => [lengths, vec![(b"\x02\0\0\0\xff\xff".to_vec(), "not UTF-8")]].concat(),
        "file" => [
            lengths,
            vec![
                (header("nonsense", ""), "not a JSON object"),
                (header("[1, 2]", ""), "not an object"),
                (header(&deep, ""), "recursion limit"),
                (header(&inside, "four"), "recursion limit"),
                (header(r#"{"filename": "../x", "filesize": 4}"#, "four"), "separator"),
                (header(r#"{"filename": "/x", "filesize": 4}"#, "four"), "absolute"),
                (header(r#"{"filename": "..", "filesize": 4}"#, "four"), "is a folder"),
                (header(r#"{"filename": "", "filesize": 4}"#, "four"), "is empty"),
                (header(r#"{"filename": ".x", "filesize": 4}"#, "four"), "begins with a dot"),
                (header(r#"{"filename": "a\u0000b", "filesize": 4}"#, "four"), "NUL"),
                (header(r#"{"filename": "a", "filesize": 5}"#, "four"), "closed after 4 of 5 bytes"),
                (header(r#"{"filename": "a", "filesize": 3}"#, "four"), "more bytes came"),
                (header(r#"{"filename": "a", "filesize": -1}"#, "four"), "not a JSON object"),
                (header(r#"{"filename": "a", "filesize": 1000000000000}"#, "four"), "the limit is"),
                (header("{\"filename\": \"\u{80}", "four"), "not a JSON object"),
            ],
        ]
        .concat(),
        "auth" => vec![(b"0123".to_vec(), "closed after 4 of 32"), (vec![0xff; 32], "not proven")],
        "chat" | "upper" => {
            vec![(b"a\xffb".to_vec(), "not UTF-8"), ("火".as_bytes()[..2].to_vec(), "inside a character")]
        }
        _ => vec![],
    }
}

fn broken_input() -> Result<(), Failed> {
    let inbox = Folder::new("hostile");
    let into = inbox.path("");
    let servers: [(&[&str], &str); 7] = [
        (&["chat", "serve"], "chat"),
        (&["frames", "serve"], "frames"),
        (&["sticky", "serve", "--framed"], "frames"),
        (&["file", "receive", "--into", &into, "--bind", "127.0.0.1:0"], "file"),
        (&["auth", "serve"], "auth"),
        (&["upper", "serve", "--mode", "busy"], "upper"),
        (&["upper", "serve"], "upper"),
    ];
    for (args, kind) in servers {
        let (server, address) = End::serve(proclab(args), "");
        let mut good = (kind == "upper").then(|| Good::new(&address, true));
        for (bytes, line) in hostile_bytes(kind) {
            let mut stream = connect(&address);
            if kind == "auth" {
                stream.read_exact(&mut [0; 32]).unwrap();
            }
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
            let told = server.error_with(line);
            assert!(told.starts_with("127.0.0.1:"), "{told}");
            if let Some(good) = &mut good {
                good.ask();
            }
        }
        // A reset in the middle of something is no reason for anything but a line either.
        for _ in 0..20 {
            let mut stream = connect(&address);
            let _ = stream.write_all(b"\x08");
            let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger).unwrap();
        }
        if let Some(good) = &mut good {
            good.ask();
        }
        drop(good);
        assert_eq!(inbox.names(), [""; 0], "{args:?}");
        assert_eq!(server.interrupt(), 0, "{args:?}");
    }
    Ok(())
}

fn slow_clients() -> Result<(), Failed> {
    let inbox = Folder::new("slow");
    let into = inbox.path("");
    let mut servers: Vec<Vec<&str>> = line_servers().into_iter().map(|(args, _)| args).collect();
    servers.push(vec!["chat", "serve"]);
    servers.push(vec!["auth", "serve"]);
    servers.push(vec!["file", "receive", "--into", &into, "--bind", "127.0.0.1:0"]);
    for args in servers {
        let idle = [&args[..], &["--idle", "0.3"]].concat();
        let (server, address) = End::serve(proclab(&idle), "");
        let _silent = connect(&address);
        server.error_with("nothing moved for 300ms");
        assert_eq!(server.interrupt(), 0, "{args:?}");

        let total = [&args[..], &["--total", "0.5"]].concat();
        let (server, address) = End::serve(proclab(&total), "");
        let stream = connect(&address);
        let mut dripping = stream.try_clone().unwrap();
        let drip = std::thread::spawn(move || {
            while dripping.write_all(b"\x20").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        if args[0] == "auth" {
            // 32 wrong bytes take longer than the whole time here.
            server.error_with("not done after 500ms");
        } else if args[0] == "file" {
            // Four spaces are a length above the limit: refused at once.
            server.error_with("is refused");
        } else {
            server.error_with("not done after 500ms");
        }
        let _ = stream.shutdown(Shutdown::Both);
        drip.join().unwrap();
        assert_eq!(server.interrupt(), 0, "{args:?}");
    }
    Ok(())
}

fn never_reads() -> Result<(), Failed> {
    for (args, upper) in line_servers() {
        let args = [&args[..], &["--idle", "1"]].concat();
        let (server, address) = End::serve(proclab(&args), "");
        let mut good = Good::new(&address, upper);
        let mut greedy = connect(&address);
        greedy.set_nonblocking(true).unwrap();
        let bytes = vec![b'x'; 1 << 16];
        let mut told = Vec::new();
        wait_until("the client that never reads is closed", || {
            let _ = greedy.write(&bytes);
            good.ask();
            told.extend(server.errors());
            told.iter().any(|line| line.contains("nothing moved for 1s"))
        });
        assert!(resident_kb(server.pid()) < 64 << 10, "{args:?}");
        drop((good, greedy));
        assert_eq!(server.interrupt(), 0, "{args:?}");
    }
    Ok(())
}

fn resident_kb(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn limit() -> Result<(), Failed> {
    let mut servers: Vec<Vec<&str>> = line_servers().into_iter().map(|(args, _)| args).collect();
    servers.extend([
        vec!["chat", "serve"],
        vec!["auth", "serve"],
        vec!["sticky", "serve"],
        vec!["frames", "serve"],
    ]);
    for args in servers {
        let limited = [&args[..], &["--max-connections", "2", "--grace", "0"]].concat();
        let (server, address) = End::serve(proclab(&limited), "");
        let (first, _second) = (connect(&address), connect(&address));
        let mut third = connect(&address);
        // What it has sent already must not turn the words into a reset.
        third.write_all(b"hello").unwrap();
        let mut words = Vec::new();
        third.read_to_end(&mut words).unwrap();
        let words = String::from_utf8_lossy(&words).into_owned();
        assert!(words.contains("busy: 2 connections are open"), "{args:?}: {words:?}");
        server.error_with("busy: 2 connections are open");
        drop(first);
        wait_until("a place is free again", || {
            let mut next = connect(&address);
            next.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let mut words = [0; 64];
            !matches!(next.read(&mut words), Ok(n) if words[..n].windows(4).any(|w| w == b"busy"))
        });
        assert_eq!(server.interrupt(), 0, "{args:?}");
    }
    Ok(())
}

fn grace() -> Result<(), Failed> {
    for (args, upper) in line_servers() {
        let args = [&args[..], &["--grace", "20"]].concat();
        let (server, address) = End::serve(proclab(&args), "");
        let mut good = Good::new(&address, upper);
        server.signal(nix::sys::signal::Signal::SIGTERM);
        wait_until("no more is accepted", || TcpStream::connect(&address).is_err());
        good.ask();
        drop(good);
        assert_eq!(server.finish().0, 0, "{args:?}");

        let args = [&args[..args.len() - 1], &["0.1"]].concat();
        let (server, address) = End::serve(proclab(&args), "");
        let mut good = Good::new(&address, upper);
        server.signal(nix::sys::signal::Signal::SIGINT);
        server.error_with("grace time is over");
        assert!(good.stream.read(&mut [0; 1]).map_or(true, |n| n == 0));
        assert_eq!(server.finish().0, 0, "{args:?}");
    }
    Ok(())
}

fn guesses() -> Result<(), Failed> {
    let (server, address) = End::serve(proclab(&["auth", "serve"]), "");
    let guess = || {
        let mut stream = connect(&address);
        let mut nonce = Vec::new();
        Read::by_ref(&mut stream).take(32).read_to_end(&mut nonce).unwrap();
        if nonce.len() < 32 {
            return false;
        }
        stream.write_all(&[b'0'; 32]).unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        assert!(said.is_empty(), "a client that fails is told nothing");
        true
    };
    for _ in 0..5 {
        assert!(guess());
    }
    let began = std::time::Instant::now();
    for _ in 0..3 {
        guess();
    }
    // The sixth goes at once, the seventh and the eighth wait a second each.
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    let good = End::start(proclab(&["auth", "connect", &address]), "hello\n");
    assert_eq!(good.finish(), (0, vec!["HELLO".to_owned()]));
    assert_eq!(server.interrupt(), 0);
    Ok(())
}
