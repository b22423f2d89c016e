//! `proclab serve`: the page, for the lecture hall.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::fault::Fault;
use super::output;
use super::traced::Place;
use crate::process::HeldCommand;
use crate::serve::{Class, Listening, Options, Program, ServeError, serve};
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
    /// The address of the page; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Open the page in a browser
    #[arg(long)]
    open: bool,
    /// Let a class follow and vote at a second address
    #[arg(long)]
    class: bool,
    /// The address of the class's page [default: a free port of loopback, or with --beyond-this-machine of all networks]
    #[arg(long, value_name = "ADDRESS:PORT", requires = "class")]
    class_listen: Option<SocketAddr>,
    /// Accept connections from other machines: everyone who has the class's address can follow and vote
    #[arg(long)]
    beyond_this_machine: bool,
    /// Also the labs in DIR: one lab's folder, or a folder of such
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    labs: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// The program that can be watched, scheduled and explored on the page, and its arguments
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
    let options = Options { listen: args.listen, class, program: program(args), labs: args.labs.clone() };
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

/// The command that was given. If its folder cannot be copied, it can only be watched.
fn program(args: &ServeArgs) -> Option<Program> {
    let argv = args.command.clone();
    if argv.is_empty() {
        return None;
    }
    let traced = args.place.command(&argv).map_err(|fault| fault.to_string());
    Some(Program { argv, traced, typed: args.place.typed() })
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

/// Asks the desktop to open the page; without a desktop the printed address remains.
fn open(address: &str) {
    let quiet = std::fs::File::options().read(true).write(true).open("/dev/null");
    let Ok(quiet) = quiet else { return };
    let stdio = [Some(quiet.as_fd()); 3];
    let words = ["xdg-open".into(), address.into()];
    // It passes the address to a running browser or starts one, which is not ours to end.
    let held = HeldCommand::new(&words, &Streams { stdio, own_session: true, ..Streams::default() });
    drop(held.map(HeldCommand::release));
}
