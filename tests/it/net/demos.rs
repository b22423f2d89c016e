//! The demos and the trace as a person sees them, and what a wrong command line says.

use super::ends::{End, proclab};
use libtest_mimic::{Failed, Trial};

pub(crate) fn tests() -> Vec<Trial> {
    let test = |name: &str, run: fn() -> Result<(), Failed>| {
        crate::common::bounded(format!("net::demo::{name}"), run)
    };
    vec![
        test("every_demo_holds", every_demo),
        test("a_trace_shows_a_life_from_its_first_packet_to_its_last", trace),
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
            "error: the conversation failed: only a regular",
        ),
    ] {
        let end = End::start(command, "");
        end.error_with(error);
        assert_eq!(end.finish().0, code);
    }
    Ok(())
}
