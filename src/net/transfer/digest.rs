//! SHA-256 beside the transfer: in a thread of its own where cores are left for one, and else in between.

use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{JoinHandle, available_parallelism};

/// Buffers that go round between a transfer and a hash of its own thread.
const BUFFERS: usize = 8;
/// The size of each. It fits a core's own cache, so that whoever reads, hashes and writes it in turn
/// fetches it from memory once.
pub const BUFFER: usize = 256 << 10;

/// Cores from which on a thread hashes. Two ends on one machine keep two cores busy by copying alone, and
/// there a thread more only moves every byte from one core's cache to another's.
const CORES: usize = 4;

/// A SHA-256 digest; it is shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sum([u8; 32]);

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes the buffers that it is handed, in their order.
#[derive(Debug)]
pub struct Hasher(Place);

#[derive(Debug)]
enum Place {
    /// Whoever hands a buffer over hashes it.
    Here { state: Sha256, buffer: Vec<u8> },
    /// A thread does, while the next buffer is on its way.
    Beside { full: SyncSender<(Vec<u8>, usize)>, empty: Receiver<Vec<u8>>, thread: JoinHandle<Sha256> },
}

impl Hasher {
    /// Starts with nothing hashed; buffers are no larger than `size` needs.
    pub fn new(size: u64) -> Self {
        let each = usize::try_from(size).unwrap_or(BUFFER).clamp(1, BUFFER);
        // What fits one buffer is hashed before a thread would have started.
        let cores = available_parallelism().map_or(1, usize::from);
        if size > BUFFER as u64 && cores >= CORES { Self::beside(each) } else { Self::here(each) }
    }

    fn here(each: usize) -> Self {
        Self(Place::Here { state: Sha256::new(), buffer: vec![0; each] })
    }

    fn beside(each: usize) -> Self {
        let (full, to_hash) = sync_channel::<(Vec<u8>, usize)>(BUFFERS);
        let (done, empty) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            done.send(vec![0; each]).expect("the channel has room for all buffers");
        }
        let thread = std::thread::spawn(move || {
            let mut state = Sha256::new();
            for (buffer, filled) in to_hash {
                state.update(&buffer[..filled]);
                if done.send(buffer).is_err() {
                    break;
                }
            }
            state
        });
        Self(Place::Beside { full, empty, thread })
    }

    /// An empty buffer, as soon as one has been hashed. It is given back by [`hash`](Self::hash).
    pub fn buffer(&mut self) -> Vec<u8> {
        match &mut self.0 {
            Place::Here { buffer, .. } => std::mem::take(buffer),
            Place::Beside { empty, .. } => empty.recv().expect("the hashing thread gives every buffer back"),
        }
    }

    /// Hashes the first `filled` bytes of `buffer`.
    pub fn hash(&mut self, bytes: Vec<u8>, filled: usize) {
        match &mut self.0 {
            Place::Here { state, buffer } => {
                state.update(&bytes[..filled]);
                *buffer = bytes;
            }
            Place::Beside { full, .. } => {
                full.send((bytes, filled)).expect("the hashing thread lives as long as its hasher");
            }
        }
    }

    /// The digest of all that was handed over.
    pub fn finish(self) -> Sum {
        let state = match self.0 {
            Place::Here { state, .. } => state,
            Place::Beside { full, empty, thread } => {
                drop(full);
                // The thread gives buffers back to the end.
                let state = thread.join().expect("hashing does not panic");
                drop(empty);
                state
            }
        };
        Sum(state.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_standard() {
        for mut hasher in [Hasher::here(3), Hasher::beside(3)] {
            // FIPS 180-2, appendix B.1.
            for byte in b"abc" {
                let mut buffer = hasher.buffer();
                buffer[0] = *byte;
                hasher.hash(buffer, 1);
            }
            let sum = hasher.finish().to_string();
            assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        }
    }
}
