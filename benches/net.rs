//! Compares the network programs with plain copies and with the Python programs: `cargo bench --bench net`.
//!
//! Everything runs in turn and in one run, over loopback. Absolute numbers depend on the machine; the
//! ratios on the last lines are what to compare. `-- file`, `-- upper` or `-- echo` runs that part only.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use nix::sys::resource::{UsageWho, getrusage};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const GIB: u64 = 1 << 30;
const CHUNK: usize = 1 << 20;
const ROUNDS: usize = 5;
const REQUEST: &[u8] = b"wusir";
const LOAD: Duration = Duration::from_millis(1500);

fn main() {
    // `cargo test --benches` runs this too, only to check that it builds.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let most = proclab::sys::resource::raise_open_file_limit().unwrap_or(1024);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("machine: {cores} cores, {most} descriptors a process\n");
    let mut figures = Vec::new();
    let parts: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if wanted("file") {
        transfer(cores, &mut figures);
    }
    if wanted("upper") {
        upper(most, &mut figures);
    }
    if wanted("echo") {
        echo(&mut figures);
    }
    figures.iter().for_each(|figure| println!("{figure}"));
}

// ---- file ----

/// Copies one file to another over loopback, and returns the duration; `None` if the program is unavailable.
type Copying = fn(&Path, &Path) -> Option<Duration>;

fn transfer(cores: usize, figures: &mut Vec<String>) {
    let folder = Folder::new();
    let source = folder.0.join("source");
    let mut file = File::create(&source).expect("the source file");
    let mut state = 1_u64;
    let chunk: Vec<u8> = (0..CHUNK)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    (0..GIB / CHUNK as u64).for_each(|_| file.write_all(&chunk).expect("room for 1 GiB"));
    drop(file);

    let works: [(&str, Copying); 7] = [
        ("memory to memory, no file, no hash", |_, _| Some(memory_loop())),
        ("file to file, read and write, no hash", |from, into| Some(plain_copy(from, into, Plain::Calls))),
        ("file to file in the kernel, no hash", |from, into| Some(plain_copy(from, into, Plain::Kernel))),
        ("file to file, BLAKE3 at both ends", |from, into| Some(plain_copy(from, into, Plain::Hash))),
        ("proclab net file, BLAKE3 at both ends", |from, into| ours(from, into, "blake3")),
        ("proclab net file --hash sha256", |from, into| ours(from, into, "sha256")),
        ("Python, the notes' programs mended", python_copy),
    ];
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); works.len()];
    let mut cpus: Vec<Vec<f64>> = times.clone();
    for _ in 0..ROUNDS {
        for (((_, work), times), cpus) in works.iter().zip(&mut times).zip(&mut cpus) {
            let into = folder.0.join("into");
            std::fs::create_dir_all(&into).expect("a folder");
            let before = processor_time();
            if let Some(time) = work(&source, &into) {
                times.push(time.as_secs_f64());
                cpus.push(processor_time() - before);
            }
            std::fs::remove_dir_all(&into).expect("the folder is removed");
        }
    }
    println!("1 GiB over loopback in {}, seconds, of {ROUNDS} rounds", folder.0.display());
    println!("  {:<42} {:>6}   {:>6} {:>6}   {:>14}", "", "median", "least", "most", "processor time");
    for (((name, _), times), cpus) in works.iter().zip(&mut times).zip(&mut cpus) {
        times.sort_by(f64::total_cmp);
        cpus.sort_by(f64::total_cmp);
        match times[..] {
            [] => println!("  {name:<42} left out: it is not here"),
            _ => println!(
                "  {name:<42} {:>6.2}   {:>6.2} {:>6.2}   {:>14.2}",
                median(times),
                times[0],
                times[times.len() - 1],
                median(cpus)
            ),
        }
    }
    let hash = hash_alone(&chunk);
    let least = (median(&cpus[1]).min(median(&cpus[2])) + 2.0 * hash) / cores as f64;
    let bound = least.max(hash);
    let plain = median(&times[1]).min(median(&times[2]));
    println!(
        "  BLAKE3 of 1 GiB takes a core {hash:.2} s. With two of them, the cheapest plain file copy cannot be \
         faster than {bound:.2} s on {cores} cores: {:.2} of that copy without them, {:.2} of the memory loop\n",
        plain / bound,
        median(&times[0]) / bound
    );
    let mut figure = |peer: &str, theirs: f64| {
        figures.push(format!("figure file-1GiB proclab/{peer} {:.2}", theirs / median(&times[4])));
    };
    figure("memory-loop-without-hash", median(&times[0]));
    figure("fastest-plain-file-copy-without-hash", plain);
    figure("plain-file-copy-that-hashes-too", median(&times[3]));
    figure("the-least-that-two-hashes-allow", bound);
    figure("itself-with-sha256", median(&times[5]));
    if !times[6].is_empty() {
        figure("python", median(&times[6]));
    }
}

/// Seconds of processor time that this process and its reaped children have used so far.
fn processor_time() -> f64 {
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .into_iter()
        .filter_map(|who| getrusage(who).ok())
        .flat_map(|usage| [usage.user_time(), usage.system_time()])
        .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
        .sum()
}

/// Seconds that one core takes to hash 1 GiB in memory.
fn hash_alone(chunk: &[u8]) -> f64 {
    let (began, mut state) = (Instant::now(), blake3::Hasher::new());
    (0..GIB / CHUNK as u64).for_each(|_| {
        state.update(chunk);
    });
    std::hint::black_box(state.finalize());
    began.elapsed().as_secs_f64()
}

fn memory_loop() -> Duration {
    let (sender, mut receiver) = pair();
    let began = Instant::now();
    let sending = thread::spawn(move || {
        let (mut sender, bytes) = (sender, vec![7; CHUNK]);
        (0..GIB / CHUNK as u64).for_each(|_| sender.write_all(&bytes).expect("loopback takes it"));
    });
    let mut buffer = vec![0; CHUNK];
    let mut got = 0;
    while got < GIB {
        got += receiver.read(&mut buffer).expect("loopback gives it") as u64;
    }
    sending.join().expect("sending");
    began.elapsed()
}

#[derive(Clone, Copy, PartialEq)]
enum Plain {
    /// `sendfile(2)` and `splice(2)`, through the standard library.
    Kernel,
    /// A read and a write of each piece.
    Calls,
    /// The same, with both ends hashing each piece, as a straightforward program would do.
    Hash,
}

fn plain_copy(from: &Path, into: &Path, how: Plain) -> Duration {
    let (mut sender, mut receiver) = pair();
    let mut source = File::open(from).expect("the source file");
    let mut target = File::create(into.join("copy")).expect("the target file");
    let copy = move |from: &mut dyn Read, to: &mut dyn Write| {
        let (mut buffer, mut state) = (vec![0; CHUNK], blake3::Hasher::new());
        loop {
            match from.read(&mut buffer).expect("it can be read") {
                0 => break state.finalize(),
                n => {
                    to.write_all(&buffer[..n]).expect("it can be written");
                    if how == Plain::Hash {
                        state.update(&buffer[..n]);
                    }
                }
            }
        }
    };
    let began = Instant::now();
    let sending = thread::spawn(move || {
        if how == Plain::Kernel {
            io::copy(&mut source, &mut sender).expect("it can be sent");
            return None;
        }
        Some(copy(&mut source, &mut sender))
    });
    let received = if how == Plain::Kernel {
        io::copy(&mut receiver, &mut target).expect("it can be received");
        None
    } else {
        Some(copy(&mut receiver, &mut target))
    };
    assert_eq!(sending.join().expect("sending"), received);
    began.elapsed()
}

fn ours(from: &Path, into: &Path, hash: &str) -> Option<Duration> {
    let receive = ["file", "receive", "--into", into.to_str()?, "--bind", "127.0.0.1:0", "--once"];
    let mut server = Server::start(proclab(&receive))?;
    let began = Instant::now();
    let sent =
        proclab(&["file", "send", from.to_str()?, "--to", &server.address.to_string(), "--hash", hash])
            .stdout(Stdio::null())
            .status();
    let received = server.child.wait();
    let took = began.elapsed();
    assert!(sent.is_ok_and(|s| s.success()) && received.is_ok_and(|s| s.success()), "the transfer");
    Some(took)
}

fn python_copy(from: &Path, into: &Path) -> Option<Duration> {
    let mut receive = notes(&["file-receive", "serve", "127.0.0.1:0"]);
    receive.stdin(Stdio::piped());
    let mut server = Server::start(receive)?;
    server.child.stdin.take()?.write_all(into.to_str()?.as_bytes()).ok()?;
    let began = Instant::now();
    let mut client =
        notes(&["file-send", "connect", &server.address.to_string()]).stdin(Stdio::piped()).spawn().ok()?;
    client.stdin.take()?.write_all(from.to_str()?.as_bytes()).ok()?;
    let done = client.wait().is_ok_and(|s| s.success()) && server.child.wait().is_ok_and(|s| s.success());
    done.then(|| began.elapsed())
}

// ---- upper and echo ----

/// A loop around the notes' handler, which handles only one request per connection.
const THREADING: &str = r#"
import socketserver, sys
up = sys.argv[1] == "upper"
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            data = self.request.recv(1024)
            if not data:
                return
            self.request.sendall(data.decode("utf-8").upper().encode("utf-8") if up else data)
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 4096
server = Server(("127.0.0.1", 0), Handler)
print("listening on %s:%d" % server.server_address, flush=True)
server.serve_forever()
"#;

fn threading(what: &str) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", THREADING, what]);
    command
}

fn upper(most: u64, figures: &mut Vec<String>) {
    let many = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(100).min(10_000);
    if many < 10_000 {
        println!("only {many} connections: ulimit -n allows no more\n");
    }
    let limit = (many + 10).to_string();
    let ours = |mode: &str| proclab(&["upper", "serve", "--mode", mode, "--max-connections", &limit]);
    for (open, active) in [(1000.min(many), 1000.min(many)), (many, 1000.min(many))] {
        println!("upper: {open} connections open, {active} active, one request each at a time");
        println!("  {:<34} {:>10} {:>12} {:>14}", "", "requests/s", "slowest, ms", "memory/conn, B");
        let mut servers: Vec<(&str, Command)> = vec![
            ("readiness", ours("ready")),
            ("busy loop", ours("busy")),
            ("Python, the notes' busy loop", notes(&["upper", "serve", "127.0.0.1:0"])),
        ];
        if open == active {
            servers.push(("Python, ThreadingTCPServer", threading("upper")));
        }
        let mut rates = Vec::new();
        for (name, command) in servers {
            let load = load(command, open, active, b"WUSIR");
            tell(name, load.as_ref());
            rates.push((name, load.map(|load| load.rate)));
        }
        println!();
        compare(&format!("upper-{open}-open-{active}-active"), &rates, figures);
    }
}

fn echo(figures: &mut Vec<String>) {
    println!("echo: 500 connections at once");
    println!("  {:<34} {:>10} {:>12} {:>14}", "", "requests/s", "slowest, ms", "memory/conn, B");
    let mut rates = Vec::new();
    for (name, command) in
        [("threads", proclab(&["echo", "serve"])), ("Python, ThreadingTCPServer", threading("echo"))]
    {
        let load = load(command, 500, 500, REQUEST);
        tell(name, load.as_ref());
        rates.push((name, load.map(|load| load.rate)));
    }
    println!();
    compare("echo-500", &rates, figures);
}

fn tell(name: &str, load: Option<&Load>) {
    match load {
        None => println!("  {name:<34} left out: it is not here, or does not bear it"),
        Some(load) => println!(
            "  {name:<34} {:>10.0} {:>12.1} {:>14}",
            load.rate,
            load.slowest.as_secs_f64() * 1e3,
            load.memory
        ),
    }
}

fn compare(work: &str, rates: &[(&str, Option<f64>)], figures: &mut Vec<String>) {
    let Some((ours, Some(rate))) = rates.first() else { return };
    for (peer, theirs) in &rates[1..] {
        if let Some(theirs) = theirs {
            let [ours, peer] = [ours, peer].map(|name| name.replace(", ", "-").replace(' ', "-"));
            figures.push(format!("figure {work} {ours}/{peer} {:.2}", rate / theirs));
        }
    }
}

struct Load {
    rate: f64,
    slowest: Duration,
    memory: u64,
}

/// Opens the connections, sends requests on the active ones for a while, and checks every response. Each of them sends
/// the same number of requests, so a starved connection shows as the slowest.
fn load(command: Command, open: usize, active: usize, answer: &'static [u8]) -> Option<Load> {
    let server = Server::start(command)?;
    let before = resident(server.child.id());
    let mut streams = Vec::with_capacity(open);
    for _ in 0..open {
        let stream = TcpStream::connect_timeout(&server.address, Duration::from_secs(10)).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        streams.push(stream);
    }
    let idle = streams.split_off(active);
    let rest = streams.split_off(active / 2);
    let asking: Vec<_> = [streams, rest]
        .into_iter()
        .map(|mut streams| {
            thread::spawn(move || {
                // A round that is not counted, in which the server accepts connections and wakes up.
                ask(&mut streams, answer)?;
                let (began, mut asked, mut slowest) = (Instant::now(), 0, Duration::ZERO);
                while began.elapsed() < LOAD {
                    slowest = slowest.max(ask(&mut streams, answer)?);
                    asked += streams.len();
                }
                Some((asked as f64 / began.elapsed().as_secs_f64(), slowest))
            })
        })
        .collect();
    let results: Option<Vec<_>> = asking.into_iter().map(|asking| asking.join().ok().flatten()).collect();
    let memory = resident(server.child.id()).saturating_sub(before) / open as u64;
    drop(idle);
    let results = results?;
    Some(Load {
        rate: results.iter().map(|(rate, _)| rate).sum(),
        slowest: results.iter().map(|(_, slowest)| *slowest).max()?,
        memory,
    })
}

/// Sends one request on each stream, and returns the time until the last response has arrived.
fn ask(streams: &mut [TcpStream], answer: &[u8]) -> Option<Duration> {
    let began = Instant::now();
    for stream in &mut *streams {
        stream.write_all(REQUEST).ok()?;
    }
    let mut got = vec![0; answer.len()];
    for stream in streams {
        stream.read_exact(&mut got).ok()?;
        assert_eq!(got, answer);
    }
    Some(began.elapsed())
}

fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    kb.and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1024
}

// ---- the parts ----

/// A server that is killed when it is no longer needed.
struct Server {
    child: Child,
    address: SocketAddr,
    /// Held open, so that the server can print more than its address.
    _out: BufReader<ChildStdout>,
}

impl Server {
    fn start(mut command: Command) -> Option<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take()?);
        let _ = out.read_line(&mut line);
        let address = line.trim().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        if address.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        Some(Self { child, address: address?, _out: out })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn proclab(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proclab"));
    command.arg("net").args(args).stdin(Stdio::null());
    command
}

fn notes(args: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/net/notes.py")).args(args);
    command.stdout(Stdio::null());
    command
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let sender = TcpStream::connect(listener.local_addr().expect("an address")).expect("loopback");
    (sender, listener.accept().expect("a connection").0)
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        // In memory if possible, because the programs are measured, not the disk.
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let path = base.join(format!("proclab-bench-net-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the bench");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
