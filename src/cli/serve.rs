//! `proclab serve`: the page, for the lecture hall.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Args;

use super::fault::Fault;
use super::output;
use crate::process::HeldCommand;
use crate::serve::{Class, Listening, Options, ServeError, serve};
use crate::sys::exec::Streams;
use crate::sys::resource::raise_open_file_limit;
use crate::sys::signal::Interrupt;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  proclab serve --open                       the page, in your browser\n  \
                  proclab serve -- python3 tickets.py        with a program that can be watched\n  \
                  proclab serve --class --beyond-this-machine  students follow and vote on their phones"
)]
pub(crate) struct ServeArgs {
    /// Where the page is; port 0 is any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Open the page in a browser
    #[arg(long)]
    open: bool,
    /// Let a class follow and vote, at a second address
    #[arg(long)]
    class: bool,
    /// Where the class's page is [default: a free port of this machine, or of all its networks]
    #[arg(long, value_name = "ADDRESS:PORT", requires = "class")]
    class_listen: Option<SocketAddr>,
    /// Let other machines in: whoever has the address of the class can follow and vote
    #[arg(long)]
    beyond_this_machine: bool,
    /// The program that can be watched on the page, and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the verb until Ctrl-C.
pub(crate) fn run(args: &ServeArgs) -> ExitCode {
    carry_out(args).map_or_else(|fault| fault.report(), |()| ExitCode::SUCCESS)
}

fn carry_out(args: &ServeArgs) -> Result<(), Fault> {
    let class = args.class.then(|| Class { listen: class_address(args) });
    for address in [Some(args.listen), class.map(|class| class.listen)].into_iter().flatten() {
        if !address.ip().is_loopback() && !args.beyond_this_machine {
            return Err(Fault::bad_arguments(format!("{address} lets other machines in"))
                .hint("say so with --beyond-this-machine, or leave the address out"));
        }
    }
    let interrupt = Interrupt::install().map_err(|error| Fault::could_not_run(&error))?;
    let _ = raise_open_file_limit();
    let options = Options { listen: args.listen, class, command: args.command.clone() };
    let mut told = Ok(());
    let served = serve(&options, interrupt, |listening| {
        told = output::write(&text(listening));
        if args.open {
            open(&listening.lecturer);
        }
    });
    told?;
    served.map_err(|error| {
        let fault = Fault::could_not_run(&error);
        match error {
            ServeError::Listen { .. } => fault.or_hint("give another address, or port 0 for any free one"),
            _ => fault,
        }
    })
}

fn class_address(args: &ServeArgs) -> SocketAddr {
    let ip = if args.beyond_this_machine { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    args.class_listen.unwrap_or(SocketAddr::new(IpAddr::V4(ip), 0))
}

fn text(listening: &Listening) -> String {
    let mut text = format!("{}\n", listening.lecturer);
    for address in &listening.students {
        text.push_str(&format!("class: {address}\n"));
    }
    text.push_str("Ctrl-C ends it\n");
    text
}

/// Asks the desktop to open the page. Where there is none, the address is printed all the same.
fn open(address: &str) {
    let quiet = std::fs::File::options().read(true).write(true).open("/dev/null");
    let Ok(quiet) = quiet else { return };
    let stdio = [Some(quiet.as_fd()); 3];
    let words = ["xdg-open".into(), address.into()];
    // It hands the address to a browser that runs already, or starts one, which is not ours to end.
    let held = HeldCommand::new(&words, &Streams { stdio, own_session: true, ..Streams::default() });
    drop(held.map(HeldCommand::release));
}
