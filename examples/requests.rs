//! A server process that is asked to stop: it answers what has come, takes nothing more, and returns how much it did.
//!
//! Each request brings the queue for its answer. The server waits for requests and for the order to stop at once, and
//! its parent for the answer, the server's end and a deadline.
//!
//! ```text
//! cargo run --example requests
//! ```
#![expect(clippy::print_stdout, reason = "an example that reports")]

use proclab::pipe::{PipeReceiver, simplex};
use proclab::queue::error::TryRecvError;
use proclab::queue::{Receiver, Sender, bounded};
use proclab::{Process, Supervisor, Waitable, wait_any};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::time::Duration;

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    number: u64,
    answer: Sender<u64>,
}

fn serve(requests: Receiver<Request>, stop: PipeReceiver<()>) -> u64 {
    let mut served = 0;
    let mut answer = |request: Request| {
        served += 1;
        // A client that is gone needs no answer.
        let _ = request.answer.send(request.number * request.number);
    };
    let sources: [&dyn Waitable; 2] = [&requests, &stop];
    loop {
        let ready = wait_any(&sources, None).expect("the wait");
        match requests.try_recv() {
            Ok(request) => answer(request),
            // All that had come is answered, and nothing more will.
            Err(TryRecvError::Disconnected) => return served,
            Err(_) if ready.contains(&1) => return served,
            Err(_) => {}
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    proclab::child_entry();
    let supervisor = Supervisor::new()?;
    let (requests, receiver) = bounded(16)?;
    let (stop, stops) = simplex::<()>()?;
    let server = supervisor.start(Process::new(serve).args((receiver, stops)).name("server"))?;
    for number in 1..=3 {
        let (answer, answers) = bounded(1)?;
        requests.send(Request { number, answer })?;
        let sources: [&dyn Waitable; 2] = [&answers, &server];
        match wait_any(&sources, Some(Duration::from_secs(30)))?[..] {
            [] => return Err("no answer within 30 s".into()),
            [1] => return Err("the server ended before it answered".into()),
            _ => println!("{number} squared is {}", answers.try_recv()?),
        }
    }
    stop.send(())?;
    println!("the server answered {} requests and ended", server.result()?);
    Ok(())
}
