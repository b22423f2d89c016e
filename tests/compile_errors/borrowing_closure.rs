use proclab::{Process, Supervisor};

fn main() {
    let supervisor = Supervisor::new().unwrap();
    let name = String::from("world");
    let child = supervisor.start(Process::new(|| name.len())).unwrap(); //~
    child.join().unwrap();
}

//~ closure may outlive the current function, but it borrows `name`
