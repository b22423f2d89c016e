//! The arguments of `proclab net`: a subcommand per program, generated from the registry.

use crate::cli::output::Format;
use crate::net::demo::damage::Damage;
use crate::net::program::End;
use crate::net::registry::{PROGRAMS, find};
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};

/// The name that stands for every program.
const ALL: &str = "all";
/// The subcommand that runs both ends.
const DEMO: &str = "demo";

const LONG_ABOUT: &str = "Network programs, each with a server and a client that are compatible with a small Python \
                          program.\n\nA server's first line is `listening on ADDRESS`. Lines of standard input are \
                          sent; received messages are lines of standard output; remarks and failed connections go \
                          to standard error, one line each. Ctrl-C stops a server: it accepts no more connections, \
                          lets open ones finish for the grace time, and exits with 0.";

const EXAMPLES: &str = "Examples:\n  \
                        proclab net all demo                   all programs, both ends\n  \
                        proclab net chat demo -v               with each send and receive\n  \
                        proclab net chat serve --bind 127.0.0.1:9000\n  \
                        proclab net chat connect 127.0.0.1:9000\n  \
                        proclab net file receive --into inbox --bind 127.0.0.1:9001\n  \
                        proclab net file send photo.jpg --to 127.0.0.1:9001\n  \
                        proclab net frames demo --trace        with the packets";

/// `proclab net PROGRAM …`.
#[derive(Clone, Debug)]
pub(crate) struct NetArgs(ArgMatches);

/// The options of every end and demo.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// Draw the packets of each connection, or without CAP_NET_RAW its states
    ///
    /// A demo shows only the beginning and the end of a long trace; `--trace=all` shows all of it, as a single end
    /// always does.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "ends"
    )]
    pub(super) trace: Option<Traced>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Traced {
    /// In a demo, the beginning and the end of a long trace
    Ends,
    /// The whole trace
    All,
}

/// The options of a demo.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Show each send and receive
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// Flip one bit on the wire, to see that the checks notice: in byte BYTE, counted from 0, of what each client
    /// sends (up:BYTE) or receives (down:BYTE). The demo then exits with 3
    #[arg(long, value_name = "DIRECTION:BYTE")]
    pub(super) damage: Option<Damage>,
    /// Cut each connection before byte BYTE of what the client sends (up:BYTE) or receives (down:BYTE), to see how
    /// both ends take it; a datagram that contains the byte is lost
    #[arg(long, value_name = "DIRECTION:BYTE", conflicts_with = "damage")]
    pub(super) cut: Option<Damage>,
    /// How to print it; JSON has every event, and the trace if there is one
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// What `proclab net` is to run.
pub(super) enum Task {
    End(Box<dyn End>),
    /// The demo of this program, or every demo.
    Demo(Option<&'static str>, DemoArgs),
}

impl NetArgs {
    /// The requested task.
    ///
    /// # Errors
    /// If the arguments name no program, end or demo, which the parser rejects earlier.
    pub(super) fn task(&self) -> Result<(Task, Common), clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, matches) = self.0.subcommand().ok_or_else(missing)?;
        let (verb, options) = matches.subcommand().ok_or_else(missing)?;
        let task = match (verb, find(name)) {
            (DEMO, entry) => {
                Task::Demo(entry.map(|entry| entry.name()), DemoArgs::from_arg_matches(options)?)
            }
            (_, Some(entry)) => Task::End(entry.end(matches)?),
            (_, None) => return Err(missing()),
        };
        Ok((task, Common::from_arg_matches(options)?))
    }
}

impl Args for NetArgs {
    fn augment_args(command: Command) -> Command {
        let demo = || {
            let about = "Run both ends as processes, and check the result";
            DemoArgs::augment_args(Command::new(DEMO)).about(about)
        };
        let command = command
            .long_about(LONG_ABOUT)
            .after_help(EXAMPLES)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand_value_name("PROGRAM")
            .subcommand_help_heading("Programs")
            .disable_help_subcommand(true);
        let group = |command: Command| {
            command
                .subcommand(demo())
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand_value_name("END")
                .subcommand_help_heading("Ends")
                .disable_help_subcommand(true)
        };
        let programs = PROGRAMS.iter().map(|entry| entry.arguments());
        let all = Command::new(ALL).about("Every program");
        let command = programs.chain([all]).fold(command, |command, one| command.subcommand(group(one)));
        Common::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for NetArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::event::{Log, What};
    use crate::net::input::Line;
    use crate::net::program::{Context, Opening};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::channel;

    fn parse(args: &[&str]) -> NetArgs {
        let command = NetArgs::augment_args(Command::new("net"));
        NetArgs(command.try_get_matches_from([&["net"], args].concat()).unwrap())
    }

    fn end(args: &[&str]) -> Box<dyn End> {
        match parse(args).task().unwrap().0 {
            Task::End(end) => end,
            Task::Demo(..) => panic!("{args:?} is a demo"),
        }
    }

    #[test]
    fn every_program_has_ends_and_a_demo() {
        NetArgs::augment_args(Command::new("net")).debug_assert();
        for entry in PROGRAMS {
            let (task, common) = parse(&[entry.name(), "demo", "-v", "--trace=all"]).task().unwrap();
            let Task::Demo(name, args) = task else { panic!("{} has no demo", entry.name()) };
            assert_eq!((name, args.verbose), (Some(entry.name()), true));
            assert_eq!(common.trace, Some(Traced::All));
            let command = entry.arguments();
            assert_eq!(command.get_about().map(ToString::to_string), Some(entry.about().to_owned()));
            assert_eq!(command.get_subcommands().count(), 2, "{}", entry.name());
        }
        let (task, _) = parse(&["all", "demo"]).task().unwrap();
        assert!(matches!(task, Task::Demo(None, _)));
    }

    #[test]
    fn a_program_needs_one_file_and_one_line_to_be_on_the_command_line() {
        // `ping` is registered in tests only, by one line of `PROGRAMS`.
        let server = end(&["ping", "serve"]);
        assert_eq!(server.needs().opening, Opening::Listen { connections: 7 });
        let help = find("ping").unwrap().arguments();
        let help = help.find_subcommand("serve").unwrap().clone().render_help().to_string();
        assert!(help.contains("[default: 7]"), "{help}");
        assert!(crate::cli::list::text().contains("net ping"));

        let (stop, stopped) = UnixStream::pair().unwrap();
        let (told, events) = channel();
        std::thread::scope(|scope| {
            let report = told.clone();
            scope.spawn(move || {
                let log = Log::new(move |event| drop(report.send(event.what)));
                let context = Context { input: channel::<Line>().1, stops: &[stopped.as_fd()], log: &log };
                end(&["ping", "serve"]).run(context).unwrap();
            });
            let Ok(What::Listening(address)) = events.recv() else { panic!("it listens first") };
            let log = Log::new(move |event| drop(told.send(event.what)));
            let context = Context { input: channel::<Line>().1, stops: &[], log: &log };
            end(&["ping", "connect", &address.to_string()]).run(context).unwrap();
            drop(stop);
        });
        assert!(events.try_iter().any(|what| what == What::Message("pong".to_owned())));
    }
}
