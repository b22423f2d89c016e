//! Connecting to a server, with a bound on the whole attempt.

use crate::net::connection::{Connection, ConnectionError};
use crate::net::event::{Log, What};
use crate::net::limits::Limits;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// The longest that one address may take to answer.
const CONNECT: Duration = Duration::from_secs(10);

/// An end could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is no address that this machine can find.
    #[error("{address:?} is not an address")]
    Unknown {
        /// What was given.
        address: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// Nobody listens there, or the way there is closed.
    #[error("cannot connect to {address}")]
    Connect {
        /// What was given.
        address: String,
        /// What the kernel said of the last address tried.
        #[source]
        source: io::Error,
    },
    /// The address cannot be listened at.
    #[error("cannot listen at {address}")]
    Bind {
        /// What was given.
        address: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// All addresses that `address`, a `HOST:PORT`, stands for.
///
/// # Errors
/// When it stands for none.
pub fn resolve(address: &str) -> Result<Vec<SocketAddr>, AddressError> {
    let unknown = |source| AddressError::Unknown { address: address.to_owned(), source };
    let found: Vec<_> = address.to_socket_addrs().map_err(unknown)?.collect();
    if found.is_empty() {
        return Err(unknown(io::Error::new(io::ErrorKind::NotFound, "no address has that name")));
    }
    Ok(found)
}

/// Connects to the first of the addresses of `address` that answers.
///
/// # Errors
/// When none answers in time.
pub fn connect(address: &str, limits: &Limits, log: &Log) -> Result<Connection, ClientError> {
    let mut last = None;
    for candidate in resolve(address)? {
        match TcpStream::connect_timeout(&candidate, CONNECT) {
            Ok(stream) => {
                let connection = Connection::new(stream, limits, log)?;
                connection.tell(What::Opened);
                return Ok(connection);
            }
            Err(error) => last = Some(error),
        }
    }
    let source = last.expect("`resolve` gives at least one address, and each was tried");
    Err(AddressError::Connect { address: address.to_owned(), source }.into())
}

/// A client did not get what it came for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The file that is to be sent, or the folder that is to be received into, cannot be used.
    #[error("{} cannot be {}", path.display(), if *sending { "sent" } else { "received into" })]
    Path {
        /// The file or the folder.
        path: PathBuf,
        /// Whether it was to be sent.
        sending: bool,
        /// Why not.
        #[source]
        source: ConnectionError,
    },
    /// The connection could not be made.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The connection did not end well.
    #[error("the conversation failed")]
    Connection(#[from] ConnectionError),
}
