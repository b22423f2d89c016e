//! SHA-256 beside the transfer: a thread hashes one buffer while the next is on its way.

use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Buffers that go round between a transfer and its hash: the memory of a transfer.
const BUFFERS: usize = 4;
/// The size of each.
pub const BUFFER: usize = 1 << 20;

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

/// Hashes the buffers that it is handed, in their order, in a thread of its own.
#[derive(Debug)]
pub struct Hasher {
    full: SyncSender<(Vec<u8>, usize)>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<Sha256>,
}

impl Hasher {
    /// Starts with nothing hashed; buffers are no larger than `size` needs.
    pub fn new(size: u64) -> Self {
        Self::resumed(Sha256::new(), size)
    }

    fn resumed(mut state: Sha256, size: u64) -> Self {
        let (full, to_hash) = sync_channel::<(Vec<u8>, usize)>(BUFFERS);
        let (done, empty) = sync_channel(BUFFERS);
        let each = usize::try_from(size).unwrap_or(BUFFER).clamp(1, BUFFER);
        for _ in 0..BUFFERS {
            done.send(vec![0; each]).expect("the channel has room for all buffers");
        }
        let thread = std::thread::spawn(move || {
            for (buffer, filled) in to_hash {
                state.update(&buffer[..filled]);
                if done.send(buffer).is_err() {
                    break;
                }
            }
            state
        });
        Self { full, empty, thread }
    }

    /// An empty buffer, as soon as one has been hashed.
    pub fn buffer(&self) -> Vec<u8> {
        self.empty.recv().expect("the hashing thread gives every buffer back")
    }

    /// Hashes the first `filled` bytes of `buffer`.
    pub fn hash(&self, buffer: Vec<u8>, filled: usize) {
        self.full.send((buffer, filled)).expect("the hashing thread lives as long as its hasher");
    }

    /// The digest of all that was handed over.
    pub fn finish(self) -> Sum {
        drop(self.full);
        // The thread gives buffers back to the end.
        let Self { empty, thread, .. } = self;
        let _all = empty;
        Sum(thread.join().expect("hashing does not panic").finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let hasher = Hasher::new(3);
        for byte in b"abc" {
            let mut buffer = hasher.buffer();
            buffer[0] = *byte;
            hasher.hash(buffer, 1);
        }
        let sum = hasher.finish().to_string();
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
