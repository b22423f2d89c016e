//! Proxies between two ends that split or delay the stream in ways that loopback never does.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

/// A proxy of `target` that passes one byte at a time in both directions, for one connection. Returns its address.
pub(crate) fn byte_by_byte(target: &str) -> String {
    wire(target, |client, server| {
        std::thread::scope(|scope| {
            scope.spawn(|| pass(client, server));
            scope.spawn(|| pass(server, client));
        });
    })
}

fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = to.set_nodelay(true);
    let mut byte = [0];
    while from.read(&mut byte).is_ok_and(|n| n == 1) && to.write_all(&byte).is_ok() {
        // So that the reader has taken this byte when the next one arrives.
        std::thread::sleep(Duration::from_micros(200));
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A proxy of `target` that passes the first `most` bytes of the client and holds back the rest until the server has
/// closed, for one connection. Returns its address.
pub(crate) fn up_to(target: &str, most: u64) -> String {
    wire(target, move |mut client, mut server| {
        std::thread::scope(|scope| {
            scope.spawn(|| std::io::copy(&mut client.take(most), &mut &*server));
            let _ = std::io::copy(&mut server, &mut client);
        });
    })
}

fn wire(target: &str, carry: impl FnOnce(&TcpStream, &TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, target) = (listener.local_addr().unwrap().to_string(), target.to_owned());
    std::thread::spawn(move || {
        let Ok((client, _)) = listener.accept() else { return };
        let Ok(server) = TcpStream::connect(target) else { return };
        carry(&client, &server);
    });
    address
}
