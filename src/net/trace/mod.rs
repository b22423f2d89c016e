//! `--trace`: draws the connections of a server, from the packets on loopback if CAP_NET_RAW allows it, otherwise from the
//! socket states that the kernel shows.

pub mod diagram;
pub mod flow;
pub mod segment;
pub mod states;

use crate::said::Said;
use crate::sys::clock::{monotonic_ns, realtime_ns};
use crate::sys::packet::Capture;
use crate::sys::poll::{Deadline, readable};
use diagram::Diagram;
use flow::{Flows, Passed};
use segment::Segment;
use states::Changed;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How many bytes of each packet are examined: its headers and the beginning of its data.
const LOOKED_AT: usize = 256;

/// How long no packet must arrive before a stopped trace is complete.
const QUIET: Duration = Duration::from_millis(50);

sentences! {
    /// Remarks on a trace.
    enum Say {
        Packets { port: u16 } => "trace of port {port} from the packets on loopback", "端口 {port} 的跟踪，来自回环接口上的数据包";
        States { port: u16, error: String } =>
            "trace of port {port} from the kernel's connection states, read every 0.2 ms, because packets cannot be captured ({error}): shorter states are missed",
            "端口 {port} 的跟踪，来自内核的连接状态，每 0.2 毫秒读一次，因为无法捕获数据包（原文：“{error}”）：更短的状态会漏掉";
        Missed { missed: u32 } =>
            "{missed} packets on loopback arrived too fast to be captured: some may be missing here",
            "回环接口上有 {missed} 个数据包来得太快，未能捕获：这里可能缺少一些";
    }
}

/// A trace that runs in a thread until it is finished or dropped.
#[derive(Debug)]
pub struct Trace {
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

/// What a trace has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// A remark for people: the source of the trace, or that something was missed.
    Remark(Said),
    /// A segment.
    Passed(Passed),
    /// A change of state, where packets cannot be captured.
    Changed(Changed),
}

impl Sight {
    /// When it was seen, in nanoseconds of the monotonic clock.
    pub fn at_ns(&self) -> Option<u64> {
        match self {
            Self::Remark(_) => None,
            Self::Passed(passed) => Some(passed.at_ns),
            Self::Changed(changed) => Some(changed.at_ns),
        }
    }

    /// It as lines, of which `diagram` is the picture so far.
    pub fn lines(&self, diagram: &mut Diagram) -> Vec<String> {
        match self {
            Self::Remark(said) => vec![said.text.clone()],
            Self::Passed(passed) => diagram.draw(passed),
            Self::Changed(changed) => vec![changed.to_string()],
        }
    }
}

impl Trace {
    /// Traces the connections of the server at `server`: calls `emit` with each line, in diagrams of `columns` columns. The
    /// first line names the source of the trace.
    ///
    /// # Errors
    /// If neither packets nor socket states are available.
    pub fn start(
        server: SocketAddr,
        columns: usize,
        emit: impl Fn(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        let mut diagram = Diagram::new(columns);
        Self::follow(server, move |sight| sight.lines(&mut diagram).into_iter().for_each(&emit))
    }

    /// Traces the connections of the server at `server`: calls `see` with what is seen, first the source of the trace.
    ///
    /// # Errors
    /// If neither packets nor socket states are available.
    pub fn follow(server: SocketAddr, mut see: impl FnMut(Sight) + Send + 'static) -> std::io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let port = server.port();
        let thread = match Capture::loopback() {
            Ok(capture) => {
                see(Sight::Remark(Say::Packets { port }.into()));
                std::thread::Builder::new()
                    .spawn(move || follow_packets(capture, &stopped, Flows::new(port), see))
            }
            Err(error) => {
                states::check()?;
                see(Sight::Remark(Say::States { port, error: error.to_string() }.into()));
                std::thread::Builder::new()
                    .spawn(move || states::follow(&stopped, port, |changed| see(Sight::Changed(changed))))
            }
        }?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Ends the trace once no more packets arrive.
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

fn follow_packets(mut capture: Capture, stopped: &UnixStream, mut flows: Flows, mut see: impl FnMut(Sight)) {
    let mut buffer = [0; LOOKED_AT];
    let mut stopping: Option<Instant> = None;
    loop {
        let ready = match stopping {
            None => readable(&[capture.as_fd(), stopped.as_fd()], Deadline::NEVER),
            Some(_) => readable(&[capture.as_fd()], Deadline::after(QUIET)),
        };
        let Ok(ready) = ready else { return };
        // Other programs may use loopback, so the wait is bounded.
        if stopping.is_some_and(|since| !ready[0] || since.elapsed() > 10 * QUIET) {
            return;
        }
        if ready.get(1) == Some(&true) {
            stopping = Some(Instant::now());
        }
        while let Some(packet) = capture.next(&mut buffer) {
            let seen = &buffer[..packet.length.min(LOOKED_AT)];
            if let Some(segment) = Segment::parse(seen, packet.length) {
                // The kernel stamps packets by the other clock.
                let age_ns = realtime_ns().saturating_sub(packet.at_ns);
                flows
                    .add(monotonic_ns().saturating_sub(age_ns), &segment)
                    .map(Sight::Passed)
                    .into_iter()
                    .for_each(&mut see);
            }
        }
        match capture.missed() {
            Ok(0) | Err(_) => {}
            Ok(missed) => see(Sight::Remark(Say::Missed { missed }.into())),
        }
    }
}
