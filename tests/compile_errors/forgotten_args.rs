use proclab::{Process, Supervisor};

fn add(a: u64, b: u64) -> u64 {
    a + b
}

fn main() {
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(Process::new(add).name("adder")).unwrap(); //~
    child.join().unwrap();
}

//~ this process has not been given its arguments
//~ call `.args(…)` on it before it is started
//~ its function takes `(u64, u64)`
