use proclab::{Process, Supervisor};

fn greet(name: &str) -> usize {
    name.len()
}

fn main() {
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(Process::new(greet).args("world")).unwrap(); //~
    child.join().unwrap();
}

//~ TakeNoReferencesButAStringOrAVec
