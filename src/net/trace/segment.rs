//! A TCP segment, parsed from the bytes of an IP packet.

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use std::net::{IpAddr, SocketAddr};

/// The parts of a segment that a diagram shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The sender.
    pub from: SocketAddr,
    /// The receiver.
    pub to: SocketAddr,
    /// Its flags.
    pub flags: Flags,
    /// The sequence number of its first byte.
    pub seq: u32,
    /// The sequence number of the next expected byte, if ACK is set.
    pub ack: u32,
    /// The number of bytes of data.
    pub length: usize,
    /// The first bytes of data.
    pub head: Vec<u8>,
}

/// The flags that a diagram shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// The first segment of a direction.
    pub syn: bool,
    /// The last segment of a direction.
    pub fin: bool,
    /// The connection is reset.
    pub rst: bool,
    /// The receiver should deliver its data at once.
    pub psh: bool,
    /// The acknowledgement number is valid.
    pub ack: bool,
}

impl Segment {
    /// Parses a packet from its IP header on; `bytes` may be only its beginning. `None` if it is malformed or not TCP.
    pub fn parse(bytes: &[u8], packet_length: usize) -> Option<Self> {
        let packet = LaxSlicedPacket::from_ip(bytes).ok()?;
        let (source, target): (IpAddr, IpAddr) = match packet.net.as_ref()? {
            LaxNetSlice::Ipv4(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            LaxNetSlice::Ipv6(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            LaxNetSlice::Arp(_) => return None,
        };
        let Some(TransportSlice::Tcp(tcp)) = packet.transport.as_ref() else { return None };
        // The data is the rest of the packet after the headers, even if the buffer contains only part of it.
        let headers = bytes.len() - tcp.payload().len();
        Some(Self {
            from: SocketAddr::new(source, tcp.source_port()),
            to: SocketAddr::new(target, tcp.destination_port()),
            flags: Flags { syn: tcp.syn(), fin: tcp.fin(), rst: tcp.rst(), psh: tcp.psh(), ack: tcp.ack() },
            seq: tcp.sequence_number(),
            ack: tcp.acknowledgment_number(),
            length: packet_length.saturating_sub(headers),
            head: tcp.payload().iter().take(32).copied().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..256), length in 0..70_000_usize) {
            let _ = Segment::parse(&bytes, length);
        }

        #[test]
        fn a_cut_packet_says_how_long_its_data_was(data in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut packet = Vec::new();
            etherparse::PacketBuilder::ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64)
                .tcp(1000, 2000, 7, 100)
                .ack(9)
                .psh()
                .write(&mut packet, &data)
                .unwrap();
            let segment = Segment::parse(&packet[..packet.len().min(256)], packet.len()).unwrap();
            prop_assert_eq!((segment.seq, segment.ack, segment.length), (7, 9, data.len()));
            prop_assert!(data.starts_with(&segment.head));
        }
    }
}
