//! Digests of files during a transfer: in a separate thread if there are cores to spare, otherwise between the reads
//! and writes.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle, available_parallelism};

/// Buffers that circulate between a transfer and its hashing thread.
const BUFFERS: usize = 3;
/// The size of each buffer. It fits into the L2 cache of a modern core, so that reading, hashing and writing it
/// accesses memory once. Smaller buffers cost more system calls and wake-ups.
pub const BUFFER: usize = 1 << 20;

/// The minimum number of cores for a hashing thread. Copying alone keeps two cores busy if both ends are on one machine;
/// a further thread would only move every byte from one core's cache to another's.
const CORES: usize = 4;

/// The maximum length of a digest in hexadecimal digits.
pub const HEX: usize = 64;

/// A hash function with a 256-bit digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Hash {
    /// BLAKE3: a tree of chunks that are hashed side by side, several gigabytes per second on one core
    #[default]
    Blake3,
    /// SHA-256 (FIPS 180-4), as `sha256sum` computes it
    Sha256,
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blake3 => "blake3",
            Self::Sha256 => "sha256",
        })
    }
}

/// A digest and the function that computed it. It is displayed in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// The function.
    pub hash: Hash,
    bytes: [u8; 32],
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.hash)
    }
}

/// The state of a hash function.
#[derive(Debug)]
enum State {
    /// Boxed because its stack of chaining values is large.
    Blake3(Box<blake3::Hasher>),
    Sha256(Sha256),
}

impl State {
    fn new(hash: Hash) -> Self {
        match hash {
            Hash::Blake3 => Self::Blake3(Box::default()),
            Hash::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(state) => {
                state.update(bytes);
            }
            Self::Sha256(state) => state.update(bytes),
        }
    }

    fn finish(self) -> Sum {
        match self {
            Self::Blake3(state) => Sum { hash: Hash::Blake3, bytes: state.finalize().into() },
            Self::Sha256(state) => Sum { hash: Hash::Sha256, bytes: state.finalize().into() },
        }
    }
}

/// Hashes buffers in order.
#[derive(Debug)]
pub struct Hasher(Backend);

#[derive(Debug)]
enum Backend {
    /// The transferring thread hashes.
    Inline { state: State, buffer: Vec<u8> },
    /// A separate thread hashes while the next buffer is transferred.
    Thread { full: SyncSender<(Vec<u8>, usize)>, empty: Receiver<Vec<u8>>, thread: JoinHandle<State> },
}

impl Hasher {
    /// A hasher for `size` bytes, which determine the size of its buffers and where it runs.
    pub fn new(hash: Hash, size: u64) -> Self {
        let each = usize::try_from(size).unwrap_or(BUFFER).clamp(1, BUFFER);
        // A single buffer is hashed faster than a thread starts.
        let cores = available_parallelism().map_or(1, usize::from);
        let on_thread = (size > BUFFER as u64 && cores >= CORES).then(|| Self::on_thread(hash, each));
        // At the limit of threads, the transferring thread hashes.
        on_thread.and_then(Result::ok).unwrap_or_else(|| Self::inline(hash, each))
    }

    fn inline(hash: Hash, each: usize) -> Self {
        Self(Backend::Inline { state: State::new(hash), buffer: vec![0; each] })
    }

    fn on_thread(hash: Hash, each: usize) -> io::Result<Self> {
        let (full, to_hash) = sync_channel::<(Vec<u8>, usize)>(BUFFERS);
        let (done, empty) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            done.send(vec![0; each]).expect("the channel has room for all buffers");
        }
        let thread = thread::Builder::new().spawn(move || {
            let mut state = State::new(hash);
            for (buffer, filled) in to_hash {
                state.update(&buffer[..filled]);
                if done.send(buffer).is_err() {
                    break;
                }
            }
            state
        })?;
        Ok(Self(Backend::Thread { full, empty, thread }))
    }

    /// Returns a buffer as soon as one is free. [`hash`](Self::hash) takes it back.
    pub fn buffer(&mut self) -> Vec<u8> {
        match &mut self.0 {
            Backend::Inline { buffer, .. } => std::mem::take(buffer),
            Backend::Thread { empty, .. } => empty.recv().expect("the hashing thread returns every buffer"),
        }
    }

    /// Hashes the first `filled` bytes of `bytes`, and passes them to `transfer`.
    ///
    /// # Errors
    /// Those of `transfer`.
    pub fn hash_and<E>(
        &mut self,
        bytes: Vec<u8>,
        filled: usize,
        transfer: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match &mut self.0 {
            Backend::Inline { state, buffer } => {
                // Before the transfer, so that the last bytes are hashed while earlier ones are in transit.
                state.update(&bytes[..filled]);
                let transferred = transfer(&bytes[..filled]);
                *buffer = bytes;
                transferred
            }
            Backend::Thread { full, .. } => {
                let transferred = transfer(&bytes[..filled]);
                full.send((bytes, filled)).expect("the hashing thread lives as long as its hasher");
                transferred
            }
        }
    }

    /// Hashes the first `filled` bytes of `bytes`.
    pub fn hash(&mut self, bytes: Vec<u8>, filled: usize) {
        let Ok(()) = self.hash_and(bytes, filled, |_| Ok::<(), std::convert::Infallible>(()));
    }

    /// The digest of all bytes.
    pub fn finish(self) -> Sum {
        match self.0 {
            Backend::Inline { state, .. } => state.finish(),
            Backend::Thread { full, empty, thread } => {
                drop(full);
                // The thread returns buffers until it ends.
                let state = thread.join().expect("hashing does not panic");
                drop(empty);
                state.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standards() {
        for (hash, expected) in [
            // FIPS 180-2, appendix B.1.
            (Hash::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            // `printf abc | b3sum`
            (Hash::Blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
        ] {
            for mut hasher in [Hasher::inline(hash, 3), Hasher::on_thread(hash, 3).unwrap()] {
                for byte in b"abc" {
                    let mut buffer = hasher.buffer();
                    buffer[0] = *byte;
                    hasher.hash(buffer, 1);
                }
                let sum = hasher.finish();
                assert_eq!((sum.hash, sum.to_string()), (hash, expected.to_owned()));
            }
        }
    }
}
