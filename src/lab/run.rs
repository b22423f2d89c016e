//! Runs untrusted programs within limits, and leaves nothing of them behind.
//!
//! A separate process runs them. Where the system allows it, that process is in PID and mount namespaces of its own: when
//! its first process ends, all others are killed, and only their folder is writable. Elsewhere it adopts the processes that
//! they leave behind and kills them.

mod step;
mod watched;

use std::ffi::{CString, OsString};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::files::{Files, read_file};
use super::words::resolved;
use crate::process::{
    CommandError, Exit, HeldCommand, Process, ResultError, Scratch, ScratchError, StartError,
};
use crate::supervisor::Supervisor;
use crate::sys::descriptor::pipe_to_poll;
use crate::sys::enclosure;
use crate::sys::exec::Streams;
use crate::sys::poll::Deadline;
use crate::sys::procfs::tree;
use crate::sys::ptrace::namespace;
use crate::sys::signal::signal_name;
use crate::sys::task;
pub use step::{Cut, Job, Ran, Step};
use watched::{Watch, end_all};

/// The environment of every program. Python treats an empty variable as unset.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("LC_ALL", "C.UTF-8"),
    ("PYTHONHASHSEED", "0"),
    ("PYTHONPATH", ""),
    ("PYTHONSTARTUP", ""),
    ("PYTHONUNBUFFERED", ""),
    ("TERM", "dumb"),
];
/// The longest value of a variable that is passed to a check, in bytes.
const LONGEST_VARIABLE: usize = 100_000;
/// The longest input, in bytes: what a pipe holds, so that it can be written before the program starts.
const INPUT: usize = 60 << 10;

/// How many tasks its user may have beside those that there are: more than any limit of a part that is likely, so that
/// exceeding that is seen as such, and few enough for the machine to go on.
const FURTHER_TASKS: usize = 1000;

/// Where runs take place.
#[derive(Clone, Copy)]
struct Ground {
    /// Whether they have PID and mount namespaces of their own.
    is_alone: bool,
    /// How many tasks their user may have.
    most_tasks: usize,
}

/// The runs could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The process for them could not be started.
    #[error("cannot start a process for the runs")]
    Start(#[from] StartError),
    /// The folder for them could not be created.
    #[error("cannot create a folder for the runs")]
    Folder(#[from] ScratchError),
    /// The process ended early.
    #[error("the runs ended early")]
    Ended(#[from] ResultError),
    /// The process reported an error.
    #[error("{0}")]
    Failed(String),
}

/// Carries out a job: its runs, in order.
///
/// # Errors
/// [`RunError`]. A program that misbehaves is not an error.
pub fn run(supervisor: &Supervisor, job: Job) -> Result<Vec<Ran>, RunError> {
    let folder = Scratch::new()?;
    let order = (job, folder.path().to_owned());
    let process = Process::new(runner).args(order).name("lab").daemon(false).die_with_parent(true);
    let child = supervisor.start(process)?;
    child.result()?.map_err(RunError::Failed)
}

fn runner(job: Job, root: PathBuf) -> Result<Vec<Ran>, String> {
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let most_tasks = tree::tasks_of_this_user() + FURTHER_TASKS;
    if job.enclosed {
        let disk = job.steps.iter().map(|step| step.limits.disk).max().unwrap_or_default();
        let enclosed = crate::process::in_namespace(&root, |numbers| {
            // A mount on which a file is open for writing cannot be made read-only.
            drop(numbers);
            let tasks = job.steps.iter().map(|step| step.limits.processes).max().unwrap_or_default();
            // More room than the limit, so that exceeding it is seen as such and not as a full disk.
            enclosure::limit_tasks(tasks.saturating_mul(2));
            enclosure::only_writable(&root, disk << 21);
            // Its System V objects and its ports end with it; nothing but the loopback interface can be reached.
            let _ = namespace::renew(false, true);
            let _ = namespace::renew(true, false);
            enclosure::forgo_capabilities();
            enclosure::hide();
            let ran = carry_out(&job, &root, Ground { is_alone: true, most_tasks })
                .map_err(|error| error.to_string());
            crate::wire::codec::encode(&ran).unwrap_or_default()
        });
        match enclosed {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                let ran = crate::wire::codec::decode::<Result<Vec<Ran>, String>>(&bytes);
                return ran.map_err(|error| error.to_string())?;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    // A program could kill the process that runs it, so that is a copy; this one adopts and ends what both leave.
    let _ = task::set_subreaper(true);
    let ran = crate::process::in_copy(|| {
        let _ = task::set_subreaper(true);
        if job.enclosed {
            enclosure::forgo_capabilities();
            enclosure::hide();
        }
        let ran =
            carry_out(&job, &root, Ground { is_alone: false, most_tasks }).map_err(|error| error.to_string());
        crate::wire::codec::encode(&ran).unwrap_or_default()
    });
    end_all(false);
    let bytes = ran.map_err(|error| error.to_string())?.unwrap_or_default();
    crate::wire::codec::decode::<Result<Vec<Ran>, String>>(&bytes).unwrap_or_else(|_| {
        let killed = Ran { cut: Some(Cut::Interfered), ..Ran::default() };
        Ok(vec![killed; job.steps.len()])
    })
}

#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Start(#[from] CommandError),
    #[error(transparent)]
    Os(#[from] io::Error),
}

fn carry_out(job: &Job, root: &Path, ground: Ground) -> Result<Vec<Ran>, StepError> {
    let mut all = Vec::new();
    for (number, step) in job.steps.iter().enumerate() {
        let folder = root.join(number.to_string());
        std::fs::create_dir(&folder)?;
        job.files.write(&folder)?;
        let mut ran = step.run(&folder, ground, &[])?;
        if let Some(check) = step.check.as_ref().filter(|_| ran.cut.is_none()) {
            ran.checked = Some(step.checked(check, &ran, &folder, ground)?);
        }
        for name in &step.keep {
            // A link, a folder or a file that is too large counts as absent.
            if let Ok(bytes) = read_kept(&folder.join(name)) {
                ran.kept.0.insert(name.clone(), bytes);
            }
        }
        if ground.is_alone {
            // In a namespace the room is shared by all steps.
            let _ = std::fs::remove_dir_all(&folder);
        }
        all.push(ran);
    }
    Ok(all)
}

/// The largest program that a compiler may produce, in bytes.
const LARGEST_BUILT: u64 = 16 << 20;

fn read_kept(path: &Path) -> io::Result<Vec<u8>> {
    let meta = std::fs::symlink_metadata(path)?;
    if !meta.is_file() || meta.len() > LARGEST_BUILT {
        return read_file(path);
    }
    std::fs::read(path)
}

impl Step {
    /// Runs the check of what `ran` left in the folder.
    fn checked(
        &self,
        check: &str,
        ran: &Ran,
        root: &Path,
        ground: Ground,
    ) -> Result<(bool, String), StepError> {
        let argv = ["/bin/sh", "-c", check].map(str::to_owned).to_vec();
        let text = ran.text().replace('\0', "");
        // The kernel limits a variable (`MAX_ARG_STRLEN`). No correct program prints more than this.
        let mut end = text.len().min(LONGEST_VARIABLE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let status = ran.status.unwrap_or(-1).to_string();
        let variables = [("STDOUT", text[..end].trim_end_matches('\n').to_owned()), ("STATUS", status)];
        let said = Self::new(argv, self.limits).run(root, ground, &variables)?;
        let text = [&said.stdout[..], &said.stderr[..]].concat();
        Ok((said.is_success(), String::from_utf8_lossy(&text).trim().to_owned()))
    }

    fn run(&self, root: &Path, ground: Ground, more: &[(&str, String)]) -> Result<Ran, StepError> {
        let begin = Instant::now();
        let stdin = self.input()?;
        let (out, out_end) = pipe_to_poll()?;
        let (err, err_end) = pipe_to_poll()?;
        let directory = CString::new(root.as_os_str().as_bytes()).map_err(io::Error::from)?;
        let mut variables: Vec<(OsString, OsString)> =
            ["HOME", "TMPDIR", "PWD"].into_iter().map(|name| (name.into(), root.into())).collect();
        // The grader's environment must not decide how a program prints, sorts or finds its modules.
        variables.extend(ENVIRONMENT.map(|(name, value)| (name.into(), value.into())));
        variables.extend(toolchains().map(|folder| ("RUSTUP_HOME".into(), folder)));
        variables.extend(more.iter().map(|(name, value)| (name.into(), value.into())));
        let streams = Streams {
            stdio: [Some(stdin.as_fd()), Some(out_end.as_fd()), Some(err_end.as_fd())],
            directory: Some(&directory),
            variables: &variables,
            own_session: true,
            ..Streams::default()
        };
        let argv: Vec<OsString> = self.bounded(ground.most_tasks).into_iter().map(OsString::from).collect();
        let running = HeldCommand::new(&argv, &streams)?.release()?;
        drop((stdin, out_end, err_end));
        let mut watch = Watch::new(self, root, [out, err]);
        let (exit, cut) = watch.until_end(&running, Deadline::after(self.time()))?;
        if exit.is_none() {
            end_all(ground.is_alone);
        }
        watch.drain()?;
        let (left, passed) = if exit.is_some() { watch.left_behind(ground.is_alone)? } else { (0, None) };
        let cut = cut.or(passed);
        watch.drain()?;
        let [stdout, stderr] = std::mem::take(&mut watch.kept);
        let (status, signal) = match exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal { signal, .. }) => (Some(128 + signal.0), Some(signal_name(signal.0))),
            _ => (None, None),
        };
        let seconds = begin.elapsed().as_secs_f64();
        Ok(Ran { status, signal, stdout, stderr, cut, left, kept: Files::default(), checked: None, seconds })
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.limits.seconds)
    }

    /// Its standard input: a pipe that already holds all of it.
    fn input(&self) -> io::Result<OwnedFd> {
        if self.stdin.len() > INPUT {
            return Err(io::Error::other(format!("the input of a run is longer than {} KiB", INPUT >> 10)));
        }
        let (reader, mut writer) = io::pipe()?;
        writer.write_all(self.stdin.as_bytes())?;
        Ok(reader.into())
    }

    /// The command under the kernel's limits: no core dump, file size, processor time, and the user's tasks (which shells
    /// call `-p` or `-u`, and which do not apply to root).
    fn bounded(&self, most_tasks: usize) -> Vec<String> {
        let blocks = self.limits.disk * 2048;
        let seconds = self.limits.seconds.ceil() as u64 + 1;
        let tasks = format!("ulimit -p {most_tasks} 2> /dev/null || ulimit -u {most_tasks} 2> /dev/null");
        let script = format!("ulimit -c 0; ulimit -f {blocks}; ulimit -t {seconds}; {tasks}; exec \"$@\"");
        ["/bin/sh", "-c", &script, "sh"].into_iter().map(str::to_owned).chain(resolved(&self.argv)).collect()
    }
}

/// Where rustup keeps its toolchains. Its `rustc` looks for them in `HOME`, which is the folder of the run.
fn toolchains() -> Option<OsString> {
    let named = std::env::var_os("RUSTUP_HOME").filter(|folder| !folder.is_empty());
    let folder = named.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".rustup").into()))?;
    Path::new(&folder).is_dir().then_some(folder)
}
