//! The ticket sale at the gate: real buyers, a step at a time, and what came of it.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::explore::engine::Trace;
use crate::explore::gate::{Gate, GateError, Post};
use crate::explore::step::{Event, letter};
use crate::process::Process;
use crate::scenario::run::lab::{GatedLab, Rules};
use crate::scenario::run::verdict::Verdict;
use crate::scenario::tickets::body::{self as sale, Fact, Reading, Sale, Visit};
use crate::scenario::tickets::cabinet::LockKind;
use crate::scenario::tickets::locks::{Opened, Shared};
use crate::scenario::world::free::Free;
use crate::scenario::world::gated::Gated;
use crate::scenario::world::{decode, encode};
use crate::shm::region::{Region, RegionError};
use crate::supervisor::Supervisor;
use crate::wire::handle::Fd;

/// Bytes of the memory in which a `mutex` lies.
const MEMORY: usize = 64;

/// Buyers that wait at the gate, or run freely, and the files they use.
pub type SaleLab<'s> = GatedLab<'s, Shop>;

/// What they share, as the scheduler holds it.
#[derive(Debug)]
pub struct Shop {
    sale: Sale,
    shared: Shared,
}

/// What a buyer's process is told.
#[derive(Debug, Serialize, Deserialize)]
struct Setup {
    sale: Sale,
    lock: PathBuf,
    stock: PathBuf,
    opened: Option<Fd>,
    process: usize,
    free: bool,
}

impl Setup {
    fn shared(self) -> Result<(Sale, Shared), RegionError> {
        let opened = match (self.opened, self.sale.lock) {
            (None, _) => None,
            (Some(fd), LockKind::Mutex) => {
                let region = Region::open(fd.into_owned(), |_: &[u8; 1], _| Ok::<_, RegionError>(MEMORY))?;
                Some(Opened::Memory(region))
            }
            (Some(fd), _) => Some(Opened::File(File::from(fd.into_owned()))),
        };
        let shared = Shared { lock: self.lock, stock: self.stock, opened, process: self.process };
        Ok((self.sale, shared))
    }
}

/// The body of a buyer's process. A failure is a panic: the scheduler is told, and it is `crashed`.
fn buyer(post: Post, setup: Setup) {
    let free = setup.free;
    let (sale, shared) = setup.shared().unwrap_or_else(|error| panic!("{error}"));
    let served = post.serve(|desk| {
        if free {
            let mut world = Free::default();
            match sale::buy(&mut world, &sale, &shared) {
                Ok(visit) => desk.report(encode(&Visitor { visit, waited: world.waited })),
                Err(error) => std::panic::resume_unwind(Box::new(error.to_string())),
            }
            return;
        }
        if let Err(error) = sale::buy(&mut Gated(desk), &sale, &shared) {
            std::panic::resume_unwind(Box::new(error.to_string()));
        }
    });
    served.unwrap_or_else(|error| panic!("{error}"));
}

impl<'s> GatedLab<'s, Shop> {
    /// A sale in the directory `dir`, which nobody else uses, by processes that `supervisor` owns.
    ///
    /// # Errors
    /// When files or memory cannot be made.
    pub fn new(supervisor: &'s Supervisor, sale: &Sale, dir: &Path) -> Result<Self, GateError> {
        Self::open(supervisor, sale, dir, false)
    }

    /// The same for free runs.
    ///
    /// # Errors
    /// When files or memory cannot be made.
    pub fn free(supervisor: &'s Supervisor, sale: &Sale, dir: &Path) -> Result<Self, GateError> {
        Self::open(supervisor, sale, dir, true)
    }

    fn open(supervisor: &'s Supervisor, sale: &Sale, dir: &Path, free: bool) -> Result<Self, GateError> {
        let shared = share(sale, dir)?;
        let (lock, stock) = (shared.lock.clone(), shared.stock.clone());
        let fd: Option<OwnedFd> = match &shared.opened {
            None => None,
            Some(Opened::File(file)) => Some(file.as_fd().try_clone_to_owned()?),
            Some(Opened::Memory(region)) => Some(region.file().try_clone_to_owned()?),
        };
        let told = sale.clone();
        let gate = Gate::new(sale.buyers, move |process, post| {
            let opened = fd.as_ref().and_then(|fd| fd.try_clone().ok()).map(Fd::from);
            let setup =
                Setup { sale: told.clone(), lock: lock.clone(), stock: stock.clone(), opened, process, free };
            let name = format!("buyer-{}", letter(process));
            supervisor.start(Process::new(buyer).args((post, setup)).name(name).daemon(true))
        })?;
        Ok(Self { gate, rules: Shop { sale: sale.clone(), shared } })
    }

    /// One free run: everybody is let go at once, and who has not ended within `patience` never will.
    ///
    /// # Errors
    /// When the run could not be carried out.
    pub fn trial(&mut self, patience: Duration) -> Result<Trial, GateError> {
        self.rules.begin_anew()?;
        let begin = Instant::now();
        let notes = self.gate.run_freely(patience)?;
        let duration = begin.elapsed();
        let crashed = self.crashed();
        let visitors: Vec<Option<Visitor>> =
            notes.into_iter().map(|note| note.as_ref().and_then(decode)).collect();
        let count = |visit: Visit| visitors.iter().flatten().filter(|visitor| visitor.visit == visit).count();
        let stuck = !crashed && visitors.iter().any(Option::is_none);
        let sold = count(Visit::Bought) as i64;
        let verdict = if crashed {
            Verdict::Crashed
        } else {
            verdict(&self.rules.sale, stuck, sold, count(Visit::Torn) > 0, self.rules.left()?)
        };
        let waited = visitors.into_iter().map(|visitor| visitor.map(|visitor| visitor.waited)).collect();
        Ok(Trial { verdict, duration, waited })
    }
}

/// What came of one free run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What it was.
    pub verdict: Verdict,
    /// From letting the buyers go to the end of the last.
    pub duration: Duration,
    /// How long each buyer waited for locks; `None` for one that did not end.
    pub waited: Vec<Option<Duration>>,
}

/// What a buyer says at the end of a free run.
#[derive(Debug, Serialize, Deserialize)]
struct Visitor {
    visit: Visit,
    waited: Duration,
}

/// What one free purchase costs that nobody contends for, in the empty directory `dir`.
///
/// # Errors
/// When a file or a lock fails.
pub fn price(sale: &Sale, dir: &Path) -> Result<Duration, GateError> {
    let shared = share(sale, dir)?;
    fs::write(&shared.stock, sale::text(sale.stock))?;
    let begin = Instant::now();
    sale::buy(&mut Free::default(), sale, &shared)?;
    Ok(begin.elapsed())
}

/// Opens what all processes of a sale share.
fn share(sale: &Sale, dir: &Path) -> Result<Shared, GateError> {
    let lock = dir.join("lock");
    let opened = match sale.lock {
        LockKind::Mutex => Some(Opened::Memory(Region::create(MEMORY as u64, MEMORY)?)),
        LockKind::Inherited => Some(Opened::File(File::create(&lock)?)),
        _ => None,
    };
    Ok(Shared { lock, stock: dir.join("stock"), opened, process: sale.buyers })
}

fn absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

impl Shop {
    fn left(&self) -> io::Result<Option<i64>> {
        Ok(match sale::read(&self.shared, self.sale.lock)? {
            Reading::Count(count, _) => Some(count),
            Reading::Torn(_) => None,
        })
    }
}

impl Rules for Shop {
    fn begin_anew(&mut self) -> io::Result<()> {
        match (self.sale.lock, &self.shared.opened) {
            // A killed buyer may have left its lock file; so may one that was called back while it
            // held a lock on a file that was deleted since.
            (LockKind::ExclusiveFile, _) => absent(fs::remove_file(&self.shared.lock))?,
            (LockKind::CompareAndSwap, _) => {
                let mut version = 1;
                while fs::exists(sale::versioned(&self.shared.stock, version))? {
                    fs::remove_file(sale::versioned(&self.shared.stock, version))?;
                    version += 1;
                }
            }
            (_, Some(Opened::File(file))) => file.unlock()?,
            (_, Some(Opened::Memory(region))) => region.word32(0).store(0, Ordering::Release),
            _ => {}
        }
        fs::write(&self.shared.stock, sale::text(self.sale.stock))
    }

    fn judge(&self, trace: &Trace) -> io::Result<Verdict> {
        Ok(judge(&self.sale, trace, self.left()?))
    }

    fn broken_at(&self, trace: &Trace) -> Option<(usize, String)> {
        broken_at(&self.sale, trace)
    }
}

/// What a step tells the judge.
fn fact(event: &Event) -> Option<Fact> {
    decode(&event.observation)
}

/// What came of an execution that left `left` tickets in the file.
fn judge(sale: &Sale, trace: &Trace, left: Option<i64>) -> Verdict {
    let sold = trace.events.iter().filter(|event| fact(event) == Some(Fact::Sold)).count();
    let torn = trace.events.iter().any(|event| fact(event) == Some(Fact::TornRead));
    verdict(sale, trace.deadlocked(), sold as i64, torn, left)
}

/// What came of a run: whether somebody waits for ever, how many tickets were sold, whether somebody
/// read a half-written file, and what the file says at the end, if it says anything.
fn verdict(sale: &Sale, deadlocked: bool, sold: i64, torn: bool, left: Option<i64>) -> Verdict {
    if deadlocked { Verdict::Deadlock } else { Verdict::of_sale(sale.stock, sold, left, torn) }
}

/// The step at which the promise was broken, counted from 0, and how, in one sentence.
fn broken_at(sale: &Sale, trace: &Trace) -> Option<(usize, String)> {
    let mut sold = 0;
    // For each buyer, how many writes there were when it read.
    let mut known = vec![0; trace.stuck.len()];
    let mut writes: Vec<(usize, usize)> = Vec::new();
    for (position, event) in trace.events.iter().enumerate() {
        if event.choice.kill {
            continue;
        }
        let (process, who) = (event.choice.index(), letter(event.choice.index()));
        if fact(event) == Some(Fact::TornRead) {
            let by = writes.last().map(|(_, by)| letter(*by));
            let by = by.map_or(String::new(), |by| format!(" that {by} has emptied and not yet written"));
            return Some((position, format!("{who} reads a half-written file{by}")));
        }
        match event.step.name.as_str() {
            "read" => known[process] = writes.len(),
            "write" | "truncate" => {
                let lost = writes[known[process]..].iter().find(|(_, by)| *by != process);
                if fact(event) == Some(Fact::Sold) {
                    sold += 1;
                    if sold > sale.stock {
                        return Some((position, format!("{who} sells ticket {sold} of {}", sale.stock)));
                    }
                }
                if let Some((at, by)) = lost
                    && event.step.name.as_str() == "write"
                    && sale.stock > 1
                {
                    let by = letter(*by);
                    let what = format!("{who} writes over what {by} wrote at step {}", at + 1);
                    return Some((position, what));
                }
                writes.push((position, process));
            }
            _ => {}
        }
    }
    if trace.deadlocked() {
        let waits = trace.waits().into_iter().map(|wait| {
            let holders = wait.holders.iter().map(|(holder, dead)| {
                let state = if *dead { " (killed)" } else { "" };
                format!("{}{state}", letter(*holder))
            });
            let holders: Vec<_> = holders.collect();
            format!("{} waits for {}", letter(wait.process), holders.join(" and "))
        });
        let waits: Vec<_> = waits.collect();
        return Some((trace.events.len(), format!("nobody can go on: {}", waits.join(", "))));
    }
    None
}
