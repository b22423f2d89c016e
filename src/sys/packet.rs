//! `packet(7)`: the IP packets that pass through the loopback interface.
//!
//! # Safety
//! The unsafe calls set socket options for which `nix` has no types, bind to an address of the type that packet
//! sockets take, and map the ring into which the kernel writes packets. The status of a slot of the ring says
//! whether it belongs to the kernel or to us; it is read only while it is ours, and returned afterwards.
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

// From `linux/if_packet.h`.
const PACKET_RX_RING: i32 = 5;
const PACKET_STATISTICS: i32 = 6;
const PACKET_VERSION: i32 = 10;
const PACKET_IGNORE_OUTGOING: i32 = 23;
const TPACKET_V2: i32 = 1;

/// Bytes per slot: the kernel's header, and about the first 400 bytes of a packet.
const SLOT: usize = 512;
/// The number of packets that can be pending. A socket buffer would be full after a few dozen, because whole
/// packets are charged to it; the ring holds only the captured part of each.
const SLOTS: usize = 8192;
/// Bytes per block of slots, a multiple of the page size on every machine.
const BLOCK: usize = 64 << 10;
/// The offset of the address in a slot: after the header, aligned to 16 bytes.
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
    /// The time at which the kernel handled it, in nanoseconds of the system clock.
    pub at_ns: u64,
    /// The length of the packet, of which the buffer may hold less.
    pub length: usize,
}

impl Capture {
    /// Captures every packet on the loopback interface from now on.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_RAW; `ENOMEM` if 4 MiB are not available for the ring.
    pub fn loopback() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Cooked packets: without the link header, which is of no use on loopback.
        let fd = socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)?;
        set(&fd, PACKET_VERSION, &TPACKET_V2)?;
        // On loopback each packet is seen twice, outgoing and incoming; the latter is enough.
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

    /// Copies the next pending packet into `buffer`, truncated to the buffer and to a slot of the ring; `None` if no
    /// packet is pending.
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

    /// The number of packets dropped since the last call because the ring was full.
    ///
    /// # Errors
    /// None are known for a packet socket.
    pub fn missed(&self) -> io::Result<u32> {
        let mut counts = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the pointers are to locals that outlive the call, and the length is that of the first.
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

/// The ring of slots into which the kernel writes packets.
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
        // SAFETY: the number is reduced modulo the number of slots, so the result is in the mapping.
        unsafe { self.0.byte_add(number % SLOTS * SLOT) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping was created by `map`, and nothing borrows from it.
        let _ = unsafe { munmap(self.0, Self::LENGTH.get()) };
    }
}
