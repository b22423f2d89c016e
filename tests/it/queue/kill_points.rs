//! Kills a process at every instruction of a queue operation, one after the other ([`super::victim`]), and checks with
//! fresh processes whether the promise holds.

use super::forked::{Fresh, LONG, state, wait_until};
use super::victim::{Aim, TRIES, Tally, Victim, aims};
use nix::unistd::Pid;
use proclab::Fd;
use proclab::queue::error::{RecvTimeoutError, SendTimeoutError, TryRecvError};
use proclab::queue::{Receiver, Sender, bounded};
use proclab::sync::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) const CAPACITY: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Send,
    Recv,
    Lease,
    Done,
    Return,
    Reject,
    Close,
}

impl Operation {
    /// Whether the victim holds a lease at the beginning.
    fn settles(self) -> bool {
        matches!(self, Operation::Done | Operation::Return | Operation::Reject)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filling {
    Empty,
    Partly,
    Full,
}

/// Where the queue keeps the message: in its slot, in the stream, or in a separate region; and one with handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Medium,
    Large,
    Handles,
}

pub(crate) const OPERATIONS: [Operation; 7] = [
    Operation::Send,
    Operation::Recv,
    Operation::Lease,
    Operation::Done,
    Operation::Return,
    Operation::Reject,
    Operation::Close,
];
pub(crate) const FILLINGS: [Filling; 3] = [Filling::Empty, Filling::Partly, Filling::Full];
pub(crate) const SIZES: [Size; 4] = [Size::Small, Size::Medium, Size::Large, Size::Handles];

#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) operation: Operation,
    pub(crate) filling: Filling,
    pub(crate) size: Size,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { operation, filling, size } = self;
        write!(f, "{operation:?} on {filling:?}, {size:?} messages")
    }
}

/// A message whose bytes show whether they belong together.
#[derive(Debug)]
struct Message {
    number: u64,
    bytes: Vec<u8>,
    /// For a message with handles: its number, in shared memory, and an end of the attempt's pipe.
    handles: Option<(Value<u64>, Fd)>,
}

/// The descriptor of which each message with handles has a copy.
static WRITER: Mutex<Option<OwnedFd>> = Mutex::new(None);

impl Message {
    fn new(number: u64, size: Size) -> Self {
        let len = match size {
            Size::Small => 10,
            Size::Medium => 500,
            Size::Large => 17_000,
            Size::Handles => 100,
        };
        let handles = (size == Size::Handles).then(|| {
            let writer = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
            let writer = writer.as_ref().expect("there is a pipe").try_clone().expect("a descriptor");
            (Value::new(number).expect("shared memory"), Fd::from(writer))
        });
        let mut bytes = vec![number as u8 ^ 0x5A; len];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Message { number, bytes, handles }
    }

    fn is_whole(&self) -> bool {
        let (head, rest) = self.bytes.split_at(8);
        let has_its_own = self.handles.as_ref().is_none_or(|(value, _)| value.get() == self.number);
        has_its_own
            && head == self.number.to_le_bytes()
            && rest.iter().all(|byte| *byte == self.number as u8 ^ 0x5A)
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The bytes last, so that they end where the message does.
        (&self.handles, Bytes(&self.bytes)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (handles, Owned(bytes)) = Deserialize::deserialize(deserializer)?;
        let number = bytes.first_chunk().map(|eight| u64::from_le_bytes(*eight));
        Ok(Message { number: number.ok_or_else(|| de::Error::custom("too short"))?, bytes, handles })
    }
}

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct Owned(Vec<u8>);

impl<'de> Deserialize<'de> for Owned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Owned;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("at least eight bytes")
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Owned, E> {
                Ok(Owned(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

/// Tries every `stride`-th kill point of a case, starting with the first.
///
/// # Errors
/// The first way in which the promise was broken.
pub(crate) fn run(case: Case, stride: usize) -> Result<Tally, String> {
    let mut tally = Tally::default();
    // The first attempt initializes what all later copies of this process inherit.
    Attempt::new(case).kill_at(&Aim::Asleep)?;
    let way = Attempt::new(case).trace()?;
    for aim in aims(&way, stride, &mut tally) {
        let (mut attempt, mut outcome);
        let mut tries = 0;
        loop {
            attempt = Attempt::new(case);
            outcome = attempt.kill_at(&aim).map_err(|what| format!("{case}, killed at {aim:x?}: {what}"))?;
            tries += 1;
            if !attempt.came_through || matches!(aim, Aim::Asleep) || tries == TRIES {
                break;
            }
        }
        match (&aim, attempt.came_through) {
            (Aim::Asleep, true) => continue,
            (Aim::Asleep, false) => tally.asleep += 1,
            (Aim::Before { .. }, true) => tally.missed += 1,
            (Aim::Before { .. }, false) => tally.points += 1,
        }
        tally.effective += usize::from(outcome);
    }
    Ok(tally)
}

struct Attempt {
    case: Case,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
    /// What a receiver would find if the victim did nothing.
    before: Vec<u64>,
    /// Whether the victim had finished its operation before it was killed.
    came_through: bool,
    /// Hangs up when no process has a handle of any message.
    reader: PipeReader,
}

/// The number of the victim's message.
const VICTIMS: u64 = 50;
/// The number of the message that wakes a victim asleep on an empty queue.
const WAKING: u64 = 60;
/// The number of the bystander's message.
const BYSTANDERS: u64 = 70;
/// The number of a message sent by a fresh process.
const FRESH: u64 = 80;
/// The report of a process that found the queue closed.
const CLOSED: u64 = 1000;
/// The report of a process that found a torn message.
const TORN: u64 = 1001;

impl Attempt {
    fn new(case: Case) -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        WRITER.lock().unwrap_or_else(PoisonError::into_inner).replace(writer.into());
        let (sender, receiver) = bounded(CAPACITY).expect("a queue can be made");
        let before = match case.filling {
            Filling::Empty if case.operation.settles() => 1,
            Filling::Empty => 0,
            Filling::Partly => 2,
            Filling::Full => CAPACITY as u64,
        };
        let before: Vec<u64> = (0..before).collect();
        for number in &before {
            sender.send(Message::new(*number, case.size)).expect("there is room");
        }
        Attempt { case, sender, receiver, before, came_through: false, reader }
    }

    /// The addresses of all instructions that a victim executes while a bystander that it wakes is asleep.
    fn trace(&mut self) -> Result<Vec<u64>, String> {
        let mut victim = self.start_victim();
        let bystander = self.start_bystander();
        let way = victim.trace(&mut || self.wake_victim())?;
        self.came_through = true;
        victim.kill()?;
        self.check(victim.pid, bystander)?;
        Ok(way)
    }

    /// Kills a victim and checks the messages. Returns whether its operation took effect.
    fn kill_at(&mut self, aim: &Aim) -> Result<bool, String> {
        let mut victim = self.start_victim();
        let bystander = self.start_bystander();
        victim.drive(aim, &mut || self.wake_victim())?;
        self.came_through = victim.came_through;
        victim.kill()?;
        self.check(victim.pid, bystander)
    }

    /// Forks the victim and runs it up to just before the operation.
    fn start_victim(&mut self) -> Victim {
        let (case, sender, receiver) = (self.case, &self.sender, &self.receiver);
        let victim = Victim::start(|stop| match case.operation {
            Operation::Send => {
                let message = Message::new(VICTIMS, case.size);
                stop();
                let _ = sender.send(message);
            }
            Operation::Recv => {
                stop();
                std::mem::forget(receiver.recv());
            }
            Operation::Lease => {
                stop();
                std::mem::forget(receiver.lease());
            }
            Operation::Done => {
                let lease = receiver.lease().expect("there is one");
                stop();
                std::mem::forget(lease.done());
            }
            Operation::Return => {
                let lease = receiver.lease().expect("there is one");
                stop();
                drop(lease);
            }
            Operation::Reject => {
                let lease = receiver.lease().expect("there is one");
                stop();
                std::mem::forget(lease.reject());
            }
            Operation::Close => {
                stop();
                let _ = sender.close();
            }
        });
        if case.operation.settles() && case.filling == Filling::Full {
            // The lease freed a slot.
            self.sender.try_send(Message::new(3, case.size)).expect("there is room");
            self.before.push(3);
        }
        victim
    }

    /// A process that sleeps on the other end in the meantime, if possible.
    fn start_bystander(&self) -> Option<Fresh> {
        let (sender, receiver, size) = (&self.sender, &self.receiver, self.case.size);
        let bystander = match (self.case.operation, self.case.filling) {
            (Operation::Send | Operation::Close, Filling::Empty) => {
                Fresh::start(|| match receiver.recv_timeout(LONG) {
                    Ok(message) => vec![message.told()],
                    Err(RecvTimeoutError::Disconnected) => vec![CLOSED],
                    Err(error) => panic!("the bystander: {error}"),
                })
            }
            (Operation::Recv | Operation::Lease | Operation::Close, Filling::Full) => {
                Fresh::start(|| match sender.send_timeout(Message::new(BYSTANDERS, size), LONG) {
                    Ok(()) => vec![BYSTANDERS],
                    Err(SendTimeoutError::Disconnected(_)) => vec![CLOSED],
                    Err(error) => panic!("the bystander: {error}"),
                })
            }
            _ => return None,
        };
        wait_until(|| state(bystander.pid) == Some('S')).expect("the bystander goes to sleep");
        Some(bystander)
    }

    /// Does what a sleeping victim waits for.
    fn wake_victim(&mut self) -> Result<(), String> {
        match self.case.operation {
            Operation::Send => {
                let message = self.receiver.try_recv().map_err(|error| format!("not full: {error}"))?;
                if message.told() != self.before.remove(0) {
                    return Err(format!("message {} came first", message.told()));
                }
            }
            _ => {
                self.sender.try_send(Message::new(WAKING, self.case.size)).map_err(|e| format!("{e}"))?;
                self.before.push(WAKING);
            }
        }
        Ok(())
    }

    /// Checks the promise. Returns whether the victim's operation took effect.
    fn check(&self, victim: Pid, bystander: Option<Fresh>) -> Result<bool, String> {
        let (sender, receiver, size) = (&self.sender, &self.receiver, self.case.size);
        let mut seen = Vec::new();
        let mut queued = self.before.clone();
        if let Some(bystander) = bystander {
            self.check_bystander(bystander, &mut seen, &mut queued)?;
        }
        let drain = Fresh::start(|| {
            let mut seen = Vec::new();
            loop {
                match receiver.try_recv() {
                    Ok(message) => seen.push(message.told()),
                    Err(TryRecvError::Empty) => return seen,
                    Err(TryRecvError::Disconnected) => {
                        seen.push(CLOSED);
                        return seen;
                    }
                    Err(error) => panic!("draining: {error}"),
                }
            }
        });
        seen.extend(drain.end("drain the queue")?);
        let was_closed = seen.contains(&CLOSED);
        let fresh = Fresh::start(|| match sender.send_timeout(Message::new(FRESH + 1, size), LONG) {
            Ok(()) => vec![receiver.recv_timeout(LONG).map_or(TORN, |message| message.told())],
            Err(_) => vec![CLOSED],
        });
        let expected = if was_closed { CLOSED } else { FRESH + 1 };
        let told = fresh.end("send and receive")?;
        if told != [expected] {
            return Err(format!("a fresh message came back as {told:?}, closed: {was_closed}"));
        }
        seen.retain(|number| ![CLOSED, FRESH].contains(number));

        let losses = receiver.take_losses().map_err(|error| error.to_string())?;
        let victim = victim.as_raw().cast_unsigned();
        let losses: Vec<(u64, u64)> = losses
            .iter()
            .filter(|loss| loss.pid.as_raw().cast_unsigned() == victim)
            .map(|loss| (loss.first, loss.count))
            .collect();
        let without_first = || queued.get(1..).is_some_and(|rest| seen == rest);
        let first_number =
            self.before.first().copied().map_or(0, |first| if first == WAKING { 0 } else { first });
        let effective = match self.case.operation {
            Operation::Send if seen.last() == Some(&VICTIMS) => {
                queued.push(VICTIMS);
                seen == queued
            }
            Operation::Recv if without_first() => {
                if losses != [(first_number, 1)] {
                    return Err(format!(
                        "message {first_number} was taken, and the losses told are {losses:?}"
                    ));
                }
                true
            }
            Operation::Done if without_first() => true,
            Operation::Reject if without_first() => {
                let letter = receiver.take_dead_letter().map_err(|error| error.to_string())?;
                let letter = letter.map(|letter| letter.value.map_or(TORN, |message| message.told()));
                if letter != queued.first().copied() {
                    return Err(format!("{queued:?} was queued and the dead letter is {letter:?}"));
                }
                true
            }
            Operation::Close => was_closed,
            _ => false,
        };
        // A lease that was not marked as done returns to the tail.
        let returned = || {
            let Some((first, rest)) = queued.split_first() else { return false };
            let (firsts, others): (Vec<u64>, Vec<u64>) = seen.iter().partition(|number| *number == first);
            firsts == [*first] && others == rest
        };
        let may_return = self.case.operation.settles() || self.case.operation == Operation::Lease;
        if !effective && seen != queued && !(may_return && returned()) {
            return Err(format!("{queued:?} was queued and {seen:?} came out"));
        }
        if self.case.operation != Operation::Recv && !losses.is_empty() || !effective && !losses.is_empty() {
            return Err(format!("nothing was lost, and the losses told are {losses:?}"));
        }
        let leaves_it = matches!(self.case.operation, Operation::Lease | Operation::Return);
        if self.came_through && !effective && !leaves_it {
            return Err("the operation was over and had no effect".to_owned());
        }
        if case_has_handles(self.case) {
            WRITER.lock().unwrap_or_else(PoisonError::into_inner).take();
            if !has_hung_up(&self.reader) {
                return Err("a handle of a message is left open".to_owned());
            }
        }
        Ok(effective)
    }

    /// A bystander sleeps exactly as long as there is nothing for it.
    fn check_bystander(
        &self,
        bystander: Fresh,
        seen: &mut Vec<u64>,
        queued: &mut Vec<u64>,
    ) -> Result<(), String> {
        let receives = self.case.filling == Filling::Empty;
        let has_nothing = || {
            !self.sender.is_disconnected()
                && if receives { self.sender.is_empty() } else { self.sender.is_full() }
        };
        let begin = Instant::now();
        let mut quiet = 0;
        // Twice in a row, because it may be about to end.
        while !bystander.is_over() && quiet < 2 {
            if begin.elapsed() > LONG {
                return Err("the bystander sleeps on though there is something for it".to_owned());
            }
            quiet = if has_nothing() && state(bystander.pid) == Some('S') { quiet + 1 } else { 0 };
            std::thread::sleep(Duration::from_micros(200));
        }
        if !bystander.is_over() {
            let (sender, receiver, size) = (&self.sender, &self.receiver, self.case.size);
            let helper = Fresh::start(|| match receives {
                true => {
                    sender.send_timeout(Message::new(FRESH, size), LONG).expect("there is room");
                    vec![]
                }
                false => vec![receiver.recv_timeout(LONG).expect("there is one").told()],
            });
            seen.extend(helper.end("wake the bystander")?);
        }
        match bystander.end("go on")?[..] {
            [BYSTANDERS] => queued.push(BYSTANDERS),
            [told] => seen.push(told),
            ref other => return Err(format!("the bystander says {other:?}")),
        }
        Ok(())
    }
}

fn case_has_handles(case: Case) -> bool {
    case.size == Size::Handles
}

fn has_hung_up(reader: &PipeReader) -> bool {
    !proclab::wait_any(&[reader], Some(LONG)).expect("a wait").is_empty()
}

impl Message {
    fn told(&self) -> u64 {
        if self.is_whole() { self.number } else { TORN }
    }
}
