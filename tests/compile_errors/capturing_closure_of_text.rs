use proclab::{Process, Supervisor};

fn main() {
    let supervisor = Supervisor::new().unwrap();
    let name = String::from("world");
    let child = supervisor.start(Process::new(move || name.len())).unwrap(); //~
    child.join().unwrap();
}

//~ cannot be the body of a process
//~ a closure that captures nothing: what it needs to know comes in its arguments
