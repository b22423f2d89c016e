//! `chat`: raw text both ways, at any time; a lone `Q` or `q` ends it.
//!
//! The stream has no message boundaries: a send arrives as one message only if nothing else is sent before the
//! other end has read it. Both ends reduce the problem. The sender pauses between two messages, and first waits
//! briefly for an answer, as the turn-by-turn Python programs expect (a client does so before its first message
//! too); the receiver takes everything that arrives without a pause as one message. The remedy is framing.

mod conversation;
mod demo;
mod room;
mod turn;

use crate::net::address::connect;
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::demo::{DemoError, Stage};
use crate::net::input::Line;
use crate::net::limits::Limits;
use crate::net::program::{Context, End, EndError, Needs, Program};
use crate::net::server::{Server, plain_line};
use clap::Subcommand;
use conversation::{Out, converse};
use room::Room;
use serde::{Deserialize, Serialize};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;
use turn::Turn;

/// The program.
#[derive(Debug)]
pub struct Chat;

impl Program for Chat {
    const NAME: &'static str = "chat";
    const ABOUT: &'static str = "Raw text both ways at any time; a lone Q or q ends it";
    // People think before they answer.
    const LIMITS: Limits = Limits { connections: 64, idle: Duration::from_secs(600), ..Limits::DEFAULT };
    type Ends = Ends;

    fn demo(stage: &mut Stage<'_>) -> Result<(), DemoError> {
        demo::play(stage)
    }
}

/// The ends.
#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub enum Ends {
    /// Take part in every conversation: each line goes to all connected clients
    Serve(ServeArgs),
    /// Talk to a server
    Connect(ConnectArgs),
}

impl Ends {
    fn limits(&self) -> Limits {
        match self {
            Self::Serve(args) => args.bounds.limits(&Chat::LIMITS),
            Self::Connect(args) => args.bounds.limits(&Chat::LIMITS),
        }
    }
}

impl End for Ends {
    fn needs(&self) -> Needs {
        let limits = self.limits();
        let needs = match self {
            Self::Serve(_) => Needs::listen(limits.connections),
            Self::Connect(args) => Needs::connect(&args.address, "chat serve"),
        };
        needs.reading(limits.message)
    }

    fn run(&self, context: Context<'_>) -> Result<(), EndError> {
        let limits = self.limits();
        match self {
            Self::Serve(args) => serve(&args.bind, &limits, context),
            Self::Connect(args) => talk(&connect(&args.address, &limits, context.log)?, &limits, context),
        }
    }
}

fn serve(address: &str, limits: &Limits, context: Context<'_>) -> Result<(), EndError> {
    let Context { input, stops, log } = context;
    let server = Server::bind(address, *limits, log)?;
    let room = Room::default();
    let (speaker, notes) = (room.clone(), log.clone());
    // Detached, as it may wait for a terminal; it ends with the process.
    let speak = move || speaker.speak(&input, &notes);
    thread::Builder::new().spawn(speak).map_err(ConnectionError::no_thread)?;
    server.serve(stops, plain_line, |connection| room.serve_one(connection, limits))?;
    Ok(())
}

/// Talks to a server until one end says `Q` or both have ended.
fn talk(connection: &Connection, limits: &Limits, context: Context<'_>) -> Result<(), EndError> {
    let Context { input, log, .. } = context;
    let (outgoing, queue) = sync_channel(1);
    let (forward, notes) = (outgoing.clone(), log.clone());
    // Detached, as it may wait for a terminal; it ends with the conversation or with the process.
    let read = move || {
        for line in input {
            match line {
                Line::Text(text) if text.is_empty() => {}
                Line::Text(text) => {
                    if forward.send(Out::Text(text)).is_err() {
                        return;
                    }
                }
                Line::Refused(why) => notes.note(None, why),
            }
        }
        let _ = forward.send(Out::End);
    };
    thread::Builder::new().spawn(read).map_err(ConnectionError::no_thread)?;
    // Python's server speaks first: a client that spoke at the same time would be out of turn.
    let turn = Turn::of_the_peer();
    converse(connection, limits, &outgoing, queue, turn, &|text| text)?;
    Ok(())
}
