//! What `proclab net` can be asked for.

use crate::net::auth::Scheme;
use crate::net::demo::damage::Damage;
use crate::net::transfer::digest::Hash;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Network programs: chat, udp, sticky, frames, file, echo, upper, auth.
#[derive(Debug, Args)]
#[command(
    long_about = "Network programs, each with a server and a client that speak the bytes of a small \
                  Python program.\n\nA server's first line is `listening on ADDRESS`. Lines of the \
                  standard input are messages out, lines of the standard output are messages in; \
                  remarks and failed connections go to the standard error, one line each. Ctrl-C \
                  stops a server: it accepts no more, lets connections finish for the grace time, and \
                  exits 0.",
    after_help = "Examples:\n  \
                  proclab net all demo                          every program, both ends, checked\n  \
                  proclab net chat serve --bind 127.0.0.1:9000  then, elsewhere:\n  \
                  proclab net chat connect 127.0.0.1:9000\n  \
                  proclab net file receive --into inbox --bind 127.0.0.1:9001\n  \
                  proclab net file send photo.jpg --to 127.0.0.1:9001\n  \
                  proclab net frames demo --trace               the packets of a connection's life"
)]
pub(crate) struct NetArgs {
    #[command(subcommand)]
    pub(crate) program: Program,

    /// Draw the life of the connections: their packets where CAP_NET_RAW allows, else their states.
    ///
    /// A demo shows the beginning and the end of a long life; `--trace=all` shows all of it, as the ends by
    /// themselves always do.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "ends"
    )]
    pub(crate) trace: Option<Traced>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Traced {
    /// In a demo, where a life is long, its beginning and its end.
    Ends,
    /// All of it.
    All,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Program {
    /// Raw text both ways at any time; a lone Q or q ends it.
    #[command(subcommand)]
    Chat(Chat),
    /// One datagram a message, each answered.
    #[command(subcommand)]
    Udp(Udp),
    /// Many small sends without borders, and what the reads make of them.
    #[command(subcommand)]
    Sticky(Sticky),
    /// Messages with their length before them.
    #[command(subcommand)]
    Frames(Frames),
    /// A file, whole or not at all; either end may listen.
    #[command(subcommand)]
    File(File),
    /// Every byte comes back.
    #[command(subcommand)]
    Echo(Echo),
    /// Text comes back in upper case, from a busy loop or by readiness.
    #[command(subcommand)]
    Upper(Upper),
    /// As upper, for those who prove that they have the key.
    #[command(subcommand)]
    Auth(Auth),
    /// Every program.
    #[command(subcommand)]
    All(All),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Chat {
    /// Take part in every conversation: lines go to all who are connected.
    Serve(ServeArgs),
    /// Talk with a server.
    Connect(ConnectArgs),
    /// Run both ends as processes, and check what crossed the wire.
    Demo(DemoArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Udp {
    /// Answer datagrams.
    Serve {
        /// Where to receive; port 0 takes a free one.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        bind: String,
        /// The buffer in bytes: the rest of a longer datagram is lost, and that is shown.
        #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65536))]
        buffer: u32,
        /// Ignore this many of a hundred datagrams of each client, evenly spread, as if lost.
        #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
        drop: u8,
    },
    /// Send each line as a datagram.
    Connect {
        /// The server, HOST:PORT.
        address: String,
        /// How long an answer is waited for.
        #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
        timeout: Duration,
        /// How often a message is sent again.
        #[arg(long, value_name = "N", default_value_t = 3)]
        retries: u32,
    },
    /// Run both ends as processes, and check what crossed the wire.
    Demo(DemoArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sticky {
    /// Show what each read gives.
    Serve {
        #[command(flatten)]
        serve: ServeArgs,
        /// The buffer of one read in bytes.
        #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
        read: u32,
        /// Wait before the first read, at most 10.
        #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = up_to_ten_seconds)]
        late: Duration,
        /// The messages come as frames.
        #[arg(long)]
        framed: bool,
    },
    /// Send many small messages.
    Connect {
        #[command(flatten)]
        connect: ConnectArgs,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 20)]
        count: u32,
        /// Switch Nagle's algorithm off (TCP_NODELAY).
        #[arg(long)]
        no_delay: bool,
        /// Send each message as a frame.
        #[arg(long)]
        framed: bool,
    },
    /// Run both ends as processes, and check what crossed the wire.
    Demo(DemoArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Frames {
    /// Send each client the messages, and show the frames that it sends.
    Serve {
        #[command(flatten)]
        serve: ServeArgs,
        /// A message; can be given more than once.
        #[arg(long, value_name = "TEXT", default_value = "Parallel")]
        message: Vec<String>,
    },
    /// Show the server's frames, and send each line as a frame.
    Connect(ConnectArgs),
    /// Run both ends as processes, and check what crossed the wire.
    Demo(DemoArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum File {
    /// Send a file to a receiver, or to each that connects.
    Send {
        /// The file.
        path: PathBuf,
        #[command(flatten)]
        place: Place,
        /// The hash function of the digest that both ends show.
        #[arg(long, value_enum, value_name = "FUNCTION", default_value_t = Hash::default())]
        hash: Hash,
        /// Go on where an earlier transfer ended; the receiver must be `receive --resume`.
        #[arg(long)]
        resume: bool,
        /// With --bind: end after the first transfer that succeeds.
        #[arg(long, conflicts_with = "to")]
        once: bool,
        #[command(flatten)]
        bounds: Bounds,
    },
    /// Receive files into a folder.
    Receive {
        /// The folder.
        #[arg(long, value_name = "DIR")]
        into: PathBuf,
        #[command(flatten)]
        place: Place,
        /// The largest file in bytes.
        #[arg(long, value_name = "BYTES", default_value_t = 64 << 30)]
        max_size: u64,
        /// Replace a file that has the same name.
        #[arg(long)]
        overwrite: bool,
        /// The hash function of the digest that is shown, unless the sender names one.
        #[arg(long, value_enum, value_name = "FUNCTION", default_value_t = Hash::default())]
        hash: Hash,
        /// Keep unfinished files of senders with --resume, and go on with them: up to 16 files, and
        /// together no more than --max-size; the oldest are removed first.
        #[arg(long)]
        resume: bool,
        /// With --bind: end after the first transfer that succeeds.
        #[arg(long, conflicts_with = "to")]
        once: bool,
        #[command(flatten)]
        bounds: Bounds,
    },
    /// Run both ends as processes, and check what crossed the wire.
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Place {
    /// Listen here; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bind: Option<String>,
    /// Connect to this address.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Echo {
    /// Send everything back.
    Serve {
        #[command(flatten)]
        serve: ServeArgs,
        /// What serves a connection.
        #[arg(long, value_enum, value_name = "KIND", default_value_t = WorkerKind::Thread)]
        workers: WorkerKind,
    },
    /// Send each line, and show what comes back.
    Connect(ConnectArgs),
    /// Run both ends as processes, and check what crossed the wire.
    Demo(DemoArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WorkerKind {
    /// A thread for each connection.
    Thread,
    /// A process for each connection, under the supervisor.
    Process,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Upper {
    /// Send everything back in upper case; says at the end what it cost.
    Serve {
        #[command(flatten)]
        serve: ServeArgs,
        /// How the server finds out which connection has something.
        #[arg(long, value_enum, value_name = "MODE", default_value_t = Mode::Ready)]
        mode: Mode,
    },
    /// Send each line, and show what comes back.
    Connect(ConnectArgs),
    /// Run both ends as processes, and check what crossed the wire.
    Demo(DemoArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// It asks all of them without end.
    Busy,
    /// The kernel says which (epoll).
    Ready,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Serve those who prove the key.
    Serve {
        #[command(flatten)]
        serve: ServeArgs,
        #[command(flatten)]
        secret: Secret,
    },
    /// Prove the key, then send each line.
    Connect {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(flatten)]
        secret: Secret,
    },
    /// Run both ends as processes with a default key, replay an answer, and guess a key.
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct Secret {
    /// The file that holds the key; one line ending at its end is not part of it. Without this
    /// option the key is the environment variable PROCLAB_KEY.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// How the key is proven.
    #[arg(long, value_enum, value_name = "SCHEME", default_value_t = Scheme::Md5)]
    pub(crate) scheme: Scheme,
}

#[derive(Debug, Subcommand)]
pub(crate) enum All {
    /// Run the demo of every program.
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Turn over one bit of what crosses the wire, to see that it is noticed: of byte number BYTE of what
    /// each client sends (up:BYTE) or gets (down:BYTE), counted from 0. The demo then exits 3.
    #[arg(long, value_name = "DIRECTION:BYTE")]
    pub(crate) damage: Option<Damage>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) bind: String,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// The server, HOST:PORT.
    pub(crate) address: String,
    #[command(flatten)]
    pub(crate) bounds: ClientBounds,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Bounds {
    /// The most connections at once; the one above is told so and closed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: Option<u32>,
    /// How long connections may finish once the server is asked to stop.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) grace: Duration,
    #[command(flatten)]
    pub(crate) each: ClientBounds,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct ClientBounds {
    /// The longest time in which no byte moves where one is waited for [default: 60; chat 600].
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    pub(crate) idle: Option<Duration>,
    /// The longest life of a connection.
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = positive_seconds)]
    pub(crate) total: Duration,
    /// The longest message in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    pub(crate) max_message: u32,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| "it must be a number of seconds, such as 2 or 0.5".to_owned())?;
    if !(0.0..=1e9).contains(&seconds) {
        return Err("it must be from 0 to 1000000000 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A server that is asked to stop must not be kept by a long sleep.
fn up_to_ten_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        long if long > Duration::from_secs(10) => Err("it must be from 0 to 10 seconds".to_owned()),
        duration => Ok(duration),
    }
}

fn positive_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("it must be more than 0 seconds".to_owned()),
        duration => Ok(duration),
    }
}
