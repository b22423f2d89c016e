//! `packet(7)`: the IP packets that pass through the loopback interface.
//!
//! # Safety
//! The one unsafe call is `bind(2)` with an address of the kind that packet sockets take, for which
//! `nix` has no constructor.
#![expect(unsafe_code, reason = "bind of a packet socket")]

use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::sockopt::{RcvBuf, ReceiveTimestampns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg,
    setsockopt, socket,
};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Room for packets that wait to be looked at; the kernel drops those that do not fit.
const WAITING: usize = 4 << 20;

/// A packet socket on the loopback interface. It needs CAP_NET_RAW.
#[derive(Debug)]
pub struct Capture {
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
    /// `EPERM` without CAP_NET_RAW.
    pub fn loopback() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Cooked: the link header, of which loopback has none worth reading, is taken off.
        let fd = socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)?;
        setsockopt(&fd, ReceiveTimestampns, &true)?;
        setsockopt(&fd, RcvBuf, &WAITING)?;
        // SAFETY: all-zero bytes are a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = if_nametoindex("lo")? as i32;
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the pointer and the length are those of a local that outlives the call.
        match unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) } {
            0 => Ok(Self { fd }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The next packet that waits, as far as `buffer` holds it; `None` when none does.
    ///
    /// # Errors
    /// `ENETDOWN` when the interface went down.
    pub fn next(&self, buffer: &mut [u8]) -> io::Result<Option<Packet>> {
        loop {
            let mut control = nix::cmsg_space!(libc::timespec);
            let mut slices = [IoSliceMut::new(buffer)];
            let flags = MsgFlags::MSG_TRUNC;
            let message =
                match recvmsg::<LinkAddr>(self.fd.as_raw_fd(), &mut slices, Some(&mut control), flags) {
                    Ok(message) => message,
                    Err(nix::errno::Errno::EAGAIN) => return Ok(None),
                    Err(nix::errno::Errno::EINTR) => continue,
                    Err(errno) => return Err(errno.into()),
                };
            // On loopback each packet passes twice, going out and coming in: the second is counted.
            if message.address.is_none_or(|address| address.pkttype() != libc::PACKET_HOST) {
                continue;
            }
            let stamp = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|one| match one {
                    ControlMessageOwned::ScmTimestampns(at) => Some(at),
                    _ => None,
                })
            });
            let at_ns = stamp.map_or(0, |at| {
                u64::try_from(at.tv_sec()).unwrap_or(0) * 1_000_000_000
                    + u64::try_from(at.tv_nsec()).unwrap_or(0)
            });
            return Ok(Some(Packet { at_ns, length: message.bytes }));
        }
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
