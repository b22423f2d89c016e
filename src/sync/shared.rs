//! The memory of one primitive: a header that identifies it, and words for its own use.
//!
//! ```text
//! 0    magic, kind, PID namespace, parameter     never changes
//! 64   the brief lock                            of primitives that have a roster
//! 128  the linked lock                           of primitives that are held
//! 256  words                                     each primitive's own
//! 384  data                                      each primitive's own
//! ```
//!
//! It is sent to another process as one descriptor.

use super::error::{MemoryError, SetupError};
use super::linked::LinkedLock;
use crate::shm::region::{Region, RegionError};
use crate::shm::word::{Word32, Word64};
use crate::wire::attachments::refusal;
use crate::wire::handle::Fd;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};

const MAGIC: u64 = u64::from_le_bytes(*b"proclabS");
const HEADER: usize = 32;
pub(super) const BRIEF_LOCK: usize = 64;
const LINKED_LOCK: usize = 128;
const WORDS: usize = 256;
/// Where a primitive's own data begins.
pub(super) const DATA: usize = 384;

/// The primitive that a piece of memory belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Kind {
    Mutex = 1,
    RLock,
    Semaphore,
    BoundedSemaphore,
    Event,
    Condition,
    Barrier,
    Value,
    Array,
}

/// The memory in this process.
#[derive(Debug)]
pub(super) struct Shared {
    /// `None` only while it is dropped.
    region: Option<Region>,
    /// Set when it was created: a size, a number of parties or permits.
    pub(super) parameter: u64,
    /// How many entries in this memory the threads of this process have linked, beside the linked lock. Written only
    /// under a lock.
    linked: AtomicUsize,
}

impl Shared {
    /// New memory with `data` bytes of data, all zero, of which `mapped` are mapped.
    pub(super) fn create(kind: Kind, parameter: u64, data: u64, mapped: usize) -> Result<Self, SetupError> {
        let region = Region::create(DATA as u64 + data, DATA + mapped)?;
        region.reserve(0, (DATA + mapped) as u64)?;
        for (at, word) in [MAGIC, kind as u64, pid_namespace(), parameter].into_iter().enumerate() {
            region.word(8 * at).store(word, Ordering::Relaxed);
        }
        Ok(Self::new(region, parameter))
    }

    fn new(region: Region, parameter: u64) -> Self {
        Shared { region: Some(region), parameter, linked: AtomicUsize::new(0) }
    }

    /// Opens memory that came from another process. `sizes` returns, for the parameter, the required number of bytes
    /// of data and how many of them are mapped.
    pub(super) fn attach(
        file: OwnedFd,
        kind: Kind,
        sizes: impl FnOnce(u64) -> Option<(u64, usize)>,
    ) -> Result<Self, MemoryError> {
        let mut parameter = 0;
        let region = Region::open(file, |bytes: &[u8; HEADER], file_len| {
            let (words, _) = bytes.as_chunks::<8>();
            let [magic, is, namespace, set] = [0, 1, 2, 3].map(|at| u64::from_ne_bytes(words[at]));
            if magic != MAGIC || is != kind as u64 {
                return Err(MemoryError::Other);
            }
            if namespace != 0 && pid_namespace() != 0 && namespace != pid_namespace() {
                return Err(MemoryError::PidNamespace);
            }
            parameter = set;
            let (data, mapped) = sizes(set).ok_or(MemoryError::Other)?;
            if data.checked_add(DATA as u64) != Some(file_len) {
                return Err(MemoryError::Other);
            }
            Ok(DATA + mapped)
        })?;
        Ok(Self::new(region, parameter))
    }

    /// Maps the same memory again.
    pub(super) fn try_clone(
        &self,
        kind: Kind,
        sizes: impl FnOnce(u64) -> Option<(u64, usize)>,
    ) -> io::Result<Self> {
        let file = self.region().file().try_clone_to_owned()?;
        Self::attach(file, kind, sizes).map_err(|error| match error {
            MemoryError::Memory(RegionError::Os(error)) => error,
            other => io::Error::other(other),
        })
    }

    #[inline(always)]
    pub(super) fn region(&self) -> &Region {
        self.region.as_ref().expect("the memory is there until it is dropped")
    }

    /// One of the primitive's own words, of which there are eight.
    #[inline(always)]
    pub(super) fn word(&self, number: usize) -> &Word64 {
        debug_assert!(number < 8);
        self.region().word(WORDS + 8 * number)
    }

    /// The lower half of one of these words.
    pub(super) fn word32(&self, number: usize) -> &Word32 {
        self.region().word32(WORDS + 8 * number)
    }

    #[inline(always)]
    pub(super) fn lock(&self) -> &LinkedLock {
        self.region().at(LINKED_LOCK)
    }

    /// Counts the entries of this memory that are linked. Called only by the holder of a lock that all callers take.
    #[inline]
    pub(super) fn note_linked(&self, change: isize) {
        let linked = self.linked.load(Ordering::Relaxed);
        self.linked.store(linked.wrapping_add_signed(change), Ordering::Relaxed);
    }

    pub(super) fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let file =
            self.region().file().try_clone_to_owned().map_err(|error| ser::Error::custom(refusal(error)))?;
        Fd::from(file).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        kind: Kind,
        sizes: impl FnOnce(u64) -> Option<(u64, usize)>,
    ) -> Result<Self, D::Error> {
        let file = Fd::deserialize(deserializer)?.into_owned();
        Self::attach(file, kind, sizes).map_err(|error| match error {
            MemoryError::Memory(RegionError::Os(error)) => de::Error::custom(refusal(error)),
            other => de::Error::custom(other),
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A lock whose guard was forgotten is still in its thread's list, which goes through this memory.
        if *self.linked.get_mut() != 0 || self.lock().is_linked_here() {
            std::mem::forget(self.region.take());
        }
    }
}

/// The inode of this process's PID namespace (`pid_namespaces(7)`), 0 if /proc does not show it.
fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |file| file.ino())
}

impl From<RegionError> for SetupError {
    fn from(error: RegionError) -> Self {
        match error {
            RegionError::Os(error) => SetupError::Os(error),
            other => SetupError::Os(io::Error::other(other)),
        }
    }
}
