//! Messages of 16 bytes per second from one process to another.

use super::{Contestant, Figure, python};
use crate::process::Process;
use crate::queue::{Sender, bounded};
use crate::scenario::run::stage::Reason;
use crate::supervisor::Supervisor;
use crate::wire::handle::Fd;
use ipc_channel::ipc::{self, IpcSender};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::Instant;

type Message = (u64, u64);
const MESSAGE: Message = (1 << 60, 1 << 61);

/// Messages per turn: about a tenth of a second's worth for each contestant.
const OURS: u64 = 500_000;
const IPC_CHANNEL: u64 = 50_000;
const PIPE: u64 = 100_000;
const PYTHON: &str = "5000";

const OURS_NAME: &str = "proclab's queue";

pub(super) fn contestants() -> Vec<Contestant> {
    vec![
        Contestant {
            name: OURS_NAME,
            beside: None,
            waits: "spins for 30 to 100 µs, then sleeps",
            process: || Process::new(ours),
        },
        Contestant {
            name: "ipc-channel, unbounded",
            beside: Some(OURS_NAME),
            waits: "sleeps in the kernel",
            process: || Process::new(ipc_channel),
        },
        Contestant {
            name: "pipe of 64 KiB",
            beside: Some(OURS_NAME),
            waits: "sleeps in the kernel",
            process: || Process::new(pipe),
        },
        Contestant {
            name: "Python's Queue",
            beside: Some(OURS_NAME),
            waits: "sleeps in the kernel",
            process: || Process::new(python_queue),
        },
    ]
}

/// The rate from the first of `count` messages to the last; starting the sender is not part of it.
fn rate(count: u64, mut receive: impl FnMut() -> Result<(), Reason>) -> Figure {
    receive()?;
    let begin = Instant::now();
    for _ in 1..count {
        receive()?;
    }
    Ok(Some((count - 1) as f64 / begin.elapsed().as_secs_f64()))
}

fn ours(capacity: usize) -> Figure {
    let supervisor = Supervisor::new().map_err(|error| Reason::of(&error))?;
    let (sender, receiver) = bounded::<Message>(capacity).map_err(|error| Reason::of(&error))?;
    let child = supervisor.start(Process::new(send_ours).args(sender)).map_err(|error| Reason::of(&error))?;
    let rate = rate(OURS, || receiver.recv().map(drop).map_err(|error| Reason::of(&error)))?;
    child.join().map_err(|error| Reason::of(&error))?;
    Ok(rate)
}

fn send_ours(sender: Sender<Message>) {
    let _ = (0..OURS).try_for_each(|_| sender.send(MESSAGE));
}

fn ipc_channel(_: usize) -> Figure {
    let supervisor = Supervisor::new().map_err(|error| Reason::of(&error))?;
    let (sender, receiver) = ipc::channel::<Message>().map_err(|error| Reason::of(&error))?;
    let child = supervisor.start(Process::new(send_ipc).args(sender)).map_err(|error| Reason::of(&error))?;
    let rate =
        rate(IPC_CHANNEL, || receiver.recv().map(drop).map_err(|error| Reason::from(error.to_string())))?;
    child.join().map_err(|error| Reason::of(&error))?;
    Ok(rate)
}

fn send_ipc(sender: IpcSender<Message>) {
    let _ = (0..IPC_CHANNEL).try_for_each(|_| sender.send(MESSAGE));
}

fn pipe(_: usize) -> Figure {
    let supervisor = Supervisor::new().map_err(|error| Reason::of(&error))?;
    let (mut reader, writer) = std::io::pipe().map_err(|error| Reason::of(&error))?;
    let writer = Fd::from(OwnedFd::from(writer));
    let child =
        supervisor.start(Process::new(write_pipe).args(writer)).map_err(|error| Reason::of(&error))?;
    let rate = rate(PIPE, || reader.read_exact(&mut [0; 16]).map_err(|error| Reason::of(&error)))?;
    child.join().map_err(|error| Reason::of(&error))?;
    Ok(rate)
}

fn write_pipe(writer: Fd) {
    let mut writer = File::from(writer.into_owned());
    let _ = (0..PIPE).try_for_each(|_| writer.write_all(&[7; 16]));
}

const SCRIPT: &str = "
import multiprocessing, sys, time
def put(queue, count):
    for _ in range(count):
        queue.put((1 << 60, 1 << 61))
count = int(sys.argv[2])
queue = multiprocessing.get_context('fork').Queue(int(sys.argv[1]))
process = multiprocessing.get_context('fork').Process(target=put, args=(queue, count))
process.start()
queue.get()
begin = time.perf_counter()
for _ in range(count - 1):
    queue.get()
print((count - 1) / (time.perf_counter() - begin))
process.join()
";

fn python_queue(capacity: usize) -> Figure {
    python(SCRIPT, &[&capacity.to_string(), PYTHON])
}
