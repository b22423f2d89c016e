//! Hostile clients against every TCP server while a good client is being served: each costs its own
//! connection and one line, and nothing else.

use super::ends::{End, Folder, WAIT, feed, noise, proclab, wait_until};
use super::guests::{Guest, Kind, SERVERS, command, connect, frame, shown};
use libtest_mimic::{Failed, Trial};
use proclab::net::auth::{Key, md5_answer};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

pub(crate) fn tests() -> Vec<Trial> {
    let test = |name: &str, run: fn() -> Result<(), Failed>| {
        crate::common::bounded(format!("net::hostile::{name}"), run)
    };
    vec![
        test("broken_input_costs_its_own_connection_only", broken_input),
        test("a_client_that_sends_nothing_is_closed", silent_clients),
        test("a_client_that_sends_a_byte_now_and_then_is_closed", dripping_clients),
        test("a_client_that_never_reads_is_closed_and_starves_no_other", never_reads),
        test("a_client_that_receives_nothing_is_closed", takes_nothing),
        test("a_connection_above_the_limit_gets_a_message_and_is_closed", limit),
        test("a_stop_lets_connections_finish_within_the_grace_time", grace),
        test("no_datagram_affects_other_clients", datagrams),
        test("guesses_of_a_key_are_delayed", guesses),
        test("guesses_at_the_same_time_are_judged_no_faster", simultaneous_guesses),
    ]
}

/// What a hostile client sends once it is connected, and the text that its line must contain if it is a failure.
fn hostile_bytes(kind: Kind) -> Vec<(Vec<u8>, &'static str)> {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let inside = format!(r#"{{"filename": "a", "filesize": 4, "x": {deep}}}"#);
    let header = |json: &str, body: &str| [&frame(json.as_bytes()), body.as_bytes()].concat();
    let lengths = vec![
        ((-1_i32).to_le_bytes().to_vec(), "length of -1 is refused"),
        (i32::MAX.to_le_bytes().to_vec(), "2147483647 bytes is refused"),
        (b"\x08\0".to_vec(), "ended inside a frame"),
        (b"\x08\0\0\0Para".to_vec(), "ended inside a frame"),
    ];
    match kind {
        Kind::Frames => [lengths, vec![(b"\x02\0\0\0\xff\xff".to_vec(), "not UTF-8")]].concat(),
        Kind::File => [
            lengths,
            vec![
                (0_i32.to_le_bytes().to_vec(), "length of 0 is refused"),
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
                (header(r#"{"filename": "a", "filesize": 3}"#, "four"), "more bytes arrived"),
                (header(r#"{"filename": "a", "filesize": -1}"#, "four"), "not a JSON object"),
                (header(r#"{"filename": "a", "filesize": 1000000000000}"#, "four"), "the limit is"),
                (header("{\"filename\": \"\u{80}", "four"), "not a JSON object"),
            ],
        ]
        .concat(),
        Kind::Auth => {
            vec![(b"0123".to_vec(), "closed after 4 of 32"), (vec![0xff; 32], "the proof is wrong")]
        }
        Kind::Chat | Kind::Upper => {
            vec![(b"a\xffb".to_vec(), "not UTF-8"), ("火".as_bytes()[..2].to_vec(), "inside a character")]
        }
        // Any bytes are valid.
        Kind::Echo | Kind::Sticky => vec![],
    }
}

fn broken_input() -> Result<(), Failed> {
    for (kind, args) in SERVERS {
        let inbox = Folder::new("hostile");
        let (server, address) = End::serve(command(kind, args, &[], &inbox), "");
        let mut guest = Guest::new(kind, &server, &address, "guest");
        for (bytes, line) in hostile_bytes(kind) {
            let mut stream = connect(&address);
            if kind == Kind::Auth {
                stream.read_exact(&mut [0; 32]).unwrap();
            }
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
            let told = server.error_with(line);
            assert!(told.starts_with("127.0.0.1:"), "{told}");
            guest.turn(&server);
        }
        // A reset in the middle of a message also causes only a line.
        for _ in 0..20 {
            let mut stream = connect(&address);
            let _ = stream.write_all(b"\x08");
            let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger).unwrap();
        }
        guest.turn(&server);
        assert_eq!(inbox.names(), [""; 0], "{args:?}");
        guest.finish(&server, &inbox);
        assert_eq!(server.interrupt(), 0, "{args:?}");
    }
    Ok(())
}

fn silent_clients() -> Result<(), Failed> {
    for (kind, args) in SERVERS {
        let inbox = Folder::new("silent");
        let (server, address) = End::serve(command(kind, args, &["--idle", "1"], &inbox), "");
        let mut guest = Guest::new(kind, &server, &address, "guest");
        let _silent = connect(&address);
        served_until_told(&server, &mut guest, "no byte moved for 1s");
        guest.finish(&server, &inbox);
        assert_eq!(server.interrupt(), 0, "{args:?}");
    }
    Ok(())
}

/// The guest is served until the server has printed `line` about another client.
fn served_until_told(server: &End, guest: &mut Guest, line: &str) {
    let mut told = Vec::new();
    wait_until(line, || {
        guest.turn(server);
        told.extend(server.errors());
        std::thread::sleep(Duration::from_millis(15));
        told.iter().any(|told| told.contains(line))
    });
}

fn dripping_clients() -> Result<(), Failed> {
    for (kind, args) in SERVERS {
        let inbox = Folder::new("dripping");
        let (server, address) = End::serve(command(kind, args, &["--total", "1"], &inbox), "");
        let stream = connect(&address);
        let mut dripping = stream.try_clone().unwrap();
        // As a frame: a length below the limit, and then never that many bytes.
        let bytes = [b"\0\x20\0\0".to_vec(), vec![b' '; 8000]].concat();
        let skipped = if matches!(kind, Kind::Frames | Kind::File) { 0 } else { 4 };
        let drip = std::thread::spawn(move || {
            // 32 wrong bytes would be an answer, but they take longer than the maximum duration.
            let pause = Duration::from_millis(if kind == Kind::Auth { 50 } else { 20 });
            for byte in &bytes[skipped..] {
                if dripping.write_all(&[*byte]).is_err() {
                    break;
                }
                std::thread::sleep(pause);
            }
        });
        let mut told = Vec::new();
        let mut guests = 0;
        wait_until("the client that drips is closed", || {
            guests += 1;
            Guest::new(kind, &server, &address, &format!("guest {guests}")).finish(&server, &inbox);
            told.extend(server.errors());
            told.iter().any(|line| line.contains("still open after 1s"))
        });
        let _ = stream.shutdown(Shutdown::Both);
        drip.join().unwrap();
        assert_eq!(inbox.names(), [""; 0], "{args:?}");
        assert_eq!(server.interrupt(), 0, "{args:?}");
    }
    Ok(())
}

/// A client that sends requests without end and reads no answer.
fn never_reads() -> Result<(), Failed> {
    for (kind, args) in
        SERVERS.into_iter().filter(|(kind, _)| matches!(kind, Kind::Echo | Kind::Upper | Kind::Auth))
    {
        let inbox = Folder::new("greedy");
        let (server, address) = End::serve(command(kind, args, &["--idle", "1"], &inbox), "");
        let mut guest = Guest::new(kind, &server, &address, "guest");
        let mut greedy = connect(&address);
        if kind == Kind::Auth {
            let mut nonce = [0; 32];
            greedy.read_exact(&mut nonce).unwrap();
            let key = Key::new(b"alexsb".to_vec()).unwrap();
            greedy.write_all(&md5_answer(&key, &nonce)).unwrap();
        }
        greedy.set_nonblocking(true).unwrap();
        let bytes = vec![b'x'; 1 << 16];
        let mut told = Vec::new();
        wait_until("the client that never reads is closed", || {
            let _ = greedy.write(&bytes);
            guest.turn(&server);
            told.extend(server.errors());
            told.iter().any(|line| line.contains("no byte moved for 1s"))
        });
        assert!(resident_kb(server.pid()) < 64 << 10, "{args:?}");
        guest.finish(&server, &inbox);
        drop(greedy);
        assert_eq!(server.interrupt(), 0, "{args:?}");
    }
    Ok(())
}

/// Servers that send by themselves, and a client that reads nothing.
fn takes_nothing() -> Result<(), Failed> {
    const SIZE: usize = 20_000_000;
    let from = Folder::new("large");
    let path = from.path("large");
    std::fs::write(&path, noise(SIZE)).unwrap();
    let header = frame(format!(r#"{{"filename": "large", "filesize": {SIZE}}}"#).as_bytes());
    let message = "x".repeat(120_000);
    let mut frames = vec!["frames", "serve"];
    (0..15).for_each(|_| frames.extend(["--message", &message]));
    for (args, expected) in [
        (vec!["file", "send", &path, "--bind", "127.0.0.1:0"], header.len() + SIZE),
        (frames, 15 * 120_004),
        (vec!["chat", "serve"], 12 * 900_000),
    ] {
        let command = proclab(&[&args[..], &["--idle", "1"]].concat());
        let (server, address, input) = End::serve_unfed(command);
        // It has connected, and its small window is never emptied.
        let stuck = connect(&address);
        nix::sys::socket::setsockopt(&stuck, nix::sys::socket::sockopt::RcvBuf, &4096).unwrap();
        let good = connect(&address);
        let says = if args[0] == "chat" { &["stuck", "good"][..] } else { &[] };
        for (name, stream) in says.iter().zip([&stuck, &good]) {
            // A client that sends nothing for the idle time is closed too.
            let mut speaking = stream.try_clone().unwrap();
            std::thread::spawn(move || {
                while speaking.write_all(name.as_bytes()).is_ok() {
                    std::thread::sleep(Duration::from_millis(200));
                }
            });
            shown(&server, name);
        }
        // Both are connected by now: each line is sent to both.
        feed(input, ("y".repeat(900_000) + "\n").repeat(12));
        let taking = std::thread::spawn(move || {
            let (mut good, mut all) = (good, 0);
            let mut buffer = vec![0; 1 << 16];
            while let Ok(n) = good.read(&mut buffer) {
                all += n;
                // The other members of a chat continue.
                if n == 0 || (!says.is_empty() && all >= expected) {
                    break;
                }
            }
            all
        });
        let told = server.error_with("no byte moved for 1s");
        assert!(told.starts_with(&stuck.local_addr().unwrap().to_string()), "{told}");
        assert_eq!(taking.join().unwrap(), expected, "{}", args[0]);
        assert!(resident_kb(server.pid()) < 64 << 10, "{}", args[0]);
        let _ = stuck.shutdown(Shutdown::Both);
        assert_eq!(server.interrupt(), 0, "{}", args[0]);
    }
    Ok(())
}

fn datagrams() -> Result<(), Failed> {
    let (server, address) = End::serve(proclab(&["udp", "serve"]), "");
    let [good, bad] = [(); 2].map(|()| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(&address).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        socket
    });
    let ask = || {
        good.send(b"ping").unwrap();
        let mut answer = [0; 16];
        let n = good.recv(&mut answer).unwrap();
        assert_eq!(&answer[..n], "收到".as_bytes());
    };
    ask();
    for (datagram, line) in [
        (&b"a\xff"[..], "not UTF-8"),
        (&[b'x'; 65_507], "of 65507 bytes is cut to the 1024"),
        (&"火".repeat(1000).into_bytes()[..], "of 3000 bytes is cut"),
    ] {
        bad.send(datagram).unwrap();
        server.error_with(line);
        ask();
    }
    // An empty datagram, many at once, and a client that has closed before the answer.
    bad.send(b"").unwrap();
    for _ in 0..500 {
        bad.send(&[b'z'; 1024]).unwrap();
    }
    bad.send(b"gone").unwrap();
    drop(bad);
    // Datagrams of a burst may have been lost.
    good.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    wait_until("the good client is answered again", || {
        good.send(b"ping").is_ok() && good.recv(&mut [0; 16]).is_ok()
    });
    assert_eq!(server.interrupt(), 0);
    Ok(())
}

fn resident_kb(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn limit() -> Result<(), Failed> {
    for (kind, args) in SERVERS {
        let inbox = Folder::new("limit");
        let limited = command(kind, args, &["--max-connections", "2", "--grace", "0"], &inbox);
        let (server, address) = End::serve(limited, "");
        let mut guest = Guest::new(kind, &server, &address, "guest");
        let second = connect(&address);
        let mut third = connect(&address);
        // Bytes that it has already sent must not turn the message into a reset.
        third.write_all(b"hello").unwrap();
        let mut words = Vec::new();
        third.read_to_end(&mut words).unwrap();
        let words = String::from_utf8_lossy(&words).into_owned();
        assert!(words.contains("busy: the limit of 2 connections is reached"), "{args:?}: {words:?}");
        server.error_with("busy: the limit of 2 connections is reached");
        guest.turn(&server);
        drop(second);
        wait_until("a place is free again", || {
            let mut next = connect(&address);
            next.shutdown(Shutdown::Write).unwrap();
            let mut words = Vec::new();
            next.read_to_end(&mut words).unwrap();
            !String::from_utf8_lossy(&words).contains("busy")
        });
        guest.finish(&server, &inbox);
        assert_eq!(server.interrupt(), 0, "{args:?}");
    }
    Ok(())
}

fn grace() -> Result<(), Failed> {
    for (kind, args) in SERVERS {
        let inbox = Folder::new("grace");
        let (server, address) = End::serve(command(kind, args, &["--grace", "20"], &inbox), "");
        let mut guest = Guest::new(kind, &server, &address, "guest");
        server.signal(nix::sys::signal::Signal::SIGTERM);
        wait_until("no more is accepted", || TcpStream::connect(&address).is_err());
        guest.turn(&server);
        guest.finish(&server, &inbox);
        assert_eq!(server.finish().0, 0, "{args:?}");

        // Like a terminal, whose input does not end.
        let ways: &[bool] = if kind == Kind::Chat { &[false, true] } else { &[false] };
        for &half_closed in ways {
            let (server, address, input) = End::serve_unfed(command(kind, args, &["--grace", "0.1"], &inbox));
            let guest = Guest::new(kind, &server, &address, "guest");
            if half_closed {
                guest.end();
            }
            server.signal(nix::sys::signal::Signal::SIGINT);
            server.error_with("grace time is over");
            assert_eq!(server.finish().0, 0, "{args:?}");
            assert_eq!(inbox.names(), [""; 0], "{args:?}");
            drop((guest, input));
        }
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
        assert!(said.is_empty(), "a client that fails gets no reply");
        true
    };
    for _ in 0..5 {
        assert!(guess());
    }
    let began = Instant::now();
    for _ in 0..3 {
        assert!(guess());
    }
    // The sixth is judged at once; the seventh and the eighth wait a second each.
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    let good = End::start(proclab(&["auth", "connect", &address]), "hello\n");
    assert_eq!(good.finish(), (0, vec!["HELLO".to_owned()]));
    assert_eq!(server.interrupt(), 0);
    Ok(())
}

/// Many challenges are requested first, and then answered at once.
fn simultaneous_guesses() -> Result<(), Failed> {
    let (server, address) = End::serve(proclab(&["auth", "serve", "--grace", "0"]), "");
    let mut streams: Vec<_> = (0..100).map(|_| connect(&address)).collect();
    streams.iter_mut().for_each(|stream| stream.read_exact(&mut [0; 32]).unwrap());
    streams.iter_mut().for_each(|stream| stream.write_all(&[b'0'; 32]).unwrap());
    streams.iter_mut().for_each(|stream| drop(stream.read_to_end(&mut Vec::new())));
    let mut lines = Vec::new();
    wait_until("each is told", || {
        lines.extend(server.errors());
        lines.len() >= 100
    });
    let judged = lines.iter().filter(|line| line.contains("the proof is wrong")).count();
    assert_eq!(judged, 11, "five at once, then one per second up to the maximum delay");
    assert_eq!(server.interrupt(), 0);
    Ok(())
}
