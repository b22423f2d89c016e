//! Addresses, and connecting to them within a bounded time.

use crate::net::connection::Connection;
use crate::net::event::{Log, What};
use crate::net::limits::Limits;
use crate::net::program::EndError;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The maximum time that one address may take to answer.
const CONNECT: Duration = Duration::from_secs(10);

/// An address is unusable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is not an address, or its host name is unknown.
    #[error("{address:?} is not an address")]
    Unknown {
        /// The text.
        address: String,
        /// The resolver's error.
        #[source]
        source: io::Error,
    },
    /// No process listens at the address, or it is unreachable.
    #[error("cannot connect to {address}")]
    Connect {
        /// The address as it was given.
        address: String,
        /// The kernel's error for the last address tried.
        #[source]
        source: io::Error,
    },
    /// A server cannot listen at the address.
    #[error("cannot listen at {address}")]
    Bind {
        /// The address as it was given.
        address: String,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
}

/// Resolves `address`, a `HOST:PORT`, to at least one address.
///
/// # Errors
/// [`AddressError::Unknown`].
pub fn resolve(address: &str) -> Result<Vec<SocketAddr>, AddressError> {
    let unknown = |source| AddressError::Unknown { address: address.to_owned(), source };
    let found: Vec<_> = address.to_socket_addrs().map_err(unknown)?.collect();
    if found.is_empty() {
        return Err(unknown(io::Error::new(ErrorKind::NotFound, "the name has no address")));
    }
    Ok(found)
}

/// Connects to the first address of `address` that answers.
///
/// # Errors
/// If none of them answers within 10 seconds each.
pub fn connect(address: &str, limits: &Limits, log: &Log) -> Result<Connection, EndError> {
    let mut last = None;
    for candidate in resolve(address)? {
        let connected = TcpStream::connect_timeout(&candidate, CONNECT).or_else(|error| match error.kind() {
            // A sandbox may refuse what bounds the time (`ioctl(2)`), and allow the rest.
            ErrorKind::PermissionDenied | ErrorKind::Unsupported => TcpStream::connect(candidate),
            _ => Err(error),
        });
        match connected {
            Ok(stream) => {
                let connection = Connection::new(stream, limits, log)?;
                connection.tell(What::Opened);
                return Ok(connection);
            }
            Err(error) => last = Some(error),
        }
    }
    let source = last.expect("`resolve` returns at least one address, and each was tried");
    Err(AddressError::Connect { address: address.to_owned(), source }.into())
}
