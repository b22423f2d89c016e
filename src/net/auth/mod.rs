//! `auth`: a client proves that it has the key, then speaks `upper`.
//!
//! There are two schemes. `md5` is compatible with the Python program: 32 random bytes to the client, the 32
//! hexadecimal digits of `md5(key + nonce)` to the server. `hmac-sha256` (RFC 2104, FIPS 198-1) is for two ends of
//! this program, each of which proves the key to the other: the server sends a nonce, the client a nonce and a proof, the
//! server a proof. A proof covers both nonces and the role of its author, so it can be neither replayed nor
//! reflected.
//!
//! Neither scheme encrypts: an attacker who can change the stream after the proof can speak in it. And an
//! eavesdropper can test guessed keys against a recorded proof as fast as it can hash: only a long random key
//! resists that.

mod attempts;
mod demo;
mod key;
mod proof;

use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::demo::{DemoError, Stage};
use crate::net::exchange::talk;
use crate::net::program::{Context, End, EndError, Needs, Program};
use crate::net::server::{Server, plain_line};
use crate::net::upper;
use attempts::Attempts;
use clap::{Args, Subcommand};
use proof::check;
use serde::{Deserialize, Serialize};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

sentences! {
    /// Remarks of the client.
    enum Note {
        Proven => "both ends have proven that they have the key", "两端都证明了自己持有密钥";
    }
}

pub use key::{Key, Secret};
pub use proof::{NONCE, Role, Scheme, hmac_proof, md5_answer};

/// The program.
#[derive(Debug)]
pub struct Auth;

impl Program for Auth {
    const NAME: &'static str = "auth";
    const ABOUT: &'static str = "Like upper, for clients that prove that they have the key";
    type Ends = Ends;

    fn demo(stage: &mut Stage<'_>) -> Result<(), DemoError> {
        demo::play(stage)
    }
}

/// The ends.
#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub enum Ends {
    /// Serve clients that prove the key
    Serve(Serve),
    /// Prove the key, then send each line
    Connect(Connect),
}

/// The end that listens.
#[derive(Debug, Args, Serialize, Deserialize)]
pub struct Serve {
    /// The address and the limits.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// The key.
    #[command(flatten)]
    pub secret: Secret,
}

/// The end that connects.
#[derive(Debug, Args, Serialize, Deserialize)]
pub struct Connect {
    /// The server, and the limits of the connection.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// The key.
    #[command(flatten)]
    pub secret: Secret,
}

impl End for Ends {
    fn needs(&self) -> Needs {
        match self {
            Self::Serve(args) => args.serve.needs(&Auth::LIMITS),
            Self::Connect(args) => args.connect.needs(&Auth::LIMITS, "auth serve"),
        }
    }

    fn run(&self, context: Context<'_>) -> Result<(), EndError> {
        match self {
            Self::Serve(Serve { serve, secret }) => {
                let Some(key) = secret.key(context.stops)? else { return Ok(()) };
                let server = Server::bind(&serve.bind, serve.bounds.limits(&Auth::LIMITS), context.log)?;
                let attempts = Attempts::default();
                let judge = |connection: &Connection| serve_one(connection, secret.scheme, &key, &attempts);
                Ok(server.serve(context.stops, plain_line, judge)?)
            }
            Self::Connect(Connect { connect: args, secret }) => {
                let Some(key) = secret.key(context.stops)? else { return Ok(()) };
                let connection = args.connection(&Auth::LIMITS, context.log)?;
                prove(&connection, secret.scheme, &key)?;
                Ok(talk(&connection, &context.input, upper::upper)?)
            }
        }
    }
}

/// Serves a client that proves the key; any other client gets no reply and is closed.
fn serve_one(
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

/// Waits until the answer that arrived on `connection` may be judged.
fn await_turn(connection: &Connection, attempts: &Attempts) -> Result<(), ConnectionError> {
    let address = connection.peer().ip();
    let Some(wait) = attempts.count(address, Instant::now()) else {
        return Err(ConnectionError::Refused(format!("{address} has failed too often and must wait")));
    };
    if wait.is_zero() {
        return Ok(());
    }
    // A client may send more in the meantime, so only a cut by this server ends the wait early.
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

/// Proves the key, and checks the server's proof if the scheme has one.
fn prove(connection: &Connection, scheme: Scheme, key: &Key) -> Result<(), ConnectionError> {
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
            connection.read_exact(&mut proof, "the server's proof: it may have rejected ours")?;
            if check(&proof, &hmac_proof(key, Role::Server, &nonce, &ours)).is_err() {
                connection.cut();
                return Err(ConnectionError::Refused(
                    "the server has not proven that it has the key".to_owned(),
                ));
            }
            connection.note(Note::Proven);
        }
    }
    Ok(())
}
