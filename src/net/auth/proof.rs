//! Proofs that an end has the key, which is never sent.

use super::key::Key;
use crate::net::connection::ConnectionError;
use clap::ValueEnum;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt::Write;
use subtle::ConstantTimeEq;

/// The length in bytes of a nonce, and of a proof of either scheme on the wire.
pub const NONCE: usize = 32;

/// How an end proves that it has the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum Scheme {
    /// `md5(key + nonce)`, by the client only; compatible with the Python program
    Md5,
    /// HMAC-SHA-256 over both nonces, by each end to the other
    HmacSha256,
}

/// The client's proof in the `md5` scheme: 32 lower-case hexadecimal digits.
pub fn md5_answer(key: &Key, nonce: &[u8; NONCE]) -> [u8; 32] {
    let digest = Md5::new().chain_update(key.bytes()).chain_update(nonce).finalize();
    let mut hex = String::with_capacity(32);
    for byte in digest {
        let _ = write!(hex, "{byte:02x}");
    }
    hex.into_bytes().try_into().expect("16 bytes are 32 digits")
}

/// The proof of `role` over both nonces in the `hmac-sha256` scheme.
pub fn hmac_proof(key: &Key, role: Role, server: &[u8; NONCE], client: &[u8; NONCE]) -> [u8; 32] {
    mac(key, role, server, client).finalize().into_bytes().into()
}

/// Which end makes a proof.
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
    let mac = Hmac::<Sha256>::new_from_slice(key.bytes()).expect("HMAC takes a key of any length");
    mac.chain_update(label).chain_update(server).chain_update(client)
}

/// Compares two proofs in constant time.
pub(super) fn check(answer: &[u8; 32], right: &[u8; 32]) -> Result<(), ConnectionError> {
    if bool::from(answer.ct_eq(right)) {
        return Ok(());
    }
    Err(ConnectionError::Refused("the proof is wrong".to_owned()))
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
}
