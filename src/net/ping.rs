//! A program for tests. It shows that a program needs one file and one line in the registry.

use crate::net::address::connect;
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::connection::Connection;
use crate::net::demo::{DemoError, Stage};
use crate::net::event::What;
use crate::net::limits::Limits;
use crate::net::program::{Context, End, EndError, Needs, Program};
use crate::net::server::{Server, plain_line};
use clap::Subcommand;
use serde::{Deserialize, Serialize};

sentences! {
    /// What the demo says.
    enum Say {
        Pong => "the client got its pong", "客户端收到了 pong";
    }
}

#[derive(Debug)]
pub(crate) struct Ping;

impl Program for Ping {
    const NAME: &'static str = "ping";
    const ABOUT: &'static str = "Each client gets a pong";
    const LIMITS: Limits = Limits { connections: 7, ..Limits::DEFAULT };
    type Ends = Ends;

    fn demo(stage: &mut Stage<'_>) -> Result<(), DemoError> {
        let server = stage.serve(Ends::Serve(ServeArgs::default()), &[])?;
        let client = Ends::Connect(ConnectArgs::to(server.address()));
        let (client, _) = stage.connect(client, &[])?;
        let got = stage.messages_of(client);
        stage.check(Say::Pong, got == ["pong"]);
        stage.stop(&server)
    }
}

#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum Ends {
    /// Send a pong to each client
    Serve(ServeArgs),
    /// Show the pong
    Connect(ConnectArgs),
}

impl End for Ends {
    fn needs(&self) -> Needs {
        match self {
            Self::Serve(args) => Needs::listen(args.bounds.limits(&Ping::LIMITS).connections),
            Self::Connect(args) => Needs::connect(&args.address, "ping serve"),
        }
    }

    fn run(&self, context: Context<'_>) -> Result<(), EndError> {
        match self {
            Self::Serve(args) => {
                let server = Server::bind(&args.bind, args.bounds.limits(&Ping::LIMITS), context.log)?;
                Ok(server.serve(context.stops, plain_line, |connection: &Connection| {
                    connection.write_all(b"pong")
                })?)
            }
            Self::Connect(args) => {
                let connection = connect(&args.address, &args.bounds.limits(&Ping::LIMITS), context.log)?;
                let mut pong = [0; 4];
                connection.read_exact(&mut pong, "the pong")?;
                let pong = String::from_utf8_lossy(&pong).into_owned();
                connection.tell(What::Message(pong));
                Ok(())
            }
        }
    }
}
