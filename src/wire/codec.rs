//! Encodes and decodes values: serde with bincode, with numbers at their full width.
//!
//! # Supported types
//! Any type that implements `Serialize` and `Deserialize` and does not need a self-describing format: numbers, text,
//! `Option`, tuples, arrays, `Vec`, maps, structs, and enums with any variants, in any nesting. Unsupported values
//! are refused when they are sent, with the name of the field:
//! - skipped fields (`skip_serializing_if`, or `skip_serializing` without `skip_deserializing`); a value in which no
//!   field is skipped can be sent;
//! - enums that are `untagged` or have a `tag`, `flatten`, and values such as `serde_json::Value`;
//! - ends of an `ipc-channel`, except in the arguments and the result of a process; handles and descriptors if nothing
//!   carries them with the bytes, as in the value of a mutex.
//!
//! This is the only file that uses `bincode`, so replacing it changes only one file.

mod audit;
mod error;
pub(crate) mod number;
mod trial;

pub use error::{DecodeError, EncodeError};

use super::panics::without_panic;
use audit::{Audited, Auditor, Compound, Ends, Shape, Strict};
use bincode::config::{Configuration, Fixint, LittleEndian};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use trial::{Trace, Traced, Tried, Ways};

/// Numbers have the width of their type, because within one machine variable-length encoding costs more than it saves.
const CONFIG: Configuration<LittleEndian, Fixint> = bincode::config::standard().with_fixed_int_encoding();

/// A value that can be sent to another process and received there.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    label = "neither an argument, a result nor a message",
    note = "a value that is sent implements `serde::Serialize` and `serde::Deserialize`, and owns what it holds"
)]
pub trait Message: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Message for T {}

/// Encodes `value`.
///
/// # Errors
/// When the value is [not supported](self), or its `Serialize` implementation fails.
pub fn encode<T: Message>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes)?;
    Ok(bytes)
}

/// Appends the encoded `value` to `buffer`, which is unchanged on an error.
///
/// # Errors
/// As [`encode`].
#[inline]
pub fn encode_into<T: Message>(value: &T, buffer: &mut Vec<u8>) -> Result<usize, EncodeError> {
    let before = buffer.len();
    let written = if is_proven::<T>() { write(value, buffer, &Strict) } else { write_and_try(value, buffer) };
    if written.is_err() {
        buffer.truncate(before);
    }
    written
}

/// Appends an encoded value that contains handles to `buffer`, within [`super::attachments::collect`]. There is no
/// trial decoding, because that would open the objects of the handles.
pub(crate) fn encode_untried<T: Message>(value: &T, buffer: &mut Vec<u8>) -> Result<usize, EncodeError> {
    write(value, buffer, &Strict)
}

/// An encoded value that may contain ends of `ipc-channel` and descriptors.
pub(super) struct WithEnds {
    pub(super) bytes: Vec<u8>,
    /// The number of visible ends of `ipc-channel` in it.
    pub(super) n_ends: usize,
    /// The structs that were written, with their numbers of fields.
    pub(super) shape: Vec<(String, usize)>,
}

/// Encodes a value that may contain ends of `ipc-channel` and descriptors. There is no trial decoding, because the
/// receiver reports a failure to the sender, and a decoder may have any effect on the process that runs it.
pub(super) fn encode_with_ends<T: Message>(value: &T) -> Result<WithEnds, EncodeError> {
    let (mut bytes, ends) = (Vec::new(), Ends::default());
    write(value, &mut bytes, &ends)?;
    let shape = ends.shape.0.take().into_iter().map(|(name, parts)| (name.to_owned(), parts)).collect();
    Ok(WithEnds { bytes, n_ends: ends.count.get(), shape })
}

/// Decodes a value of this shape. If decoding fails because of its type, the error explains that.
pub(super) fn decode_of_shape<T: Message>(bytes: &[u8], wrote: &[(String, usize)]) -> Result<T, DecodeError> {
    let (trace, mut value) = (Trace::default(), None);
    let outcome = bounded(bytes, Traced { inner: Destination(&mut value), trace: &trace });
    if let Some(reason) = trace.refusal.take() {
        return Err(DecodeError::new::<T>(reason, bytes));
    }
    let wrote = wrote.iter().map(|(name, parts)| (name.as_str(), *parts));
    if let Some(reason) = difference(wrote, trace.shape.take()) {
        return Err(DecodeError::new::<T>(reason, bytes));
    }
    match (outcome, value) {
        (Ok(used), Some(value)) if used == bytes.len() => Ok(value),
        (Ok(used), _) => {
            Err(DecodeError::new::<T>(format!("{} bytes are left over", bytes.len() - used), bytes))
        }
        (Err(error), _) => Err(DecodeError::new::<T>(words(error), bytes)),
    }
}

/// Describes the first struct that the decoder read with another number of fields than was written.
fn difference<'a>(wrote: impl Iterator<Item = (&'a str, usize)>, read: Vec<Compound>) -> Option<String> {
    wrote
        .zip(read)
        .take_while(|((name, _), (read_name, _))| name == read_name)
        .find(|((name, wrote), (_, read))| wrote != read && *name != audit::MAP)
        .map(|((name, wrote), (_, read))| {
            format!(
                "`{name}` is written with {wrote} fields and read with {read} (`skip_serializing` without \
                 `skip_deserializing`?)"
            )
        })
}

#[inline(always)]
fn write<T: Serialize, A: Auditor>(
    value: &T,
    buffer: &mut Vec<u8>,
    auditor: &A,
) -> Result<usize, EncodeError> {
    bincode::serde::encode_into_std_write(Audited(value, auditor), buffer, CONFIG).map_err(refused::<T>)
}

/// The error of a value's `Serialize` implementation, whose message bincode would show as a `Debug` string.
#[cold]
fn refused<T>(error: bincode::error::EncodeError) -> EncodeError {
    let reason = match error {
        bincode::error::EncodeError::OtherString(words) => words,
        bincode::error::EncodeError::Serde(_) => {
            "a sequence or map does not know its length in advance (`#[serde(flatten)]`?)".into()
        }
        other => other.to_string(),
    };
    EncodeError::new::<T>(reason)
}

/// Types whose values can all be decoded, each as the address of its instance of [`write_and_try`]. A type whose entry
/// is taken by another is tried each time, which is slower but equally correct.
static PROVEN: [AtomicUsize; 1024] = [const { AtomicUsize::new(0) }; 1024];

#[inline(always)]
fn is_proven<T: Message>() -> bool {
    let key = key::<T>();
    PROVEN[(key >> 4) % PROVEN.len()].load(Ordering::Relaxed) == key
}

#[inline(always)]
fn key<T: Message>() -> usize {
    write_and_try::<T> as fn(&T, &mut Vec<u8>) -> Result<usize, EncodeError> as usize
}

/// After this many values of a type, further ones are tried without recording the branches of the decoder.
const MOST_RECORDED: usize = 1000;

static WAYS: Mutex<Option<HashMap<usize, Ways>>> = Mutex::new(None);

/// Encodes a value, and decodes the result to check that it can be decoded. See [`trial`].
#[cold]
#[inline(never)]
fn write_and_try<T: Message>(value: &T, buffer: &mut Vec<u8>) -> Result<usize, EncodeError> {
    let (begin, shape) = (buffer.len(), Shape::default());
    let written = write(value, buffer, &shape)?;
    try_decoding::<T>(&buffer[begin..], &shape)?;
    Ok(written)
}

/// Decodes an encoded value of this shape, and drops it.
#[cold]
fn try_decoding<T: Message>(bytes: &[u8], wrote: &Shape) -> Result<(), EncodeError> {
    let trace = Trace::default();
    let outcome = without_panic(|| bounded(bytes, Tried(&trace, PhantomData::<T>)));
    if let Some(reason) = trace.refusal.take() {
        return Err(EncodeError::new::<T>(reason));
    }
    let outcome =
        outcome.map_err(|panic| EncodeError::new::<T>(format!("its `Deserialize` panicked: {panic}")))?;
    if let Some(reason) = difference(wrote.0.take().into_iter(), trace.shape.take()) {
        return Err(EncodeError::new::<T>(reason));
    }
    match outcome {
        Ok(used) if used == bytes.len() => {}
        Ok(_) => return Err(EncodeError::new::<T>("its decoder reads less than is written".to_owned())),
        Err(error) => {
            let reason = format!("what is written cannot be read: {}", words(error));
            return Err(EncodeError::new::<T>(reason));
        }
    }
    let mut all = WAYS.lock().unwrap_or_else(PoisonError::into_inner);
    let ways = all.get_or_insert_default().entry(key::<T>()).or_default();
    if ways.trials < MOST_RECORDED {
        ways.add(&trace);
        if ways.are_all_seen() {
            PROVEN[(key::<T>() >> 4) % PROVEN.len()].store(key::<T>(), Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Decodes a value that fills `bytes` exactly.
///
/// # Errors
/// When the bytes are too short, too long or not a valid `T`.
#[inline]
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut value = None;
    decode_into(bytes, &mut value)?;
    Ok(value.expect("successful decoding sets the value"))
}

/// Decodes a value that fills `bytes` exactly into `value`. This saves moving a large value once for each function that
/// would return it.
///
/// # Errors
/// As [`decode`].
#[inline]
pub(crate) fn decode_into<T: DeserializeOwned>(
    bytes: &[u8],
    value: &mut Option<T>,
) -> Result<(), DecodeError> {
    match bounded(bytes, Destination(value)) {
        Ok(used) if used == bytes.len() => Ok(()),
        Ok(used) => {
            *value = None;
            Err(DecodeError::new::<T>(format!("{} bytes are left over", bytes.len() - used), bytes))
        }
        Err(error) => Err(DecodeError::new::<T>(words(error), bytes)),
    }
}

/// The message of a value's `Deserialize` implementation, or of bincode.
#[cold]
fn words(error: bincode::error::DecodeError) -> String {
    match error {
        bincode::error::DecodeError::OtherString(words) => words,
        bincode::error::DecodeError::UnexpectedEnd { .. } => "they end too early".to_owned(),
        other => other.to_string(),
    }
}

/// The destination of a decoded value.
struct Destination<'a, T>(&'a mut Option<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Destination<'_, T> {
    type Value = ();

    #[inline(always)]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match T::deserialize(deserializer) {
            Ok(value) => {
                *self.0 = Some(value);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Decodes with the smallest limit that fits every valid value of this length, and returns the number of bytes used.
///
/// A length in the bytes may be wrong, and bincode allocates memory before it reads further, so the limit depends on
/// the actual number of bytes. bincode counts a number by its width in memory (at most 16 bytes per encoded byte).
/// Limits are constants of the type, hence the steps.
#[inline(always)]
fn bounded<'de, S: DeserializeSeed<'de, Value = ()>>(
    bytes: &'de [u8],
    seed: S,
) -> Result<usize, bincode::error::DecodeError> {
    use bincode::serde::seed_decode_from_slice as decode;
    let need = bytes.len().saturating_mul(16);
    let ((), used) = match need {
        0..=0xFFFF => decode(seed, bytes, CONFIG.with_limit::<0xFFFF>()),
        0x1_0000..=0xFF_FFFF => decode(seed, bytes, CONFIG.with_limit::<0xFF_FFFF>()),
        0x100_0000..=0x3FFF_FFFF => decode(seed, bytes, CONFIG.with_limit::<0x3FFF_FFFF>()),
        _ => decode(seed, bytes, CONFIG.with_limit::<{ 1 << 36 }>()),
    }?;
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_decoded_unchanged() {
        let value = (7_u32, "火锅".to_owned(), vec![Some(1_i64), None]);
        let bytes = encode(&value).unwrap();
        assert_eq!(decode::<(u32, String, Vec<Option<i64>>)>(&bytes).unwrap(), value);
    }

    #[test]
    fn bytes_left_over_are_an_error() {
        let mut bytes = encode(&1_u8).unwrap();
        bytes.push(0);
        assert!(decode::<u8>(&bytes).unwrap_err().to_string().contains("1 bytes are left over"));
    }

    #[test]
    fn a_wrong_length_allocates_no_memory() {
        // A length prefix of 2^60 with nothing after it.
        let bytes = [0, 0, 0, 0, 0, 0, 0, 16];
        assert!(decode::<Vec<u8>>(&bytes).is_err());
        assert!(decode::<String>(&bytes).is_err());
    }

    fn refusal<T: Message>(value: &T) -> String {
        encode(value).unwrap_err().to_string()
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Thin {
        #[serde(skip_serializing_if = "Option::is_none")]
        extra: Option<u32>,
        count: u32,
        pair: [u8; 2],
    }

    #[test]
    fn a_value_with_a_skipped_field_is_refused_with_the_name_of_the_field() {
        let whole = Thin { extra: Some(2), count: 1, pair: [0, 0] };
        assert_eq!(decode::<Thin>(&encode(&whole).unwrap()).unwrap(), whole);
        let words = refusal(&Thin { extra: None, ..whole });
        assert!(words.contains("field `extra` of `Thin`"), "{words}");
        assert!(refusal(&vec![Some(Thin { extra: None, count: 0, pair: [0; 2] })]).contains("`extra`"));
    }

    #[test]
    fn a_field_that_is_written_and_never_read_is_refused() {
        #[derive(Serialize, Deserialize)]
        #[expect(dead_code, reason = "it is never read")]
        struct OneWay {
            #[serde(skip_serializing)]
            lost: Vec<u8>,
            kept: Vec<(u8, u64)>,
        }
        // The bytes of one field could be decoded as those of both.
        let words = refusal(&OneWay { lost: vec![], kept: vec![(0, 0)] });
        assert!(words.contains("`OneWay` is written with 1 fields and read with 2"), "{words}");
        #[derive(Debug, Serialize, Deserialize)]
        struct BothWays {
            #[serde(skip)]
            lost: u64,
            kept: u64,
        }
        let back: BothWays = decode(&encode(&BothWays { lost: 1, kept: 2 }).unwrap()).unwrap();
        assert_eq!((back.lost, back.kept), (0, 2));
    }

    #[test]
    fn a_type_that_needs_a_self_describing_format_is_refused_with_its_path() {
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(untagged)]
        enum Untagged {
            Number(u32),
            Text(String),
        }
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        enum Tagged {
            Circle { radius: u32 },
        }
        #[derive(Debug, Serialize, Deserialize)]
        struct Outer<T> {
            id: u64,
            body: T,
        }
        assert!(refusal(&Outer { id: 1, body: Untagged::Number(1) }).contains("`body` needs"));
        assert!(refusal(&Untagged::Text(String::new())).contains("it needs"));
        assert!(
            refusal(&Outer { id: 1, body: Outer { id: 1, body: Tagged::Circle { radius: 1 } } })
                .contains("`body.body` needs")
        );
        assert!(refusal(&Outer { id: 1, body: vec![serde_json::Value::Null] }).contains("`body` needs"));
        #[derive(Debug, Serialize, Deserialize)]
        struct Flat {
            #[serde(flatten)]
            inner: HashMap<String, u32>,
        }
        assert!(refusal(&Flat { inner: HashMap::new() }).contains("flatten"));
    }

    #[test]
    fn an_unsupported_variant_is_refused_after_any_number_of_others() {
        #[derive(Debug, Clone, Serialize, Deserialize)]
        enum Order {
            Plain(u32),
            Json { text: serde_json::Value },
            Maybe(Option<serde_json::Value>),
            List(Vec<serde_json::Value>),
        }
        for _ in 0..2 * MOST_RECORDED {
            for order in [Order::Plain(1), Order::Maybe(None), Order::List(vec![])] {
                assert!(encode(&order).is_ok());
            }
        }
        assert!(!is_proven::<Order>());
        for order in
            [Order::Json { text: 1.into() }, Order::Maybe(Some(1.into())), Order::List(vec![1.into()])]
        {
            assert!(refusal(&order).contains("needs a self-describing format"), "{order:?}");
        }
    }

    #[test]
    fn a_type_is_proven_once_every_branch_of_its_decoder_was_taken() {
        type Row = (u64, Option<String>, Vec<Result<u8, char>>);
        let rows: [Row; 3] =
            [(1, None, vec![]), (1, Some("a".into()), vec![Ok(1)]), (1, None, vec![Err('a'), Ok(1)])];
        for (row, proven) in rows.iter().zip([false, false, true]) {
            encode(row).unwrap();
            assert_eq!(is_proven::<Row>(), proven, "{row:?}");
            assert_eq!(decode::<Row>(&encode(row).unwrap()).unwrap(), *row);
        }
        encode(&[0_u8; 32]).unwrap();
        assert!(is_proven::<[u8; 32]>());
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Chain(u8, Option<Box<Chain>>);
        for _ in 0..3 {
            let chain = Chain(1, Some(Box::new(Chain(2, None))));
            assert_eq!(decode::<Chain>(&encode(&chain).unwrap()).unwrap(), chain);
        }
        assert!(!is_proven::<Chain>());
    }

    #[test]
    fn common_types_can_be_encoded_and_decoded() {
        use std::collections::{BTreeMap, BTreeSet};
        type All = (
            (bool, char, i128, f64, usize, ()),
            (BTreeMap<String, Vec<u8>>, BTreeSet<i8>, std::path::PathBuf, Box<str>),
            (std::time::Duration, std::net::IpAddr, std::num::NonZeroU8, Option<Option<()>>),
        );
        let all: All = (
            (true, '火', -1, 0.5, 7, ()),
            ([("a".into(), vec![1])].into(), [1, 2].into(), "/tmp".into(), "x".into()),
            (std::time::Duration::from_millis(3), [127, 0, 0, 1].into(), 3.try_into().unwrap(), Some(None)),
        );
        assert_eq!(decode::<All>(&encode(&all).unwrap()).unwrap(), all);
    }

    #[test]
    fn bytes_that_cannot_be_decoded_are_in_the_error() {
        let error = decode::<String>(&[1, 2, 3]).unwrap_err();
        assert_eq!(error.bytes(), [1, 2, 3]);
    }
}
