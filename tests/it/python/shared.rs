//! `_TestValue`, `_TestArray`, `_TestSharedCTypes`, `_TestSharedMemory`, `_TestContainers`, `TestSyncManagerTypes`: what
//! Python shares through memory or through a manager.

use super::{SOON, cases};
use libtest_mimic::Trial;
use proclab::queue::{Receiver, Sender, bounded};
use proclab::sync::{Array, Event, Mutex, Value};
use proclab::{Fd, Process, StartMethod, Supervisor};
use std::collections::BTreeMap;

pub(super) fn tests() -> Vec<Trial> {
    let classes = [
        cases!["Value": value, rawvalue, getobj_getlock],
        cases!["Array": array, array_from_size, rawarray, getobj_getlock_obj],
        cases!["SharedCTypes": sharedctypes, synchronize, copy],
        cases!["SharedMemory": shared_memory_basics, shared_memory_pickle_unpickle, shared_memory_across_processes,
            shared_memory_shareable_list_basics, shared_memory_cleaned_after_process_termination],
        cases!["Containers": list, dict, nested_queue, namespace],
    ];
    classes.into_iter().flatten().collect()
}

proclab::plain! {
    /// A structure of two numbers.
    #[derive(Debug, PartialEq)]
    struct Pair {
        x: i64,
        y: f64,
    }
}

fn run<A>(method: StartMethod, process: Process<A, ()>)
where
    A: serde::Serialize + for<'de> serde::Deserialize<'de> + 'static,
{
    Supervisor::new().unwrap().start(process.start_method(method)).unwrap().result().unwrap();
}

type Values = (Value<i32>, Value<f64>, Value<i16>, Value<u8>, Value<u64>, Value<[u8; 20]>, Value<Pair>);

fn change_all((int, double, short, byte, long, bytes, pair): Values) {
    int.set(-int.get());
    double.set(-double.get());
    short.set(-short.get());
    byte.set(byte.get() + 1);
    long.update(|long| long * 2);
    bytes.set(*b"changed in the child");
    pair.update(|pair| Pair { x: pair.x + 1, y: pair.y * 2.0 });
}

fn value(method: StartMethod) {
    let (int, double, short) =
        (Value::new(7_i32).unwrap(), Value::new(3.5).unwrap(), Value::new(-9_i16).unwrap());
    let (byte, long) = (Value::new(254_u8).unwrap(), Value::new(1_u64 << 40).unwrap());
    let (bytes, pair) = (Value::new([0_u8; 20]).unwrap(), Value::new(Pair { x: 1, y: 1.5 }).unwrap());
    let values: Values = (
        int.try_clone().unwrap(),
        double.try_clone().unwrap(),
        short.try_clone().unwrap(),
        byte.try_clone().unwrap(),
        long.try_clone().unwrap(),
        bytes.try_clone().unwrap(),
        pair.try_clone().unwrap(),
    );
    run(method, Process::new(change_all).args(values));
    assert_eq!((int.get(), double.get(), short.get(), byte.get(), long.get()), (-7, -3.5, 9, 255, 1 << 41));
    assert_eq!((bytes.get(), pair.get()), (*b"changed in the child", Pair { x: 2, y: 3.0 }));
}

fn rawvalue(method: StartMethod) {
    value(method);
}

fn add_under_the_lock(value: Mutex<i32>) {
    for _ in 0..100 {
        *value.lock().unwrap() += 1;
    }
}

/// A value with a lock of its own.
fn getobj_getlock(method: StartMethod) {
    let value = Mutex::new(5).unwrap();
    let supervisor = Supervisor::new().unwrap();
    let child = Process::new(add_under_the_lock).args(value.try_clone().unwrap()).start_method(method);
    let child = supervisor.start(child).unwrap();
    add_under_the_lock(value.try_clone().unwrap());
    child.result().unwrap();
    assert_eq!(*value.lock().unwrap(), 205);
}

fn sums(array: Array<i32>) {
    let mut array = array.lock().unwrap();
    for at in 1..array.len() {
        array[at] += array[at - 1];
    }
}

fn array(method: StartMethod) {
    let numbers = [680, 626, 934, 821, 150, 233, 548, 982, 714, 831];
    let array = Array::new(&numbers).unwrap();
    assert_eq!((array.len(), &array.lock().unwrap()[2..7]), (10, &numbers[2..7]));
    array.lock().unwrap()[4..8].copy_from_slice(&[1, 2, 3, 4]);
    array.lock().unwrap()[4..8].copy_from_slice(&numbers[4..8]);
    run(method, Process::new(sums).args(array.try_clone().unwrap()));
    let mut expected = numbers;
    for at in 1..expected.len() {
        expected[at] += expected[at - 1];
    }
    assert_eq!(array.lock().unwrap()[..], expected);
}

fn array_from_size(_: StartMethod) {
    for _ in 0..3 {
        let array = Array::<i32>::zeroed(10).unwrap();
        assert_eq!((array.len(), &array.lock().unwrap()[..]), (10, &[0; 10][..]));
        array.lock().unwrap().iter_mut().zip(0..).for_each(|(element, number)| *element = number);
        assert_eq!(array.lock().unwrap()[..], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}

fn rawarray(method: StartMethod) {
    array(method);
}

fn getobj_getlock_obj(method: StartMethod) {
    let array = Array::<u8>::zeroed(2).unwrap();
    let held = array.lock().unwrap();
    let child = Process::new(|array: Array<u8>| array.try_lock().is_err()).args(array.try_clone().unwrap());
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child.start_method(method)).unwrap();
    assert!(child.result().unwrap());
    drop(held);
}

fn double(x: Value<i32>, y: Value<f64>, pair: Value<Pair>, arr: Array<f64>, text: Array<u8>) {
    x.update(|x| x * 2);
    y.update(|y| y * 2.0);
    pair.update(|pair| Pair { x: pair.x * 2, y: pair.y * 2.0 });
    text.lock().unwrap().make_ascii_uppercase();
    arr.lock().unwrap().iter_mut().for_each(|number| *number *= 2.0);
}

fn sharedctypes(method: StartMethod) {
    let (x, y, pair) =
        (Value::new(7).unwrap(), Value::new(1.0 / 3.0).unwrap(), Value::new(Pair { x: 3, y: 2.0 }).unwrap());
    let arr = Array::new(&(0..10).map(f64::from).collect::<Vec<_>>()).unwrap();
    let text = Array::new(b"hello").unwrap();
    let args = (
        x.try_clone().unwrap(),
        y.try_clone().unwrap(),
        pair.try_clone().unwrap(),
        arr.try_clone().unwrap(),
        text.try_clone().unwrap(),
    );
    run(method, Process::new(double).args(args));
    assert_eq!((x.get(), y.get(), pair.get()), (14, 2.0 / 3.0, Pair { x: 6, y: 4.0 }));
    assert!(arr.lock().unwrap().iter().zip(0..).all(|(number, at)| *number == f64::from(2 * at)));
    assert_eq!(&text.lock().unwrap()[..], b"HELLO");
}

fn synchronize(method: StartMethod) {
    sharedctypes(method);
}

fn copy(_: StartMethod) {
    let array = Array::new(&[Pair { x: 2, y: 5.0 }]).unwrap();
    let copy = Array::new(&array.lock().unwrap()).unwrap();
    array.lock().unwrap()[0] = Pair { x: 0, y: 0.0 };
    assert_eq!(copy.lock().unwrap()[0], Pair { x: 2, y: 5.0 });
}

fn shared_memory_basics(_: StartMethod) {
    let memory = Array::<u8>::zeroed(512).unwrap();
    memory.lock().unwrap()[42] = b'f';
    let same = Array::<u8>::attach(memory.memory().try_clone_to_owned().unwrap()).unwrap();
    assert_eq!((same.len(), same.lock().unwrap()[42]), (512, b'f'));
    same.lock().unwrap()[..5].copy_from_slice(b"howdy");
    drop(same);
    assert_eq!(&memory.lock().unwrap()[..5], b"howdy");
    // Memory of another type, or of something else, is refused.
    assert!(Array::<u16>::attach(memory.memory().try_clone_to_owned().unwrap()).is_err());
    assert!(Value::<u8>::attach(memory.memory().try_clone_to_owned().unwrap()).is_err());
    let file = std::fs::File::open("/dev/zero").unwrap();
    assert!(Array::<u8>::attach(file.into()).is_err());
}

fn attach_and_write(memory: Fd) {
    Array::<u8>::attach(memory.into_owned()).unwrap().lock().unwrap()[0] = 9;
}

fn shared_memory_pickle_unpickle(method: StartMethod) {
    let memory = Array::<u8>::zeroed(1).unwrap();
    let fd = Fd::from(memory.memory().try_clone_to_owned().unwrap());
    run(method, Process::new(attach_and_write).args(fd));
    assert_eq!(memory.lock().unwrap()[0], 9);
}

fn shared_memory_across_processes(method: StartMethod) {
    let memory = Array::<u8>::zeroed(512).unwrap();
    let child = Process::new(|memory: Array<u8>| memory.lock().unwrap()[..2].fill(1));
    run(method, child.args(memory.try_clone().unwrap()));
    assert_eq!(memory.lock().unwrap()[..3], [1, 1, 0]);
}

fn shared_memory_shareable_list_basics(method: StartMethod) {
    let list = Mutex::new(vec!["howdy".to_owned(), "HoWdY".to_owned()]).unwrap();
    let child = Process::new(|list: Mutex<Vec<String>>| list.lock().unwrap().push("new".to_owned()));
    run(method, child.args(list.try_clone().unwrap()));
    assert_eq!(list.lock().unwrap()[2], "new");
    assert!(list.lock().unwrap().iter().position(|word| word == "HoWdY") == Some(1));
}

fn write_and_sleep(memory: Array<u8>, written: Event) {
    memory.lock().unwrap()[0] = 1;
    written.set();
    std::thread::sleep(std::time::Duration::from_secs(1000));
}

fn shared_memory_cleaned_after_process_termination(method: StartMethod) {
    let (memory, written) = (Array::<u8>::zeroed(64).unwrap(), Event::new().unwrap());
    let args = (memory.try_clone().unwrap(), written.try_clone().unwrap());
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(Process::new(write_and_sleep).args(args).start_method(method)).unwrap();
    written.wait_timeout(SOON).unwrap();
    child.kill().unwrap();
    child.join().unwrap();
    // It is there as long as a process has it, and has no name that could be left.
    assert_eq!(memory.lock().unwrap()[0], 1);
}

fn list(method: StartMethod) {
    let list = Mutex::new((0..10).collect::<Vec<u32>>()).unwrap();
    let child = Process::new(|list: Mutex<Vec<u32>>| list.lock().unwrap().extend(10..15));
    run(method, child.args(list.try_clone().unwrap()));
    assert_eq!(list.lock().unwrap()[5..12], [5, 6, 7, 8, 9, 10, 11]);
}

fn dict(method: StartMethod) {
    let dict = Mutex::new(BTreeMap::from([(65, 'A')])).unwrap();
    let child = Process::new(|dict: Mutex<BTreeMap<u32, char>>| _ = dict.lock().unwrap().insert(66, 'B'));
    run(method, child.args(dict.try_clone().unwrap()));
    assert_eq!(*dict.lock().unwrap(), BTreeMap::from([(65, 'A'), (66, 'B')]));
}

fn fill(queues: Receiver<Sender<u32>>) {
    for (queue, number) in (&queues).into_iter().zip(0..) {
        queue.unwrap().send(number).unwrap();
    }
}

fn nested_queue(method: StartMethod) {
    let (queues, given) = bounded(5).unwrap();
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(Process::new(fill).args(given).start_method(method)).unwrap();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..5).map(|_| bounded::<u32>(1).unwrap()).unzip();
    queues.send_many(senders).unwrap();
    for (receiver, number) in receivers.iter().zip(0..) {
        assert_eq!(receiver.recv_timeout(SOON).unwrap(), number);
    }
    drop(queues);
    child.join().unwrap();
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Namespace {
    name: String,
    job: Option<String>,
}

fn namespace(method: StartMethod) {
    let space = Mutex::new(Namespace { name: "Bob".to_owned(), job: Some("Builder".to_owned()) }).unwrap();
    let child = Process::new(|space: Mutex<Namespace>| space.lock().unwrap().job = None);
    run(method, child.args(space.try_clone().unwrap()));
    assert_eq!(*space.lock().unwrap(), Namespace { name: "Bob".to_owned(), job: None });
}
