//! A server that stops in order: no new connections, those that are open are served to their end, then it exits.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use proclab::queue::{self, Receiver, Sender};
use proclab::{Process, Supervisor};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Serves until the queue of orders is closed by the parent.
fn serve(orders: Receiver<()>, address: Sender<String>) -> u32 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    address.send(listener.local_addr().unwrap().to_string()).unwrap();
    let mut served = 0;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                answer(stream);
                served += 1;
            }
            // Nothing waits: now is the time to see whether the parent wants it to stop.
            Err(_) => match orders.recv_timeout(Duration::from_millis(20)) {
                Err(queue::error::RecvTimeoutError::Timeout) => {}
                _ => return served,
            },
        }
    }
}

fn answer(stream: TcpStream) {
    stream.set_nonblocking(false).unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(&stream);
    if reader.read_line(&mut line).is_ok() {
        let _ = (&stream).write_all(line.to_uppercase().as_bytes());
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    proclab::child_entry();
    let (stop, orders) = queue::bounded::<()>(1)?;
    let (address, addresses) = queue::bounded::<String>(1)?;
    let supervisor = Supervisor::new()?;
    let server = supervisor.start(Process::new(serve).args((orders, address)).name("server"))?;
    let address = addresses.recv()?;
    for word in ["one", "two", "three"] {
        let mut stream = TcpStream::connect(&address)?;
        writeln!(stream, "{word}")?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        println!("{word} -> {}", answer.trim());
    }
    drop(stop);
    println!("the server served {} connections and ended: {}", server.result()?, server.join()?);
    Ok(())
}
