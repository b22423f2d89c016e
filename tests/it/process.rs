//! A function in a real process: its arguments, its result, and its possible ends.

use crate::common::{PATIENCE, end_of, own_pid, quietly, result_of, state_of, supervisor, trials, until};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use libtest_mimic::Trial;
use nix::sys::resource::{Resource, setrlimit};
use proclab::Pid;
use proclab::wire::handle::Fd;
use proclab::{Exit, Process, ResultError, Run, Signal, StartError, StartMethod};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["process":
        a_child_lives_until_it_is_joined_and_its_parent_is_the_supervisor,
        arguments_go_in_and_results_come_out,
        an_object_runs_with_its_fields_as_arguments,
        a_panic_comes_back_with_its_message_and_its_place,
        the_reported_panic_is_the_one_that_happened,
        a_result_whose_descriptors_the_system_refuses_keeps_its_error,
        each_of_the_256_exit_codes_comes_back,
        each_signal_that_ends_a_process_is_reported_by_its_number,
        a_hundred_exits_and_a_hundred_terminations_are_reported_correctly,
        channels_and_descriptors_travel_in_arguments_and_results,
        more_handles_than_a_message_can_carry_are_an_error,
        arguments_and_results_may_be_ten_million_bytes_long,
        a_half_sent_result_does_not_delay_a_bounded_join,
        arguments_that_cannot_be_written_are_an_error_and_leave_no_process,
        arguments_that_cannot_be_read_are_an_error_and_leave_no_process,
        a_result_that_cannot_be_written_or_read_is_an_error,
        a_child_that_dies_before_it_is_ready_is_an_immediate_error,
        names_may_be_of_any_text,
        a_result_can_be_taken_once,
        unnamed_processes_are_numbered,
        a_child_knows_its_identity,
        a_closure_that_captures_nothing_is_a_body,
    ]
}

const ALL: [StartMethod; 3] = StartMethod::ALL;

fn wait_for_release(entrance: IpcReceiver<()>) -> (Pid, Pid) {
    let _ = entrance.recv();
    (own_pid(), Pid::parent())
}

fn a_child_lives_until_it_is_joined_and_its_parent_is_the_supervisor() {
    for method in ALL {
        let supervisor = supervisor();
        assert!(supervisor.active_children().is_empty());
        let (door, entrance) = ipc::channel().unwrap();
        let child = Process::new(wait_for_release).args(entrance).start_method(method);
        let child = supervisor.start(child).unwrap();
        assert!(child.is_alive(), "{method}");
        assert_eq!(child.exit(), None);
        assert_eq!(child.join_timeout(Duration::ZERO).unwrap(), None);
        assert_eq!(
            supervisor.active_children().iter().map(|one| one.pid()).collect::<Vec<_>>(),
            [child.pid()]
        );
        door.send(()).unwrap();
        assert_eq!(end_of(&child), Exit::Code(0));
        assert!(!child.is_alive());
        assert_eq!(child.exit().and_then(Exit::python), Some(0));
        assert!(supervisor.active_children().is_empty());
        assert_eq!(child.result().unwrap(), (child.pid(), own_pid()), "{method}");
        assert_eq!((child.ppid(), child.start_method()), (own_pid(), method));
    }
}

fn none() -> String {
    "none".to_owned()
}

fn one(text: String) -> String {
    text
}

fn six(a: u8, b: i64, c: String, d: Vec<Option<f64>>, e: (bool, char), f: [u16; 3]) -> String {
    format!("{a} {b} {c} {d:?} {e:?} {f:?}")
}

fn arguments_go_in_and_results_come_out() {
    for method in ALL {
        let supervisor = supervisor();
        let child = supervisor.start(Process::new(none).start_method(method)).unwrap();
        assert_eq!(result_of(&child), "none");
        let text = "火锅 \0 \u{10ffff}".to_owned();
        let child = supervisor.start(Process::new(one).args(text.clone()).start_method(method)).unwrap();
        assert_eq!(result_of(&child), text);
        let args = (7, -1, "x".to_owned(), vec![None, Some(0.5)], (true, '券'), [1, 2, 3]);
        let expected = six(args.0, args.1, args.2.clone(), args.3.clone(), args.4, args.5);
        let child = supervisor.start(Process::new(six).args(args).start_method(method)).unwrap();
        assert_eq!(result_of(&child), expected, "{method}");
    }
}

#[derive(Serialize, Deserialize)]
struct Greeter {
    whom: String,
    times: usize,
}

impl Run for Greeter {
    type Output = Vec<String>;

    fn run(self) -> Vec<String> {
        vec![format!("hello, {}", self.whom); self.times]
    }
}

fn an_object_runs_with_its_fields_as_arguments() {
    for method in ALL {
        let greeter = Greeter { whom: "world".to_owned(), times: 2 };
        let child = supervisor().start(Process::object(greeter).start_method(method)).unwrap();
        assert_eq!(result_of(&child), ["hello, world", "hello, world"]);
    }
}

fn panic_with(what: String) {
    panic!("{what}: not today");
}

fn a_panic_comes_back_with_its_message_and_its_place() {
    let line = line!() - 4;
    for method in ALL {
        let supervisor = supervisor();
        let child = Process::new(panic_with).args("tickets".to_owned()).name("p").start_method(method);
        let child = supervisor.start(child).unwrap();
        assert_eq!(end_of(&child), Exit::Code(101));
        let ResultError::Panicked { name, panic } = child.result().unwrap_err() else {
            panic!("another error")
        };
        assert_eq!((name.as_str(), panic.message.as_str()), ("p", "tickets: not today"));
        let place = panic.location.clone().unwrap();
        assert!(place.contains(&format!("process.rs:{line}:")), "{place}");
        assert_eq!(child.panic(), Some(panic));
    }
}

fn panic_after_another(kind: u8) {
    let _ = std::panic::catch_unwind(|| panic!("caught and over"));
    match kind {
        0 => std::panic::resume_unwind(Box::new("resumed".to_owned())),
        1 => std::panic::panic_any(42_u8),
        _ => panic!("the last"),
    }
}

fn the_reported_panic_is_the_one_that_happened() {
    let supervisor = supervisor();
    for (kind, message, has_place) in [(0, "resumed", false), (1, "42", false), (2, "the last", true)] {
        let child = supervisor.start(Process::new(panic_after_another).args(kind)).unwrap();
        end_of(&child);
        let panic = child.panic().unwrap();
        assert_eq!((panic.message.as_str(), panic.location.is_some()), (message, has_place));
    }
}

fn return_a_descriptor_at_the_limit() -> Fd {
    let null = File::open("/dev/null").unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    while let Ok(another) = null.try_clone() {
        std::mem::forget(another);
    }
    Fd::from(OwnedFd::from(null))
}

fn a_result_whose_descriptors_the_system_refuses_keeps_its_error() {
    for method in ALL {
        let supervisor = supervisor();
        let process = Process::new(return_a_descriptor_at_the_limit).start_method(method);
        let child = supervisor.start(process).unwrap();
        end_of(&child);
        let Err(ResultError::Os { source, .. }) = child.result() else { panic!("{:?}", child.result()) };
        assert_eq!(source.raw_os_error(), Some(nix::libc::EMFILE));
    }
}

fn exit_with(code: i32) {
    std::process::exit(code)
}

fn each_of_the_256_exit_codes_comes_back() {
    let supervisor = supervisor();
    for code in 0..256 {
        let method = if code % 16 == 0 { ALL[code as usize / 16 % 3] } else { StartMethod::Fork };
        let child = Process::new(exit_with).args(code).start_method(method);
        let child = supervisor.start(child).unwrap();
        assert_eq!(end_of(&child), Exit::Code(code), "{method}");
        assert_eq!(child.exit().and_then(Exit::python), Some(code));
        if code != 0 {
            assert!(
                matches!(child.result(), Err(ResultError::Ended { exit: Exit::Code(c), .. }) if c == code)
            );
        }
    }
}

/// Signals that do not end a process by default, because they are ignored, continue it or stop it; and the two that the
/// C library reserves for itself.
const HARMLESS: [i32; 10] = [17, 18, 19, 20, 21, 22, 23, 28, 32, 33];

/// Resets every signal to its default action, disables core dumps, and reports when that is done.
#[expect(unsafe_code, reason = "the default action of a signal")]
fn reset_dispositions(ready: IpcSender<()>) {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).unwrap();
    for signal in 1..=64 {
        // SAFETY: the default action runs no code; for signals that cannot be changed the call fails.
        unsafe { nix::libc::signal(signal, nix::libc::SIG_DFL) };
    }
    ready.send(()).unwrap();
    crate::common::sleep();
}

fn each_signal_that_ends_a_process_is_reported_by_its_number() {
    let supervisor = supervisor();
    for signal in (1..=64).filter(|signal| !HARMLESS.contains(signal)) {
        let method = if signal % 8 == 0 { StartMethod::Spawn } else { StartMethod::Fork };
        let (ready, is_ready) = ipc::channel().unwrap();
        let child = Process::new(reset_dispositions).args(ready).start_method(method).die_with_parent(true);
        let child = supervisor.start(child).unwrap();
        is_ready.try_recv_timeout(PATIENCE).unwrap();
        child.signal(Signal(signal)).unwrap();
        assert_eq!(end_of(&child), Exit::Signal { signal: Signal(signal), core_dumped: false }, "{method}");
        assert_eq!(child.exit().and_then(Exit::python), Some(-signal));
    }
}

fn a_hundred_exits_and_a_hundred_terminations_are_reported_correctly() {
    let supervisor = supervisor();
    let exits: Vec<_> = (0..100)
        .map(|code| {
            let child = Process::new(exit_with).args(code).start_method(ALL[code as usize % 3]);
            supervisor.start(child).unwrap()
        })
        .collect();
    for (code, child) in (0..).zip(&exits) {
        assert_eq!(end_of(child), Exit::Code(code));
    }
    let sleepers: Vec<_> =
        (0..100).map(|nth| supervisor.start(crate::common::sleeper(ALL[nth % 3])).unwrap()).collect();
    assert_eq!(supervisor.active_children().len(), 100);
    for child in &sleepers {
        child.terminate().unwrap();
    }
    for child in &sleepers {
        assert_eq!(end_of(child), Exit::Signal { signal: Signal::TERM, core_dumped: false });
    }
    assert!(supervisor.active_children().is_empty());
}

fn write_and_ask(
    pipe: Fd,
    answers: IpcSender<String>,
    questions: IpcReceiver<String>,
) -> (Fd, IpcSender<u8>) {
    File::from(pipe.into_owned()).write_all(b"through the pipe").unwrap();
    answers.send(questions.recv().unwrap() + "!").unwrap();
    let (sender, receiver) = ipc::channel().unwrap();
    // The channel in the result works as long as its receiver exists: here, in another process.
    std::mem::forget(receiver);
    (Fd::from(OwnedFd::from(File::open("/proc/self/comm").unwrap())), sender)
}

fn channels_and_descriptors_travel_in_arguments_and_results() {
    for method in ALL {
        let supervisor = supervisor();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (answers, answer) = ipc::channel().unwrap();
        let (question, questions) = ipc::channel().unwrap();
        let args = (Fd::from(OwnedFd::from(writer)), answers, questions);
        let child = Process::new(write_and_ask).args(args).name("carrier").start_method(method);
        let child = supervisor.start(child).unwrap();
        question.send("why".to_owned()).unwrap();
        assert_eq!(answer.try_recv_timeout(PATIENCE).unwrap(), "why!");
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through the pipe");
        let (comm, sender) = result_of(&child);
        assert!(sender.send(1).is_err(), "its receiver has died with the child");
        // An open file outlives the process that opened it.
        assert!(File::from(comm.into_owned()).read(&mut [0; 8]).is_err());
    }
}

fn count(senders: Vec<IpcSender<u8>>) -> usize {
    senders.len()
}

fn make(n: usize) -> Vec<IpcSender<u8>> {
    (0..n).map(|_| ipc::channel().unwrap().0).collect()
}

fn more_handles_than_a_message_can_carry_are_an_error() {
    let supervisor = supervisor();
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let child = supervisor.start(Process::new(count).args(make(64)).start_method(method)).unwrap();
        assert_eq!(result_of(&child), 64);
        let error = supervisor.start(Process::new(count).args(make(65)).start_method(method)).unwrap_err();
        assert!(matches!(&error, StartError::Args { reason, .. } if reason.contains("64")), "{error}");
    }
    for method in ALL {
        let child = supervisor.start(Process::new(make).args(65).start_method(method)).unwrap();
        assert_eq!(end_of(&child), Exit::Code(1));
        assert!(matches!(child.result(), Err(ResultError::Unreadable { .. })), "{method}");
    }
    assert!(supervisor.active_children().is_empty());
}

fn reversed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

fn arguments_and_results_may_be_ten_million_bytes_long() {
    for method in ALL {
        let bytes: Vec<u8> = (0..10_000_000_u32).map(|n| (n % 251) as u8).collect();
        let child =
            supervisor().start(Process::new(reversed).args(bytes.clone()).start_method(method)).unwrap();
        assert!(reversed(result_of(&child)) == bytes, "{method}");
    }
}

fn return_large_value() -> Vec<u8> {
    vec![7; 5_000_000]
}

/// No process reads the result while it is sent, and then its sender is stopped.
fn a_half_sent_result_does_not_delay_a_bounded_join() {
    let supervisor = supervisor();
    let child = supervisor.start(Process::new(return_large_value).die_with_parent(true)).unwrap();
    let mut calm = 0;
    until("it has ended, or is blocked while it sends", || {
        calm = if matches!(state_of(child.pid()), 'S' | 'Z') { calm + 1 } else { 0 };
        calm == 50
    });
    child.signal(Signal::STOP).unwrap();
    let pid = child.pid();
    let rescuer = std::thread::spawn(move || {
        // Bounds the delay if the join is late, so that the test ends.
        std::thread::sleep(Duration::from_secs(2));
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.as_raw()), nix::sys::signal::SIGCONT);
    });
    let begin = Instant::now();
    child.join_timeout(Duration::from_millis(50)).unwrap();
    let took = begin.elapsed();
    child.signal(Signal::CONT).unwrap();
    assert_eq!(end_of(&child), Exit::Code(0));
    assert_eq!(child.result().unwrap().len(), 5_000_000);
    rescuer.join().unwrap();
    assert!(took < Duration::from_millis(1500), "a join of 50 ms took {took:?}");
}

/// A value whose serialization fails or panics.
#[derive(Deserialize)]
struct Unwritable(bool);

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        assert!(!self.0, "I will not be written");
        Err(serde::ser::Error::custom("I am not to be written"))
    }
}

/// A value whose deserialization fails, ends the process, or panics.
#[derive(Serialize)]
struct Unreadable(u8);

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Err(de::Error::custom("I am not to be read")),
            1 => std::process::exit(9),
            2 => {
                nix::sys::signal::raise(nix::sys::signal::SIGKILL).unwrap();
                unreachable!()
            }
            _ => panic!("I will not be read"),
        }
    }
}

const FRESH: [StartMethod; 2] = [StartMethod::Spawn, StartMethod::ForkServer];

fn arguments_that_cannot_be_written_are_an_error_and_leave_no_process() {
    let supervisor = supervisor();
    for method in FRESH {
        for panics in [false, true] {
            let process = Process::new(|_: Unwritable| ()).args(Unwritable(panics)).start_method(method);
            let error = quietly(|| supervisor.start(process)).unwrap_err();
            assert!(matches!(error, StartError::Args { .. }), "{error}");
        }
        // The next start works.
        assert_eq!(result_of(&supervisor.start(Process::new(none).start_method(method)).unwrap()), "none");
    }
    assert!(supervisor.active_children().is_empty());
}

fn arguments_that_cannot_be_read_are_an_error_and_leave_no_process() {
    let supervisor = supervisor();
    for method in FRESH {
        let process = Process::new(|_: Unreadable| ()).args(Unreadable(0)).start_method(method);
        let error = supervisor.start(process).unwrap_err();
        assert!(matches!(error, StartError::Args { .. }), "{error}");
    }
    assert!(supervisor.active_children().is_empty());
}

fn a_child_that_dies_before_it_is_ready_is_an_immediate_error() {
    let supervisor = supervisor();
    for method in FRESH {
        for (how, expected) in [
            (1, Exit::Code(9)),
            (2, Exit::Signal { signal: Signal::KILL, core_dumped: false }),
            (3, Exit::Code(101)),
        ] {
            let process = Process::new(|_: Unreadable| ()).args(Unreadable(how)).start_method(method);
            match supervisor.start(process).unwrap_err() {
                StartError::DiedBeforeReady { exit, .. } => assert_eq!(exit, expected, "{method}"),
                // A panic counts as an error of the reader.
                error => assert!(how == 3 && matches!(error, StartError::Args { .. }), "{error}"),
            }
        }
    }
    assert!(supervisor.active_children().is_empty());
}

fn return_unwritable(panics: bool) -> Unwritable {
    Unwritable(panics)
}

fn return_unreadable() -> Unreadable {
    Unreadable(0)
}

fn a_result_that_cannot_be_written_or_read_is_an_error() {
    for method in ALL {
        let supervisor = supervisor();
        for panics in [false, true] {
            let child = Process::new(return_unwritable).args(panics).start_method(method);
            let child = supervisor.start(child).unwrap();
            assert_eq!(end_of(&child), Exit::Code(1));
            let error = child.result().err().unwrap();
            assert!(error.to_string().contains("written"), "{error}");
        }
        let child = supervisor.start(Process::new(return_unreadable).start_method(method)).unwrap();
        assert_eq!(end_of(&child), Exit::Code(0));
        assert!(matches!(child.result(), Err(ResultError::Unreadable { .. })), "{method}");
    }
}

fn own_name() -> String {
    proclab::current().name().to_owned()
}

fn names_may_be_of_any_text() {
    for method in ALL {
        let supervisor = supervisor();
        for name in ["", "火锅-1", "a b) c (", "two\nlines", "nul\0inside", "--help", &"long".repeat(50_000)]
        {
            let child = Process::new(own_name).name(name).start_method(method);
            let child = supervisor.start(child).unwrap_or_else(|error| panic!("{method}: {error}"));
            assert_eq!(child.name(), name);
            assert_eq!(result_of(&child), name);
        }
    }
}

fn a_result_can_be_taken_once() {
    let child = supervisor().start(Process::new(none)).unwrap();
    assert_eq!(child.result().unwrap(), "none");
    assert!(matches!(child.result(), Err(ResultError::Taken { .. })));
    assert_eq!(child.join().unwrap(), Exit::Code(0), "the exit can be read again");
}

fn unnamed_processes_are_numbered() {
    let supervisor = supervisor();
    let number = |child: proclab::Child<String>| -> u64 {
        assert_eq!(result_of(&child), child.name());
        child.name().strip_prefix("Process-").unwrap().parse().unwrap()
    };
    let first = number(supervisor.start(Process::new(own_name)).unwrap());
    let second = number(supervisor.start(Process::new(own_name)).unwrap());
    assert_eq!(second, first + 1);
}

fn own_identity() -> (String, bool, Option<StartMethod>, Pid, String) {
    let (own, parent) = (proclab::current(), proclab::parent().unwrap());
    assert!(parent.is_alive());
    (own.name().to_owned(), own.is_daemon(), own.start_method(), parent.pid(), parent.name().to_owned())
}

fn a_child_knows_its_identity() {
    assert!(proclab::parent().is_none());
    assert_eq!(proclab::current().name(), "MainProcess");
    for method in ALL {
        let child = Process::new(own_identity).name("me").daemon(true).start_method(method);
        let supervisor = supervisor();
        let child = supervisor.start(child).unwrap();
        let expected = ("me".to_owned(), true, Some(method), own_pid(), "MainProcess".to_owned());
        assert_eq!(result_of(&child), expected);
    }
}

fn a_closure_that_captures_nothing_is_a_body() {
    for method in ALL {
        let child = Process::new(|a: u32, b: u32| a * b).args((6, 7)).start_method(method);
        assert_eq!(result_of(&supervisor().start(child).unwrap()), 42);
    }
}
