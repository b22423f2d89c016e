//! The demos and the trace as a user sees them, and the errors of wrong command lines.

use super::ends::{End, Folder, proclab, wait_until};
use libtest_mimic::{Failed, Trial};
use std::io::{Read, Write};

pub(crate) fn tests() -> Vec<Trial> {
    let test = |name: &str, run: fn() -> Result<(), Failed>| {
        crate::common::bounded(format!("net::demo::{name}"), run)
    };
    vec![
        test("every_demo_holds", every_demo),
        test("a_trace_shows_a_connection_from_its_first_packet_to_its_last", trace),
        test("every_demo_notices_a_damaged_byte", damaged_wires),
        test("a_proxy_without_damage_changes_nothing", harmless_wires),
        test("a_trace_without_the_right_to_capture_says_so", trace_of_states),
        test("the_error_of_a_wrong_command_line_says_what_to_do", wrong_command_lines),
        test("a_server_that_waits_for_its_key_ends_on_request", key_from_a_pipe),
    ]
}

fn every_demo() -> Result<(), Failed> {
    let (code, lines) = End::start(proclab(&["all", "demo"]), "").finish();
    let wrong: Vec<_> = lines.iter().filter(|line| line.contains("FAILED")).collect();
    assert_eq!((code, wrong), (0, vec![]), "{lines:#?}");
    for program in ["chat", "udp", "sticky", "frames", "file", "echo", "upper", "auth"] {
        assert!(lines.iter().any(|line| line.starts_with(&format!("{program}: "))), "{program}");
    }
    Ok(())
}

/// The first byte in each direction, and one in the middle of the conversation.
const DAMAGES: [(&str, &[&str]); 8] = [
    ("chat", &["up:0", "down:0", "up:3", "down:4"]),
    ("udp", &["up:0", "down:0", "up:4", "down:5"]),
    ("sticky", &["up:0", "up:60", "up:122"]),
    ("frames", &["up:0", "down:0", "up:9", "down:11"]),
    ("file", &["up:0", "up:20", "up:2000000", "down:40", "down:2000000"]),
    ("echo", &["up:0", "down:0", "down:4"]),
    ("upper", &["up:0", "down:0", "up:4"]),
    ("auth", &["up:0", "down:0", "up:33", "down:34"]),
];

fn damaged_wires() -> Result<(), Failed> {
    for (program, damages) in DAMAGES {
        for damage in damages {
            let (code, lines) = End::start(proclab(&[program, "demo", "--damage", damage]), "").finish();
            assert_eq!(code, 3, "{program} {damage}: {lines:#?}");
            assert!(lines.iter().any(|line| line.contains("FAILED")), "{program} {damage}");
            let last = lines.last().unwrap();
            assert!(last.ends_with("checks failed"), "{program} {damage}: {last}");
        }
    }
    Ok(())
}

/// The demos notice the damage and not the proxy.
fn harmless_wires() -> Result<(), Failed> {
    for damage in ["up:1000000000", "down:1000000000"] {
        let (code, lines) = End::start(proclab(&["all", "demo", "--damage", damage]), "").finish();
        assert_eq!(code, 0, "{damage}: {lines:#?}");
    }
    Ok(())
}

fn trace() -> Result<(), Failed> {
    let (server, address) = End::serve(proclab(&["echo", "serve", "--trace"]), "");
    let source = server.error_with("trace of port");
    assert_eq!(End::start(proclab(&["echo", "connect", &address]), "hello\n").finish().0, 0);
    if source.contains("from the packets") {
        // In the order of any capture of such a connection.
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

fn trace_of_states() -> Result<(), Failed> {
    // Without privileges, if the test has them.
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
    // The end that closes first waits at the end; the states in between may be too short to be seen.
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
            "error: cannot send /dev/null: only a regular file",
        ),
    ] {
        let end = End::start(command, "");
        end.error_with(error);
        assert_eq!(end.finish().0, code);
    }
    Ok(())
}

fn key_from_a_pipe() -> Result<(), Failed> {
    let folder = Folder::new("key-pipe");
    let pipe = folder.path("key");
    nix::unistd::mkfifo(pipe.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let serve = || proclab(&["auth", "serve", "--key-file", &pipe]);

    let server = End::start(serve(), "");
    let has_opened_it = |pid: i32| {
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        entries.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|path| path.ends_with("key"))
    };
    wait_until("it opens its key file", || has_opened_it(server.pid()));
    assert_eq!(server.interrupt(), 0);

    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, "alexsb\n").unwrap()
    });
    let (server, address) = End::serve(serve(), "");
    writer.join().unwrap();
    let client = End::start(proclab(&["auth", "connect", &address]), "hello\n");
    assert_eq!(client.finish(), (0, vec!["HELLO".to_owned()]));
    assert_eq!(server.interrupt(), 0);
    Ok(())
}
