use proclab::{Process, Supervisor};

struct Ticket(u32);

fn sell(ticket: Ticket) -> u32 {
    ticket.0
}

fn main() {
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(Process::new(sell).args(Ticket(1))).unwrap(); //~
    child.join().unwrap();
}

//~ `Ticket` cannot be sent to another process
//~ implements `serde::Serialize` and `serde::Deserialize`
