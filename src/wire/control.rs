//! The control plane: sends values, with any number of descriptors in them, between processes.
//!
//! Messages are sent over `ipc-channel`, which only this file uses. It works around the following limits of that
//! crate:
//! - *It does not lend its descriptors*, but waiting for a message or for the sender's death needs one, and so does
//!   passing the first channel to a new executable. The number is parsed from the crate's `Debug` output, which
//!   `probe` verifies once by sending a byte through it. The dependency is pinned to one version.
//! - *It carries only its own channels, at most 64 per message*. Descriptors are put into the socket of a temporary
//!   channel, the `Carrier`, which holds many more and is sent instead of them.
//! - *It fragments long messages*, so a sender that is stopped halfway would block its receiver. A long value is sent
//!   as a file in memory, which is complete before the message is sent.
//! - *It panics on a message that lost its descriptors*, as at the limit on open files. The message is peeked at first,
//!   and stays in the socket.
//! - *Ends of another version of it* are meaningless numbers here. They are refused when they are sent.
//!
//! # Safety
//! The number of a descriptor that belongs to an end of a channel is borrowed only while the end is alive.
#![expect(unsafe_code, reason = "ipc-channel does not lend its descriptors")]

/// Why a value was not sent or received.
mod error;

use super::attachments::{self, attach, refusal};
use super::codec;
use super::handle::Fd;
use super::panics::without_panic;
use crate::sys::descriptor::{
    Peeked, is_packet_socket, peek, receive_descriptors, replace, send_byte, send_descriptors, take_byte,
};
use crate::sys::mmap::{create_sealed, sealed_len};
use crate::sys::poll::{Deadline, readable};
use ipc_channel::TryRecvError as IpcTryRecvError;
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use serde::de::value::U64Deserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::fmt::{self, Debug};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;

pub use super::codec::Message;
pub(super) use error::MOST_ENDS;
use error::VERSION;
pub use error::{SendError, TryRecvError};

/// The maximum number of bytes of a value in the message itself: well below the size at which messages are fragmented.
const MOST_INLINE: usize = 16 << 10;
/// Prefixes of the names of types that are ends of any version of `ipc-channel`, also behind a reference or in a box.
pub(super) const NAMES_OF_ENDS: [&str; 3] =
    ["ipc_channel::ipc::", "&ipc_channel::ipc::", "alloc::boxed::Box<ipc_channel::ipc::"];

/// The sending end of a channel. A value can contain it.
pub struct Sender<T> {
    inner: IpcSender<Packed<T>>,
}

/// The receiving end of a channel. A value can contain it, and it can be polled.
pub struct Receiver<T> {
    inner: IpcReceiver<Packed<T>>,
    /// The descriptor that `inner` owns.
    socket: RawFd,
}

/// Creates a channel for values that may contain handles of any kind.
///
/// # Errors
/// As `socketpair(2)`.
pub fn channel<T: Message>() -> io::Result<(Sender<T>, Receiver<T>)> {
    probe()?;
    let (sender, receiver) = ipc::channel::<()>()?;
    let socket = socket_of(&receiver)?.as_raw_fd();
    Ok((Sender { inner: sender.to_opaque().to() }, Receiver { inner: receiver.to_opaque().to(), socket }))
}

/// The value once more, as another process would receive it: any handle in it is a duplicate.
///
/// # Errors
/// [`SendError::Encode`] for a value that cannot travel, [`SendError::Os`] at the limit of descriptors.
pub(crate) fn duplicate<T: Message>(value: &T) -> Result<T, SendError> {
    let (there, here) = channel::<T>().map_err(SendError::Os)?;
    there.send_copy(value)?;
    here.recv().map_err(|error| match error.errno() {
        Some(errno) => SendError::Os(io::Error::from_raw_os_error(errno)),
        None => SendError::Os(io::Error::other(error.to_string())),
    })
}

impl<T: Message> Sender<T> {
    /// Sends `value`.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send(&self, value: T) -> Result<(), SendError> {
        self.send_copy(&value)
    }

    /// Sends what `value` is; any handle in it is sent as a duplicate.
    pub(crate) fn send_copy(&self, value: &T) -> Result<(), SendError> {
        let outgoing = Outgoing::pack(value)?;
        self.inner.send(Packed::Outgoing(outgoing)).map_err(|error| match error {
            ipc_channel::IpcError::Disconnected => SendError::Disconnected,
            ipc_channel::IpcError::Io(error) => match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => SendError::Disconnected,
                _ => SendError::Os(error),
            },
            ipc_channel::IpcError::SerializationError(error) => SendError::Os(io::Error::other(error)),
        })
    }

    /// The socket of this end.
    ///
    /// # Errors
    /// When the version of `ipc-channel` is not the one that this file supports.
    pub(crate) fn socket(&self) -> io::Result<BorrowedFd<'_>> {
        socket_of(&self.inner)
    }

    /// Converts to an end for values of another type with the same encoding.
    pub(crate) fn cast<U: Message>(self) -> Sender<U> {
        Sender { inner: self.inner.to_opaque().to() }
    }
}

impl<T: Message> Receiver<T> {
    /// Receives a message, blocking until there is one.
    ///
    /// # Errors
    /// [`TryRecvError`], but never `Empty`.
    pub fn recv(&self) -> Result<T, TryRecvError> {
        loop {
            readable(&[self.as_fd()], Deadline::NEVER)?;
            match self.try_recv() {
                // Another process that has this end received it.
                Err(TryRecvError::Empty) => {}
                result => return result,
            }
        }
    }

    /// Receives a message if there is one, without blocking.
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.try_recv_undecoded()?.decode()
    }

    /// Like [`try_recv`](Self::try_recv), for a value that is decoded later, because decoding may take long or panic.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), except for errors of decoding, which come later.
    pub(crate) fn try_recv_undecoded(&self) -> Result<Undecoded<T>, TryRecvError> {
        match peek(self.as_fd())? {
            Peeked::Nothing => return Err(TryRecvError::Empty),
            Peeked::End => return Err(TryRecvError::Disconnected),
            Peeked::Message => {}
        }
        // `ipc-channel` panics on the number of a missing end, instead of returning an error.
        let received = without_panic(|| self.inner.try_recv()).unwrap_or_else(|panic| {
            Ok(Packed::Incoming(Err(TryRecvError::Unreadable(format!(
                "decoding the value panicked: {panic}"
            )))))
        });
        match received {
            Ok(Packed::Incoming(value)) => value,
            Ok(Packed::Outgoing(_)) => unreachable!("decoding never returns an outgoing message"),
            Err(IpcTryRecvError::Empty) => Err(TryRecvError::Empty),
            Err(IpcTryRecvError::IpcError(ipc_channel::IpcError::Disconnected)) => {
                Err(TryRecvError::Disconnected)
            }
            Err(IpcTryRecvError::IpcError(ipc_channel::IpcError::Io(error))) => Err(TryRecvError::Os(error)),
            Err(IpcTryRecvError::IpcError(error)) => Err(TryRecvError::Unreadable(error.to_string())),
        }
    }

    /// Converts to an end for values of another type with the same encoding.
    pub(crate) fn cast<U: Message>(self) -> Receiver<U> {
        Receiver { inner: self.inner.to_opaque().to(), socket: self.socket }
    }

    /// Creates a receiver from the socket of one, which an executable has inherited.
    ///
    /// It creates a new channel, and makes the descriptor of its receiver refer to `socket`.
    ///
    /// # Errors
    /// `InvalidInput` when `socket` is not a packet socket; otherwise as `socketpair(2)`.
    pub(crate) fn adopt(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let (_sender, receiver) = channel::<T>()?;
        redirect(receiver.as_fd(), socket)?;
        Ok(receiver)
    }
}

/// Like [`Receiver::adopt`], for a receiver and the sender of another channel, at the price of one.
///
/// # Errors
/// As [`Receiver::adopt`].
pub(crate) fn adopt_both<S: Message, R: Message>(
    sender: BorrowedFd<'_>,
    receiver: BorrowedFd<'_>,
) -> io::Result<(Sender<S>, Receiver<R>)> {
    let (new_sender, new_receiver) = channel::<()>()?;
    redirect(new_sender.socket()?, sender)?;
    redirect(new_receiver.as_fd(), receiver)?;
    Ok((new_sender.cast(), new_receiver.cast()))
}

/// Makes `end`, the descriptor of a channel's end, refer to `socket`.
fn redirect(end: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> io::Result<()> {
    if !is_packet_socket(socket) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the descriptor is not a packet socket"));
    }
    // SAFETY: an end relies only on its descriptor being a packet socket.
    unsafe { replace(end, socket) }
}

impl<T> AsFd for Receiver<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `inner` owns this descriptor and keeps it open until it is dropped. It gives up the descriptor only
        // when it is encoded, which never happens here.
        unsafe { BorrowedFd::borrow_raw(self.socket) }
    }
}

/// An end of a channel of `ipc-channel`.
trait End: Debug {}

impl<T: Debug> End for IpcSender<T> {}
impl<T: Debug> End for IpcReceiver<T> {}

/// The socket of an end, parsed from `… SharedFileDescriptor(3) …` or `… fd: Cell { value: 4 } …`.
fn socket_of(end: &impl End) -> io::Result<BorrowedFd<'_>> {
    let printed = format!("{end:?}");
    let number = ["SharedFileDescriptor(", "Cell { value: "].iter().find_map(|mark| {
        let (_, after) = printed.split_once(mark)?;
        let digits = after.find(|c: char| !c.is_ascii_digit())?;
        after[..digits].parse::<RawFd>().ok()
    });
    let unknown = || {
        let what = format!("ipc-channel prints an end as `{printed}`: version {VERSION} is needed");
        io::Error::new(io::ErrorKind::Unsupported, what)
    };
    // SAFETY: the end prints the descriptor that it owns, as `probe` has verified for this version, and keeps it open
    // while it is borrowed.
    let socket = unsafe { BorrowedFd::borrow_raw(number.ok_or_else(unknown)?) };
    if is_packet_socket(socket) { Ok(socket) } else { Err(unknown()) }
}

/// Verifies, once per process, that the ends of a channel print the numbers of their sockets: a byte that is sent
/// through one is received by the other. It also makes `ipc-channel` query the maximum size of a send now. Otherwise it
/// does so at its first send, and panics if no descriptors are left for that.
fn probe() -> io::Result<()> {
    static DONE: OnceLock<()> = OnceLock::new();
    if DONE.get().is_some() {
        return Ok(());
    }
    let (sender, receiver) = ipc::channel::<()>()?;
    // As many descriptors as that query needs.
    drop(ipc::channel::<()>()?);
    send_byte(socket_of(&sender)?, 0xA5)?;
    if take_byte(socket_of(&receiver)?).ok() != Some(0xA5) {
        let what = format!("the sockets of ipc-channel are unknown: version {VERSION} is needed");
        return Err(io::Error::new(io::ErrorKind::Unsupported, what));
    }
    sender.send(()).map_err(io::Error::other)?;
    receiver.recv().map_err(io::Error::other)?;
    DONE.get_or_init(|| ());
    Ok(())
}

/// A value in transit: what `ipc-channel` sends, or what it received.
enum Packed<T> {
    Outgoing(Outgoing),
    Incoming(Result<Undecoded<T>, TryRecvError>),
}

#[derive(Serialize, Deserialize)]
struct Outgoing {
    /// The encoded value; `None` if it is in the file of the last descriptor.
    bytes: Option<Vec<u8>>,
    n_descriptors: usize,
    /// The index of the carrier among the channels in the message, as `ipc-channel` numbers them.
    carrier: Option<u64>,
    /// The structs that were written, which the receiver compares with those that it reads.
    shape: Vec<(String, usize)>,
}

impl Outgoing {
    fn pack<T: Message>(value: &T) -> Result<Self, SendError> {
        let (encoded, attached, refused) =
            attachments::collect(|| without_panic(|| codec::encode_with_ends(value)));
        let packed = match encoded {
            Ok(Ok(encoded)) => Self::complete(encoded, attached),
            Ok(Err(error)) => Err(refused.map_or_else(|| error.into(), SendError::Os)),
            Err(panic) => Err(SendError::Panicked(panic)),
        };
        if packed.is_err() {
            forget_ends();
        }
        packed
    }

    fn complete(encoded: codec::WithEnds, mut descriptors: Vec<OwnedFd>) -> Result<Self, SendError> {
        let codec::WithEnds { bytes, n_ends, shape } = encoded;
        let bytes = if bytes.len() <= MOST_INLINE {
            Some(bytes)
        } else {
            descriptors.push(memory(&bytes).map_err(SendError::Os)?);
            None
        };
        let mut outgoing = Outgoing { bytes, n_descriptors: descriptors.len(), carrier: None, shape };
        if n_ends == MOST_ENDS && !descriptors.is_empty() {
            return Err(SendError::TooManyEnds { held: n_ends });
        }
        // If there is room, the carrier is also sent with ends alone, to find out how `ipc-channel` has numbered them.
        if !descriptors.is_empty() || (1..MOST_ENDS).contains(&n_ends) {
            let place = Carrier::load(&descriptors).and_then(Carrier::join).map_err(SendError::Os)?;
            // Ends of this version were numbered before it; those of another version are numbered separately.
            if (place as usize) < n_ends {
                return Err(SendError::ForeignEnds);
            }
            if place as usize >= MOST_ENDS {
                return Err(SendError::TooManyEnds { held: place as usize });
            }
            outgoing.carrier = Some(place);
        }
        Ok(outgoing)
    }

    fn unpack<T: Message>(self) -> Result<Undecoded<T>, TryRecvError> {
        let descriptors = match self.carrier {
            Some(place) => {
                let carrier = Carrier(end_at(place).map_err(TryRecvError::Unreadable)?);
                carrier.unload(self.n_descriptors).map_err(TryRecvError::Refused)?
            }
            None => Vec::new(),
        };
        let arrived = Arrived { bytes: self.bytes, descriptors, shape: self.shape };
        // Ends of `ipc-channel` can only be decoded while the message is received, and a type can hide them. There are
        // certainly none if the carrier is the first; without a carrier, the value is short.
        match self.carrier {
            Some(0) => Ok(Undecoded::Arrived(arrived)),
            _ => arrived.decode().map(Undecoded::Value),
        }
    }
}

/// A value that was received but possibly not decoded.
#[derive(Debug)]
pub(crate) enum Undecoded<T> {
    Arrived(Arrived),
    /// It was already decoded, because it is short or may contain ends of `ipc-channel`.
    Value(T),
}

impl<T: Message> Undecoded<T> {
    /// Decodes the value.
    ///
    /// # Errors
    /// `Unreadable` or `Refused`.
    pub(crate) fn decode(self) -> Result<T, TryRecvError> {
        match self {
            Undecoded::Arrived(arrived) => arrived.decode(),
            Undecoded::Value(value) => Ok(value),
        }
    }
}

/// The contents of a message.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// As in [`Outgoing`].
    bytes: Option<Vec<u8>>,
    descriptors: Vec<OwnedFd>,
    shape: Vec<(String, usize)>,
}

impl Arrived {
    fn decode<T: Message>(mut self) -> Result<T, TryRecvError> {
        let bytes = match self.bytes {
            Some(bytes) => bytes,
            None => {
                let missing = || TryRecvError::Unreadable("the value's memory is missing".to_owned());
                content(self.descriptors.pop().ok_or_else(missing)?).map_err(TryRecvError::Refused)?
            }
        };
        let decoded = attachments::lay_out(self.descriptors, || {
            without_panic(|| codec::decode_of_shape(&bytes, &self.shape))
        });
        match decoded {
            (Ok(Ok(value)), _) => Ok(value),
            (Ok(Err(_)), Some(refused)) => Err(TryRecvError::Refused(refused)),
            (Ok(Err(error)), None) => Err(TryRecvError::Unreadable(error.to_string())),
            (Err(panic), _) => Err(TryRecvError::Unreadable(format!("decoding the value panicked: {panic}"))),
        }
    }
}

/// Discards the ends that were numbered for a message that will not be sent; otherwise the next message would carry
/// them.
fn forget_ends() {
    if let Ok((sender, _receiver)) = ipc::channel::<()>() {
        // This panics if there are more of them than a message can carry, which only a type that hides its ends
        // causes; they are discarded all the same.
        let _ = without_panic(|| sender.send(()));
    }
}

impl<T> Debug for Packed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Packed::Outgoing(_) => "Outgoing",
            Packed::Incoming(_) => "Incoming",
        })
    }
}

impl<T> Serialize for Packed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Packed::Outgoing(outgoing) => outgoing.serialize(serializer),
            Packed::Incoming(_) => Err(ser::Error::custom("a received message is not sent on")),
        }
    }
}

impl<'de, T: Message> Deserialize<'de> for Packed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Unpack now, because the ends in the message are available by their numbers only while it is received.
        Ok(Packed::Incoming(Outgoing::deserialize(deserializer)?.unpack()))
    }
}

/// A temporary channel with descriptors in its socket. If a process dies meanwhile, the kernel closes the descriptors in
/// flight.
struct Carrier(IpcReceiver<()>);

impl Carrier {
    fn load(descriptors: &[OwnedFd]) -> io::Result<Self> {
        let (sender, receiver) = ipc::channel::<()>()?;
        send_descriptors(socket_of(&sender)?, descriptors)?;
        Ok(Carrier(receiver))
    }

    /// Adds it to the message that is being sent, and returns its index there.
    fn join(self) -> io::Result<u64> {
        let encoded = codec::encode_with_ends(&self.0).map_err(io::Error::other)?;
        codec::decode(&encoded.bytes).map_err(io::Error::other)
    }

    fn unload(&self, n_descriptors: usize) -> io::Result<Vec<OwnedFd>> {
        receive_descriptors(socket_of(&self.0)?, n_descriptors)
    }
}

/// The end of `ipc-channel` at this index in the message that is being received.
fn end_at<E: DeserializeOwned>(place: u64) -> Result<E, String> {
    let place: U64Deserializer<de::value::Error> = place.into_deserializer();
    E::deserialize(place).map_err(|error| error.to_string())
}

pub(super) fn memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(create_sealed(bytes.len() as u64)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

pub(super) fn content(file: OwnedFd) -> io::Result<Vec<u8>> {
    let len = sealed_len(file.as_fd())?.ok_or(io::ErrorKind::InvalidData)?;
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    let mut file = File::from(file);
    // Sender and receiver share the file offset.
    file.rewind()?;
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

// Ends of these channels are sent as descriptors, of which a value can contain any number.

impl<T> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_socket(socket_of(&self.inner), serializer)
    }
}

impl<T> Serialize for Receiver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_socket(Ok(self.as_fd()), serializer)
    }
}

fn serialize_socket<S: Serializer>(socket: io::Result<BorrowedFd<'_>>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u32(socket.and_then(attach).map_err(|error| ser::Error::custom(refusal(error)))?)
}

impl<'de, T: Message> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let socket = Fd::deserialize(deserializer)?;
        let refused = |error| de::Error::custom(refusal(error));
        let (sender, _receiver) = channel::<T>().map_err(refused)?;
        redirect(socket_of(&sender.inner).map_err(refused)?, socket.as_fd()).map_err(refused)?;
        Ok(sender)
    }
}

impl<'de, T: Message> Deserialize<'de> for Receiver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let socket = Fd::deserialize(deserializer)?;
        Self::adopt(socket.as_fd()).map_err(|error| de::Error::custom(refusal(error)))
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { inner: self.inner.clone() }
    }
}

impl<T> Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_values_are_sent_with_their_handles() {
        for len in [0, MOST_INLINE - 100, MOST_INLINE + 1, 3_000_000] {
            let (sender, receiver) = channel::<(Vec<u8>, Sender<u8>, IpcSender<u8>)>().unwrap();
            let (inner, answers) = channel().unwrap();
            let (plain, plain_answers) = ipc::channel().unwrap();
            // Nothing is received yet, so a fragmented message would block here.
            sender.send((vec![7; len], inner, plain)).unwrap();
            let (bytes, inner, plain) = receiver.recv().unwrap();
            inner.send(1).unwrap();
            plain.send(2).unwrap();
            assert_eq!(bytes, vec![7; len]);
            assert_eq!((answers.recv().unwrap(), plain_answers.recv().unwrap()), (1, 2));
        }
    }

    #[test]
    fn a_long_value_is_decoded_on_request_and_ends_are_decoded_on_arrival() {
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        struct Hidden(IpcSender<u8>);
        let (sender, receiver) = channel::<(Option<Hidden>, Vec<u8>)>().unwrap();
        let long = vec![7; MOST_INLINE + 1];
        sender.send((None, long.clone())).unwrap();
        let undecoded = receiver.try_recv_undecoded().unwrap();
        assert!(matches!(undecoded, Undecoded::Arrived(_)));
        assert_eq!(undecoded.decode().unwrap().1, long);
        for bytes in [vec![7], long] {
            let (end, answers) = ipc::channel().unwrap();
            sender.send((Some(Hidden(end)), bytes)).unwrap();
            let undecoded = receiver.try_recv_undecoded().unwrap();
            assert!(matches!(undecoded, Undecoded::Value(_)));
            undecoded.decode().unwrap().0.unwrap().0.send(1).unwrap();
            assert_eq!(answers.recv().unwrap(), 1);
        }
    }

    #[test]
    fn a_value_can_contain_any_number_of_descriptors() {
        let null = File::open("/dev/null").unwrap();
        for n in [1, 63, 64, 65, 253, 254, 400] {
            let (sender, receiver) = channel::<Vec<Fd>>().unwrap();
            sender
                .send((0..n).map(|_| Fd::from(OwnedFd::from(null.try_clone().unwrap()))).collect())
                .unwrap();
            assert_eq!(receiver.recv().unwrap().len(), n);
        }
    }

    #[test]
    fn too_many_ends_of_ipc_channel_are_refused_without_affecting_the_next_message() {
        let (sender, receiver) = channel::<Vec<IpcSender<u8>>>().unwrap();
        let ends = |n| (0..n).map(|_| ipc::channel().unwrap().0).collect();
        let words = sender.send(ends(65)).unwrap_err().to_string();
        assert!(words.contains("more than 64 ends"), "{words}");
        for n in [63, 64] {
            sender.send(ends(n)).unwrap();
            assert_eq!(receiver.recv().unwrap().len(), n);
        }
    }

    #[test]
    fn ends_that_a_type_hides_can_be_sent() {
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        struct Hidden(IpcSender<u8>);
        let (sender, receiver) = channel::<(Option<u8>, Hidden, Hidden)>().unwrap();
        let ((one, ones), (two, twos)) = (ipc::channel().unwrap(), ipc::channel().unwrap());
        sender.send((None, Hidden(one), Hidden(two))).unwrap();
        let (_, Hidden(one), Hidden(two)) = receiver.recv().unwrap();
        one.send(1).unwrap();
        two.send(2).unwrap();
        assert_eq!((ones.recv().unwrap(), twos.recv().unwrap()), (1, 2));
    }

    #[test]
    fn ends_in_bytes_alone_are_refused() {
        let (end, _receiver) = ipc::channel::<u8>().unwrap();
        let words = codec::encode(&(1, end)).unwrap_err().to_string();
        assert!(words.contains("only in the arguments"), "{words}");
        let (end, _receiver) = channel::<u8>().unwrap();
        assert!(codec::encode(&end).is_err());
    }

    #[test]
    fn a_closed_peer_is_reported() {
        let (sender, receiver) = channel::<u8>().unwrap();
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
        sender.send(1).unwrap();
        drop(sender);
        assert_eq!(receiver.recv().unwrap(), 1);
        assert!(matches!(receiver.recv(), Err(TryRecvError::Disconnected)));
        let (sender, receiver) = channel::<u8>().unwrap();
        drop(receiver);
        assert!(matches!(sender.send(1), Err(SendError::Disconnected)));
    }

    #[test]
    fn an_adopted_socket_receives_the_messages_in_it() {
        let (sender, receiver) = channel::<String>().unwrap();
        let inherited = receiver.as_fd().try_clone_to_owned().unwrap();
        drop(receiver);
        let adopted = Receiver::<String>::adopt(inherited.as_fd()).unwrap();
        drop(inherited);
        sender.send("hello".to_owned()).unwrap();
        assert_eq!(adopted.recv().unwrap(), "hello");
        drop(sender);
        assert!(adopted.recv().is_err(), "the end of the stream is seen");
        let file = File::open("/dev/null").unwrap();
        assert_eq!(Receiver::<u8>::adopt(file.as_fd()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[derive(Debug)]
    struct Bomb;

    impl Serialize for Bomb {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_unit()
        }
    }

    impl<'de> Deserialize<'de> for Bomb {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            panic!("no bombs here")
        }
    }

    #[test]
    fn the_error_of_an_unreadable_message_names_the_type() {
        let (sender, receiver) = channel::<u8>().unwrap();
        let texts = receiver.cast::<String>();
        sender.send(200).unwrap();
        let words = texts.recv().unwrap_err().to_string();
        assert!(words.contains("String"), "{words}");
    }

    #[test]
    fn the_error_of_a_panicking_decoder_has_the_message_of_the_panic() {
        let (sender, receiver) = channel::<Bomb>().unwrap();
        sender.send(Bomb).unwrap();
        let words = receiver.recv().unwrap_err().to_string();
        assert!(words.contains("panicked: no bombs here"), "{words}");
    }
}
