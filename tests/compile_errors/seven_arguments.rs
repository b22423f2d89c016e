use proclab::{Process, Supervisor};

fn sum(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) -> u8 {
    a + b + c + d + e + f + g
}

fn main() {
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(Process::new(sum).args((1, 2, 3, 4, 5, 6, 7))).unwrap(); //~
    child.join().unwrap();
}

//~ cannot be the body of a process
//~ it takes up to six arguments: put more of them into a struct or a tuple
