//! From arguments to a running end.

use super::args::{
    All, Auth, Bounds, Chat, ClientBounds, ConnectArgs, DemoArgs, Echo, File, Frames, Mode, NetArgs, Place,
    Program, Secret, ServeArgs, Sticky, Udp, Upper, WorkerKind,
};
use super::demo::TRACE_COLUMN;
use super::print::printer;
use super::text::wrap;
use crate::cli::fault::Fault;
use crate::net::auth::Key;
use crate::net::client::{AddressError, ClientError, resolve};
use crate::net::connection::ConnectionError;
use crate::net::datagram::{Patience, Receiving};
use crate::net::demo::damage::Damage;
use crate::net::end::{Connecting, Serving, Transfer, Until};
use crate::net::event::{Log, What};
use crate::net::input::{Line, lines};
use crate::net::limits::Limits;
use crate::net::sticky::{Reading, Sending};
use crate::net::trace::Trace;
use crate::sys::resource::raise_open_file_limit;
use crate::sys::signal::{Interrupt, outlive_file_size_limit};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The environment variable that holds the key of `auth`.
const KEY: &str = "PROCLAB_KEY";

/// The longest key in bytes.
const KEY_LIMIT: u64 = 64 << 10;

/// What is to be done, once the arguments are understood.
enum Task {
    Serve(Serving, String, Limits),
    Connect(Connecting, String, Limits),
    Demo(&'static str, Option<Damage>),
}

/// Runs `proclab net …`.
pub(crate) fn run(args: NetArgs) -> ExitCode {
    let task = match task(args.program) {
        Ok(task) => task,
        Err(fault) => return fault.report(),
    };
    // A file above `ulimit -f` costs its own transfer, not the server.
    if let Err(error) = outlive_file_size_limit() {
        return Fault::could_not_run(&error).context("signals cannot be set").report();
    }
    let mut log = printer();
    let other_end = match &task {
        Task::Connect(connecting, address, _) => other_end(connecting, address),
        _ => String::new(),
    };
    // Held to the end: dropping it is what ends it, once the last packets are in.
    let trace = Arc::new(Mutex::new(None));
    if args.trace.is_some() {
        if let Task::Connect(_, address, _) = &task {
            match resolve(address) {
                Ok(server) => start_trace(&trace, server[0], &log),
                Err(error) => return fault(&error.into(), &other_end).report(),
            }
        }
        log = tracing(log, Arc::clone(&trace));
    }
    let ended = match task {
        Task::Demo(name, damage) => return super::demo::run(name, args.trace, damage),
        Task::Serve(serving, address, limits) => serve(serving, &address, limits, &log),
        Task::Connect(connecting, address, limits) => {
            let input = match &connecting {
                Connecting::Sticky(_) | Connecting::File(_) => Ok(channel().1),
                Connecting::Udp(_) => stdin_lines(65_507),
                _ => stdin_lines(limits.message),
            };
            input.and_then(|input| connecting.run(&address, limits, input, &log))
        }
    };
    drop(trace.lock().unwrap_or_else(PoisonError::into_inner).take());
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fault(&error, &other_end).report(),
    }
}

/// The command that must run at `address` before this end can connect.
fn other_end(connecting: &Connecting, address: &str) -> String {
    let command = match connecting {
        Connecting::Chat => "chat serve",
        Connecting::Udp(_) => "udp serve",
        Connecting::Sticky(_) => "sticky serve",
        Connecting::Frames => "frames serve",
        Connecting::Echo => "echo serve",
        Connecting::Upper => "upper serve",
        Connecting::Auth(..) => "auth serve",
        Connecting::File(Transfer::Send { .. }) => "file receive --into DIR",
        Connecting::File(Transfer::Receive { .. }) => "file send PATH",
    };
    format!("proclab net {command} --bind {address}")
}

/// A log that starts the trace of a server as soon as its address is known, before anyone else knows it.
fn tracing(log: Log, trace: Arc<Mutex<Option<Trace>>>) -> Log {
    Log::new(move |event| {
        if let What::Listening(address) = event.what {
            start_trace(&trace, address, &log);
        }
        log.forward(event);
    })
}

fn start_trace(trace: &Mutex<Option<Trace>>, server: SocketAddr, log: &Log) {
    let lines = log.clone();
    // Remarks go to the standard error; in a pipe a line stays a line.
    let width =
        console::Term::stderr().size_checked().map_or(usize::MAX, |(_, columns)| usize::from(columns));
    let emit = move |line: String| {
        for row in wrap(&line, TRACE_COLUMN, width).lines() {
            lines.tell(None, What::Note(row.to_owned()));
        }
    };
    match Trace::start(server, width, emit) {
        Ok(started) => *trace.lock().unwrap_or_else(PoisonError::into_inner) = Some(started),
        Err(error) => log.tell(None, What::Note(format!("nothing can be traced: {error}"))),
    }
}

fn serve(serving: Serving, address: &str, limits: Limits, log: &Log) -> Result<(), ClientError> {
    let interrupt = Interrupt::install().map_err(ConnectionError::io("Ctrl-C cannot be handled"))?;
    match raise_open_file_limit() {
        // The listener, the standard streams, the epoll instance and what a handler opens.
        Ok(most) if most < limits.connections as u64 + 32 => log.tell(
            None,
            What::Note(format!(
                "only {most} descriptors are allowed (ulimit -n): that is fewer than {} connections need",
                limits.connections
            )),
        ),
        _ => {}
    }
    // Only a program that speaks reads the input: a server in the background must not touch a terminal.
    let input = if matches!(serving, Serving::Chat) { stdin_lines(limits.message)? } else { channel().1 };
    serving.run(address, limits, input, &[interrupt.as_fd()], log)
}

fn stdin_lines(limit: usize) -> Result<Receiver<Line>, ClientError> {
    let lines = lines(io::BufReader::new(io::stdin()), limit);
    Ok(lines.map_err(ConnectionError::io("no thread can be started to read the input"))?)
}

fn task(program: Program) -> Result<Task, Fault> {
    let chat_idle = Duration::from_secs(600);
    Ok(match program {
        Program::Chat(Chat::Serve(ServeArgs { bind, bounds })) => {
            Task::Serve(Serving::Chat, bind, limits(&bounds, 64, chat_idle))
        }
        Program::Chat(Chat::Connect(ConnectArgs { address, bounds })) => {
            Task::Connect(Connecting::Chat, address, client_limits(&bounds, chat_idle))
        }
        Program::Udp(Udp::Serve { bind, buffer, drop }) => {
            let receiving = Receiving { buffer: buffer as usize, drop };
            Task::Serve(Serving::Udp(receiving), bind, Limits::default())
        }
        Program::Udp(Udp::Connect { address, timeout, retries }) => {
            Task::Connect(Connecting::Udp(Patience { timeout, retries }), address, Limits::default())
        }
        Program::Sticky(Sticky::Serve { serve, read, late, framed }) => {
            let reading = Reading { buffer: read as usize, late, framed };
            served(Serving::Sticky(reading), serve)
        }
        Program::Sticky(Sticky::Connect { connect, count, no_delay, framed }) => {
            connected(Connecting::Sticky(Sending { count, nagle: !no_delay, framed }), connect)
        }
        Program::Frames(Frames::Serve { serve, message }) => served(Serving::Frames(message), serve),
        Program::Frames(Frames::Connect(connect)) => connected(Connecting::Frames, connect),
        Program::File(File::Send { path, place, hash, resume, once, bounds }) => {
            transfer(Transfer::Send { path, hash, resume }, place, &bounds, once)
        }
        Program::File(File::Receive { into, place, max_size, overwrite, hash, resume, once, bounds }) => {
            let receive = Transfer::Receive { into, limit: max_size, overwrite, hash, resume };
            transfer(receive, place, &bounds, once)
        }
        Program::Echo(Echo::Serve { serve, workers }) => {
            served(Serving::Echo { processes: workers == WorkerKind::Process }, serve)
        }
        Program::Echo(Echo::Connect(connect)) => connected(Connecting::Echo, connect),
        Program::Upper(Upper::Serve { serve: ServeArgs { bind, bounds }, mode }) => {
            Task::Serve(Serving::Upper { busy: mode == Mode::Busy }, bind, limits(&bounds, 16_384, IDLE))
        }
        Program::Upper(Upper::Connect(connect)) => connected(Connecting::Upper, connect),
        Program::Auth(Auth::Serve { serve, secret }) => {
            let key = key(&secret)?;
            served(Serving::Auth(secret.scheme, key), serve)
        }
        Program::Auth(Auth::Connect { connect, secret }) => {
            let key = key(&secret)?;
            connected(Connecting::Auth(secret.scheme, key), connect)
        }
        Program::Chat(Chat::Demo(DemoArgs { damage })) => Task::Demo("chat", damage),
        Program::Udp(Udp::Demo(DemoArgs { damage })) => Task::Demo("udp", damage),
        Program::Sticky(Sticky::Demo(DemoArgs { damage })) => Task::Demo("sticky", damage),
        Program::Frames(Frames::Demo(DemoArgs { damage })) => Task::Demo("frames", damage),
        Program::File(File::Demo(DemoArgs { damage })) => Task::Demo("file", damage),
        Program::Echo(Echo::Demo(DemoArgs { damage })) => Task::Demo("echo", damage),
        Program::Upper(Upper::Demo(DemoArgs { damage })) => Task::Demo("upper", damage),
        Program::Auth(Auth::Demo(DemoArgs { damage })) => Task::Demo("auth", damage),
        Program::All(All::Demo(DemoArgs { damage })) => Task::Demo("all", damage),
    })
}

const IDLE: Duration = Duration::from_secs(60);

fn served(serving: Serving, ServeArgs { bind, bounds }: ServeArgs) -> Task {
    Task::Serve(serving, bind, limits(&bounds, 1024, IDLE))
}

fn connected(connecting: Connecting, ConnectArgs { address, bounds }: ConnectArgs) -> Task {
    Task::Connect(connecting, address, client_limits(&bounds, IDLE))
}

fn transfer(transfer: Transfer, place: Place, bounds: &Bounds, once: bool) -> Task {
    let limits = limits(bounds, 64, IDLE);
    match (place.bind, place.to) {
        (Some(bind), _) => {
            let until = if once { Until::Once } else { Until::Stopped };
            Task::Serve(Serving::File(transfer, until), bind, limits)
        }
        (None, to) => Task::Connect(Connecting::File(transfer), to.unwrap_or_default(), limits),
    }
}

fn limits(bounds: &Bounds, connections: usize, idle: Duration) -> Limits {
    Limits {
        connections: bounds.max_connections.map_or(connections, |n| n as usize),
        grace: bounds.grace,
        ..client_limits(&bounds.each, idle)
    }
}

fn client_limits(bounds: &ClientBounds, idle: Duration) -> Limits {
    Limits {
        idle: bounds.idle.unwrap_or(idle),
        total: bounds.total,
        message: bounds.max_message as usize,
        ..Limits::default()
    }
}

fn key(secret: &Secret) -> Result<Key, Fault> {
    let how = format!("put it into the environment variable {KEY}, or into a file and give --key-file FILE");
    let fault = |what: String| Fault::bad_arguments(what).hint(how.clone());
    let (bytes, place) = match &secret.key_file {
        Some(path) => {
            let unreadable = |why: &dyn std::fmt::Display| {
                fault(format!("the key cannot be read: {}: {why}", path.display()))
            };
            let mut bytes = Vec::new();
            // Not by its size: a pipe has none, and a device may never end.
            std::fs::File::open(path)
                .and_then(|file| file.take(KEY_LIMIT + 1).read_to_end(&mut bytes))
                .map_err(|error| unreadable(&error))?;
            if bytes.len() as u64 > KEY_LIMIT {
                return Err(unreadable(&format_args!("it is longer than {KEY_LIMIT} bytes")));
            }
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
                if bytes.last() == Some(&b'\r') {
                    bytes.pop();
                }
            }
            (bytes, path.display().to_string())
        }
        None => {
            use std::os::unix::ffi::OsStringExt;
            let bytes = std::env::var_os(KEY).map(OsStringExt::into_vec).unwrap_or_default();
            (bytes, KEY.to_owned())
        }
    };
    Key::new(bytes).ok_or_else(|| fault(format!("no key: {place} is empty or not there")))
}

fn fault(error: &ClientError, other_end: &str) -> Fault {
    let fault = Fault::could_not_run(error);
    match hint(error, other_end) {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

fn hint(error: &ClientError, other_end: &str) -> Option<String> {
    match error {
        ClientError::Path { sending: true, .. } => Some(
            "PATH is a file that you may read, with a name that no folder and no hidden file has".to_owned(),
        ),
        ClientError::Path { path, .. } if !path.exists() => {
            Some(format!("make the folder first: mkdir -p {}", path.display()))
        }
        ClientError::Path { .. } => Some("--into is a folder that you may write to".to_owned()),
        ClientError::Address(AddressError::Unknown { .. }) => {
            Some("an address is HOST:PORT, such as 127.0.0.1:9000".to_owned())
        }
        ClientError::Address(AddressError::Connect { .. }) => {
            Some(format!("start the other end first: {other_end}"))
        }
        ClientError::Address(AddressError::Bind { source, .. }) => Some(match source.kind() {
            io::ErrorKind::AddrInUse => {
                "another server has that port: choose another, or 0 for any".to_owned()
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need privileges: choose a higher one".to_owned()
            }
            _ => "choose an address of this machine, such as 127.0.0.1:0".to_owned(),
        }),
        _ => None,
    }
}
