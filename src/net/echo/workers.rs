//! One process per connection, under a supervisor: a crash in one cannot affect another.

use super::{echo, turns::Turns};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::event::{Event, Log};
use crate::net::limits::Limits;
use crate::process::{Exit, Process, StartMethod, chain};
use crate::supervisor::Supervisor;
use crate::sys::pid::Pid;
use crate::sys::poll::has_finished_sending;
use crate::wire::control;
use crate::wire::handle::Fd;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;
use std::time::{Duration, Instant};

sentences! {
    /// Remarks of the server.
    enum Note {
        ServedBy { peer: SocketAddr, worker: Pid } =>
            "{peer} is served by process {worker}", "{peer} 由进程 {worker} 服务";
    }
}

/// How many processes are started at the same time.
const STARTS: usize = 2;

/// How long a client that has ended its direction waits for a process before it is served without one.
const LATE: Duration = Duration::from_millis(100);

/// Starts a process for each connection.
#[derive(Debug)]
pub(super) struct Workers {
    supervisor: Supervisor,
    limits: Limits,
    events: Mutex<control::Sender<Event>>,
    starts: Turns,
}

impl Workers {
    /// Workers whose events go to `log`.
    ///
    /// # Errors
    /// If a supervisor, a channel or a thread cannot be created.
    pub(super) fn new(limits: Limits, log: &Log) -> io::Result<Self> {
        let (events, received) = control::channel::<Event>().map_err(io::Error::other)?;
        let log = log.clone();
        // Ends when the last sender is dropped: this one, and those of the workers.
        std::thread::Builder::new().spawn(move || {
            while let Ok(event) = received.recv() {
                log.forward(event);
            }
        })?;
        Ok(Self {
            supervisor: Supervisor::new()?,
            limits,
            events: Mutex::new(events),
            starts: Turns::new(STARTS),
        })
    }

    /// Echoes `connection` in a process of its own, and waits for its end. The process notices when the connection is cut
    /// here: it is the same socket.
    ///
    /// The process is started once the client has sent something. Under a flood of connections they are served in the
    /// order in which they did so; a client that has ended its sending before its turn is answered by this process.
    ///
    /// # Errors
    /// If no process can be started, or it fails.
    pub(super) fn serve_one(&self, connection: &Connection) -> Result<(), ConnectionError> {
        let refused = |why: String| ConnectionError::Refused(why);
        if !connection.wait_for_bytes()? {
            return Ok(());
        }
        let spoke = Instant::now();
        let turn = self.starts.take();
        if connection.is_cut() {
            return Err(ConnectionError::Reset);
        }
        if spoke.elapsed() > LATE && has_finished_sending(connection.stream().as_fd()) {
            drop(turn);
            return echo(connection);
        }
        let socket = connection.stream().try_clone().map_err(ConnectionError::io("no descriptor is left"))?;
        let events = self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let process = Process::new(echo_worker)
            .args((Fd::from(OwnedFd::from(socket)), self.limits, events))
            .name(format!("echo {}", connection.peer()))
            .daemon(true)
            .start_method(StartMethod::Spawn);
        let child = self.supervisor.start(process).map_err(|error| refused(chain(&error)))?;
        drop(turn);
        connection.note(Note::ServedBy { peer: connection.peer(), worker: child.pid() });
        match child.join().map_err(|error| refused(chain(&error)))? {
            Exit::Code(0) => match child.result() {
                Ok(Ok(())) => Ok(()),
                Ok(Err(why)) => Err(refused(why)),
                Err(error) => Err(refused(chain(&error))),
            },
            exit => Err(refused(format!("its process ended with {exit}"))),
        }
    }
}

fn echo_worker(socket: Fd, limits: Limits, events: control::Sender<Event>) -> Result<(), String> {
    let events = Mutex::new(events);
    let log = Log::new(move |event| {
        // Fails only if the server has ended and no process reads the events.
        let _ = events.lock().unwrap_or_else(std::sync::PoisonError::into_inner).send(event);
    });
    let stream = TcpStream::from(socket.into_owned());
    let served = Connection::new(stream, &limits, &log).and_then(|connection| echo(&connection));
    served.map_err(|error| chain(&error))
}
