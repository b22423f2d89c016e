//! One process for each connection, under a supervisor: a crash in one cannot harm another.

use crate::net::connection::{Connection, ConnectionError};
use crate::net::echo;
use crate::net::event::{Event, Log, What, chain};
use crate::net::limits::Limits;
use crate::process::{Exit, Process, StartMethod};
use crate::supervisor::Supervisor;
use crate::wire::handle::Fd;
use ipc_channel::ipc::{self, IpcSender};
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

/// Starts a process for each connection that it is given.
#[derive(Debug)]
pub struct Workers {
    supervisor: Supervisor,
    limits: Limits,
    events: Mutex<IpcSender<Event>>,
}

impl Workers {
    /// Workers whose events go to `log`.
    ///
    /// # Errors
    /// When no supervisor or channel can be made.
    pub fn new(limits: Limits, log: &Log) -> io::Result<Self> {
        let (events, received) = ipc::channel::<Event>().map_err(io::Error::other)?;
        let log = log.clone();
        // Ends when the last sender is gone: ours, and those of the workers.
        std::thread::spawn(move || {
            while let Ok(event) = received.recv() {
                log.forward(event);
            }
        });
        Ok(Self { supervisor: Supervisor::new()?, limits, events: Mutex::new(events) })
    }

    /// Has a process of its own echo `connection`, and waits for its end. When the connection is cut
    /// here, the process sees it too: it is one socket.
    ///
    /// # Errors
    /// When no process can be started, or it does not end well.
    pub fn serve_one(&self, connection: &Connection) -> Result<(), ConnectionError> {
        let refused = |why: String| ConnectionError::Refused(why);
        let socket = connection.stream().try_clone().map_err(ConnectionError::io("no descriptor is left"))?;
        let events = self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let process = Process::new(echo_worker)
            .args((Fd::from(OwnedFd::from(socket)), self.limits, events))
            .name(format!("echo {}", connection.peer()))
            .daemon(true)
            .start_method(StartMethod::Spawn);
        let child = self.supervisor.start(process).map_err(|error| refused(chain(&error)))?;
        connection.tell(What::Note(format!("{} is served by process {}", connection.peer(), child.pid())));
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

fn echo_worker(socket: Fd, limits: Limits, events: IpcSender<Event>) -> Result<(), String> {
    let events = Mutex::new(events);
    let log = Log::new(move |event| {
        // The server may be gone, and then nobody wants to know.
        let _ = events.lock().unwrap_or_else(std::sync::PoisonError::into_inner).send(event);
    });
    let stream = TcpStream::from(socket.into_owned());
    let served = Connection::new(stream, &limits, &log).and_then(|connection| echo::serve_one(&connection));
    served.map_err(|error| chain(&error))
}
