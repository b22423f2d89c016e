//! A trace compared with a simultaneous tcpdump capture: the same segments, one by one.

use super::ends::{End, Folder, file_with, noise, proclab, wait_until};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

pub(crate) fn tests() -> Vec<Trial> {
    let test = |name: &str, run: fn() -> Result<(), Failed>| {
        crate::common::bounded(format!("net::capture::{name}"), run)
    };
    vec![
        test("a_trace_of_every_server_is_what_a_capture_shows", servers),
        test("a_trace_of_every_demo_is_what_a_capture_shows", demos),
    ]
}

/// The flags and the length of each segment, in order, by the ports of its server and client and the direction. Two
/// captures may see the two directions of a connection in different orders, because two processors handle them.
type Segments = BTreeMap<(u16, u16, bool), Vec<(String, usize)>>;

/// Starts a capture of loopback, if that is allowed.
fn capture() -> Option<End> {
    if Command::new("tcpdump").arg("--version").output().is_err() {
        println!("    left out: there is no tcpdump here");
        return None;
    }
    let mut tcpdump = Command::new("tcpdump");
    // Only the headers of each packet, so that many fit into the buffer.
    tcpdump.args(["-i", "lo", "-nn", "-t", "-l", "-s", "128", "-B", "16384", "--immediate-mode", "tcp"]);
    let capture = End::start(tcpdump, "");
    if capture.next_error().is_some_and(|line| line.contains("permission")) {
        println!("    left out: packets cannot be captured here");
        return None;
    }
    capture.error_with("listening on lo");
    Some(capture)
}

fn port(address: &str, separator: char) -> u16 {
    address
        .rsplit_once(separator)
        .and_then(|(_, port)| port.parse().ok())
        .unwrap_or_else(|| panic!("{address}"))
}

/// `│── PSH, ACK seq=1 ack=1 5 bytes "hello" ───▶│`, below `client 127.0.0.1:40000  server 127.0.0.1:9000`.
fn segments_of_a_trace(lines: &[String]) -> Segments {
    let mut segments = Segments::new();
    let mut ends = None;
    for line in lines {
        assert!(!line.contains("missing here") && !line.contains("more lines of the trace"), "{line}");
        if let Some(head) = line.trim_start().strip_prefix("ms  client ") {
            let mut words = head.split_whitespace();
            let (client, server) = (words.next().unwrap(), words.nth(1).unwrap());
            ends = Some((port(server, ':'), port(client, ':')));
        } else if let Some((_, arrow)) = line.split_once("│").filter(|(_, arrow)| arrow.ends_with('│')) {
            let (server, client) = ends.unwrap();
            let (names, numbers) = arrow.split_once(" seq=").unwrap();
            let flags =
                names.trim_start_matches(['◀', '─', ' ']).split(", ").map(|name| &name[..1]).collect();
            let after = numbers.split_whitespace().skip(1).find(|word| !word.starts_with("ack="));
            let length = after.and_then(|word| word.parse().ok()).unwrap_or(0);
            segments.entry((server, client, arrow.starts_with('─'))).or_default().push((flags, length));
        }
    }
    segments
}

/// `IP 127.0.0.1.40000 > 127.0.0.1.9000: Flags [P.], seq 1:6, ack 1, win 512, length 5`.
fn add_captured(segments: &mut Segments, line: &str, servers: &BTreeSet<u16>) {
    let (ends, rest) = line.split_once(": Flags [").unwrap_or_else(|| panic!("{line}"));
    let (from, to) = ends.split_once(' ').unwrap().1.split_once(" > ").unwrap();
    let (from, to) = (port(from, '.'), port(to, '.'));
    let to_server = servers.contains(&to);
    if to_server || servers.contains(&from) {
        let flags = rest.split_once(']').unwrap().0.replace('.', "A");
        let length = rest.rsplit_once("length ").unwrap().1.trim().parse().unwrap();
        let (server, client) = if to_server { (to, from) } else { (from, to) };
        segments.entry((server, client, to_server)).or_default().push((flags, length));
    }
}

fn count(segments: &Segments) -> usize {
    segments.values().map(Vec::len).sum()
}

/// Compares a finished trace with the simultaneous capture.
fn compare(what: &str, capture: End, trace: &[String]) {
    let ours = segments_of_a_trace(trace);
    assert!(count(&ours) >= 8, "{what}: {trace:#?}");
    let servers: BTreeSet<u16> = ours.keys().map(|(server, ..)| *server).collect();
    let mut theirs = Segments::new();
    wait_until(&format!("{what}: all {} segments are captured", count(&ours)), || {
        capture.lines_so_far().iter().for_each(|line| add_captured(&mut theirs, line, &servers));
        count(&theirs) >= count(&ours)
    });
    capture.signal(Signal::SIGINT);
    let (_, rest, told) = capture.finish_with_errors();
    // Its last line is empty.
    rest.iter().filter(|line| !line.is_empty()).for_each(|line| add_captured(&mut theirs, line, &servers));
    assert!(told.iter().any(|line| line.starts_with("0 packets dropped")), "{told:?}");
    assert_eq!(ours, theirs, "{what}");
}

fn servers() -> Result<(), Failed> {
    let (from, into) = (Folder::new("capture-from"), Folder::new("capture-into"));
    file_with(&from.0.join("photo"), &noise(3_000_000));
    let (path, inbox) = (from.path("photo"), into.path(""));
    let receive = ["file", "receive", "--into", &inbox, "--bind", "127.0.0.1:0"];
    let send = ["file", "send", &path, "--to"];
    let cases: [(&[&str], &[&str], &str); 10] = [
        (&["chat", "serve"], &["chat", "connect"], "你好\nq\n"),
        (&["sticky", "serve"], &["sticky", "connect", "--no-delay"], ""),
        (&["frames", "serve"], &["frames", "connect"], "thanks\n"),
        (&["echo", "serve"], &["echo", "connect"], "hello\n火锅\n"),
        (&["echo", "serve", "--bind", "[::1]:0"], &["echo", "connect"], "hello\n"),
        (&["upper", "serve", "--mode", "busy"], &["upper", "connect"], "wusir\n火锅 a\n"),
        (&["upper", "serve"], &["upper", "connect"], "wusir\n火锅 a\n"),
        (&["auth", "serve"], &["auth", "connect"], "hello\n"),
        (
            &["auth", "serve", "--scheme", "hmac-sha256"],
            &["auth", "connect", "--scheme", "hmac-sha256"],
            "hello\n",
        ),
        (&receive, &send, ""),
    ];
    for (serve, connect, input) in cases {
        let Some(capture) = capture() else { return Ok(()) };
        let (server, address) = End::serve(proclab(&[serve, &["--trace"]].concat()), "");
        assert!(server.error_with("trace of port").contains("from the packets"));
        assert_eq!(End::start(proclab(&[connect, &[&address]].concat()), input).finish().0, 0, "{serve:?}");
        server.signal(Signal::SIGINT);
        let (code, _, trace) = server.finish_with_errors();
        assert_eq!(code, 0, "{serve:?}");
        compare(&serve.join(" "), capture, &trace);
    }
    Ok(())
}

fn demos() -> Result<(), Failed> {
    for program in ["chat", "sticky", "frames", "file", "echo", "upper", "auth"] {
        let Some(capture) = capture() else { return Ok(()) };
        let (code, told) = End::start(proclab(&[program, "demo", "--trace=all"]), "").finish();
        assert_eq!(code, 0, "{program}: {told:#?}");
        compare(program, capture, &told);
    }
    Ok(())
}
