//! Connections, and their limits: their number, the time for a request, the rate of requests.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::reply::Reply;

/// The time limit for the head of a request, and for a connection to be idle between two.
const HEAD: Duration = Duration::from_secs(5);
/// The longest head of a request.
const LONGEST_HEAD: usize = 16 << 10;
/// How long to wait when no descriptor is left for a connection.
const PAUSE: Duration = Duration::from_millis(50);

/// Bounds of one address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Maximum number of open connections; further ones are closed at once.
    pub(super) connections: usize,
    /// Requests per second, all together, after a burst of five times as many.
    pub(super) rate: f64,
}

/// Serves every connection that comes, each answered by `answer`, until the task is dropped.
pub(super) async fn accept<A, F>(listener: TcpListener, bounds: Bounds, answer: A)
where
    A: Fn(Request<Incoming>, SocketAddr) -> F + 'static,
    F: Future<Output = Reply> + 'static,
{
    let answer = Rc::new(answer);
    let open = Rc::new(Cell::new(0_usize));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // The limit of descriptors is reached, or the peer has gone already.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(own) = stream.local_addr() else { continue };
        if open.get() >= bounds.connections {
            // Dropped, and so closed: one more costs nothing.
            continue;
        }
        let place = Place::take(&open);
        let answer = Rc::clone(&answer);
        spawn_local(async move {
            converse(stream, own, &*answer).await;
            drop(place);
        });
    }
}

async fn converse<A, F>(stream: TcpStream, own: SocketAddr, answer: &A)
where
    A: Fn(Request<Incoming>, SocketAddr) -> F,
    F: Future<Output = Reply>,
{
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let reply = answer(request, own);
        async move { Ok::<_, Infallible>(reply.await) }
    });
    // An error is the peer's: it sent no HTTP, or went away.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// A connection's place, which is free again when it is dropped.
struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(Rc::clone(open))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A token bucket: it fills at a rate, and each request takes one token.
#[derive(Debug)]
pub(super) struct TokenBucket {
    rate: f64,
    left: RefCell<(f64, Instant)>,
}

impl TokenBucket {
    /// A full one: five seconds' worth.
    pub(super) fn new(rate: f64) -> Self {
        Self { rate, left: RefCell::new((rate * 5.0, Instant::now())) }
    }

    /// Takes a token; false if there is none.
    pub(super) fn take(&self) -> bool {
        let mut state = self.left.borrow_mut();
        let (left, at) = *state;
        let now = Instant::now();
        let left = (left + now.duration_since(at).as_secs_f64() * self.rate).min(self.rate * 5.0);
        *state = (if left >= 1.0 { left - 1.0 } else { left }, now);
        left >= 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_no_more() {
        let bucket = TokenBucket::new(2.0);
        let taken = (0..100).filter(|_| bucket.take()).count();
        assert!((10..=11).contains(&taken), "{taken}");
    }
}
