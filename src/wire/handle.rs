//! Descriptors inside of values: any open file can travel over an `ipc-channel`.

use crate::sys::descriptor::{receive_descriptor, send_descriptor};
use crate::wire::{codec, endpoint::socket_of};
use ipc_channel::ipc::{self, IpcReceiver};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An open descriptor that can be a field of an argument or a result.
///
/// Sending it gives the other process a duplicate (`SCM_RIGHTS`, `unix(7)`): both refer to one open
/// file description. `ipc-channel` itself carries only its own channels and memory, so the descriptor
/// waits inside the socket of a throw-away channel, which travels in its stead. Whoever dies on the
/// way, the kernel closes what was in flight.
///
/// It cannot be encoded by itself: bytes in a file or in a queue carry no descriptor.
#[derive(Debug)]
pub struct Fd(OwnedFd);

impl Fd {
    /// The descriptor itself.
    pub fn into_owned(self) -> OwnedFd {
        self.0
    }
}

impl From<OwnedFd> for Fd {
    fn from(fd: OwnedFd) -> Self {
        Fd(fd)
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Serialize for Fd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if codec::is_encoding() {
            return Err(ser::Error::custom(
                "a descriptor can only be sent to another process, as an argument",
            ));
        }
        let (sender, carrier) = ipc::channel::<()>().map_err(ser::Error::custom)?;
        let socket = socket_of(&sender).map_err(ser::Error::custom)?;
        send_descriptor(socket, self.as_fd()).map_err(ser::Error::custom)?;
        carrier.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if codec::is_decoding() {
            return Err(de::Error::custom("bytes carry no descriptor"));
        }
        let carrier = IpcReceiver::<()>::deserialize(deserializer)?;
        let socket = socket_of(&carrier).map_err(de::Error::custom)?;
        receive_descriptor(socket).map(Fd).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    #[test]
    fn a_descriptor_travels_inside_a_value() {
        let (sender, receiver) = ipc::channel::<(u8, Fd)>().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        sender.send((7, Fd::from(OwnedFd::from(writer)))).unwrap();
        let (seven, writer) = receiver.recv().unwrap();
        File::from(writer.into_owned()).write_all(b"through").unwrap();
        let mut text = String::new();
        { reader }.read_to_string(&mut text).unwrap();
        assert_eq!((seven, text.as_str()), (7, "through"));
    }

    #[test]
    fn bytes_alone_carry_no_descriptor() {
        let null = Fd::from(OwnedFd::from(File::open("/dev/null").unwrap()));
        assert!(codec::encode(&null).is_err());
        assert!(codec::decode::<Fd>(&[0]).is_err());
    }
}
