//! The memory of a queue, as words that are read and written. Nothing here knows about locks or sleepers.
//!
//! # Memory orderings
//! Most words belong to one of the two locks: only its holder reads and writes them, with relaxed accesses, which
//! the lock orders (acquire when it is taken; release when it is released, or the kernel's own barrier when its
//! holder has died). The following words are accessed across locks:
//!
//! | word | written | read | what the pair orders |
//! |---|---|---|---|
//! | `TAIL` | release, send lock | acquire, without it | writes of slots and the stream before a receiver's reads |
//! | `HEAD` | release, receive lock | acquire, without it | writes of members and leases before their use |
//! | `FREED`, `STREAM_FREED` | release, receive lock | acquire, send lock | reads of a slot before its reuse |
//! | `EPOCH` | release, no lock | acquire, no lock | the close of a line before a sender asks the kernel |
//! | PID of a member | release | acquire | all other words of the member: see [`super::members`] |
//! | words of a lease | release, receive lock | acquire, without it | see [`super::leases`] |
//!
//! The tests in `orders.rs` run this code under the memory models of arm64 and x86-64, and show that each pair is
//! needed.

use super::error::{AttachError, CreateError};
use super::layout::{FREED, HEAD, LEASE, Layout, MEMBER, TAIL, header};
use super::nonce::fresh_nonce;
use crate::shm::region::Region;
use crate::shm::word::Word64;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

/// The smallest page size of any supported processor, in bytes.
const SMALLEST_PAGE: usize = 4096;

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) region: Region,
    pub(super) layout: Layout,
}

impl Memory {
    pub(super) fn create(layout: Layout) -> Result<Self, CreateError> {
        let region = Region::create(layout.file_len, layout.mapped())?;
        // Memory that every queue uses is reserved now, because a page that is unavailable later would cause
        // SIGBUS. The rest is reserved when it is first used: an idle queue takes a few pages.
        region.reserve(0, layout.slot(0) as u64)?;
        region.reserve(layout.members as u64, MEMBER as u64)?;
        region.reserve(layout.leases as u64, LEASE as u64)?;
        for (index, word) in layout.header(fresh_nonce()?).into_iter().enumerate() {
            region.word(index * 8).store(word, Ordering::Relaxed);
        }
        Ok(Memory { region, layout })
    }

    /// What no other queue has: its nonce, and the number of its inode.
    pub(super) fn identity(&self) -> io::Result<(u64, u64)> {
        Ok((self.load(header::NONCE), self.region.inode()?))
    }

    /// Opens memory that came from another process.
    pub(super) fn attach(file: OwnedFd) -> Result<Self, AttachError> {
        let mut found = None;
        let region = Region::open(file, |bytes: &[u8; header::LEN], file_len| {
            let layout = Layout::from_header(bytes, file_len)?;
            found = Some(layout);
            Ok::<_, AttachError>(layout.mapped())
        })?;
        let layout = found.ok_or(AttachError::Header("it is empty"))?;
        Ok(Memory { region, layout })
    }

    #[inline(always)]
    pub(super) fn word(&self, offset: usize) -> &Word64 {
        self.region.word(offset)
    }

    /// Reads a word that a lock guards, or a hint.
    #[inline(always)]
    #[cfg_attr(test, track_caller)]
    pub(super) fn load(&self, offset: usize) -> u64 {
        self.word(offset).load(Ordering::Relaxed)
    }

    /// Writes a word that a lock guards, or a hint.
    #[inline(always)]
    #[cfg_attr(test, track_caller)]
    pub(super) fn store(&self, offset: usize, value: u64) {
        self.word(offset).store(value, Ordering::Relaxed);
    }

    /// Reserves memory for the next entry of a table, at `offset`, if it is the first one of a page. Entries are used in
    /// order, so the others of its page follow it.
    pub(super) fn reserve_entry(&self, offset: usize, len: usize) -> io::Result<()> {
        if offset.is_multiple_of(SMALLEST_PAGE) {
            self.region.reserve(offset as u64, len as u64)?;
        }
        Ok(())
    }

    /// The number of queued messages, without those that were leased and returned.
    pub(super) fn queued(&self) -> u64 {
        // HEAD first: it never passes TAIL, so the difference is never negative.
        let head = self.word(HEAD).load(Ordering::Acquire);
        let tail = self.word(TAIL).load(Ordering::Acquire);
        tail.saturating_sub(head).min(self.layout.capacity)
    }

    /// The numbers of the next message to be taken and of the next message to be sent.
    pub(super) fn ends(&self) -> (u64, u64) {
        // HEAD first: it never passes TAIL.
        let head = self.word(HEAD).load(Ordering::Acquire);
        (head, self.word(TAIL).load(Ordering::Acquire))
    }

    pub(super) fn is_full(&self) -> bool {
        let freed = self.word(FREED).load(Ordering::Acquire);
        let tail = self.word(TAIL).load(Ordering::Acquire);
        tail.saturating_sub(freed) >= self.layout.capacity
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Layout;
    use super::super::policy::Policy;
    use super::*;
    use crate::shm::region::RegionError;
    use crate::sys::mmap::create_sealed;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    fn attach(file: impl Into<OwnedFd>) -> Result<Memory, AttachError> {
        Memory::attach(file.into())
    }

    #[test]
    fn memory_that_is_not_a_queue_is_refused() {
        let sealed = |len| File::from(create_sealed(len).unwrap());
        let file = File::open("/proc/self/exe").unwrap();
        assert!(matches!(
            attach(file),
            Err(AttachError::Region(RegionError::NotSealed | RegionError::Os(_)))
        ));
        let (pipe, _writer) = io::pipe().unwrap();
        assert!(attach(pipe).is_err());
        for len in [0, 1, header::LEN as u64 - 1] {
            assert!(matches!(attach(sealed(len)), Err(AttachError::Region(RegionError::TooShort { .. }))));
        }
        assert!(matches!(attach(sealed(1 << 20)), Err(AttachError::Header(_))), "zeros");
        let queue = Memory::create(Layout::new(5, 1000, Policy::default()).unwrap()).unwrap();
        let mut valid = [0; header::LEN];
        queue.region.read(&mut valid, 0).unwrap();
        let len = queue.layout.file_len;
        for (file_len, is_right) in [(len, true), (len - 1, false), (header::LEN as u64, false)] {
            let memory = sealed(file_len);
            memory.write_all_at(&valid, 0).unwrap();
            assert_eq!(attach(memory).is_ok(), is_right, "{file_len} bytes");
        }
        // A different size limit that takes as many pages, or a different delivery limit, makes another valid
        // queue, and so does another nonce; neither does harm.
        let harmless = |at: &usize| {
            *at == header::LIMIT
                || (header::POLICY + 4..header::POLICY + 8).contains(at)
                || *at >= header::NONCE
        };
        for at in (0..header::LEN).filter(|at| !harmless(at)) {
            let memory = sealed(len);
            let mut invalid = valid;
            invalid[at] ^= 0x40;
            memory.write_all_at(&invalid, 0).unwrap();
            assert!(attach(memory).is_err(), "byte {at}");
        }
    }
}
