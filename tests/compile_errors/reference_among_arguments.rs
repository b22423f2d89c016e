use proclab::{Process, Supervisor};

fn greet(times: u32, name: &str) -> usize {
    times as usize * name.len()
}

fn main() {
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(Process::new(greet).args((2, "world"))).unwrap(); //~
    child.join().unwrap();
}

//~ TakeNoReferencesButAStringOrAVec
