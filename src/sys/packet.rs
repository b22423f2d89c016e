//! `packet(7)`: the IP packets that pass through the loopback interface.
//!
//! # Safety
//! The unsafe calls set socket options that `nix` has no types for, bind to an address of the kind that
//! packet sockets take, and map the ring that the kernel writes packets into. A slot of the ring belongs to
//! the kernel or to us, as its status says; it is read only while it is ours, and given back after that.
#![expect(unsafe_code, reason = "options, bind and ring of a packet socket")]

use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Of `linux/if_packet.h`.
const PACKET_RX_RING: i32 = 5;
const PACKET_STATISTICS: i32 = 6;
const PACKET_VERSION: i32 = 10;
const PACKET_IGNORE_OUTGOING: i32 = 23;
const TPACKET_V2: i32 = 1;

/// Bytes of a slot: the kernel's header, and the first 400 bytes or so of a packet.
const SLOT: usize = 512;
/// Packets that may wait to be looked at. A socket's buffer would be full of a few dozen, for it is charged
/// with whole packets; a ring takes no more than is kept of them.
const SLOTS: usize = 8192;
/// Slots lie in blocks, which are whole pages on every machine.
const BLOCK: usize = 64 << 10;
/// Where a slot's address begins: behind the header, aligned to 16 bytes.
const ADDRESS: usize = size_of::<libc::tpacket2_hdr>().next_multiple_of(16);

/// A packet socket on the loopback interface. It needs CAP_NET_RAW.
#[derive(Debug)]
pub struct Capture {
    ring: Ring,
    next: usize,
    fd: OwnedFd,
}

/// One captured packet, from its IP header on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Nanoseconds of the system's clock at which the kernel handled it.
    pub at_ns: u64,
    /// The length of the packet; the buffer may hold less.
    pub length: usize,
}

impl Capture {
    /// Sees every packet on the loopback interface from now on.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_RAW; `ENOMEM` without 4 MiB for the packets that wait.
    pub fn loopback() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Cooked: the link header, of which loopback has none worth reading, is taken off.
        let fd = socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)?;
        set(&fd, PACKET_VERSION, &TPACKET_V2)?;
        // On loopback each packet passes twice, going out and coming in: the second is enough.
        set(&fd, PACKET_IGNORE_OUTGOING, &1_i32)?;
        let ring = libc::tpacket_req {
            tp_block_size: BLOCK as u32,
            tp_block_nr: (SLOTS * SLOT / BLOCK) as u32,
            tp_frame_size: SLOT as u32,
            tp_frame_nr: SLOTS as u32,
        };
        set(&fd, PACKET_RX_RING, &ring)?;
        let ring = Ring::map(&fd)?;
        // SAFETY: all-zero bytes are a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = if_nametoindex("lo")? as i32;
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the pointer and the length are those of a local that outlives the call.
        match unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) } {
            0 => Ok(Self { ring, next: 0, fd }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The next packet that waits, as far as `buffer` and a slot of the ring hold it; `None` when none does.
    pub fn next(&mut self, buffer: &mut [u8]) -> Option<Packet> {
        loop {
            let slot = self.ring.slot(self.next);
            let header = slot.cast::<libc::tpacket2_hdr>();
            // SAFETY: the status is the first field of a slot, aligned as the slot is, and both the kernel and
            // this process change it by whole stores only.
            let status = unsafe { AtomicU32::from_ptr(slot.cast::<u32>().as_ptr()) };
            if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return None;
            }
            // SAFETY: the slot is ours until its status is cleared below, and the kernel has written a header
            // and an address into it.
            let (header, address) = unsafe {
                (header.read(), slot.byte_add(ADDRESS).cast::<libc::sockaddr_ll>().read_unaligned())
            };
            let from = usize::from(header.tp_net).min(SLOT);
            let kept = (header.tp_snaplen as usize).min(SLOT - from).min(buffer.len());
            // SAFETY: `from + kept` is within the slot and `kept` within the buffer.
            unsafe { slot.byte_add(from).copy_to_nonoverlapping(NonNull::from(&mut *buffer).cast(), kept) };
            status.store(0, Ordering::Release);
            self.next = (self.next + 1) % SLOTS;
            if address.sll_pkttype == libc::PACKET_HOST {
                let at_ns = u64::from(header.tp_sec) * 1_000_000_000 + u64::from(header.tp_nsec);
                return Some(Packet { at_ns, length: header.tp_len as usize });
            }
        }
    }

    /// How many packets found no room to wait in since this was last asked.
    ///
    /// # Errors
    /// Never on a packet socket, as far as is known.
    pub fn missed(&self) -> io::Result<u32> {
        let mut counts = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the pointers are those of locals that outlive the call, and the length is the first one's.
        let got = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                PACKET_STATISTICS,
                (&raw mut counts).cast(),
                &raw mut length,
            )
        };
        if got == 0 { Ok(counts.tp_drops) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Sets an option of a packet socket whose value is a `T`.
fn set<T>(fd: &OwnedFd, option: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: the pointer and the length are those of a value that outlives the call.
    match unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_PACKET, option, value, length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The slots that the kernel puts packets into, in turn.
#[derive(Debug)]
struct Ring(NonNull<c_void>);

// SAFETY: the mapping belongs to no thread, and a slot is read through `&mut Capture` only.
unsafe impl Send for Ring {}

impl Ring {
    const LENGTH: NonZeroUsize = NonZeroUsize::new(SLOTS * SLOT).unwrap();

    fn map(fd: &OwnedFd) -> io::Result<Self> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, of a ring of exactly this length.
        let base = unsafe { mmap(None, Self::LENGTH, access, MapFlags::MAP_SHARED, fd, 0) }?;
        Ok(Self(base))
    }

    fn slot(&self, number: usize) -> NonNull<c_void> {
        // SAFETY: the number is taken modulo the slots, so the result lies in the mapping.
        unsafe { self.0.byte_add(number % SLOTS * SLOT) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map`, and nothing borrows from it.
        let _ = unsafe { munmap(self.0, Self::LENGTH.get()) };
    }
}
