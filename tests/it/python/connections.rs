//! `_TestConnection`, `_TestPoll`, `_TestListener`, `_TestListenerClient`, `_TestPicklingConnections`, `TestWait`, and
//! the classes about signals that interrupt system calls.
#![expect(unsafe_code, reason = "a signal handler")]

use super::{SHORT, SOON, cases};
use libtest_mimic::Trial;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal as Known, sigaction};
use proclab::pipe::{Pipe, PipeReceiver, PipeRecvError, PipeSendFault, PipeSender, duplex, simplex};
use proclab::queue::{Receiver, bounded};
use proclab::sync::Event;
use proclab::{Fd, Process, Signal, StartMethod, Supervisor, Waitable, wait_any};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

pub(super) fn tests() -> Vec<Trial> {
    let classes = [
        cases!["Connection": connection, duplex_false, spawn_close, sendbytes, fd_transfer, large_fd_transfer,
            missing_fd_transfer, context],
        cases!["Poll": empty_string, strings, boundaries, dont_merge],
        cases!["Listener": multiple_bind, abstract_socket, listener_client],
        cases!["PicklingConnections": pickling, access],
        cases!["Wait": wait, wait_socket, wait_slow, wait_socket_slow, wait_timeout, wait_integer, neg_timeout],
        cases!["IgnoreEINTR": poll_eintr, ignore, ignore_listener],
        cases!["InvalidHandle": invalid_handles],
    ];
    classes.into_iter().flatten().collect()
}

fn echo(pipe: Pipe<Vec<u8>>) {
    while let Ok(message) = pipe.recv_bytes() {
        pipe.send_bytes(&message).unwrap();
    }
}

fn connection(method: StartMethod) {
    let (pipe, other) = duplex::<Vec<u8>, Vec<u8>>().unwrap();
    let child = Process::new(echo).args(other).daemon(true).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child).unwrap();
    assert!(!pipe.poll(Duration::ZERO).unwrap());
    for message in [b"hello world".to_vec(), Vec::new(), vec![7; 16 << 20]] {
        pipe.send_bytes(&message).unwrap();
        assert!(pipe.poll(SOON).unwrap());
        assert!(pipe.recv_bytes().unwrap() == message);
    }
    let begin = Instant::now();
    assert!(!pipe.poll(SHORT).unwrap() && begin.elapsed() >= SHORT);
    drop(pipe);
    child.join().unwrap();
}

fn duplex_false(_: StartMethod) {
    let (writer, reader): (PipeSender<u32>, PipeReceiver<u32>) = simplex().unwrap();
    writer.send(1).unwrap();
    assert_eq!(reader.recv().unwrap(), 1);
    drop(writer);
    assert!(matches!(reader.recv(), Err(PipeRecvError::Disconnected)));
}

/// The parent's copy is gone once a child has been given the end.
fn spawn_close(method: StartMethod) {
    let (pipe, other) = duplex::<Vec<u8>, Vec<u8>>().unwrap();
    let child = Process::new(echo).args(other).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child).unwrap();
    pipe.send_bytes(b"hello").unwrap();
    assert_eq!(pipe.recv_bytes().unwrap(), b"hello");
    child.kill().unwrap();
    child.join().unwrap();
    assert!(matches!(pipe.recv_bytes(), Err(PipeRecvError::Disconnected)));
}

fn sendbytes(_: StartMethod) {
    let text: Vec<u8> = (0..260_u32).map(|number| number as u8).collect();
    let (a, b) = duplex::<(), ()>().unwrap();
    for part in [&text[..], &text[5..], &text[7..15], &text[260..], &[]] {
        a.send_bytes(part).unwrap();
        assert_eq!(b.recv_bytes().unwrap(), part);
    }
}

fn write_to(fd: Fd) {
    File::from(fd.into_owned()).write_all(b"foo").unwrap();
}

fn fd_transfer(method: StartMethod) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let child = Process::new(write_to).args(Fd::from(OwnedFd::from(writer))).start_method(method);
    Supervisor::new().unwrap().start(child).unwrap().join().unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "foo");
}

/// A descriptor whose number is above 255.
fn large_fd_transfer(method: StartMethod) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let high = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(300)).unwrap();
    drop(writer);
    // SAFETY: the number was just made, and has no other owner.
    let high = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(high) };
    assert!(high.as_raw_fd() >= 300);
    let child = Process::new(write_to).args(Fd::from(high)).start_method(method);
    Supervisor::new().unwrap().start(child).unwrap().join().unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "foo");
}

/// Bytes in which a descriptor is missing are an error.
fn missing_fd_transfer(_: StartMethod) {
    let (a, b) = duplex::<(), Fd>().unwrap();
    b.send_bytes(&[0; 4]).unwrap();
    assert!(matches!(a.recv(), Err(PipeRecvError::Undecodable(_))));
}

fn context(_: StartMethod) {
    let (a, b) = duplex::<u32, u32>().unwrap();
    {
        let a = a;
        a.send(1729).unwrap();
        assert_eq!(b.recv().unwrap(), 1729);
    }
    assert!(matches!(b.send(1).unwrap_err().why, PipeSendFault::Disconnected));
    assert!(matches!(b.recv(), Err(PipeRecvError::Disconnected)));
}

fn empty_string(_: StartMethod) {
    let (a, b) = duplex::<(), ()>().unwrap();
    assert!(!b.poll(Duration::ZERO).unwrap());
    a.send_bytes(b"").unwrap();
    assert!(b.poll(Duration::ZERO).unwrap() && b.poll(Duration::ZERO).unwrap());
    assert_eq!(b.recv_bytes().unwrap(), b"");
    assert!(!b.poll(Duration::ZERO).unwrap());
}

const STRINGS: [&str; 4] = ["hello", "", "a", "b"];

fn strings(method: StartMethod) {
    let (a, b) = duplex::<String, String>().unwrap();
    let child = Process::new(|b: Pipe<String>| STRINGS.map(|text| b.send(text.to_owned()).unwrap()).len());
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child.args(b).start_method(method)).unwrap();
    for text in STRINGS {
        assert!(a.poll(SOON).unwrap());
        assert_eq!(a.recv().unwrap(), text);
    }
    child.join().unwrap();
}

fn boundaries(_: StartMethod) {
    let (a, b) = duplex::<(), ()>().unwrap();
    let sent: [&[u8]; 5] = [b"aa", b"b", b"", b"cccc", b"d"];
    sent.iter().for_each(|part| a.send_bytes(part).unwrap());
    drop(a);
    sent.iter().for_each(|part| assert_eq!(b.recv_bytes().unwrap(), *part));
    assert!(b.poll(Duration::ZERO).unwrap());
    assert!(matches!(b.recv_bytes(), Err(PipeRecvError::Disconnected)));
}

fn dont_merge(_: StartMethod) {
    let (a, b) = duplex::<(), ()>().unwrap();
    a.send_bytes(b"a").unwrap();
    a.send_bytes(b"b").unwrap();
    assert_eq!((b.recv_bytes().unwrap(), b.recv_bytes().unwrap()), (b"a".to_vec(), b"b".to_vec()));
    assert!(!b.poll(SHORT).unwrap());
}

fn abstract_name(what: &str, method: StartMethod) -> std::os::unix::net::SocketAddr {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("proclab-{what}-{method:?}-{}", std::process::id());
    std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap()
}

fn multiple_bind(method: StartMethod) {
    let address = abstract_name("bind", method);
    let _first = UnixListener::bind_addr(&address).unwrap();
    assert!(UnixListener::bind_addr(&address).is_err());
}

fn abstract_socket(method: StartMethod) {
    let address = abstract_name("abstract", method);
    let listener = UnixListener::bind_addr(&address).unwrap();
    let mut client = UnixStream::connect_addr(&address).unwrap();
    client.write_all(b"x").unwrap();
    let mut byte = [0];
    listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
}

fn connect_and_say(name: Vec<u8>) {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
    UnixStream::connect_addr(&address).unwrap().write_all(b"hello").unwrap();
}

fn listener_client(method: StartMethod) {
    use std::os::linux::net::SocketAddrExt;
    let address = abstract_name("listener", method);
    let listener = UnixListener::bind_addr(&address).unwrap();
    let name = address.as_abstract_name().unwrap().to_vec();
    let child = Process::new(connect_and_say).args(name).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child).unwrap();
    let mut text = String::new();
    listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    child.join().unwrap();
}

/// Hands the sockets that it is sent on, with an answer in each.
fn answer_on_each(sockets: Receiver<Fd>) {
    for socket in &sockets {
        UnixStream::from(socket.unwrap().into_owned()).write_all(b"answer").unwrap();
    }
}

fn pickling(method: StartMethod) {
    let (sender, receiver) = bounded(2).unwrap();
    let child = Process::new(answer_on_each).args(receiver).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child).unwrap();
    for _ in 0..2 {
        let (mut here, there) = UnixStream::pair().unwrap();
        sender.send(Fd::from(OwnedFd::from(there))).unwrap();
        let mut text = String::new();
        here.read_to_string(&mut text).unwrap();
        assert_eq!(text, "answer");
    }
    drop(sender);
    child.join().unwrap();
}

fn access(method: StartMethod) {
    let (ends, given) = duplex::<PipeSender<u32>, ()>().unwrap();
    let child = Process::new(|given: Pipe<(), PipeSender<u32>>| given.recv().unwrap().send(6).unwrap());
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child.args(given).start_method(method)).unwrap();
    let (sender, receiver) = simplex().unwrap();
    ends.send(sender).unwrap();
    assert_eq!(receiver.recv_timeout(SOON).unwrap(), 6);
    assert!(matches!(receiver.recv_timeout(SOON), Err(PipeRecvError::Disconnected)), "no copy is left");
    child.join().unwrap();
}

fn send_slowly(pipe: PipeSender<u32>, number: u32, wait: Duration) {
    for _ in 0..3 {
        std::thread::sleep(wait);
        pipe.send(number).unwrap();
    }
}

fn collect(method: StartMethod, wait: Duration) {
    let supervisor = Supervisor::new().unwrap();
    let mut open: Vec<PipeReceiver<u32>> = (0..3)
        .map(|number| {
            let (sender, receiver) = simplex().unwrap();
            let child = Process::new(send_slowly).args((sender, number, wait)).start_method(method);
            supervisor.start(child).unwrap();
            receiver
        })
        .collect();
    let mut received = Vec::new();
    while !open.is_empty() {
        for at in wait_any(&open, Some(SOON)).unwrap().into_iter().rev() {
            match open[at].try_recv() {
                Ok(number) => received.push(number),
                Err(PipeRecvError::Disconnected) => drop(open.remove(at)),
                Err(other) => panic!("{other}"),
            }
        }
    }
    received.sort_unstable();
    assert_eq!(received, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
}

fn wait(method: StartMethod) {
    collect(method, Duration::ZERO);
}

fn wait_slow(method: StartMethod) {
    collect(method, Duration::from_millis(5));
}

fn wait_socket(method: StartMethod) {
    let (here, there) = UnixStream::pair().unwrap();
    assert!(wait_any(&[&here], Some(Duration::ZERO)).unwrap().is_empty());
    let child = Process::new(write_to).args(Fd::from(OwnedFd::from(there))).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child).unwrap();
    assert_eq!(wait_any(&[&here], Some(SOON)).unwrap(), [0]);
    child.join().unwrap();
}

fn write_late(fd: Fd) {
    std::thread::sleep(SHORT);
    write_to(fd);
}

fn wait_socket_slow(method: StartMethod) {
    let (here, there) = UnixStream::pair().unwrap();
    let child = Process::new(write_late).args(Fd::from(OwnedFd::from(there))).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child).unwrap();
    assert_eq!(wait_any(&[&here], Some(SOON)).unwrap(), [0]);
    child.join().unwrap();
}

fn wait_timeout(_: StartMethod) {
    let (a, b) = duplex::<u8, u8>().unwrap();
    let begin = Instant::now();
    assert!(wait_any(&[&a, &b], Some(SHORT)).unwrap().is_empty() && begin.elapsed() >= SHORT);
    b.send(1).unwrap();
    assert_eq!(wait_any(&[&a, &b], Some(SOON)).unwrap(), [0]);
}

/// A sentinel among other things.
fn wait_integer(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let go = Event::new().unwrap();
    let child = Process::new(|go: Event| go.wait().unwrap()).args(go.try_clone().unwrap());
    let child = supervisor.start(child.start_method(method)).unwrap();
    let (a, b) = duplex::<u8, u8>().unwrap();
    let (sender, receiver) = bounded::<u8>(1).unwrap();
    let sources: [&dyn Waitable; 4] = [&a, &child, &b, &receiver];
    assert!(wait_any(&sources, Some(SHORT)).unwrap().is_empty());
    go.set();
    assert_eq!(wait_any(&sources, Some(SOON)).unwrap(), [1]);
    a.send(1).unwrap();
    sender.send(1).unwrap();
    assert_eq!(wait_any(&sources, Some(SOON)).unwrap(), [1, 2, 3]);
    child.join().unwrap();
}

/// There are no negative timeouts; one of zero does not wait.
fn neg_timeout(_: StartMethod) {
    let (a, _b) = duplex::<u8, u8>().unwrap();
    assert!(wait_any(&[&a], Some(Duration::ZERO)).unwrap().is_empty());
}

extern "C" fn do_nothing(_: i32) {}

fn interruptible() {
    let handler = SigAction::new(SigHandler::Handler(do_nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Known::SIGUSR1, &handler) }.unwrap();
}

fn receive_under_signals(pipe: Pipe<Vec<u8>>) {
    interruptible();
    pipe.send(b"ready".to_vec()).unwrap();
    let received = pipe.recv().unwrap();
    pipe.send(received).unwrap();
    pipe.send(vec![7; 4 << 20]).unwrap();
}

/// A signal whose handler returns ends no wait, of a receiver or of a sender.
fn ignore(method: StartMethod) {
    let (pipe, other) = duplex::<Vec<u8>, Vec<u8>>().unwrap();
    let child = Process::new(receive_under_signals).args(other).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child).unwrap();
    assert_eq!(pipe.recv_timeout(SOON).unwrap(), b"ready");
    let signal = || {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(5));
            child.signal(Signal(Known::SIGUSR1 as i32)).unwrap();
        }
    };
    signal();
    pipe.send(b"1234".to_vec()).unwrap();
    assert_eq!(pipe.recv_timeout(SOON).unwrap(), b"1234");
    signal();
    assert_eq!(pipe.recv_timeout(SOON).unwrap().len(), 4 << 20);
    child.join().unwrap();
}

fn wait_under_signals(ready: Event, go: Event, messages: Receiver<u8>) -> u8 {
    interruptible();
    ready.set();
    go.wait_timeout(SOON).unwrap();
    messages.recv_timeout(SOON).unwrap()
}

/// Nor a wait for an event or a queue.
fn poll_eintr(method: StartMethod) {
    let (ready, go) = (Event::new().unwrap(), Event::new().unwrap());
    let (sender, receiver) = bounded(1).unwrap();
    let args = (ready.try_clone().unwrap(), go.try_clone().unwrap(), receiver);
    let child = Process::new(wait_under_signals).args(args).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child).unwrap();
    ready.wait_timeout(SOON).unwrap();
    for round in 0..6 {
        if round == 3 {
            go.set();
        }
        std::thread::sleep(Duration::from_millis(5));
        child.signal(Signal(Known::SIGUSR1 as i32)).unwrap();
    }
    sender.send(9).unwrap();
    assert_eq!(child.result().unwrap(), 9);
}

fn wait_for_a_client(listener: Fd, ready: Event) {
    interruptible();
    ready.set();
    let listener = UnixListener::from(listener.into_owned());
    assert_eq!(wait_any(&[&listener], Some(SOON)).unwrap(), [0]);
    listener.accept().unwrap().0.write_all(b"welcome").unwrap();
}

fn ignore_listener(method: StartMethod) {
    let (address, ready) = (abstract_name("eintr", method), Event::new().unwrap());
    let listener = UnixListener::bind_addr(&address).unwrap();
    let args = (Fd::from(OwnedFd::from(listener)), ready.try_clone().unwrap());
    let child = Process::new(wait_for_a_client).args(args).start_method(method);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child).unwrap();
    ready.wait_timeout(SOON).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    child.signal(Signal(Known::SIGUSR1 as i32)).unwrap();
    let mut text = String::new();
    UnixStream::connect_addr(&address).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "welcome");
    child.join().unwrap();
}

/// What is not the end of a pipe is refused when it is received.
fn invalid_handles(_: StartMethod) {
    let (a, b) = duplex::<(), PipeSender<u8>>().unwrap();
    b.send_bytes(&[0; 4]).unwrap();
    assert!(matches!(a.recv(), Err(PipeRecvError::Undecodable(_))));
}
