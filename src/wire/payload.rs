//! A value of any size, handles included, in one small message.
//!
//! `ipc-channel` cuts a long message in pieces, and whoever receives it blocks until the last has come:
//! a sender that is stopped half-way would stop the receiver with it, whatever its deadline. So a long
//! value travels as a file in memory, which is complete before the message is sent.

use super::codec;
use super::handle::Fd;
use crate::sys::mmap::{create_sealed, sealed_len};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, Write};

/// Bytes of a value that go into the message itself: well below where messages are cut.
const MOST_INLINE: usize = 16 << 10;

/// A value to be sent, or what came of one that was: the value, or why it cannot be read.
#[derive(Debug)]
pub(crate) struct Payload<T>(Result<T, String>);

#[derive(Debug, Serialize, Deserialize)]
enum Carrier {
    Inline(Vec<u8>),
    Memory(Fd),
}

thread_local! {
    static FAILURE: RefCell<Option<String>> = const { RefCell::new(None) };
}

impl<T> Payload<T> {
    pub(crate) fn new(value: T) -> Self {
        Payload(Ok(value))
    }

    pub(crate) fn into_inner(self) -> Result<T, String> {
        self.0
    }
}

/// Why the last payload of this thread could not be sent, in its own words: the errors of `ipc-channel`
/// keep none.
pub(crate) fn take_failure() -> Option<String> {
    FAILURE.take()
}

impl<T: Serialize> Serialize for Payload<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let failed = |reason: String| {
            FAILURE.set(Some(reason.clone()));
            ser::Error::custom(reason)
        };
        FAILURE.set(None);
        let value = self.0.as_ref().map_err(|reason| failed(reason.clone()))?;
        let bytes = codec::encode_with_handles(value).map_err(|error| failed(error.to_string()))?;
        let carrier = if bytes.len() <= MOST_INLINE {
            Carrier::Inline(bytes)
        } else {
            Carrier::Memory(memory(&bytes).map_err(|error| failed(error.to_string()))?)
        };
        carrier.serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Payload<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = match Carrier::deserialize(deserializer)? {
            Carrier::Inline(bytes) => Ok(bytes),
            Carrier::Memory(file) => content(file).map_err(|error| error.to_string()),
        };
        let decoded = |bytes: Vec<u8>| codec::decode_with_handles(&bytes).map_err(|error| error.to_string());
        Ok(Payload(bytes.and_then(decoded)))
    }
}

fn memory(bytes: &[u8]) -> io::Result<Fd> {
    let mut file = File::from(create_sealed(bytes.len() as u64)?);
    file.write_all(bytes)?;
    Ok(Fd::from(std::os::fd::OwnedFd::from(file)))
}

fn content(file: Fd) -> io::Result<Vec<u8>> {
    let file = file.into_owned();
    let len = sealed_len(std::os::fd::AsFd::as_fd(&file))?.ok_or(io::ErrorKind::InvalidData)?;
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    let mut file = File::from(file);
    // Sender and receiver have one offset.
    file.rewind()?;
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipc_channel::ipc::{self, IpcSender};

    #[test]
    fn short_and_long_values_travel_with_their_handles() {
        for len in [0, MOST_INLINE - 100, MOST_INLINE + 1, 3_000_000] {
            let (sender, receiver) = ipc::channel::<Payload<(Vec<u8>, IpcSender<u8>)>>().unwrap();
            let (inner, answers) = ipc::channel().unwrap();
            // Nobody receives yet: a message that was cut would block here.
            sender.send(Payload::new((vec![7; len], inner))).unwrap();
            let (bytes, inner) = receiver.recv().unwrap().into_inner().unwrap();
            inner.send(1).unwrap();
            assert_eq!((bytes, answers.recv().unwrap()), (vec![7; len], 1));
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let (sender, receiver) = ipc::channel::<Payload<u8>>().unwrap();
        let (_, texts): (_, ipc::IpcReceiver<Payload<String>>) = ((), receiver.to_opaque().to());
        sender.send(Payload::new(200)).unwrap();
        assert!(!texts.recv().unwrap().into_inner().unwrap_err().is_empty());
    }
}
