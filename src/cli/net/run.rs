//! Runs one end, or the demos.

use super::args::{NetArgs, Task};
use super::demo::{self, TRACE_COLUMN};
use super::print::printer;
use super::text::wrap;
use crate::cli::fault::Fault;
use crate::net::address::{AddressError, resolve};
use crate::net::connection::ConnectionError;
use crate::net::event::{Log, What};
use crate::net::input::{Line, lines};
use crate::net::program::{Context, End, EndError, Opening};
use crate::net::trace::Trace;
use crate::sys::resource::raise_open_file_limit;
use crate::sys::signal::{Interrupt, outlive_file_size_limit};
use crate::sys::socket::shutdown_is_refused;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The descriptors that a server needs in addition to its connections: the listener, the standard streams, the
/// epoll instance, and those that a handler opens.
const SPARE_DESCRIPTORS: u64 = 32;

/// Runs `proclab net …`.
pub(crate) fn run(args: &NetArgs) -> ExitCode {
    let (task, common) = match args.task() {
        Ok(task) => task,
        Err(error) => return Fault::bad_arguments(error.to_string()).report(),
    };
    // A file above `ulimit -f` costs its own transfer, not the server.
    if let Err(error) = outlive_file_size_limit() {
        return Fault::could_not_run(&error).context("signals cannot be set").report();
    }
    if let Some(error) = shutdown_is_refused() {
        return Fault::could_not_run(&error)
            .context("shutdown(2) is refused")
            .hint("a sandbox must allow it: without it no peer learns that all has been sent")
            .report();
    }
    match task {
        Task::Demo(name, args) => demo::run(name, common.trace, &args),
        Task::End(end) => {
            let opening = end.needs().opening;
            match run_end(&*end, common.trace.is_some()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fault(&error, &opening).report(),
            }
        }
    }
}

fn run_end(end: &dyn End, is_traced: bool) -> Result<(), EndError> {
    let needs = end.needs();
    let mut log = printer();
    // Held to the end: dropping it waits for the last packets and finishes the trace.
    let trace = Arc::new(Mutex::new(None));
    if is_traced {
        if let Opening::Connect { to, .. } = &needs.opening {
            start_trace(&trace, resolve(to)?[0], &log);
        }
        log = tracing(log, Arc::clone(&trace));
    }
    // Only an end that sends lines reads the input: a server in the background must not touch a terminal.
    let input = needs.input.map_or_else(|| Ok(channel().1), stdin_lines)?;
    let ended = match needs.opening {
        Opening::Listen { connections } => {
            let interrupt = Interrupt::install().map_err(ConnectionError::io("Ctrl-C cannot be handled"))?;
            check_descriptors(connections as u64, &log);
            end.run(Context { input, stops: &[interrupt.as_fd()], log: &log })
        }
        Opening::Connect { .. } => end.run(Context { input, stops: &[], log: &log }),
    };
    drop(trace.lock().unwrap_or_else(PoisonError::into_inner).take());
    ended
}

sentences! {
    /// Remarks of the command.
    enum Note {
        FewDescriptors { most: u64, connections: u64 } =>
            "the limit of {most} descriptors (ulimit -n) is too low for {connections} connections",
            "描述符的上限 {most}（ulimit -n）不够 {connections} 个连接用";
        Traced { row: String } => "{row}", "{row}";
        CannotTrace { error: String } => "cannot trace: {error}", "无法跟踪（原文：“{error}”）";
    }
}

fn check_descriptors(connections: u64, log: &Log) {
    match raise_open_file_limit() {
        Ok(most) if most < connections + SPARE_DESCRIPTORS => {
            log.note(None, Note::FewDescriptors { most, connections });
        }
        _ => {}
    }
}

fn stdin_lines(longest: usize) -> Result<Receiver<Line>, EndError> {
    let lines = lines(io::BufReader::new(io::stdin()), longest);
    Ok(lines.map_err(ConnectionError::io("cannot start a thread to read the input"))?)
}

/// A log that starts the trace of a server as soon as its address is known, before any client learns of it.
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
    // Remarks go to standard error; lines are wrapped only on a terminal.
    let width =
        console::Term::stderr().size_checked().map_or(usize::MAX, |(_, columns)| usize::from(columns));
    let emit = move |line: String| {
        for row in wrap(&line, TRACE_COLUMN, width).lines() {
            lines.note(None, Note::Traced { row: row.to_owned() });
        }
    };
    match Trace::start(server, width, emit) {
        Ok(started) => *trace.lock().unwrap_or_else(PoisonError::into_inner) = Some(started),
        Err(error) => log.note(None, Note::CannotTrace { error: error.to_string() }),
    }
}

fn fault(error: &EndError, opening: &Opening) -> Fault {
    if let EndError::Usage { what, hint } = error {
        return Fault::bad_arguments(what).hint(hint.clone());
    }
    let fault = Fault::could_not_run(error);
    match hint(error, opening) {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

fn hint(error: &EndError, opening: &Opening) -> Option<String> {
    match error {
        EndError::Local { hint, .. } => Some(hint.clone()),
        EndError::Address(AddressError::Unknown { .. }) => {
            Some("an address is HOST:PORT, such as 127.0.0.1:9000".to_owned())
        }
        EndError::Address(AddressError::Connect { .. }) => match opening {
            Opening::Connect { to, other_end } => {
                Some(format!("start the other end first: proclab net {other_end} --bind {to}"))
            }
            Opening::Listen { .. } => None,
        },
        EndError::Address(AddressError::Bind { source, .. }) => Some(match source.kind() {
            io::ErrorKind::AddrInUse => {
                "another server uses that port: choose another, or 0 for any free port".to_owned()
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need privileges: choose a higher one".to_owned()
            }
            _ => "choose an address of this machine, such as 127.0.0.1:0".to_owned(),
        }),
        _ => None,
    }
}
