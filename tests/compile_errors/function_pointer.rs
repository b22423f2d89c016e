use proclab::{Process, Supervisor};

fn hello() {}

fn main() {
    let supervisor = Supervisor::new().unwrap();
    let body: fn() = hello;
    let child = supervisor.start(Process::new(body)).unwrap(); //~
    child.join().unwrap();
}

//~ PassTheFunctionItselfAndNoPointer
