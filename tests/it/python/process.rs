//! `_TestProcess`, `_TestSubclassingProcess`, and the classes about start methods, descriptors and standard streams.

use super::{SHORT, SOON, cases};
use libtest_mimic::Trial;
use proclab::pipe::{Pipe, PipeSender, duplex, simplex};
use proclab::queue::{Receiver, Sender, bounded};
use proclab::sync::Event;
use proclab::{
    Exit, Fd, Process, ResultError, Run, Signal, StartError, StartMethod, Stdio, Supervisor, current, parent,
    wait_any,
};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

pub(super) fn tests() -> Vec<Trial> {
    let classes = [
        cases!["Process": current_is_main, args_argument, daemon_argument, parent_process_attributes, parent_process,
            process, process_mainthread_native_id, terminate, kill, cpu_count, active_children, recursion, sentinel,
            close, many_processes, child_fd_inflation, wait_for_threads, error_on_stdio_flush, forkserver_sigint,
            forkserver_sigkill],
        cases!["SubclassingProcess": subclassing, stderr_flush, sys_exit],
        cases!["StdinBadFileDescriptor": queue_in_process, pool_in_process, flushing],
        cases!["NoForkBomb": noforkbomb],
        cases!["CloseFds": closefd],
        cases!["StartMethod": get_all, mixed_startmethod, nested_startmethod],
        cases!["ResourceTracker": resource_tracker],
    ];
    classes.into_iter().flatten().collect()
}

fn none() {}

fn exit_with(code: i32) {
    std::process::exit(code)
}

fn panic_with_a_reason() {
    panic!("with a reason")
}

fn sleep() {
    std::thread::sleep(Duration::from_secs(1000));
}

fn current_is_main(_: StartMethod) {
    assert_eq!(current().name(), "MainProcess");
    assert!(!current().is_daemon() && parent().is_none());
}

fn join_words(a: String, b: u32, c: Vec<u8>) -> String {
    format!("{a} {b} {c:?}")
}

fn args_argument(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let one = Process::new(|only: u64| only + 1).args(1).start_method(method);
    assert_eq!(supervisor.start(one).unwrap().result().unwrap(), 2);
    let three = Process::new(join_words).args(("a".to_owned(), 2, vec![3])).start_method(method);
    assert_eq!(supervisor.start(three).unwrap().result().unwrap(), "a 2 [3]");
}

fn daemon_argument(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    for (process, is_daemon) in [
        (Process::new(|| current().is_daemon()), false),
        (Process::new(|| current().is_daemon()).daemon(true), true),
        (Process::new(|| current().is_daemon()).daemon(false), false),
    ] {
        let child = supervisor.start(process.start_method(method)).unwrap();
        assert_eq!((child.is_daemon(), child.result().unwrap()), (is_daemon, is_daemon));
    }
}

fn parent_process_attributes(method: StartMethod) {
    let child = Process::new(|| parent().map(|parent| (parent.pid(), parent.name().to_owned())));
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child.start_method(method)).unwrap();
    let (ppid, found) = (child.ppid(), child.result().unwrap());
    assert_eq!(found, Some((ppid, "MainProcess".to_owned())));
}

/// Tells whether its parent is alive, before and after that was killed.
fn watch_parent(alive: Sender<bool>) {
    let parent = parent().unwrap();
    alive.send(parent.is_alive()).unwrap();
    alive.send(!parent.wait_timeout(SOON)).unwrap();
}

fn have_a_child_that_watches(alive: Sender<bool>, method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let child = Process::new(watch_parent).args(alive).start_method(method).die_with_parent(false);
    let _ = supervisor.start(child).unwrap().join();
}

fn parent_process(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let (alive, is_alive) = bounded(2).unwrap();
    let child = Process::new(have_a_child_that_watches).args((alive, method)).start_method(method);
    let child = supervisor.start(child).unwrap();
    assert!(is_alive.recv_timeout(SOON).unwrap());
    child.kill().unwrap();
    child.join().unwrap();
    assert!(!is_alive.recv_timeout(SOON).unwrap());
}

fn say_who(answers: Sender<(u32, String)>, a: u32, b: String) {
    answers.send((std::process::id(), current().name().to_owned())).unwrap();
    assert_eq!((a, b.as_str()), (1, "two"));
}

fn process(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let (answers, answer) = bounded(4).unwrap();
    let process = Process::new(say_who).args((answers, 1, "two".to_owned()));
    let child = supervisor.start(process.name("a-name").daemon(true).start_method(method)).unwrap();
    assert!(child.is_daemon() && child.name() == "a-name");
    let (pid, name) = answer.recv_timeout(SOON).unwrap();
    assert_eq!((pid, name.as_str()), (child.pid().as_raw().unsigned_abs(), "a-name"));
    assert_eq!(child.join().unwrap(), Exit::Code(0));
    assert!(!child.is_alive() && supervisor.active_children().is_empty());
}

fn process_mainthread_native_id(method: StartMethod) {
    let child = Process::new(|| std::fs::read_link("/proc/thread-self").unwrap());
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child.start_method(method)).unwrap();
    let pid = child.pid();
    let of_child = child.result().unwrap();
    assert!(
        of_child.ends_with(pid.to_string()) && of_child != std::fs::read_link("/proc/thread-self").unwrap()
    );
}

fn end_by(method: StartMethod, signal: Signal) {
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(Process::new(sleep).start_method(method)).unwrap();
    assert!(child.is_alive() && supervisor.active_children().len() == 1 && child.exit().is_none());
    for timeout in [Duration::ZERO, SHORT] {
        assert!(child.join_timeout(timeout).unwrap().is_none() && child.is_alive());
    }
    if signal == Signal::KILL {
        child.kill().unwrap()
    } else {
        child.terminate().unwrap()
    }
    assert_eq!(child.join().unwrap(), Exit::Signal { signal, core_dumped: false });
    assert!(!child.is_alive() && supervisor.active_children().is_empty());
    assert_eq!(child.exit().and_then(Exit::python), Some(-signal.0));
}

fn terminate(method: StartMethod) {
    end_by(method, Signal::TERM);
}

fn kill(method: StartMethod) {
    end_by(method, Signal::KILL);
}

fn cpu_count(_: StartMethod) {
    assert!(std::thread::available_parallelism().unwrap().get() >= 1);
}

fn active_children(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    assert!(supervisor.active_children().is_empty());
    let go = Event::new().unwrap();
    let process = Process::new(|go: Event| go.wait().unwrap()).args(go.try_clone().unwrap());
    let child = supervisor.start(process.start_method(method)).unwrap();
    assert_eq!(supervisor.active_children()[0].pid(), child.pid());
    go.set();
    child.join().unwrap();
    assert!(supervisor.active_children().is_empty());
}

fn branch(paths: Sender<Vec<u8>>, path: Vec<u8>, method: StartMethod) {
    paths.send(path.clone()).unwrap();
    if path.len() < 2 {
        let supervisor = Supervisor::new().unwrap();
        for number in 0..2 {
            let path = [path.clone(), vec![number]].concat();
            let child = Process::new(branch).args((paths.clone(), path, method)).start_method(method);
            supervisor.start(child).unwrap().join().unwrap();
        }
    }
}

fn recursion(method: StartMethod) {
    let (paths, received) = bounded(16).unwrap();
    let child = Process::new(branch).args((paths, Vec::new(), method)).start_method(method);
    Supervisor::new().unwrap().start(child).unwrap().join().unwrap();
    let paths: Vec<Vec<u8>> = received.iter().map(Result::unwrap).collect();
    let expected: [&[u8]; 7] = [&[], &[0], &[0, 0], &[0, 1], &[1], &[1, 0], &[1, 1]];
    assert_eq!(paths, expected);
}

fn sentinel(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let go = Event::new().unwrap();
    let process = Process::new(|go: Event| go.wait().unwrap()).args(go.try_clone().unwrap());
    let child = supervisor.start(process.start_method(method)).unwrap();
    assert!(wait_any(&[child.as_fd()], Some(SHORT)).unwrap().is_empty());
    go.set();
    assert_eq!(wait_any(&[child.as_fd()], Some(SOON)).unwrap(), [0]);
    assert_eq!(child.join().unwrap(), Exit::Code(0));
}

/// A dropped child runs on, and its supervisor reaps it.
fn close(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let go = Event::new().unwrap();
    let process = Process::new(|go: Event| go.wait().unwrap()).args(go.try_clone().unwrap());
    drop(supervisor.start(process.start_method(method)).unwrap());
    let left = supervisor.active_children();
    assert!(left.len() == 1 && left[0].is_alive());
    go.set();
    assert_eq!(left[0].join().unwrap(), Exit::Code(0));
}

fn many_processes(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let process = |code| Process::new(exit_with).args(code).start_method(method);
    let ending: Vec<_> = (0..10).map(|code| supervisor.start(process(code)).unwrap()).collect();
    for (code, child) in (0..).zip(&ending) {
        assert_eq!(child.join().unwrap(), Exit::Code(code));
    }
    let sleeping: Vec<_> =
        (0..10).map(|_| supervisor.start(Process::new(sleep).start_method(method)).unwrap()).collect();
    sleeping.iter().for_each(|child| child.terminate().unwrap());
    for child in &sleeping {
        assert_eq!(child.join().unwrap(), Exit::Signal { signal: Signal::TERM, core_dumped: false });
    }
}

fn count_descriptors(go: Event, counts: Sender<usize>) {
    counts.send(std::fs::read_dir("/proc/self/fd").unwrap().count()).unwrap();
    go.wait().unwrap();
}

/// A child has no descriptors that belong to its siblings.
fn child_fd_inflation(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let (go, (counts, count)) = (Event::new().unwrap(), bounded(8).unwrap());
    let children: Vec<_> = (0..4)
        .map(|_| {
            let args = (go.try_clone().unwrap(), counts.clone());
            supervisor.start(Process::new(count_descriptors).args(args).start_method(method)).unwrap()
        })
        .collect();
    let numbers: Vec<usize> = children.iter().map(|_| count.recv_timeout(SOON).unwrap()).collect();
    if method != StartMethod::Fork {
        assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
    }
    go.set();
    children.iter().for_each(|child| _ = child.join().unwrap());
}

fn work_in_a_thread(done: Event) {
    std::thread::scope(|scope| drop(scope.spawn(|| done.set())));
}

fn wait_for_threads(method: StartMethod) {
    let done = Event::new().unwrap();
    let process = Process::new(work_in_a_thread).args(done.try_clone().unwrap()).start_method(method);
    Supervisor::new().unwrap().start(process).unwrap().join().unwrap();
    assert!(done.is_set());
}

/// What it prints goes to a pipe that nobody reads.
fn error_on_stdio_flush(method: StartMethod) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let process = Process::new(|| drop(std::io::stdout().write_all(b"lost")));
    let process = process.stdout(Stdio::from(std::os::fd::OwnedFd::from(writer))).start_method(method);
    assert_eq!(Supervisor::new().unwrap().start(process).unwrap().join().unwrap(), Exit::Code(0));
}

/// The fork server survives what ends one of its children, and a server that was killed is replaced.
fn forkserver_survives(method: StartMethod, signal: Signal) {
    let supervisor = Supervisor::new().unwrap();
    let start = || supervisor.start(Process::new(|| parent().unwrap().pid()).start_method(method)).unwrap();
    let before = start();
    assert_eq!(before.result().unwrap(), before.ppid());
    let victim = supervisor.start(Process::new(sleep).start_method(method)).unwrap();
    victim.signal(signal).unwrap();
    assert_eq!(victim.join().unwrap(), Exit::Signal { signal, core_dumped: false });
    let after = start();
    assert_eq!(after.result().unwrap(), after.ppid());
}

fn forkserver_sigint(method: StartMethod) {
    forkserver_survives(method, Signal::INT);
}

fn forkserver_sigkill(method: StartMethod) {
    forkserver_survives(method, Signal::KILL);
}

#[derive(Serialize, Deserialize)]
struct UpCaser {
    pipe: Pipe<String, Option<String>>,
}

impl Run for UpCaser {
    type Output = ();

    fn run(self) {
        while let Ok(Some(text)) = self.pipe.recv() {
            self.pipe.send(text.to_uppercase()).unwrap();
        }
    }
}

fn subclassing(method: StartMethod) {
    let (here, pipe) = duplex().unwrap();
    let child = Process::object(UpCaser { pipe }).daemon(true).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child).unwrap();
    for text in ["hello", "world"] {
        here.send(Some(text.to_owned())).unwrap();
        assert_eq!(here.recv_timeout(SOON).unwrap(), text.to_uppercase());
    }
    here.send(None).unwrap();
    assert_eq!(child.join().unwrap(), Exit::Code(0));
}

#[expect(clippy::print_stderr, reason = "the case is about standard error")]
fn print_to_stderr() {
    eprint!("all of it");
}

fn stderr_flush(method: StartMethod) {
    let process = Process::new(print_to_stderr).stderr(Stdio::piped()).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(process).unwrap();
    let mut text = String::new();
    child.take_stderr().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "all of it");
    let process = Process::new(panic_with_a_reason).start_method(method);
    let Err(ResultError::Panicked { panic, .. }) =
        Supervisor::new().unwrap().start(process).unwrap().result()
    else {
        panic!("it did not panic")
    };
    assert!(panic.message == "with a reason" && panic.location.unwrap().contains("python/process.rs"));
}

fn sys_exit(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    for code in [0, 1, 8, 255] {
        let process = Process::new(exit_with).args(code).start_method(method);
        assert_eq!(supervisor.start(process).unwrap().join().unwrap(), Exit::Code(code));
    }
}

fn send_through_a_queue_of_its_own() {
    let (sender, receiver) = bounded(1).unwrap();
    let child = Process::new(|sender: Sender<u8>| sender.send(7).unwrap()).args(sender);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child).unwrap();
    assert_eq!(receiver.recv_timeout(SOON).unwrap(), 7);
    child.join().unwrap();
}

/// Descriptor 0 is closed, or something else, in the process that starts others.
fn queue_in_process(method: StartMethod) {
    let process = Process::new(send_through_a_queue_of_its_own).stdin(Stdio::null()).start_method(method);
    assert_eq!(Supervisor::new().unwrap().start(process).unwrap().join().unwrap(), Exit::Code(0));
}

fn have_a_pool() -> u64 {
    let pool = proclab::pool::Pool::builder().workers(1).build().unwrap();
    pool.submit(|n: u64| n * n, 7).unwrap().result().unwrap()
}

fn pool_in_process(method: StartMethod) {
    let process = Process::new(have_a_pool).stdin(Stdio::null()).start_method(method);
    assert_eq!(Supervisor::new().unwrap().start(process).unwrap().result().unwrap(), 49);
}

/// What the parent has printed and not yet flushed is not printed again by a child.
fn flushing(method: StartMethod) {
    let process = Process::new(|| print!("once")).stdout(Stdio::piped()).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(process).unwrap();
    let mut text = String::new();
    child.take_stdout().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "once");
}

/// A program without the entry call does not run its main again and again: it gets an error, as another test shows with
/// a program of that kind. Here: the entry call came first.
fn noforkbomb(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(Process::new(none).start_method(method));
    assert!(!matches!(child, Err(StartError::NoChildEntry)));
    child.unwrap().join().unwrap();
}

fn is_open(number: i32) -> bool {
    std::fs::read_link(format!("/proc/self/fd/{number}"))
        .is_ok_and(|to| to.to_string_lossy().contains("socket"))
}

/// A descriptor that is close-on-exec, as all are by default, is closed in a child that was executed.
fn closefd(method: StartMethod) {
    use std::os::fd::AsRawFd;
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let number = socket.as_raw_fd();
    // A number that a child does not use by itself.
    let high = nix::fcntl::fcntl(&socket, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(700)).unwrap();
    let child = Process::new(is_open).args(high).start_method(method);
    let found = Supervisor::new().unwrap().start(child).unwrap().result().unwrap();
    nix::unistd::close(high).unwrap();
    assert_eq!(found, method == StartMethod::Fork, "{number}");
    // And one that is passed is open.
    let process = Process::new(|fd: Fd| fd.as_fd().try_clone_to_owned().is_ok());
    let process = process.args(Fd::from(std::os::fd::OwnedFd::from(socket))).start_method(method);
    assert!(Supervisor::new().unwrap().start(process).unwrap().result().unwrap());
}

fn get_all(method: StartMethod) {
    let child = Process::new(|| current().start_method()).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child).unwrap();
    assert_eq!((child.start_method(), child.result().unwrap()), (method, Some(method)));
    assert_eq!(StartMethod::ALL.len(), 3);
}

/// Objects that one start method's children share with another's.
fn mixed_startmethod(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let (sender, receiver): (Sender<u8>, Receiver<u8>) = bounded(1).unwrap();
    let (answers, answer): (PipeSender<u8>, _) = simplex().unwrap();
    let relay = Process::new(|from: Receiver<u8>, to: PipeSender<u8>| to.send(from.recv().unwrap()).unwrap());
    let relay = supervisor.start(relay.args((receiver, answers)).start_method(method)).unwrap();
    let source = Process::new(|to: Sender<u8>| to.send(5).unwrap()).args(sender);
    let source = supervisor.start(source.start_method(StartMethod::Spawn)).unwrap();
    assert_eq!(answer.recv_timeout(SOON).unwrap(), 5);
    source.join().unwrap();
    relay.join().unwrap();
}

fn start_others() -> Vec<StartMethod> {
    let supervisor = Supervisor::new().unwrap();
    let start = |method| {
        let child = supervisor.start(Process::new(|| current().start_method().unwrap()).start_method(method));
        child.unwrap().result().unwrap()
    };
    StartMethod::ALL.into_iter().map(start).collect()
}

fn nested_startmethod(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(Process::new(start_others).start_method(method)).unwrap();
    assert_eq!(child.result().unwrap(), StartMethod::ALL);
}

fn make_and_wait(ready: Event) {
    let _all = (bounded::<u8>(1).unwrap(), Event::new().unwrap(), duplex::<u8, u8>().unwrap());
    ready.set();
    sleep();
}

/// A process that is killed with its objects leaves no name behind.
fn resource_tracker(method: StartMethod) {
    let names = || {
        std::fs::read_dir("/dev/shm")
            .unwrap()
            .filter(|entry| {
                entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().contains("proclab"))
            })
            .count()
    };
    let before = names();
    let ready = Event::new().unwrap();
    let process = Process::new(make_and_wait).args(ready.try_clone().unwrap()).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(process).unwrap();
    ready.wait_timeout(SOON).unwrap();
    child.kill().unwrap();
    child.join().unwrap();
    assert!(names() <= before);
}
