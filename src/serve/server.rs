//! The server: it listens, reports its addresses, and leaves nothing behind.

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::net::unix::pipe;
use tokio::task::LocalSet;

use super::access::Secret;
use super::class::{self, MOST_STUDENTS};
use super::connection::{Bounds, TokenBucket, accept};
use super::job::Jobs;
use super::program::Program;
use super::routes::{Endpoint, Role, Site};
use crate::supervisor::{ShutdownError, Supervisor};
use crate::sys::signal::Interrupt;

/// How long workers may take to end what they have started.
const GRACE: Duration = Duration::from_secs(3);

const LECTURERS: Bounds = Bounds { connections: 64, rate: 200.0 };
const STUDENTS: Bounds = Bounds { connections: MOST_STUDENTS + 100, rate: 500.0 };

/// How to serve.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the lecturer's page is.
    pub listen: SocketAddr,
    /// Where the students' is, if there is a class.
    pub class: Option<Class>,
    /// The command that can be watched, scheduled and explored, and nothing else can.
    pub program: Option<Program>,
    /// A folder of labs beside those of this program.
    pub labs: Option<PathBuf>,
}

/// A class.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    /// Where the students' page is.
    pub listen: SocketAddr,
}

/// The addresses that were opened.
#[derive(Debug, Clone)]
pub struct Listening {
    /// The lecturer's, with its secret.
    pub lecturer: String,
    /// The students', each with theirs, one per network of this machine.
    pub students: Vec<String>,
}

/// The server could not start or end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// It cannot listen on the address.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The system refused.
    #[error("the server cannot begin")]
    Os(#[from] io::Error),
    /// A worker could not be ended.
    #[error(transparent)]
    Shutdown(#[from] ShutdownError),
}

/// Serves until `interrupt` is readable. `opened` is called once with the addresses.
///
/// One thread does everything, so that this process may still fork; workers are processes of their own.
///
/// # Errors
/// [`ServeError`].
pub fn serve(
    options: &Options,
    interrupt: Interrupt,
    opened: impl FnOnce(&Listening),
) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    LocalSet::new().block_on(&runtime, run(options, interrupt, opened))
}

async fn run(
    options: &Options,
    interrupt: Interrupt,
    opened: impl FnOnce(&Listening),
) -> Result<(), ServeError> {
    let supervisor = Supervisor::new()?.grace(GRACE);
    let lecturers = listen(options.listen).await?;
    let students = match options.class {
        Some(class) => Some(listen(class.listen).await?),
        None => None,
    };
    // 130 bits for the lecturer, who copies it; 60 for students, who may have to type it.
    let (secret, class_secret) = (Secret::random(26), Secret::random(12));
    let class_addresses = match &students {
        Some(listener) => addresses(listener.local_addr()?, &class_secret),
        None => Vec::new(),
    };
    let listening =
        Listening { lecturer: address(lecturers.local_addr()?, &secret), students: class_addresses.clone() };
    let site = Rc::new(Site {
        jobs: Jobs::new(supervisor),
        program: options.program.clone(),
        labs: options.labs.clone(),
        class: students.as_ref().map(|_| Rc::new(class::Class::new())),
        qr: class_addresses.first().map(|address| squares(address)),
        class_addresses: students.as_ref().map(|_| class_addresses),
    });
    let endpoint = |role, secret, bounds: Bounds| {
        let site = Rc::clone(&site);
        Rc::new(Endpoint { role, secret, bucket: TokenBucket::new(bounds.rate), site })
    };
    let lecturer = endpoint(Role::Lecturer, secret, LECTURERS);
    let student = endpoint(Role::Student, class_secret, STUDENTS);
    let to_lecturers = accept(lecturers, LECTURERS, move |request, own| {
        let endpoint = Rc::clone(&lecturer);
        async move { endpoint.answer(request, own).await }
    });
    let to_students = async {
        match students {
            None => pending().await,
            Some(listener) => {
                accept(listener, STUDENTS, move |request, own| {
                    let endpoint = Rc::clone(&student);
                    async move { endpoint.answer(request, own).await }
                })
                .await;
            }
        }
    };
    // Only its readiness is of use.
    let signal = pipe::Receiver::from_owned_fd_unchecked(interrupt.as_fd().try_clone_to_owned()?)?;
    opened(&listening);
    tokio::select! {
        () = to_lecturers => {}
        () = to_students => {}
        () = site.jobs.end_abandoned() => {}
        _ = signal.readable() => {}
    }
    interrupt.rearm();
    Ok(site.jobs.shutdown()?)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

fn address(at: SocketAddr, secret: &Secret) -> String {
    format!("http://{at}/{}/", secret.as_str())
}

/// The addresses at which the server can be reached: if it listens on all, the default network's and loopback.
fn addresses(at: SocketAddr, secret: &Secret) -> Vec<String> {
    if !at.ip().is_unspecified() {
        return vec![address(at, secret)];
    }
    let is_other = |ip: &IpAddr| !ip.is_loopback();
    let mut ips: Vec<IpAddr> = own_address().into_iter().filter(is_other).collect();
    ips.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    ips.into_iter().map(|ip| address(SocketAddr::new(ip, at.port()), secret)).collect()
}

/// This machine's address in the network of its default route. Nothing is sent: connecting a datagram socket only
/// chooses its own address.
fn own_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The QR code of an address, row by row: `1` is dark.
fn squares(address: &str) -> Vec<String> {
    let Ok(code) = fast_qr::QRBuilder::new(address).build() else { return Vec::new() };
    let row = |row: usize| -> String {
        (0..code.size).map(|column| if code[row][column].value() { '1' } else { '0' }).collect()
    };
    (0..code.size).map(row).collect()
}
