//! What all ends of a queue share: the memory, the bells and the two locks.

use super::bell::Bell;
use super::error::{AttachError, CreateError};
use super::layout::{self, Layout, header};
use super::process_id::ProcessId;
use super::receiving::Receiving;
use super::sending::Sending;
use crate::shm::region::Region;
use crate::sync::robust_mutex::{LockError, Locked, lock, try_lock};
use crate::sys::poll::{self, Deadline};
use crate::wire::inherit::Registered;
use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socketpair};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) region: Region,
    pub(super) layout: Layout,
    /// Rings when something came in.
    pub(super) items: Bell,
    /// Rings when there is room again.
    pub(super) space: Bell,
    /// Rings when nothing is queued and nothing is leased.
    pub(super) settled: Bell,
    /// Holders of leases that this process watches.
    pub(super) watched: Mutex<HashMap<ProcessId, Arc<OwnedFd>>>,
}

impl Channel {
    pub(super) fn create(capacity: usize, limit: u64) -> Result<Self, CreateError> {
        let layout = Layout::new(capacity, limit)?;
        let region = Region::create(layout.file_len, layout.mapped())?;
        // What is always there gets its memory now, for the lack of it would be SIGBUS later. Slots
        // of a large queue get theirs on the first round.
        region.reserve(0, layout.slot(0) as u64)?;
        region.reserve(layout.members as u64, (layout.stream - layout.members) as u64)?;
        for (index, word) in layout.header().into_iter().enumerate() {
            region.word(index * 8).store(word, Ordering::Relaxed);
        }
        Ok(Self::assemble(region, layout, [Bell::new()?, Bell::new()?, Bell::new()?]))
    }

    /// From descriptors that came from another process.
    pub(super) fn attach(memory: OwnedFd, bells: [OwnedFd; 3]) -> Result<Self, AttachError> {
        let mut found = None;
        let region = Region::open(memory, |bytes: &[u8; header::LEN], file_len| {
            let layout = Layout::from_header(bytes, file_len)?;
            found = Some(layout);
            Ok::<_, AttachError>(layout.mapped())
        })?;
        let layout = found.ok_or(AttachError::Header("it holds nothing"))?;
        Ok(Self::assemble(region, layout, bells.map(Bell::from)))
    }

    fn assemble(region: Region, layout: Layout, [items, space, settled]: [Bell; 3]) -> Self {
        Channel { region, layout, items, space, settled, watched: Mutex::default() }
    }

    #[inline(always)]
    pub(super) fn word(&self, offset: usize) -> &AtomicU64 {
        self.region.word(offset)
    }

    #[inline(always)]
    pub(super) fn load(&self, offset: usize) -> u64 {
        self.word(offset).load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(super) fn store(&self, offset: usize, value: u64) {
        self.word(offset).store(value, Ordering::Relaxed);
    }

    /// The receive lock, with what a killed holder left half done put right.
    #[inline(always)]
    pub(super) fn receiving(&self, deadline: Deadline) -> Result<Receiving<'_>, LockError> {
        if let Some(held) = try_lock(self.region.words32(layout::RECV_LOCK)) {
            return Ok(Receiving::new(self, held));
        }
        self.receiving_later(deadline)
    }

    #[cold]
    fn receiving_later(&self, deadline: Deadline) -> Result<Receiving<'_>, LockError> {
        let Locked { held, owner_died } = lock(self.region.words32(layout::RECV_LOCK), deadline)?;
        let mut receiving = Receiving::new(self, held);
        if owner_died {
            receiving.recover();
        }
        Ok(receiving)
    }

    pub(super) fn len(&self) -> usize {
        // HEAD first: it never passes TAIL, so the difference is never negative.
        let head = self.word(layout::HEAD).load(Ordering::Acquire);
        let tail = self.word(layout::TAIL).load(Ordering::Acquire);
        let queued = tail.saturating_sub(head).min(self.layout.capacity);
        queued as usize + super::leases::returned(self)
    }

    pub(super) fn is_full(&self) -> bool {
        let freed = self.word(layout::FREED).load(Ordering::Acquire);
        let tail = self.word(layout::TAIL).load(Ordering::Acquire);
        tail.saturating_sub(freed) >= self.layout.capacity
    }
}

/// One side of a queue in one process, shared by all handles of that side here.
///
/// The sides are the two ends of a `socketpair(2)` over which nothing is ever sent. A process that has a
/// sender has a descriptor of the one end, a process that has a receiver one of the other, and so does a
/// message that carries a handle to a process that has yet to receive it. When the last descriptor of an
/// end is gone, whoever held it and however it died, the kernel hangs up the other end, and `poll(2)`
/// says so at once to all who sleep. That is all there is to knowing who lives: no list, no count, no PID.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) channel: Arc<Channel>,
    /// `None` only while it is dropped.
    line: Option<OwnedFd>,
    /// A forked child closes the line unless it was given a handle of this side.
    registered: Option<Registered>,
}

impl Side {
    pub(super) fn pair(channel: Channel) -> io::Result<(Self, Self)> {
        let channel = Arc::new(channel);
        let (one, other) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Self::new(Arc::clone(&channel), one), Self::new(channel, other)))
    }

    pub(super) fn attach(channel: Channel, line: OwnedFd) -> Self {
        Self::new(Arc::new(channel), line)
    }

    fn new(channel: Arc<Channel>, line: OwnedFd) -> Self {
        let registered = Some(Registered::new(line.as_fd()));
        Side { channel, line: Some(line), registered }
    }

    /// A handle of this side is dropped.
    pub(super) fn note_dropped(&self) {
        if let Some(registered) = &self.registered {
            registered.note_dropped();
        }
    }

    pub(super) fn line(&self) -> BorrowedFd<'_> {
        self.line.as_ref().expect("a side has its line until it is dropped").as_fd()
    }

    /// Whether the other side has no live process any more, or the queue was closed.
    pub(super) fn is_hung_up(&self) -> bool {
        let now = Deadline::after(Duration::ZERO);
        poll::readable(&[self.line()], now).is_ok_and(|ready| ready[0])
    }

    /// The send lock. A killed holder may have closed the queue and died before it left the note.
    #[inline(always)]
    pub(super) fn sending(&self, deadline: Deadline) -> Result<Sending<'_>, LockError> {
        if let Some(held) = try_lock(self.channel.region.words32(layout::SEND_LOCK)) {
            return Ok(Sending::new(&self.channel, held));
        }
        self.sending_later(deadline)
    }

    #[cold]
    fn sending_later(&self, deadline: Deadline) -> Result<Sending<'_>, LockError> {
        let Locked { held, owner_died } = lock(self.channel.region.words32(layout::SEND_LOCK), deadline)?;
        let sending = Sending::new(&self.channel, held);
        if owner_died {
            sending.recover();
            if self.is_hung_up() {
                sending.note_closed();
            }
        }
        Ok(sending)
    }

    /// Closes the queue for everybody. Hanging up is the one step that counts; the note saves the
    /// senders from asking the kernel each time.
    pub(super) fn close(&self) -> Result<(), LockError> {
        {
            let sending = self.sending(Deadline::NEVER)?;
            let _ = shutdown(self.line().as_raw_fd(), Shutdown::Both);
            sending.note_closed();
        }
        self.channel.word(layout::EPOCH).fetch_add(1, Ordering::Release);
        Ok(())
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        drop(self.registered.take());
        drop(self.line.take());
        // Only after the line is closed: who sees the new number and asks must get the new answer.
        self.channel.word(layout::EPOCH).fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::region::RegionError;
    use crate::sys::mmap::create_sealed;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    fn attach(memory: impl Into<OwnedFd>) -> Result<Channel, AttachError> {
        Channel::attach(memory.into(), [(); 3].map(|()| File::open("/dev/null").unwrap().into()))
    }

    #[test]
    fn memory_that_is_no_queue_is_refused() {
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
        let queue = Channel::create(5, 1000).unwrap();
        let mut honest = [0; header::LEN];
        queue.region.read(&mut honest, 0).unwrap();
        let len = queue.layout.file_len;
        for (file_len, is_right) in [(len, true), (len - 1, false), (header::LEN as u64, false)] {
            let memory = sealed(file_len);
            memory.write_all_at(&honest, 0).unwrap();
            assert_eq!(attach(memory).is_ok(), is_right, "{file_len} bytes");
        }
        // A limit that takes as many pages is that of another queue, and does no harm.
        for at in (0..header::LEN).filter(|at| *at != header::LIMIT) {
            let memory = sealed(len);
            let mut lie = honest;
            lie[at] ^= 0x40;
            memory.write_all_at(&lie, 0).unwrap();
            assert!(attach(memory).is_err(), "byte {at}");
        }
    }
}
