//! The stage of a demo: starts its processes, collects their reports, checks them, and ends them.

use super::damage::Damage;
use super::hand::Hand;
use super::proxy::{By, Disturber, Touched, Wire};
use crate::net::event::{Event, Log, What};
use crate::net::input::Line;
use crate::net::program::{Context, End, Opening, Transport};
use crate::net::trace::{Sight, Trace};
use crate::process::{Child, Exit, Process, StartMethod, chain};
use crate::said::Said;
use crate::supervisor::Supervisor;
use crate::sys::clock::monotonic_ns;
use crate::sys::pid::Pid;
use crate::sys::signal::Interrupt;
use crate::wire::control::{self, Message};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one step of a demo may take before it counts as stuck.
const STEP: Duration = Duration::from_secs(30);
/// The same where a person decides what becomes of each piece.
const STEP_BY_HAND: Duration = Duration::from_secs(600);

/// A demo could not be run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A process could not be started or waited for.
    #[error("one of its processes failed")]
    Process(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A condition without which the demo cannot continue did not hold: the condition, with what happened instead.
    #[error("expected that {0}")]
    Failed(Said),
    /// A system call failed.
    #[error("{doing}")]
    Io {
        /// What failed.
        doing: &'static str,
        /// The kernel's error.
        #[source]
        source: std::io::Error,
    },
}

impl DemoError {
    /// Wraps the error of one of the demo's processes.
    pub fn process(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Process(error.into())
    }

    /// Wraps the error of a local operation.
    pub fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    /// Wraps the error of a send or a receive by the demo itself, without which `what` does not hold.
    pub fn failed(what: Needed) -> impl FnOnce(std::io::Error) -> Self {
        move |error| {
            let timed_out = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            let why = if timed_out { "nothing arrived in time".to_owned() } else { error.to_string() };
            Self::Failed(Said::from(what).quoting(&why))
        }
    }

    fn late(what: Needed, step: Duration) -> Self {
        Self::Failed(Said::from(what).quoting(&format!("not within {step:?}")))
    }
}

sentences! {
    /// A condition without which a demo cannot continue.
    pub enum Needed {
        Reachable => "the server is reachable", "可以连上服务器";
        Listens => "the server listens", "服务器在监听";
        Ends => "the server ends when asked to stop", "服务器在收到停止请求后结束";
        ClientEnds => "the client ends", "客户端结束";
        Answers => "the receiver answers", "接收方回答";
        Challenges => "the server sends a challenge", "服务器发出挑战";
        HasFile => "the file is in the folder", "文件在文件夹里";
    }
}

sentences! {
    /// What every demo says.
    enum Say {
        Stopped { code: i32 } => "the server stopped when asked to: exit code {code}", "服务器按要求停止：退出码 {code}";
        Died { signal: String } => "the server stopped when asked to: {signal}", "服务器按要求停止：{signal}";
    }
}

/// One line of a demo's report.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// An announcement of what happens next.
    Scene(Said),
    /// An event in one of the processes.
    Event {
        /// Its role: `server`, `client` or `worker`.
        who: &'static str,
        /// What happened.
        event: Event,
    },
    /// The trace of a server's connections.
    Trace(Vec<Sight>),
    /// Something was done to what is on the wire.
    Touched(Touched),
    /// A measured or computed fact.
    Fact(Said),
    /// A check.
    Check {
        /// The condition.
        what: Said,
        /// Whether it held.
        held: bool,
    },
}

/// How a demo is observed and disturbed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Staging {
    /// Connections are traced.
    pub trace: bool,
    /// Something is done to what is on the wire.
    pub damage: Option<Damage>,
}

/// Is told of each entry as it happens: when, in nanoseconds of the monotonic clock, and what. A trace comes in parts.
/// It is called by several threads, and entries may be told slightly out of order.
#[derive(Clone)]
pub struct Observer(Arc<Tell>);

type Tell = dyn Fn(u64, &Entry) + Send + Sync;

impl Observer {
    /// An observer that calls `tell`.
    pub fn new(tell: impl Fn(u64, &Entry) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

/// A running server.
#[derive(Debug)]
pub struct Running {
    child: Child<Result<(), String>>,
    address: SocketAddr,
    pid: Pid,
    _wire: Option<Wire>,
}

impl Running {
    /// The address to connect to: its own, or that of the proxy in front of it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its PID.
    pub fn pid(&self) -> Pid {
        self.pid
    }
}

/// A client that was started.
pub type Client = Child<Result<(), String>>;

/// A demo in progress: it starts the ends as processes, collects what they report, and checks it.
#[derive(Debug)]
pub struct Stage<'a> {
    supervisor: &'a Supervisor,
    incoming: (Sender<Event>, Receiver<Event>),
    events: Vec<Event>,
    roles: HashMap<Pid, &'static str>,
    entries: Vec<(u64, Entry)>,
    staging: Staging,
    observer: Option<Observer>,
    /// What was done to what is on the wire.
    touched: (Sender<Touched>, Receiver<Touched>),
    /// A person who decides that.
    hand: Option<Hand>,
    /// The trace of the running server.
    trace: Option<(Trace, Receiver<Sight>)>,
}

impl<'a> Stage<'a> {
    /// A stage whose processes belong to `supervisor`.
    pub fn new(supervisor: &'a Supervisor, staging: Staging) -> Self {
        Self {
            supervisor,
            incoming: channel(),
            events: Vec::new(),
            roles: HashMap::new(),
            entries: Vec::new(),
            staging,
            observer: None,
            touched: channel(),
            hand: None,
            trace: None,
        }
    }

    /// The same stage, where `hand` decides what becomes of each piece on the wire. Each step may take longer.
    #[must_use]
    pub fn by_hand(self, hand: Hand) -> Self {
        Self { hand: Some(hand), ..self }
    }

    /// How long a step may take that usually takes less than `usual`.
    fn patience(&self, usual: Duration) -> Duration {
        if self.hand.is_some() { STEP_BY_HAND } else { usual }
    }

    /// How long an end waits for an answer: `usual`, or longer if a person decides about it.
    pub fn answer_within(&self, usual: Duration) -> Duration {
        if self.hand.is_some() { usual.max(Duration::from_secs(5)) } else { usual }
    }

    /// The same stage, of which `observer` is told everything at once.
    #[must_use]
    pub fn observed(self, observer: Observer) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// Plays a demo, and ends every process that it left behind. A condition without which it could not continue
    /// becomes a failed check.
    ///
    /// # Errors
    /// If a process, file or socket cannot be created.
    pub fn play(&mut self, demo: impl FnOnce(&mut Self) -> Result<(), DemoError>) -> Result<(), DemoError> {
        let played = demo(self);
        // Otherwise the wait for a server that was not asked to stop would never end.
        self.supervisor.shutdown().map_err(DemoError::process)?;
        match played {
            Err(DemoError::Failed(what)) => {
                self.check(what, false);
                Ok(())
            }
            played => played,
        }
    }

    /// Everything that happened, in order, with the time in nanoseconds of the monotonic clock.
    pub fn finish(mut self) -> Vec<(u64, Entry)> {
        self.collect();
        let mut entries = self.entries;
        for event in self.events {
            let who = self.roles.get(&event.pid).copied().unwrap_or("worker");
            entries.push((event.at_ns, Entry::Event { who, event }));
        }
        entries.extend(self.touched.1.try_iter().map(|touched| (touched.at_ns, Entry::Touched(touched))));
        entries.sort_by_key(|(at, _)| *at);
        entries
    }

    /// Announces what happens next.
    pub fn scene(&mut self, text: impl Into<Said>) {
        self.add(Entry::Scene(text.into()));
    }

    /// Reports a measured or computed fact.
    pub fn fact(&mut self, text: impl Into<Said>) {
        self.add(Entry::Fact(text.into()));
    }

    /// Reports whether `what` held.
    pub fn check(&mut self, what: impl Into<Said>, held: bool) {
        self.add(Entry::Check { what: what.into(), held });
    }

    fn add(&mut self, entry: Entry) {
        let at_ns = monotonic_ns();
        if let Some(Observer(tell)) = &self.observer {
            tell(at_ns, &entry);
        }
        self.entries.push((at_ns, entry));
    }

    /// Starts a server as a process, and returns once it listens. `lines` are its input.
    ///
    /// # Errors
    /// If it does not listen within a bounded time.
    pub fn serve<E>(&mut self, end: E, lines: &[&str]) -> Result<Running, DemoError>
    where
        E: End + Message + 'static,
    {
        let transport = end.needs().transport;
        let child = self.start("server", end, lines)?;
        let pid = child.pid();
        let step = self.patience(STEP);
        let until = Instant::now() + step;
        let listening = |event: &Event| match event.what {
            What::Listening(address) if event.pid == pid => Some(address),
            _ => None,
        };
        loop {
            if let Some(address) = self.events.iter().find_map(listening) {
                self.start_trace(address)?;
                let wire = match transport {
                    Transport::Tcp => Wire::of_streams,
                    Transport::Udp => Wire::of_datagrams,
                };
                let wire = self.disturber().map(|disturber| wire(address, disturber));
                let wire = wire.transpose().map_err(DemoError::io("cannot create a proxy"))?;
                let address = wire.as_ref().map_or(address, |wire| wire.address);
                return Ok(Running { child, address, pid, _wire: wire });
            }
            if !child.is_alive() {
                let why = child.result().map_err(|error| chain(&error)).and_then(|ended| ended);
                return Err(DemoError::process(format!("the server ended at once: {why:?}")));
            }
            match self.incoming.1.recv_timeout(Duration::from_millis(50)) {
                Ok(event) => self.events.push(event),
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
                Err(_) => return Err(DemoError::late(Needed::Listens, step)),
            }
        }
    }

    /// Starts a client as a process and waits for its end. Returns its PID and the result that it reported.
    ///
    /// # Errors
    /// Those of [`launch`](Self::launch) and [`await_client`](Self::await_client).
    pub fn connect<E>(&mut self, end: E, lines: &[&str]) -> Result<(Pid, Result<(), String>), DemoError>
    where
        E: End + Message + 'static,
    {
        let client = self.launch(end, lines)?;
        self.await_client(&client)
    }

    /// Starts a client as a process; `lines` are its input.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch<E>(&mut self, end: E, lines: &[&str]) -> Result<Client, DemoError>
    where
        E: End + Message + 'static,
    {
        self.start("client", end, lines)
    }

    /// Waits for a client's end.
    ///
    /// # Errors
    /// If it does not end within a bounded time.
    pub fn await_client(&mut self, child: &Client) -> Result<(Pid, Result<(), String>), DemoError> {
        let pid = child.pid();
        let step = self.patience(STEP);
        match child.join_timeout(step).map_err(DemoError::process)? {
            None => {
                let _ = child.kill();
                Err(DemoError::late(Needed::ClientEnds, step))
            }
            Some(_) => {
                let ended = child.result().map_err(DemoError::process)?;
                self.collect();
                Ok((pid, ended))
            }
        }
    }

    /// Asks a server to stop, as Ctrl-C does, and waits for its end. The exit code must be 0.
    ///
    /// # Errors
    /// If it does not end within a bounded time.
    pub fn stop(&mut self, server: &Running) -> Result<(), DemoError> {
        server.child.terminate().map_err(DemoError::io("cannot ask the server to stop"))?;
        let step = self.patience(STEP);
        match server.child.join_timeout(step).map_err(DemoError::process)? {
            None => {
                let _ = server.child.kill();
                return Err(DemoError::late(Needed::Ends, step));
            }
            Some(exit) => {
                let well = exit == Exit::Code(0) && matches!(server.child.result(), Ok(Ok(())));
                let said = match exit {
                    Exit::Code(code) => Say::Stopped { code },
                    other => Say::Died { signal: other.to_string() },
                };
                self.check(said, well);
            }
        }
        self.collect();
        if let Some((trace, sights)) = self.trace.take() {
            trace.finish();
            let sights = sights.try_iter().collect();
            // An observer has seen it already.
            self.entries.push((monotonic_ns(), Entry::Trace(sights)));
        }
        Ok(())
    }

    /// What a process has reported so far, in order.
    pub fn events_of(&mut self, pid: Pid) -> Vec<What> {
        self.collect();
        self.events.iter().filter(|event| event.pid == pid).map(|event| event.what.clone()).collect()
    }

    /// The messages that a process has received so far, in order.
    pub fn messages_of(&mut self, pid: Pid) -> Vec<String> {
        let message = |what| if let What::Message(text) = what { Some(text) } else { None };
        self.events_of(pid).into_iter().filter_map(message).collect()
    }

    /// The notes that a process has reported so far.
    pub fn notes_of(&mut self, pid: Pid) -> Vec<Said> {
        let note = |what| if let What::Note(note) = what { Some(note) } else { None };
        self.events_of(pid).into_iter().filter_map(note).collect()
    }

    /// The failures that a process has reported so far.
    pub fn failures_of(&mut self, pid: Pid) -> Vec<String> {
        let failure = |what| if let What::Failed(why) = what { Some(why) } else { None };
        self.events_of(pid).into_iter().filter_map(failure).collect()
    }

    /// Waits a bounded time until `holds` returns true, and as long as a person decides. Returns whether it did.
    pub fn wait_until(&mut self, mut holds: impl FnMut(&mut Self) -> bool) -> bool {
        let usual = Duration::from_secs(10);
        let mut until = Instant::now() + usual;
        while !holds(self) {
            // While a piece stands in a person's hand, nothing can come.
            if self.hand.as_ref().is_some_and(Hand::stands) {
                until = Instant::now() + usual;
            }
            if Instant::now() >= until {
                return false;
            }
            if let Ok(event) = self.incoming.1.recv_timeout(Duration::from_millis(20)) {
                self.events.push(event);
            }
        }
        true
    }

    fn start<E>(&mut self, who: &'static str, end: E, lines: &[&str]) -> Result<Client, DemoError>
    where
        E: End + Message + 'static,
    {
        let (sender, receiver) = control::channel::<Event>().map_err(DemoError::process)?;
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let process = Process::new(run_end::<E>)
            .args((end, lines, sender))
            .name(who)
            .start_method(StartMethod::Spawn)
            // So that a killed demo leaves no server behind.
            .die_with_parent(true);
        let child = self.supervisor.start(process).map_err(DemoError::process)?;
        self.roles.insert(child.pid(), who);
        let (incoming, observer, pid) = (self.incoming.0.clone(), self.observer.clone(), child.pid());
        // Ends when the child's end of the channel is closed, at the latest by its death.
        let collect = move || {
            while let Ok(event) = receiver.recv() {
                if let Some(Observer(tell)) = &observer {
                    let who = if event.pid == pid { who } else { "worker" };
                    tell(event.at_ns, &Entry::Event { who, event: event.clone() });
                }
                if incoming.send(event).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().spawn(collect).map_err(DemoError::io("no thread can be started"))?;
        Ok(child)
    }

    fn disturber(&self) -> Option<Disturber> {
        let by = self.hand.clone().map(By::Hand).or(self.staging.damage.map(By::Plan))?;
        let (observer, touched) = (self.observer.clone(), self.touched.0.clone());
        let see = move |one: Touched| {
            if let Some(Observer(tell)) = &observer {
                tell(one.at_ns, &Entry::Touched(one.clone()));
            }
            let _ = touched.send(one);
        };
        Some(Disturber { by, see: Arc::new(see) })
    }

    fn start_trace(&mut self, address: SocketAddr) -> Result<(), DemoError> {
        if self.staging.trace {
            let (sights, traced) = channel();
            let observer = self.observer.clone();
            let see = move |sight: Sight| {
                if let Some(Observer(tell)) = &observer {
                    tell(sight.at_ns().unwrap_or_else(monotonic_ns), &Entry::Trace(vec![sight.clone()]));
                }
                let _ = sights.send(sight);
            };
            let trace = Trace::follow(address, see).map_err(DemoError::io("nothing can be traced"))?;
            self.trace = Some((trace, traced));
        }
        Ok(())
    }

    /// Collects reports until none arrives for a short time.
    fn collect(&mut self) {
        while let Ok(event) = self.incoming.1.recv_timeout(Duration::from_millis(20)) {
            self.events.push(event);
        }
    }
}

/// The body of a demo's process.
fn run_end<E: End>(end: E, script: Vec<String>, events: control::Sender<Event>) -> Result<(), String> {
    let events = Mutex::new(events);
    let log = Log::with_bytes(move |event| {
        // Fails only if the parent has ended and no process reads the events.
        let _ = events.lock().unwrap_or_else(PoisonError::into_inner).send(event);
    });
    let (lines, input) = sync_channel(script.len().max(1));
    for line in script {
        let _ = lines.try_send(Line::Text(line));
    }
    drop(lines);
    let ended = match end.needs().opening {
        Opening::Listen { .. } => {
            let interrupt = Interrupt::install().map_err(|error| error.to_string())?;
            end.run(Context { input, stops: &[interrupt.as_fd()], log: &log })
        }
        Opening::Connect { .. } => end.run(Context { input, stops: &[], log: &log }),
    };
    ended.map_err(|error| chain(&error))
}
