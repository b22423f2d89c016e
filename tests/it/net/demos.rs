//! The demos and the trace as a person sees them, and what a wrong command line says.

use super::ends::{End, proclab};
use libtest_mimic::{Failed, Trial};
use std::io::{Read, Write};

pub(crate) fn tests() -> Vec<Trial> {
    let test = |name: &str, run: fn() -> Result<(), Failed>| {
        crate::common::bounded(format!("net::demo::{name}"), run)
    };
    vec![
        test("every_demo_holds", every_demo),
        test("a_trace_shows_a_life_from_its_first_packet_to_its_last", trace),
        test("a_trace_is_what_a_capture_shows", trace_beside_a_capture),
        test("without_the_right_to_capture_a_trace_says_so", trace_of_states),
        test("a_wrong_command_line_says_what_to_do", wrong_command_lines),
    ]
}

fn every_demo() -> Result<(), Failed> {
    let (code, lines) = End::start(proclab(&["all", "demo"]), "").finish();
    let wrong: Vec<_> = lines.iter().filter(|line| line.contains("NOT SO")).collect();
    assert_eq!((code, wrong), (0, vec![]), "{lines:#?}");
    for program in ["chat", "udp", "sticky", "frames", "file", "echo", "upper", "auth"] {
        assert!(lines.contains(&format!("== {program} ==")), "{program}");
    }
    Ok(())
}

fn trace() -> Result<(), Failed> {
    let (server, address) = End::serve(proclab(&["echo", "serve", "--trace"]), "");
    let source = server.error_with("trace of port");
    assert_eq!(End::start(proclab(&["echo", "connect", &address]), "hello\n").finish().0, 0);
    if source.contains("from the packets") {
        // In the order of any capture of such a life.
        for part in [
            "SYN seq=0",
            "SYN, ACK seq=0 ack=1",
            "ACK seq=1 ack=1",
            "PSH, ACK seq=1 ack=1 5 bytes \"hello\"",
            "FIN, ACK seq=6",
            "FIN, ACK seq=6",
        ] {
            server.error_with(part);
        }
    } else {
        server.error_with("client port");
    }
    assert_eq!(server.interrupt(), 0);
    Ok(())
}

/// The segments of a trace or of tcpdump's lines: upwards, its flags, its bytes.
type Seen = Vec<(bool, String, usize)>;

fn trace_beside_a_capture() -> Result<(), Failed> {
    let (server, address) = End::serve(proclab(&["echo", "serve", "--trace"]), "");
    let port = address.rsplit_once(':').unwrap().1.to_owned();
    if !server.error_with("trace of port").contains("from the packets") {
        println!("    left out: packets cannot be captured here");
        return Ok(());
    }
    let mut tcpdump = std::process::Command::new("tcpdump");
    tcpdump.args(["-i", "lo", "-nn", "-l", "--immediate-mode", "tcp", "port", &port]);
    if std::process::Command::new("tcpdump").arg("--version").output().is_err() {
        println!("    left out: there is no tcpdump here");
        return Ok(());
    }
    let capture = End::start(tcpdump, "");
    capture.error_with("listening on lo");
    assert_eq!(End::start(proclab(&["echo", "connect", &address]), "hello\n火锅\n").finish().0, 0);

    let (mut ours, mut theirs) = (Seen::new(), Seen::new());
    // A life ends with the acknowledgement of the second FIN.
    let over = |seen: &Seen| {
        let fins = seen.iter().filter(|(_, flags, _)| flags.contains('F')).count();
        fins == 2 && seen.last().is_some_and(|(_, flags, _)| !flags.contains('F'))
    };
    while !over(&theirs) {
        let line = capture.line();
        let flags = line.split_once("Flags [").unwrap().1.split_once(']').unwrap().0.replace('.', "A");
        let length = line.rsplit_once("length ").unwrap().1.trim().parse().unwrap();
        theirs.push((line.contains(&format!("> 127.0.0.1.{port}:")), flags, length));
    }
    while !over(&ours) {
        let line = server.error_with("──");
        let (up, label) = match line.split_once("│── ") {
            Some((_, label)) => (true, label),
            None => (false, line.split_once("─ ").unwrap().1),
        };
        let (names, rest) = label.split_once(" seq=").unwrap();
        let bytes = rest.split_once(" byte").map_or("0", |(before, _)| before.rsplit_once(' ').unwrap().1);
        let flags = names.split(", ").map(|name| &name[..1]).collect::<String>();
        ours.push((up, flags, bytes.parse().unwrap()));
    }
    assert_eq!(ours, theirs);
    assert_eq!(server.interrupt(), 0);
    capture.signal(nix::sys::signal::Signal::SIGINT);
    capture.finish();
    Ok(())
}

fn trace_of_states() -> Result<(), Failed> {
    // As somebody who has no rights, where the test has them.
    let unprivileged = |args: &[&str]| {
        let mut command = std::process::Command::new("setpriv");
        if nix::unistd::geteuid().is_root() {
            command.args(["--bounding-set", "-all", "--inh-caps", "-all"]);
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        }
        command.args(["--", env!("CARGO_BIN_EXE_proclab")]).args(args);
        command
    };
    if !unprivileged(&["--version"]).output().is_ok_and(|output| output.status.success()) {
        println!("    left out: there is no setpriv here, or the program is where only its owner may run it");
        return Ok(());
    }
    let (server, address) = End::serve(unprivileged(&["net", "echo", "serve", "--trace"]), "");
    let source = server.error_with("trace of port");
    assert!(source.contains("from the kernel's connection states"), "{source}");
    let mut client = std::net::TcpStream::connect(&address).unwrap();
    server.error_with("at the server: ESTABLISHED");
    client.write_all(b"hello").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    // Who closes first waits at the end; the states between may be too short to be seen.
    server.error_with("TIME_WAIT");
    assert_eq!(server.interrupt(), 0);
    Ok(())
}

fn wrong_command_lines() -> Result<(), Failed> {
    let mut no_key = proclab(&["auth", "serve"]);
    no_key.env_remove("PROCLAB_KEY");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (command, code, error) in [
        (no_key, 2, "error: no key"),
        (proclab(&["echo", "connect", &nobody]), 1, "error: cannot connect to 127.0.0.1"),
        (proclab(&["echo", "connect", "nonsense"]), 1, "error: \"nonsense\" is not an address"),
        (proclab(&["echo", "serve", "--bind", "192.0.2.1:1"]), 1, "error: cannot listen at 192.0.2.1:1"),
        (
            proclab(&["file", "send", "/dev/null", "--to", &nobody]),
            1,
            "error: /dev/null cannot be sent: only a regular file",
        ),
    ] {
        let end = End::start(command, "");
        end.error_with(error);
        assert_eq!(end.finish().0, code);
    }
    Ok(())
}
