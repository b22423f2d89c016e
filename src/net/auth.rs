//! `auth`: a client proves that it has the key, then speaks `upper`.
//!
//! Two schemes. `md5` speaks the bytes of the Python program: 32 random bytes down, the 32 hexadecimal
//! digits of `md5(key + nonce)` up. `hmac-sha256` (RFC 2104, FIPS 198-1) is for two ends of ours, and
//! each proves the key to the other: a nonce down; a nonce and a proof up; a proof down. Each proof
//! covers both nonces and who makes it, so none can be replayed or sent back to its maker.
//!
//! Neither encrypts: who can change the stream after the proof can speak in it. And a listener can try
//! guessed keys against what was proven, as fast as it can hash: only a long random key withstands.

use crate::net::client::{ClientError, connect};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::echo::talk;
use crate::net::event::{Log, What};
use crate::net::input::Line;
use crate::net::limits::Limits;
use crate::net::upper;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha2::Sha256;
use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// Bytes of a nonce, and of a proof of either scheme on the wire.
pub const NONCE: usize = 32;

/// Attempts of an address, since its last success, that are judged at once.
const FREE_ATTEMPTS: u32 = 5;
/// The time between two attempts that are judged after those.
const PACE: Duration = Duration::from_secs(1);
/// The longest time that an attempt waits; one that would have to wait longer is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// After this long without an attempt those of an address are forgotten.
const FORGIVEN: Duration = Duration::from_secs(60);
/// Addresses whose attempts are counted at once.
const ADDRESSES: usize = 4096;

/// How the key is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
pub enum Scheme {
    /// `md5(key + nonce)`, the client only: the bytes of the Python program.
    Md5,
    /// HMAC-SHA-256 over both nonces, each end to the other.
    HmacSha256,
}

/// A shared secret; it is never shown.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct Key(Vec<u8>);

impl Key {
    /// Takes the bytes of a key; none at all is no key.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        if bytes.is_empty() { None } else { Some(Self(bytes)) }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The answer to a nonce in the scheme `md5`: lower-case hexadecimal.
pub fn md5_answer(key: &Key, nonce: &[u8; NONCE]) -> [u8; 32] {
    let digest = Md5::new().chain_update(&key.0).chain_update(nonce).finalize();
    let mut hex = String::with_capacity(32);
    for byte in digest {
        let _ = write!(hex, "{byte:02x}");
    }
    hex.into_bytes().try_into().expect("16 bytes are 32 digits")
}

/// The proof of `role` over both nonces in the scheme `hmac-sha256`.
pub fn hmac_proof(key: &Key, role: Role, server: &[u8; NONCE], client: &[u8; NONCE]) -> [u8; 32] {
    mac(key, role, server, client).finalize().into_bytes().into()
}

/// Who makes a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The end that listens.
    Server,
    /// The end that connects.
    Client,
}

fn mac(key: &Key, role: Role, server: &[u8; NONCE], client: &[u8; NONCE]) -> Hmac<Sha256> {
    let label: &[u8] = match role {
        Role::Server => b"proclab net auth 1 server\0",
        Role::Client => b"proclab net auth 1 client\0",
    };
    let mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes a key of any length");
    mac.chain_update(label).chain_update(server).chain_update(client)
}

/// Bounds how fast keys can be tried. Each answer to a challenge is an attempt, and it is counted before
/// it is judged: any number of connections that answer at the same time are judged no faster than one
/// after the other.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<IpAddr, Record>>);

#[derive(Debug)]
struct Record {
    /// Attempts since the last success, those that still wait included.
    attempts: u32,
    /// When the next attempt may be judged.
    next: Instant,
}

impl Attempts {
    /// Counts an attempt from `address`. Returns how long it must wait before it is judged; `None` when
    /// that is too long, and then it is not to be judged at all.
    fn count(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let address = network(address);
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= ADDRESSES
            && !records.contains_key(&address)
            && let Some(oldest) = records.iter().min_by_key(|(_, r)| r.next).map(|(a, _)| *a)
        {
            records.remove(&oldest);
        }
        let record = records.entry(address).or_insert(Record { attempts: 0, next: now });
        if now.saturating_duration_since(record.next) > FORGIVEN {
            *record = Record { attempts: 0, next: now };
        }
        if record.attempts < FREE_ATTEMPTS {
            record.attempts += 1;
            record.next = record.next.max(now);
            return Some(Duration::ZERO);
        }
        let wait = record.next.saturating_duration_since(now);
        if wait > LONGEST_WAIT {
            return None;
        }
        record.next = now.max(record.next) + PACE;
        Some(wait)
    }

    fn succeeded(&self, address: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&network(address));
    }
}

/// The part of an address that a client cannot choose: an IPv6 host owns a network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

/// Serves a client that proves the key; one that does not gets no reply and is closed.
///
/// # Errors
/// When the proof is wrong, the address has failed too often, or the connection breaks.
pub fn serve_one(
    connection: &Connection,
    scheme: Scheme,
    key: &Key,
    attempts: &Attempts,
) -> Result<(), ConnectionError> {
    match scheme {
        Scheme::Md5 => challenge_md5(connection, key, attempts)?,
        Scheme::HmacSha256 => challenge_hmac(connection, key, attempts)?,
    }
    attempts.succeeded(connection.peer().ip());
    upper::serve_one(connection)
}

/// Waits until the answer that came on `connection` may be judged.
fn await_turn(connection: &Connection, attempts: &Attempts) -> Result<(), ConnectionError> {
    let address = connection.peer().ip();
    let Some(wait) = attempts.count(address, Instant::now()) else {
        return Err(ConnectionError::Refused(format!("{address} has failed too often, it must wait")));
    };
    if wait.is_zero() {
        return Ok(());
    }
    // A client may send on without waiting for us, so only a cut of our own ends the wait early.
    let (cut, is_cut) = sync_channel(1);
    connection.on_cut(move || {
        let _ = cut.try_send(());
    });
    match is_cut.recv_timeout(wait) {
        Ok(()) => Err(ConnectionError::Reset),
        Err(_) => Ok(()),
    }
}

fn challenge_md5(connection: &Connection, key: &Key, attempts: &Attempts) -> Result<(), ConnectionError> {
    let nonce: [u8; NONCE] = rand::random();
    connection.write_all(&nonce)?;
    let mut answer = [0; 32];
    connection.read_exact(&mut answer, "the answer to the challenge")?;
    await_turn(connection, attempts)?;
    check(&answer, &md5_answer(key, &nonce))
}

fn challenge_hmac(connection: &Connection, key: &Key, attempts: &Attempts) -> Result<(), ConnectionError> {
    let ours: [u8; NONCE] = rand::random();
    connection.write_all(&ours)?;
    let mut theirs = [0; NONCE];
    let mut proof = [0; 32];
    connection.read_exact(&mut theirs, "the client's nonce")?;
    connection.read_exact(&mut proof, "the client's proof")?;
    await_turn(connection, attempts)?;
    check(&proof, &hmac_proof(key, Role::Client, &ours, &theirs))?;
    connection.write_all(&hmac_proof(key, Role::Server, &ours, &theirs))
}

/// Compares in a time that does not depend on where the first difference is.
fn check(answer: &[u8; 32], right: &[u8; 32]) -> Result<(), ConnectionError> {
    if bool::from(answer.ct_eq(right)) {
        return Ok(());
    }
    Err(ConnectionError::Refused("the key is not proven".to_owned()))
}

/// Proves the key, has the server prove it (in the scheme that can), then sends each line and tells
/// the answer.
///
/// # Errors
/// When the server cannot be reached, does not accept the proof, or has no proof of its own.
pub fn run_client(
    address: &str,
    scheme: Scheme,
    key: &Key,
    limits: &Limits,
    lines: &Receiver<Line>,
    log: &Log,
) -> Result<(), ClientError> {
    let connection = connect(address, limits, log)?;
    let mut nonce = [0; NONCE];
    connection.read_exact(&mut nonce, "the challenge")?;
    match scheme {
        Scheme::Md5 => connection.write_all(&md5_answer(key, &nonce))?,
        Scheme::HmacSha256 => {
            let ours: [u8; NONCE] = rand::random();
            let mut answer = ours.to_vec();
            answer.extend_from_slice(&hmac_proof(key, Role::Client, &nonce, &ours));
            connection.write_all(&answer)?;
            let mut proof = [0; 32];
            connection.read_exact(&mut proof, "the server's proof: it may not accept ours")?;
            if check(&proof, &hmac_proof(key, Role::Server, &nonce, &ours)).is_err() {
                connection.cut();
                return Err(ConnectionError::Refused("the server has not proven the key".to_owned()).into());
            }
            connection.tell(What::Note("both ends have proven the key".to_owned()));
        }
    }
    talk(&connection, lines, upper::upper)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_answer_is_that_of_hashlib() {
        // python3 -c "import hashlib; print(hashlib.md5(b'alexsb' + bytes(range(32))).hexdigest())"
        let nonce = std::array::from_fn(|i| i as u8);
        assert_eq!(&md5_answer(&key("alexsb"), &nonce), b"a9d4e3429bf1cff65d92e396550b1d2f");
    }

    #[test]
    fn a_proof_holds_for_one_key_one_role_and_one_pair_of_nonces() {
        let (a, b) = ([1; NONCE], [2; NONCE]);
        let proof = hmac_proof(&key("k"), Role::Client, &a, &b);
        assert_eq!(proof, hmac_proof(&key("k"), Role::Client, &a, &b));
        for other in [
            hmac_proof(&key("l"), Role::Client, &a, &b),
            hmac_proof(&key("k"), Role::Server, &a, &b),
            hmac_proof(&key("k"), Role::Client, &b, &a),
            hmac_proof(&key("k"), Role::Client, &a, &a),
        ] {
            assert!(check(&proof, &other).is_err());
        }
    }

    #[test]
    fn attempts_are_counted_before_they_are_judged() {
        let attempts = Attempts::default();
        let (address, now) = (IpAddr::from([127, 0, 0, 1]), Instant::now());
        let waits: Vec<_> = (0..1000).map_while(|_| attempts.count(address, now)).collect();
        let expected = [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5].map(Duration::from_secs);
        assert_eq!(waits, expected, "five at once, then one a second, and none that waits longer");
        assert_eq!(attempts.count(IpAddr::from([127, 0, 0, 2]), now), Some(Duration::ZERO));
        attempts.succeeded(address);
        assert_eq!(attempts.count(address, now), Some(Duration::ZERO));
        assert_eq!(attempts.count(address, now + 2 * FORGIVEN), Some(Duration::ZERO));
    }

    #[test]
    fn the_addresses_of_one_host_count_together() {
        let parse = |text: &str| network(text.parse().unwrap());
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:1"));
        assert_ne!(parse("2001:db8::1"), parse("2001:db8:0:1::1"));
        assert_eq!(parse("::ffff:127.0.0.1"), parse("127.0.0.1"));
        assert_ne!(parse("127.0.0.1"), parse("127.0.0.2"));
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", key("secret")), "Key(…)");
    }
}
