use proclab::{Process, Supervisor};

fn main() {
    let supervisor = Supervisor::new().unwrap();
    let tickets = 10;
    let child = supervisor.start(Process::new(move || tickets - 1)).unwrap(); //~
    child.join().unwrap();
}

//~ build
//~ the body of a process may capture nothing: pass it arguments
