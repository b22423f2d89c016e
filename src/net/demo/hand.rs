//! What passes between two ends, decided piece by piece by a person while a demo runs.
//!
//! A piece is what the proxy has read at once: a datagram, or bytes of a stream, one segment of them or several. It
//! stands at the proxy until it is decided what becomes of it.

use super::damage::{Direction, Fate};
use crate::net::event::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pieces that may stand at once. Datagrams beyond them pass, so that a flood costs a bounded amount of memory.
const MOST: usize = 64;

/// A piece on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it goes.
    pub direction: Direction,
    /// The client's address, which tells the connections apart.
    pub client: SocketAddr,
    /// How many bytes of its connection went before it in its direction; of a datagram 0.
    pub first: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Decides what becomes of pieces. Clones decide about the same ones.
#[derive(Clone)]
pub struct Hand(Arc<Mutex<Standing>>);

struct Standing {
    holds: bool,
    next: u64,
    /// The proxies at which pieces may stand.
    proxies: BTreeSet<u64>,
    pieces: BTreeMap<u64, Waiting>,
    tell: Box<Tell>,
}

struct Waiting {
    piece: Piece,
    proxy: u64,
    then: Box<dyn FnOnce(Fate) + Send>,
}

/// Is told whether pieces are held, and of all that stand, each with its number.
type Tell = dyn Fn(bool, &[(u64, &Piece)]) + Send;

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hand")
    }
}

impl Hand {
    /// Holds every piece. `tell` is called after each change.
    pub fn new(tell: impl Fn(bool, &[(u64, &Piece)]) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Standing {
            holds: true,
            next: 1,
            proxies: BTreeSet::new(),
            pieces: BTreeMap::new(),
            tell: Box::new(tell),
        })))
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a piece stands.
    pub fn stands(&self) -> bool {
        !self.standing().pieces.is_empty()
    }

    /// Decides about the piece of this number. A number that is not there, such as one that was decided already, is
    /// ignored.
    pub fn decide(&self, number: u64, fate: Fate) {
        let mut standing = self.standing();
        let Some(waiting) = standing.pieces.remove(&number) else { return };
        standing.say();
        drop(standing);
        (waiting.then)(fate);
    }

    /// Whether pieces are held from now on. If not, those that stand pass, in their order.
    pub fn hold(&self, holds: bool) {
        let mut standing = self.standing();
        standing.holds = holds;
        let passing = if holds { BTreeMap::new() } else { std::mem::take(&mut standing.pieces) };
        standing.say();
        drop(standing);
        for waiting in passing.into_values() {
            (waiting.then)(Fate::Pass);
        }
    }

    /// A proxy begins. Returns its number.
    pub(super) fn enter(&self) -> u64 {
        let mut standing = self.standing();
        let number = standing.next;
        standing.next += 1;
        standing.proxies.insert(number);
        number
    }

    /// Calls `then` once it is decided what becomes of the piece, or drops it if the proxy ends before that.
    pub(super) fn ask(&self, proxy: u64, piece: Piece, then: impl FnOnce(Fate) + Send + 'static) {
        let mut standing = self.standing();
        if !standing.proxies.contains(&proxy) {
            return;
        }
        if !standing.holds || standing.pieces.len() >= MOST {
            drop(standing);
            return then(Fate::Pass);
        }
        let number = standing.next;
        standing.next += 1;
        standing.pieces.insert(number, Waiting { piece, proxy, then: Box::new(then) });
        standing.say();
    }

    /// A proxy ends, and with it the pieces that stand there.
    pub(super) fn leave(&self, proxy: u64) {
        let mut standing = self.standing();
        standing.proxies.remove(&proxy);
        let before = standing.pieces.len();
        let gone: BTreeMap<u64, Waiting> =
            standing.pieces.extract_if(.., |_, one| one.proxy == proxy).collect();
        if standing.pieces.len() < before {
            standing.say();
        }
        drop(standing);
        // Each tells the thread that waits for it, outside of the lock.
        drop(gone);
    }
}

impl Standing {
    fn say(&self) {
        let pieces: Vec<(u64, &Piece)> =
            self.pieces.iter().map(|(number, waiting)| (*number, &waiting.piece)).collect();
        (self.tell)(self.holds, &pieces);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    fn asked(hand: &Hand, proxy: u64) -> Receiver<Fate> {
        let (tell, fate) = channel();
        let client = SocketAddr::from(([127, 0, 0, 1], 4000));
        let piece = Piece { direction: Direction::Up, client, first: 0, bytes: Bytes::of(b"abc") };
        hand.ask(proxy, piece, move |fate| tell.send(fate).unwrap());
        fate
    }

    #[test]
    fn a_piece_stands_until_it_is_decided_about_and_only_that_one_goes() {
        let (tell, told) = channel();
        let hand = Hand::new(move |_, pieces| {
            tell.send(pieces.iter().map(|(number, _)| *number).collect::<Vec<_>>()).unwrap();
        });
        let proxy = hand.enter();
        let (first, second) = (asked(&hand, proxy), asked(&hand, proxy));
        hand.decide(3, Fate::Cut(1));
        hand.decide(3, Fate::Pass);
        assert_eq!((first.try_recv().ok(), second.try_recv().ok()), (None, Some(Fate::Cut(1))));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [vec![2], vec![2, 3], vec![2]]);
        hand.hold(false);
        assert_eq!(first.try_recv(), Ok(Fate::Pass));
        assert_eq!(asked(&hand, proxy).try_recv(), Ok(Fate::Pass), "nothing is held any more");
    }

    #[test]
    fn a_proxy_that_ends_frees_those_that_wait_at_it_and_no_other() {
        let hand = Hand::new(|_, _| {});
        let (one, other) = (hand.enter(), hand.enter());
        let (here, there) = (asked(&hand, one), asked(&hand, other));
        hand.leave(one);
        assert!(here.recv().is_err(), "what waits is told");
        assert!(asked(&hand, one).recv().is_err(), "and what comes later");
        hand.hold(false);
        assert_eq!(there.recv(), Ok(Fate::Pass));
    }

    #[test]
    fn the_pieces_that_stand_are_bounded() {
        let hand = Hand::new(|_, _| {});
        let proxy = hand.enter();
        let standing: Vec<_> = (0..MOST).map(|_| asked(&hand, proxy)).collect();
        assert_eq!(asked(&hand, proxy).try_recv(), Ok(Fate::Pass));
        assert!(standing.iter().all(|one| one.try_recv().is_err()));
    }
}
