//! `proclab watch`: any program, or a process that runs already.

mod failure;
mod lines;
mod live;

use crate::sys::pid::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::files::Output;
use crate::cli::fault::Fault;
use crate::observe::tier::Tier;
use crate::observe::watch::{Observed, Settings, Start, Watch, begin};
use crate::process::{Exit, Guard, HeldCommand, Signal, guarded};
use crate::report::watch::build::report;
use crate::report::watch::model::WatchReport;
use crate::report::watch::policy::Policy;
use crate::report::watch::text::{heading, summary};
use crate::report::watch::wrap::width_of;
use crate::report::watch::{drawing, html, perfetto, pftrace, svg, trajectory};
use crate::sys::exec::{Streams, open_terminal};
use crate::sys::notes_pipe;
use crate::sys::procfs::text::printable;
use crate::sys::signalfd::Signals;

/// Watch any program: which processes run, are ready, or are blocked, and on what
///
/// The command runs as it would alone: its exit code is passed on (128 + the number of the signal that killed it),
/// signals are forwarded, and its output is untouched. The report is printed on standard error, or as JSON on standard
/// output.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  proclab watch -- make -j2\n  proclab watch --html lives.html -- proclab run tickets"
)]
pub(crate) struct WatchArgs {
    /// Watch this running process, and all that it forks from now on
    #[arg(long, value_name = "PID", conflicts_with = "command")]
    pid: Option<Pid>,
    /// Use this source instead of the best available one
    #[arg(long, value_enum)]
    tier: Option<TierArg>,
    /// Print lines instead of the live view
    #[arg(long)]
    no_tui: bool,
    /// The format of the report; JSON goes to standard output, and the command's own output to standard error
    #[arg(long, value_enum, default_value = "text")]
    format: FormatArg,
    /// Write a trace for ui.perfetto.dev: JSON if the name ends in .json, otherwise Perfetto's protobuf; if it ends in
    /// .log, a line for each change of state instead
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Write a page that shows the run in any browser, offline
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the drawing of the run as an SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Show a row per thread (`H` in the live view)
    #[arg(long)]
    threads: bool,
    /// Show all open descriptors and their other ends, this many seconds after the start
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    descriptors: Option<Duration>,
    /// Predict the schedule of the same bursts under other policies: fifo, sjf, stcf, rr:MILLISECONDS, mlfq, eevdf
    #[arg(long, value_name = "POLICIES", value_delimiter = ',')]
    compare: Vec<Policy>,
    /// What reading /proc may cost, in percent of one CPU; it is read less often to keep that
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    budget: f64,
    /// The program and its arguments
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required_unless_present = "pid",
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TierArg {
    /// Tracepoints: switches, wake-ups, signals
    Root,
    /// Switch records: unprivileged
    Exact,
    /// /proc, read every few milliseconds
    Sampled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    /// Lines, and a table at the end
    Text,
    /// One document; its schema is `proclab schema watch`
    Json,
}

impl From<TierArg> for Tier {
    fn from(tier: TierArg) -> Self {
        match tier {
            TierArg::Root => Tier::Root,
            TierArg::Exact => Tier::Exact,
            TierArg::Sampled => Tier::Sampled,
        }
    }
}

impl WatchArgs {
    /// This program again, with the same arguments except `--watch`, as the command to watch.
    pub(crate) fn of_this_run() -> io::Result<Self> {
        let mut command = vec![std::env::current_exe()?.into_os_string()];
        command.extend(std::env::args_os().skip(1).filter(|arg| arg != "--watch"));
        let format = FormatArg::Text;
        Ok(Self {
            pid: None,
            tier: None,
            no_tui: false,
            format,
            export: None,
            html: None,
            svg: None,
            threads: false,
            descriptors: None,
            compare: Vec::new(),
            budget: 5.0,
            command,
        })
    }
}

/// Runs the verb; the exit code is the command's own.
pub(crate) fn run(args: &WatchArgs) -> ExitCode {
    let work = |guard| {
        watch(args, guard).unwrap_or_else(|fault| {
            fault.report();
            fault.code()
        })
    };
    // A process that runs already is not ended with the watch.
    let code = if args.pid.is_some() { Ok(work(None)) } else { guarded(|guard| work(Some(guard))) };
    match code {
        Ok(code) => code.into(),
        Err(error) => failure::system(&error).report(),
    }
}

fn watch(args: &WatchArgs, guard: Option<Guard>) -> Result<u8, Fault> {
    let files = [("--export", &args.export), ("--html", &args.html), ("--svg", &args.svg)];
    for (place, (option, file)) in files.iter().enumerate() {
        let same = |(_, other): &&(&str, &Option<PathBuf>)| file.is_some() && other == file;
        if let Some((other, _)) = files[..place].iter().find(same) {
            let what = format!("{other} and {option} name the same file: one would replace the other");
            return Err(Fault::bad_arguments(what).hint("give each a path of its own"));
        }
    }
    // Before anything runs: a file that cannot be written is reported before the program runs.
    let export = args.export.as_deref().map(Output::create).transpose()?;
    let page = args.html.as_deref().map(Output::create).transpose()?;
    let picture = args.svg.as_deref().map(Output::create).transpose()?;
    let signals = Signals::catch().map_err(|error| failure::system(&error))?;
    let json = args.format == FormatArg::Json;
    let live = !json && !args.no_tui && is_interactive();
    let (notes, told) = match is_ours(args.command.first()) {
        true => notes_pipe::pair()
            .map(|(ours, theirs)| (Some(ours), Some(theirs)))
            .map_err(|e| failure::system(&e))?,
        false => (None, None),
    };
    let streams = Streams { notes: told.as_ref().map(|told| told.as_fd()), ..Streams::default() };
    let (start, terminal) = start(args, json, live, streams)?;
    drop(told);
    let settings = Settings {
        tier: args.tier.map(Tier::from),
        budget_percent: args.budget,
        descriptors_after: args.descriptors,
        ..Settings::default()
    };
    let mut watch = begin(start, settings).map_err(|error| failure::watch(&error))?;
    if let Some(notes) = notes {
        watch.hear(notes);
    }
    if live {
        live::follow(&mut watch, &signals, terminal, guard, &title(args), args.threads)?;
    } else {
        lines::follow(&mut watch, &signals, guard, !json)?;
    }

    let command = (!args.command.is_empty())
        .then(|| args.command.iter().map(|arg| arg.to_string_lossy().into_owned()).collect());
    // From here on a signal ends this process as any other: a blocked pipe does not hold it.
    signals.outlast_echoes();
    drop(signals);
    let exit = exit_code(&watch);
    let observed = watch.into_observed();
    let mut report = report(&observed, command, &args.compare);
    report.timeline = Some(drawing::draw(&observed, &report, args.threads));
    let printed = if json {
        let document = serde_json::to_string_pretty(&report).map_err(|error| Fault::could_not_run(&error))?;
        writeln!(io::stdout(), "{document}")
    } else {
        write!(io::stderr(), "{}", summary(&report, width(), args.threads))
    };
    // It is no error if the reader has ended (`| head`).
    if let Err(error) = printed
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(failure::system(&error));
    }
    // If one file cannot be written, the others still are.
    let exported = export.map_or(Ok(()), |export| export.publish(&trace(args, &observed, &report)));
    let shown = page.map_or(Ok(()), |page| page.publish(&html::page(&observed, &report, args.threads)));
    let drawn =
        picture.map_or(Ok(()), |picture| picture.publish(&svg_file(&observed, &report, args.threads)));
    exported.and(shown).and(drawn)?;
    Ok(exit)
}

fn svg_file(observed: &Observed, report: &WatchReport, threads: bool) -> Vec<u8> {
    let drawing = drawing::draw(observed, report, threads);
    let heading = heading(report);
    let mut lines = heading.lines();
    let title = lines.next().unwrap_or_default();
    let remarks: Vec<String> = lines.map(str::to_owned).chain(drawing.remarks.clone()).collect();
    svg::file(&drawing, title, &remarks)
}

/// What to watch, and our end of its terminal if it gets one of its own.
fn start(
    args: &WatchArgs,
    json: bool,
    live: bool,
    streams: Streams<'_>,
) -> Result<(Start, Option<File>), Fault> {
    if let Some(pid) = args.pid {
        return Ok((Start::Pid(pid), None));
    }
    let stderr = io::stderr();
    if !live {
        let stdio = [None, json.then(|| stderr.as_fd()), None];
        return Ok((Start::Command(hold(&args.command, &Streams { stdio, ..streams })?), None));
    }
    let (columns, rows) = ratatui::crossterm::terminal::size().unwrap_or((80, 24));
    let (ours, theirs) = open_terminal(rows, columns).map_err(|error| failure::system(&error))?;
    let streams = Streams { stdio: [Some(theirs.as_fd()); 3], own_terminal: true, ..streams };
    Ok((Start::Command(hold(&args.command, &streams)?), Some(ours.into())))
}

fn hold(argv: &[OsString], streams: &Streams<'_>) -> Result<HeldCommand, Fault> {
    HeldCommand::new(argv, streams).map_err(|error| failure::command(&error))
}

/// Whether the program is this one, which reports notes about itself.
fn is_ours(program: Option<&OsString>) -> bool {
    let Some(program) = program.map(PathBuf::from) else { return false };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = if program.components().count() > 1 {
        Some(program)
    } else {
        std::env::split_paths(&path).map(|folder| folder.join(&program)).find(|file| file.is_file())
    };
    let file = |path: PathBuf| path.canonicalize().ok();
    found.and_then(file).is_some_and(|found| std::env::current_exe().ok().and_then(file) == Some(found))
}

/// The trace in the format that its file's name asks for.
fn trace(args: &WatchArgs, observed: &Observed, report: &WatchReport) -> Vec<u8> {
    let end = args.export.as_ref().and_then(|file| file.extension()).and_then(|end| end.to_str());
    match end {
        Some("json") | None => perfetto::trace(observed, report),
        Some("log") => trajectory::log(observed),
        Some(_) => pftrace::trace(observed),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.trim_end_matches('s').parse().ok().filter(|seconds| (0.0..=1e6).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "a number of seconds is needed".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse() {
        Ok(percent) if (0.1..=100.0).contains(&percent) => Ok(percent),
        _ => Err("a number of percent from 0.1 to 100 is needed".to_owned()),
    }
}

fn title(args: &WatchArgs) -> String {
    match args.pid {
        Some(pid) => format!("process {pid}"),
        None => {
            let words: Vec<_> = args.command.iter().map(|arg| printable(arg.as_encoded_bytes())).collect();
            words.join(" ")
        }
    }
}

/// Whether standard input and output are a terminal that can show the view.
fn is_interactive() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    // In this order: for what is no terminal, `size` runs another program.
    !dumb
        && io::stdin().is_terminal()
        && io::stdout().is_terminal()
        && ratatui::crossterm::terminal::size().is_ok_and(|(columns, rows)| live::can_draw(columns, rows))
}

/// The columns of the terminal or, for a file or a pipe, what the environment asks for.
fn width() -> usize {
    // In this order: for what is no terminal, `size` runs another program.
    let on_terminal = io::stderr().is_terminal() && io::stdout().is_terminal();
    let columns = on_terminal.then(|| ratatui::crossterm::terminal::size().ok()).flatten();
    let asked = std::env::var("COLUMNS").ok();
    columns.map_or_else(|| width_of(asked.as_deref()), |(columns, _)| usize::from(columns))
}

/// As in a shell: the command's own code, or 128 plus the signal's number.
fn exit_code(watch: &Watch) -> u8 {
    match watch.exit() {
        Some(Exit::Code(code)) => u8::try_from(code).unwrap_or(1),
        Some(Exit::Signal { signal: Signal(number), .. }) => u8::try_from(128 + number).unwrap_or(255),
        Some(Exit::Stolen) => 1,
        None => 0,
    }
}
