//! Where a demo's processes are started, listened to, ended and judged.

use crate::net::end::{Connecting, Serving};
use crate::net::event::{Event, Log, What, chain};
use crate::net::input::Line;
use crate::net::limits::Limits;
use crate::net::trace::Trace;
use crate::process::{Child, Exit, Process, StartMethod};
use crate::supervisor::Supervisor;
use crate::sys::clock::monotonic_ns;
use crate::sys::signal::Interrupt;
use ipc_channel::ipc::{self, IpcSender};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one step of a demo may take before it counts as stuck.
const STEP: Duration = Duration::from_secs(30);

/// Lines of a trace that a demo keeps.
const TRACED: usize = 60;

/// A demo could not be run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A process could not be started or waited for.
    #[error("{0}")]
    Process(String),
    /// A process did not do its step in time.
    #[error("the {who} was not {what} within {STEP:?}")]
    Stuck {
        /// Which end.
        who: &'static str,
        /// What was waited for.
        what: &'static str,
    },
    /// The parent's own part failed.
    #[error("{doing}")]
    Io {
        /// What could not be done.
        doing: &'static str,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
}

impl DemoError {
    pub(super) fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// One line of the tale.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// What happens next, and why it is worth a look.
    Scene(String),
    /// Something happened in one of the processes; `who` is the part it plays.
    Event {
        /// `server`, `client`, `worker`.
        who: &'static str,
        /// What happened.
        event: Event,
    },
    /// The life of a server's connections, a line each segment or state.
    Trace(Vec<String>),
    /// A measured or computed fact.
    Fact(String),
    /// Something that had to be so.
    Check {
        /// What had to be so.
        what: String,
        /// Whether it was.
        held: bool,
    },
}

/// A server that runs.
#[derive(Debug)]
pub(super) struct Running {
    child: Child<Result<(), String>>,
    pub(super) address: SocketAddr,
    pub(super) pid: u32,
}

/// What one process does.
#[derive(serde::Serialize, serde::Deserialize)]
enum Part {
    Serve(Serving),
    Connect(Connecting, SocketAddr),
}

/// A demo that is going on.
#[derive(Debug)]
pub struct Stage<'a> {
    supervisor: &'a Supervisor,
    incoming: (Sender<Event>, Receiver<Event>),
    events: Vec<Event>,
    roles: HashMap<u32, &'static str>,
    told: Vec<(u64, Entry)>,
    /// Whether connections are traced, and the trace of the present server.
    traced: bool,
    trace: Option<(Trace, Receiver<String>)>,
}

impl<'a> Stage<'a> {
    /// An empty stage, whose processes belong to `supervisor`, and on which connections are `traced`.
    pub fn new(supervisor: &'a Supervisor, traced: bool) -> Self {
        Self {
            supervisor,
            incoming: channel(),
            events: Vec::new(),
            roles: HashMap::new(),
            told: Vec::new(),
            traced,
            trace: None,
        }
    }

    /// The tale in the order in which it happened.
    pub fn finish(mut self) -> Vec<Entry> {
        self.collect();
        let mut told = self.told;
        for event in self.events {
            let who = self.roles.get(&event.pid).copied().unwrap_or("worker");
            told.push((event.at_ns, Entry::Event { who, event }));
        }
        told.sort_by_key(|(at, _)| *at);
        told.into_iter().map(|(_, entry)| entry).collect()
    }

    pub(super) fn scene(&mut self, text: impl Into<String>) {
        self.told.push((monotonic_ns(), Entry::Scene(text.into())));
    }

    pub(super) fn fact(&mut self, text: impl Into<String>) {
        self.told.push((monotonic_ns(), Entry::Fact(text.into())));
    }

    pub(super) fn check(&mut self, what: impl Into<String>, held: bool) {
        self.told.push((monotonic_ns(), Entry::Check { what: what.into(), held }));
    }

    /// Starts a server as a process, and returns when it listens.
    pub(super) fn serve(
        &mut self,
        serving: Serving,
        limits: Limits,
        lines: &[&str],
    ) -> Result<Running, DemoError> {
        let child = self.start("server", Part::Serve(serving), limits, lines)?;
        let pid = child.pid() as u32;
        let until = Instant::now() + STEP;
        let listening = |event: &Event| match event.what {
            What::Listening(address) if event.pid == pid => Some(address),
            _ => None,
        };
        loop {
            if let Some(address) = self.events.iter().find_map(listening) {
                self.start_trace(address)?;
                return Ok(Running { child, address, pid });
            }
            if !child.is_alive() {
                let why = child.result().map_err(|error| chain(&error)).and_then(|ended| ended);
                return Err(DemoError::Process(format!("the server ended at once: {why:?}")));
            }
            match self.incoming.1.recv_timeout(Duration::from_millis(50)) {
                Ok(event) => self.events.push(event),
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
                Err(_) => return Err(DemoError::Stuck { who: "server", what: "listening" }),
            }
        }
    }

    /// Starts a client as a process and waits for its end: how it fared by its own account, and its PID.
    pub(super) fn connect(
        &mut self,
        connecting: Connecting,
        server: &Running,
        limits: Limits,
        lines: &[&str],
    ) -> Result<(u32, Result<(), String>), DemoError> {
        let child = self.launch(connecting, server, limits, lines)?;
        self.await_client(&child)
    }

    pub(super) fn launch(
        &mut self,
        connecting: Connecting,
        server: &Running,
        limits: Limits,
        lines: &[&str],
    ) -> Result<Child<Result<(), String>>, DemoError> {
        self.start("client", Part::Connect(connecting, server.address), limits, lines)
    }

    pub(super) fn await_client(
        &mut self,
        child: &Child<Result<(), String>>,
    ) -> Result<(u32, Result<(), String>), DemoError> {
        let pid = child.pid() as u32;
        match child.join_timeout(STEP).map_err(|error| DemoError::Process(chain(&error)))? {
            None => {
                let _ = child.kill();
                Err(DemoError::Stuck { who: "client", what: "done" })
            }
            Some(_) => {
                let ended = child.result().map_err(|error| DemoError::Process(chain(&error)))?;
                self.collect();
                Ok((pid, ended))
            }
        }
    }

    /// Asks a server to stop, as Ctrl-C does, and waits for its end, which must be exit code 0.
    pub(super) fn stop(&mut self, server: &Running) -> Result<(), DemoError> {
        server.child.terminate().map_err(DemoError::io("the server cannot be asked to stop"))?;
        match server.child.join_timeout(STEP).map_err(|error| DemoError::Process(chain(&error)))? {
            None => {
                let _ = server.child.kill();
                return Err(DemoError::Stuck { who: "server", what: "stopped" });
            }
            Some(exit) => {
                let well = exit == Exit::Code(0) && matches!(server.child.result(), Ok(Ok(())));
                self.check(format!("the server, asked to stop, ended with {exit}"), well);
            }
        }
        self.collect();
        if let Some((trace, lines)) = self.trace.take() {
            trace.finish();
            let mut lines: Vec<String> = lines.try_iter().collect();
            if lines.len() > TRACED {
                let more = format!("{:>10}  … and {} more", "", lines.len() - TRACED);
                lines.truncate(TRACED);
                lines.push(more);
            }
            self.told.push((monotonic_ns(), Entry::Trace(lines)));
        }
        Ok(())
    }

    /// What a process has told so far, in order.
    pub(super) fn events_of(&mut self, pid: u32) -> Vec<What> {
        self.collect();
        self.events.iter().filter(|event| event.pid == pid).map(|event| event.what.clone()).collect()
    }

    /// The messages that came in at a process, in order.
    pub(super) fn messages_of(&mut self, pid: u32) -> Vec<String> {
        let message = |what| if let What::Message(text) = what { Some(text) } else { None };
        self.events_of(pid).into_iter().filter_map(message).collect()
    }

    /// The failures that a process has told.
    pub(super) fn failures_of(&mut self, pid: u32) -> Vec<String> {
        let failure = |what| if let What::Failed(why) = what { Some(why) } else { None };
        self.events_of(pid).into_iter().filter_map(failure).collect()
    }

    /// Waits until `holds` of what was told; `false` when it does not come about.
    pub(super) fn wait_until(&mut self, mut holds: impl FnMut(&mut Self) -> bool) -> bool {
        let until = Instant::now() + Duration::from_secs(10);
        while !holds(self) {
            if Instant::now() >= until {
                return false;
            }
            if let Ok(event) = self.incoming.1.recv_timeout(Duration::from_millis(20)) {
                self.events.push(event);
            }
        }
        true
    }

    fn start(
        &mut self,
        who: &'static str,
        part: Part,
        limits: Limits,
        lines: &[&str],
    ) -> Result<Child<Result<(), String>>, DemoError> {
        let failed = |why: String| DemoError::Process(why);
        let (sender, receiver) = ipc::channel::<Event>().map_err(|error| failed(error.to_string()))?;
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let process = Process::new(play_part)
            .args((part, limits, lines, sender))
            .name(who)
            .start_method(StartMethod::Spawn);
        let child = self.supervisor.start(process).map_err(|error| failed(chain(&error)))?;
        self.roles.insert(child.pid() as u32, who);
        let incoming = self.incoming.0.clone();
        // Ends when the child's end of the channel is closed, at the latest by its death.
        std::thread::spawn(move || {
            while let Ok(event) = receiver.recv() {
                if incoming.send(event).is_err() {
                    break;
                }
            }
        });
        Ok(child)
    }

    fn start_trace(&mut self, address: SocketAddr) -> Result<(), DemoError> {
        if self.traced {
            let (lines, traced) = channel();
            let emit = move |line| {
                let _ = lines.send(line);
            };
            let trace = Trace::start(address, emit).map_err(DemoError::io("nothing can be traced"))?;
            self.trace = Some((trace, traced));
        }
        Ok(())
    }

    /// Takes what has been told; a short silence ends it.
    fn collect(&mut self) {
        while let Ok(event) = self.incoming.1.recv_timeout(Duration::from_millis(20)) {
            self.events.push(event);
        }
    }
}

/// The body of a demo's process.
fn play_part(
    part: Part,
    limits: Limits,
    script: Vec<String>,
    events: IpcSender<Event>,
) -> Result<(), String> {
    let events = Mutex::new(events);
    let log = Log::with_bytes(move |event| {
        // A parent that is gone wants to know nothing.
        let _ = events.lock().unwrap_or_else(PoisonError::into_inner).send(event);
    });
    let (lines, script_lines) = sync_channel(script.len().max(1));
    for line in script {
        let _ = lines.try_send(Line::Text(line));
    }
    drop(lines);
    let ended = match part {
        Part::Serve(serving) => {
            let interrupt = Interrupt::install().map_err(|error| error.to_string())?;
            serving.run("127.0.0.1:0", limits, script_lines, &[interrupt.as_fd()], &log)
        }
        Part::Connect(connecting, address) => {
            connecting.run(&address.to_string(), limits, script_lines, &log)
        }
    };
    ended.map_err(|error| chain(&error))
}
