//! Where a demo's processes are started, listened to, ended and judged.

use super::Play;
use super::damage::{Damage, Wire};
use crate::net::end::{Connecting, Serving};
use crate::net::event::{Event, Log, What, chain};
use crate::net::input::Line;
use crate::net::limits::Limits;
use crate::net::trace::Trace;
use crate::process::{Child, Exit, Process, StartMethod};
use crate::supervisor::Supervisor;
use crate::sys::clock::monotonic_ns;
use crate::sys::pid::Pid;
use crate::sys::signal::Interrupt;
use crate::wire::control;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one step of a demo may take before it counts as stuck.
const STEP: Duration = Duration::from_secs(30);

/// A demo could not be run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A process could not be started or waited for.
    #[error("{0}")]
    Process(String),
    /// Something that had to be so was not, and the demo cannot go on without it.
    #[error("it is not so that {what}: {why}")]
    NotSo {
        /// What had to be so.
        what: &'static str,
        /// What was so.
        why: String,
    },
    /// The machine refused something.
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

    /// For what the parent itself says to an end, or hears from it.
    pub(super) fn not_so(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| {
            let timed_out = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            let why = if timed_out { "nothing came in time".to_owned() } else { error.to_string() };
            Self::NotSo { what, why }
        }
    }

    fn late(what: &'static str) -> Self {
        Self::NotSo { what, why: format!("not within {STEP:?}") }
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

/// What is done to a demo from outside.
#[derive(Debug, Clone, Copy, Default)]
pub struct Staging {
    /// Connections are traced, in diagrams of so many columns.
    pub trace: Option<usize>,
    /// What crosses the wire is damaged.
    pub damage: Option<Damage>,
}

/// A server that runs.
#[derive(Debug)]
pub(super) struct Running {
    child: Child<Result<(), String>>,
    /// Where it is reached: its own address, or that of the wire before it.
    pub(super) address: SocketAddr,
    pub(super) pid: Pid,
    _wire: Option<Wire>,
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
    roles: HashMap<Pid, &'static str>,
    told: Vec<(u64, Entry)>,
    staging: Staging,
    /// That of the present server.
    trace: Option<(Trace, Receiver<String>)>,
}

impl<'a> Stage<'a> {
    /// An empty stage, whose processes belong to `supervisor`.
    pub fn new(supervisor: &'a Supervisor, staging: Staging) -> Self {
        Self {
            supervisor,
            incoming: channel(),
            events: Vec::new(),
            roles: HashMap::new(),
            told: Vec::new(),
            staging,
            trace: None,
        }
    }

    /// Plays a demo, and ends every process that it left. What it could not go on without is a check that
    /// did not hold.
    ///
    /// # Errors
    /// When the machine gives no processes, files or sockets for it.
    pub fn play(&mut self, play: Play) -> Result<(), DemoError> {
        let played = play(self);
        // A server that was not asked to stop would be waited for without end.
        self.supervisor.shutdown().map_err(|error| DemoError::Process(chain(&error)))?;
        match played {
            Err(DemoError::NotSo { what, why }) => {
                self.check(format!("{what}: {why}"), false);
                Ok(())
            }
            played => played,
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
        let datagrams = matches!(serving, Serving::Udp(_));
        let child = self.start("server", Part::Serve(serving), limits, lines)?;
        let pid = child.pid();
        let until = Instant::now() + STEP;
        let listening = |event: &Event| match event.what {
            What::Listening(address) if event.pid == pid => Some(address),
            _ => None,
        };
        loop {
            if let Some(address) = self.events.iter().find_map(listening) {
                self.start_trace(address)?;
                let wire = if datagrams { Wire::of_datagrams } else { Wire::of_streams };
                let wire = self.staging.damage.map(|damage| wire(address, damage));
                let wire = wire.transpose().map_err(DemoError::io("no wire can be made"))?;
                let address = wire.as_ref().map_or(address, |wire| wire.address);
                return Ok(Running { child, address, pid, _wire: wire });
            }
            if !child.is_alive() {
                let why = child.result().map_err(|error| chain(&error)).and_then(|ended| ended);
                return Err(DemoError::Process(format!("the server ended at once: {why:?}")));
            }
            match self.incoming.1.recv_timeout(Duration::from_millis(50)) {
                Ok(event) => self.events.push(event),
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
                Err(_) => return Err(DemoError::late("the server listens")),
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
    ) -> Result<(Pid, Result<(), String>), DemoError> {
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
    ) -> Result<(Pid, Result<(), String>), DemoError> {
        let pid = child.pid();
        match child.join_timeout(STEP).map_err(|error| DemoError::Process(chain(&error)))? {
            None => {
                let _ = child.kill();
                Err(DemoError::late("the client comes to an end"))
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
                return Err(DemoError::late("the server, asked to stop, comes to an end"));
            }
            Some(exit) => {
                let well = exit == Exit::Code(0) && matches!(server.child.result(), Ok(Ok(())));
                self.check(format!("the server, asked to stop, ended with {exit}"), well);
            }
        }
        self.collect();
        if let Some((trace, lines)) = self.trace.take() {
            trace.finish();
            let lines = lines.try_iter().collect();
            self.told.push((monotonic_ns(), Entry::Trace(lines)));
        }
        Ok(())
    }

    /// What a process has told so far, in order.
    pub(super) fn events_of(&mut self, pid: Pid) -> Vec<What> {
        self.collect();
        self.events.iter().filter(|event| event.pid == pid).map(|event| event.what.clone()).collect()
    }

    /// The messages that came in at a process, in order.
    pub(super) fn messages_of(&mut self, pid: Pid) -> Vec<String> {
        let message = |what| if let What::Message(text) = what { Some(text) } else { None };
        self.events_of(pid).into_iter().filter_map(message).collect()
    }

    /// The failures that a process has told.
    pub(super) fn failures_of(&mut self, pid: Pid) -> Vec<String> {
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
        let (sender, receiver) = control::channel::<Event>().map_err(|error| failed(error.to_string()))?;
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let process = Process::new(play_part)
            .args((part, limits, lines, sender))
            .name(who)
            .start_method(StartMethod::Spawn)
            // A demo that is killed leaves no server behind.
            .die_with_parent(true);
        let child = self.supervisor.start(process).map_err(|error| failed(chain(&error)))?;
        self.roles.insert(child.pid(), who);
        let incoming = self.incoming.0.clone();
        // Ends when the child's end of the channel is closed, at the latest by its death.
        let collect = move || {
            while let Ok(event) = receiver.recv() {
                if incoming.send(event).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().spawn(collect).map_err(DemoError::io("no thread can be started"))?;
        Ok(child)
    }

    fn start_trace(&mut self, address: SocketAddr) -> Result<(), DemoError> {
        if let Some(columns) = self.staging.trace {
            let (lines, traced) = channel();
            let emit = move |line| {
                let _ = lines.send(line);
            };
            let trace =
                Trace::start(address, columns, emit).map_err(DemoError::io("nothing can be traced"))?;
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
    events: control::Sender<Event>,
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
