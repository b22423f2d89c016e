//! Runs both ends of a network program, and reports what each does and what passes between them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use super::commands::receive;
use super::update::{Update, WorkerError};
use crate::net::demo::damage::{Damage, Direction, Harm};
use crate::net::demo::hand::{Hand, Piece};
use crate::net::demo::{Entry, Observer, Stage, Staging};
use crate::net::registry::find;
use crate::report::net::{WireRow, rows};
use crate::serve::protocol::{Command, Message, WireBegin, WireOver, WirePiece, WireStanding};
use crate::supervisor::Supervisor;
use crate::sys::clock::monotonic_ns;
use crate::sys::signal::Interrupt;
use crate::wire::control::{Receiver, Sender};

/// Between two messages.
const TICK: Duration = Duration::from_millis(40);
/// Rows of processes and of the trace that are shown; a large transfer has tens of thousands.
const MOST_ROWS: usize = 4_000;

/// Runs the demo of `program` to its end, or until it is to stop.
pub(super) fn work(
    program: &str,
    damage: Option<Damage>,
    by_hand: bool,
    commands: Receiver<Command>,
    updates: Sender<Update>,
) -> Result<(), WorkerError> {
    let entry = find(program).ok_or("the program is unknown")?;
    let interrupt = Interrupt::install()?;
    let place = |harm| damage.filter(|damage| damage.harm == harm).map(|damage| damage.to_string());
    let begin = WireBegin {
        program: entry.name().to_owned(),
        about: entry.about().to_owned(),
        damage: place(Harm::Flip),
        cut: place(Harm::Cut),
        by_hand,
    };
    updates.send(Update::whole(&Message::Wire(begin)))?;
    let heard = receive(commands, interrupt)?;
    let news = News::new(updates);
    let ticker = News::clone(&news);
    std::thread::Builder::new().spawn(move || {
        while !ticker.is_over() {
            std::thread::sleep(TICK);
            ticker.tell();
        }
    })?;
    let supervisor = Supervisor::with_interrupt(interrupt)?;
    let began_ns = monotonic_ns();
    let observer = News::clone(&news);
    let mut stage = Stage::new(&supervisor, Staging { trace: true, damage })
        .observed(Observer::new(move |at_ns, entry| observer.add(at_ns, entry, began_ns)));
    if by_hand {
        let standing = News::clone(&news);
        let hand = Hand::new(move |holds, pieces| standing.stand(holds, pieces));
        obey(hand.clone(), heard)?;
        stage = stage.by_hand(hand);
    }
    let played = stage.play(|stage| entry.demo(stage));
    drop(stage.finish());
    let stopped = interrupt.received().is_some();
    news.end(stopped);
    match played {
        Err(error) if !stopped => Err(error.into()),
        _ => Ok(()),
    }
}

/// Decides as the page says, as long as it is there.
fn obey(hand: Hand, heard: mpsc::Receiver<Command>) -> std::io::Result<()> {
    let decide = move || {
        for command in heard {
            match command {
                Command::Wire { piece, fate } => hand.decide(piece, fate),
                Command::Hold => hand.hold(true),
                Command::LetGo => hand.hold(false),
                _ => {}
            }
        }
    };
    std::thread::Builder::new().spawn(decide).map(drop)
}

/// What has happened and was not reported yet.
#[derive(Clone)]
struct News(Arc<(Mutex<Unsaid>, AtomicBool)>);

struct Unsaid {
    rows: Vec<WireRow>,
    standing: Option<WireStanding>,
    /// Rows of processes and of the trace so far.
    seen: usize,
    over: WireOver,
    updates: Sender<Update>,
}

impl News {
    fn new(updates: Sender<Update>) -> Self {
        let over = WireOver { checks: 0, failed: 0, hidden: 0, stopped: false };
        let unsaid = Unsaid { rows: Vec::new(), standing: None, seen: 0, over, updates };
        Self(Arc::new((Mutex::new(unsaid), AtomicBool::new(false))))
    }

    fn with(&self, act: impl FnOnce(&mut Unsaid)) {
        act(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn add(&self, at_ns: u64, entry: &Entry, began_ns: u64) {
        self.with(|unsaid| {
            match entry {
                Entry::Check { held, .. } => {
                    unsaid.over.checks += 1;
                    unsaid.over.failed += usize::from(!held);
                }
                Entry::Event { .. } | Entry::Trace(_) | Entry::Touched(_) if unsaid.seen >= MOST_ROWS => {
                    unsaid.over.hidden += 1;
                    return;
                }
                Entry::Event { .. } | Entry::Trace(_) | Entry::Touched(_) => unsaid.seen += 1,
                Entry::Scene(_) | Entry::Fact(_) => {}
            }
            unsaid.rows.extend(rows(at_ns, entry, began_ns));
        });
    }

    fn stand(&self, holds: bool, pieces: &[(u64, &Piece)]) {
        let piece = |&(number, one): &(u64, &Piece)| WirePiece {
            piece: number,
            to_server: one.direction == Direction::Up,
            client: one.client.to_string(),
            first: one.first,
            bytes: one.bytes.length,
            head: one.bytes.head.clone(),
            text: one.bytes.to_string(),
        };
        let pieces = pieces.iter().map(piece).collect();
        self.with(|unsaid| unsaid.standing = Some(WireStanding { holds, pieces }));
    }

    fn tell(&self) {
        self.with(Unsaid::tell);
    }

    fn is_over(&self) -> bool {
        self.0.1.load(Ordering::Acquire)
    }

    fn end(&self, stopped: bool) {
        self.0.1.store(true, Ordering::Release);
        self.with(|unsaid| {
            unsaid.tell();
            unsaid.over.stopped = stopped;
            let _ = unsaid.updates.send(Update::new(&Message::WireOver(unsaid.over)));
        });
    }
}

impl Unsaid {
    fn tell(&mut self) {
        if !self.rows.is_empty() {
            let rows = std::mem::take(&mut self.rows);
            // A server that is gone is seen at the channel of commands.
            let _ = self.updates.send(Update::new(&Message::Rows { rows }));
        }
        if let Some(standing) = self.standing.take() {
            let _ = self.updates.send(Update::new(&Message::WireStanding(standing)));
        }
    }
}
