//! The programs that are watched. Each measures its own time, so that the start and the report of an observer are not
//! counted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};

use super::tell;

const SWITCHES: usize = 30_000;
/// Children of `forks`.
pub(super) const CHILDREN: usize = 1_000;
/// The user that servers run as where this is root, which PostgreSQL refuses.
const NOBODY: u32 = 65_534;

/// Two processes on one CPU that pass a byte back and forth, with a little work in between: about 100,000 context
/// switches per second.
pub(super) fn ping() {
    stay_on_one_cpu();
    let own = std::env::current_exe().expect("a running program has a path");
    let mut pong = Command::new(own)
        .arg("pong")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let (mut to, mut from) = (pong.stdin.take().expect("piped"), pong.stdout.take().expect("piped"));
    let mut byte = [0];
    let begin = Instant::now();
    for _ in 0..SWITCHES / 2 {
        to.write_all(&[1]).expect("pong reads");
        from.read_exact(&mut byte).expect("pong answers");
        work(Duration::from_micros(6));
    }
    tell(begin.elapsed().as_secs_f64());
    drop(to);
    let _ = pong.wait();
}

pub(super) fn pong() {
    stay_on_one_cpu();
    let mut byte = [0];
    let (mut from, mut to) = (std::io::stdin().lock(), std::io::stdout().lock());
    while from.read_exact(&mut byte).is_ok() {
        work(Duration::from_micros(6));
        if to.write_all(&byte).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

fn stay_on_one_cpu() {
    let mut first = CpuSet::new();
    let _ = first.set(0);
    let _ = sched_setaffinity(nix::unistd::Pid::from_raw(0), &first);
}

/// Works for a fixed CPU time, because a fixed amount of work would take longer while watched. This does not hide the
/// cost of context switches, which is paid outside of that time.
fn work(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

pub(super) fn forks() {
    let begin = Instant::now();
    for _ in 0..CHILDREN {
        let _ = Command::new("/bin/true").status();
    }
    tell(begin.elapsed().as_secs_f64());
}

/// Whether a program is installed.
pub(super) fn is_there(program: &str) -> bool {
    let silent = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    silent.is_ok_and(|status| status.success())
}

/// A folder that a server may write to, removed at the end.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("proclab-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY))?;
        }
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A command that runs as a user whom PostgreSQL accepts, without output.
fn server(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Ends a server as its administrator would, and waits for it.
fn stop(mut server: Child) {
    let _ = kill(nix::unistd::Pid::from_raw(server.id().cast_signed()), Signal::SIGINT);
    let _ = server.wait();
}

/// Waits until something answers at a port of this machine.
fn answers(port: u16) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// A free port; another program may take it before the server does, which then does not answer.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}

/// `redis-benchmark` against a server of its own, 8 clients.
pub(super) fn redis() {
    let port = free_port();
    let number = port.to_string();
    let server = server("redis-server")
        .args(["--port", &number, "--save", "", "--appendonly", "no"])
        .spawn()
        .expect("redis-server starts");
    if answers(port) {
        let begin = Instant::now();
        let status = Command::new("redis-benchmark")
            .args(["-p", &number, "-t", "set,get", "-n", "20000", "-c", "8", "-q"])
            .stdout(Stdio::null())
            .status();
        if status.is_ok_and(|status| status.success()) {
            tell(begin.elapsed().as_secs_f64());
        }
    }
    stop(server);
}

/// Makes a database for [`pgbench`].
pub(super) fn init_database(folder: &Folder) -> bool {
    let data = folder.path().join("data");
    let made = server("initdb").arg("-D").arg(&data).args(["-A", "trust", "-U", "bench", "-N"]).status();
    if !made.is_ok_and(|status| status.success()) {
        return false;
    }
    with_database(&data, |port| {
        let filled = server("pgbench")
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "bench", "-i", "-q", "postgres"])
            .status();
        filled.is_ok_and(|status| status.success())
    })
}

/// `pgbench` against a server of its own, 4 clients.
pub(super) fn pgbench() {
    let data = PathBuf::from(std::env::var_os("DATABASE").expect("the bench has made a database"));
    with_database(&data, |port| {
        let port = port.to_string();
        let begin = Instant::now();
        let status = server("pgbench")
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "bench", "-n", "-c", "4", "-t", "500", "postgres"])
            .status();
        if status.is_ok_and(|status| status.success()) {
            tell(begin.elapsed().as_secs_f64());
        }
        true
    });
}

fn with_database(data: &Path, work: impl FnOnce(u16) -> bool) -> bool {
    let port = free_port();
    let server = server("postgres")
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", ""])
        .spawn()
        .expect("postgres starts");
    let worked = answers(port) && ready_for_work(port) && work(port);
    stop(server);
    worked
}

/// A server listens before it takes work.
fn ready_for_work(port: u16) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) {
        let asked = server("pg_isready").args(["-h", "127.0.0.1", "-p", &port.to_string()]).status();
        if asked.is_ok_and(|status| status.success()) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
