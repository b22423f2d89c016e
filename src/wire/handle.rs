//! Descriptors in values: any open file can be an argument, or part of one.

use super::attachments::{attach, detach, refusal};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An open descriptor that can be part of a value that is sent to another process.
///
/// Sending it gives the other process a duplicate, which refers to the same open file description (`SCM_RIGHTS`,
/// `unix(7)`). A value can contain any number of descriptors, up to the receiver's limit on open files.
///
/// It cannot be encoded to bytes alone, which carry no descriptors.
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
        serializer.serialize_u32(attach(self.as_fd()).map_err(|error| ser::Error::custom(refusal(error)))?)
    }
}

impl<'de> Deserialize<'de> for Fd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        detach(number).map(Fd).ok_or_else(|| de::Error::custom("bytes carry no descriptor"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{codec, control};
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    #[test]
    fn a_descriptor_can_be_sent_in_a_value() {
        let (sender, receiver) = control::channel::<(u8, Fd)>().unwrap();
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
        let words = codec::encode(&null).unwrap_err().to_string();
        assert!(words.contains("not in bytes alone"), "{words}");
        assert!(codec::decode::<Fd>(&[0; 4]).is_err());
    }
}
