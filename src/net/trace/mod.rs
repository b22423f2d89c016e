//! `--trace`: the life of a connection as a diagram, from the packets on loopback where CAP_NET_RAW
//! allows it, and else from the states that the kernel shows of its sockets.

pub mod diagram;
pub mod segment;
pub mod states;

use crate::sys::packet::Capture;
use crate::sys::poll::{Deadline, readable};
use diagram::Diagram;
use segment::Segment;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes of each packet that are looked at: its headers, and the first of its data.
const LOOKED_AT: usize = 256;

/// How long the packets may stay away before a trace that is stopped is taken to be whole.
const QUIET: Duration = Duration::from_millis(50);

/// A trace that goes on in a thread until it is finished or dropped.
#[derive(Debug)]
pub struct Trace {
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Trace {
    /// Traces the connections of the server at `server`, which `emit` is handed line by line, a diagram being
    /// `columns` wide. The first line says where the trace comes from.
    ///
    /// # Errors
    /// When there is neither a packet socket nor a list of sockets to look at.
    pub fn start(
        server: SocketAddr,
        columns: usize,
        emit: impl Fn(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let port = server.port();
        let thread = match Capture::loopback() {
            Ok(capture) => {
                emit(format!("trace of port {port} from the packets on loopback"));
                std::thread::Builder::new()
                    .spawn(move || follow_packets(capture, &stopped, Diagram::new(port, columns), emit))
            }
            Err(error) => {
                states::check()?;
                emit(format!(
                    "trace of port {port} from the kernel's connection states, looked at every 0.2 ms, \
                     for packets cannot be captured ({error}): states that were shorter are missed"
                ));
                std::thread::Builder::new().spawn(move || states::follow(&stopped, port, emit))
            }
        }?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Ends the trace once nothing more comes.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn follow_packets(mut capture: Capture, stopped: &UnixStream, mut diagram: Diagram, emit: impl Fn(String)) {
    let mut buffer = [0; LOOKED_AT];
    let mut stopping: Option<Instant> = None;
    loop {
        let ready = match stopping {
            None => readable(&[capture.as_fd(), stopped.as_fd()], Deadline::NEVER),
            Some(_) => readable(&[capture.as_fd()], Deadline::after(QUIET)),
        };
        let Ok(ready) = ready else { return };
        // Other programs may be busy on loopback: the wait for silence is bounded.
        if stopping.is_some_and(|since| !ready[0] || since.elapsed() > 10 * QUIET) {
            return;
        }
        if ready.get(1) == Some(&true) {
            stopping = Some(Instant::now());
        }
        while let Some(packet) = capture.next(&mut buffer) {
            let seen = &buffer[..packet.length.min(LOOKED_AT)];
            if let Some(segment) = Segment::parse(seen, packet.length) {
                diagram.add(packet.at_ns, &segment).into_iter().for_each(&emit);
            }
        }
        match capture.missed() {
            Ok(0) | Err(_) => {}
            Ok(n) => emit(format!(
                "{n} packets on loopback came too fast to be looked at: some may be missing here"
            )),
        }
    }
}
