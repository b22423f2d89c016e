//! `sticky`: many small sends, and how the reads at the other end join and split them.
//!
//! TCP carries a stream of bytes. Sends may be joined on the way and split by reads, whether Nagle's algorithm
//! (RFC 896) is on or off: it changes the number of packets, but never adds boundaries. Only a protocol does, for
//! example with frames.

mod demo;

use crate::net::address::connect;
use crate::net::args::{ConnectArgs, ServeArgs, seconds};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::demo::{DemoError, Stage};
use crate::net::event::{Bytes, What};
use crate::net::exchange::goodbye;
use crate::net::framing::receive_all;
use crate::net::limits::Limits;
use crate::net::program::{Context, End, EndError, Needs, Program};
use crate::net::server::{Server, plain_line};
use crate::wire::frame::encode;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The program.
#[derive(Debug)]
pub struct Sticky;

impl Program for Sticky {
    const NAME: &'static str = "sticky";
    const ABOUT: &'static str = "Many small sends, and how the reads join and split them";
    type Ends = Ends;

    fn demo(stage: &mut Stage<'_>) -> Result<(), DemoError> {
        demo::play(stage)
    }
}

/// The ends.
#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub enum Ends {
    /// Print what each read returns
    Serve(Reading),
    /// Send many small messages
    Connect(Sending),
}

/// How the receiving end reads.
#[derive(Debug, Args, Serialize, Deserialize)]
pub struct Reading {
    /// The address and the limits.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// The size of one read in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub read: u32,
    /// Wait before the first read, up to 10 seconds
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = up_to_ten_seconds)]
    pub late: Duration,
    /// Expect frames
    #[arg(long)]
    pub framed: bool,
}

/// How the sending end sends.
#[derive(Debug, Args, Serialize, Deserialize)]
pub struct Sending {
    /// The server, and the limits of the connection.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// How many messages
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub count: u32,
    /// Disable Nagle's algorithm (TCP_NODELAY)
    #[arg(long)]
    pub no_delay: bool,
    /// Send each message as a frame
    #[arg(long)]
    pub framed: bool,
}

/// Limited, because a long sleep would delay the stop of a server.
fn up_to_ten_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        long if long > Duration::from_secs(10) => Err("it must be from 0 to 10 seconds".to_owned()),
        duration => Ok(duration),
    }
}

impl End for Ends {
    fn needs(&self) -> Needs {
        match self {
            Self::Serve(args) => args.serve.needs(&Sticky::LIMITS),
            Self::Connect(args) => Needs::connect(&args.connect.address, "sticky serve"),
        }
    }

    fn run(&self, context: Context<'_>) -> Result<(), EndError> {
        match self {
            Self::Serve(reading) => {
                let limits = reading.serve.bounds.limits(&Sticky::LIMITS);
                let server = Server::bind(&reading.serve.bind, limits, context.log)?;
                server.serve(context.stops, plain_line, |connection| read(connection, reading, &limits))?;
                Ok(())
            }
            Self::Connect(sending) => {
                let limits = sending.connect.bounds.limits(&Sticky::LIMITS);
                let connection = connect(&sending.connect.address, &limits, context.log)?;
                Ok(send(&connection, sending, &limits)?)
            }
        }
    }
}

sentences! {
    /// Remarks of both ends.
    enum Note {
        InOneRead { bytes: u64 } =>
            "{bytes} bytes arrived in 1 read: a stream has no boundaries",
            "{bytes} 字节由 1 次读取得到：流没有边界";
        InReads { bytes: u64, reads: u64 } =>
            "{bytes} bytes arrived in {reads} reads: a stream has no boundaries",
            "{bytes} 字节由 {reads} 次读取得到：流没有边界";
        SentAtOnce { count: u32 } =>
            "{count} messages sent in {count} sends, with Nagle's algorithm off",
            "{count} 条消息由 {count} 次发送发出，关闭 Nagle 算法";
        SentWithNagle { count: u32 } =>
            "{count} messages sent in {count} sends, with Nagle's algorithm on",
            "{count} 条消息由 {count} 次发送发出，开启 Nagle 算法";
    }
}

/// Message number `n` of the sending end.
fn message(n: u32) -> String {
    format!("message {n};")
}

/// Reports what each read returns, or each frame, to the end of the stream.
fn read(connection: &Connection, reading: &Reading, limits: &Limits) -> Result<(), ConnectionError> {
    std::thread::sleep(reading.late);
    let size = (reading.read as usize).clamp(1, limits.message);
    if reading.framed {
        return receive_all(connection, limits.message, size);
    }
    let mut buffer = vec![0; size];
    let (mut reads, mut bytes) = (0_u64, 0_u64);
    loop {
        let n = connection.read(&mut buffer)?;
        if n == 0 {
            connection.note(match reads {
                1 => Note::InOneRead { bytes },
                reads => Note::InReads { bytes, reads },
            });
            return Ok(());
        }
        reads += 1;
        bytes += n as u64;
        connection.tell(What::Message(format!("read {reads}: {}", Bytes::of(&buffer[..n]))));
    }
}

/// Sends the messages, one system call each.
fn send(connection: &Connection, sending: &Sending, limits: &Limits) -> Result<(), ConnectionError> {
    let no_delay = connection.stream().set_nodelay(sending.no_delay);
    no_delay.map_err(ConnectionError::io("cannot set TCP_NODELAY"))?;
    for n in 1..=sending.count {
        let text = message(n).into_bytes();
        let bytes = if sending.framed { encode(&text, limits.message)? } else { text };
        connection.write_all(&bytes)?;
    }
    let count = sending.count;
    connection.note(if sending.no_delay {
        Note::SentAtOnce { count }
    } else {
        Note::SentWithNagle { count }
    });
    goodbye(connection);
    Ok(())
}
