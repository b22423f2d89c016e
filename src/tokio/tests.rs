use super::*;
use crate::sync::Event;
use crate::{pipe, queue};
use ::tokio::runtime::{Builder, Runtime};
use ::tokio::time::timeout;
use std::thread;

const SOON: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(20);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_io().enable_time().build().unwrap()
}

#[test]
fn a_task_that_waits_for_a_message_lets_others_run() {
    runtime().block_on(async {
        let (sender, receiver) = queue::bounded(1).unwrap();
        let sends = async {
            ::tokio::task::yield_now().await;
            sender.send_async(7).await.unwrap();
        };
        let (received, ()) = ::tokio::join!(timeout(SOON, receiver.recv_async()), sends);
        assert_eq!(received.unwrap().unwrap(), 7);
    });
}

#[test]
fn a_wait_that_is_dropped_has_taken_nothing() {
    runtime().block_on(async {
        let (sender, receiver) = queue::bounded(2).unwrap();
        for round in 0..50 {
            // Given up in the middle, again and again, while messages arrive.
            let _ = timeout(Duration::from_micros(round * 20), receiver.recv_async()).await;
            sender.send(round).unwrap();
            assert_eq!(timeout(SOON, receiver.recv_async()).await.unwrap().unwrap(), round);
        }
        sender.send_many([1, 2]).unwrap();
        assert!(timeout(SHORT, sender.send_async(3)).await.is_err());
        assert_eq!((receiver.recv().unwrap(), receiver.recv().unwrap()), (1, 2));
        assert!(receiver.is_empty(), "what was given up was not sent");
        drop(sender);
        assert!(matches!(receiver.recv_async().await, Err(RecvError::Disconnected)));
    });
}

#[test]
fn a_sender_waits_for_room_and_learns_that_nobody_receives() {
    runtime().block_on(async {
        let (sender, receiver) = queue::bounded(1).unwrap();
        sender.send(1).unwrap();
        let taker = thread::spawn(move || {
            thread::sleep(SHORT);
            (receiver.recv().unwrap(), receiver.recv().unwrap())
        });
        timeout(SOON, sender.send_async(2)).await.unwrap().unwrap();
        assert_eq!(taker.join().unwrap(), (1, 2));
        assert!(matches!(sender.send_async(3).await, Err(SendError::Disconnected(3))));
    });
}

#[test]
fn a_lease_is_awaited_and_returns_if_it_is_dropped() {
    runtime().block_on(async {
        let (sender, receiver) = queue::bounded(1).unwrap();
        sender.send(5).unwrap();
        drop(receiver.lease_async().await.unwrap());
        let again = timeout(SOON, receiver.lease_async()).await.unwrap().unwrap();
        assert_eq!((*again, again.deliveries()), (5, 2));
        again.done().unwrap();
    });
}

#[test]
fn a_pipe_is_awaited_in_both_directions() {
    runtime().block_on(async {
        let (one, other) = pipe::duplex::<Vec<u8>, u32>().unwrap();
        let echo = async {
            let mut sum = 0;
            while let Ok(bytes) = other.recv_async().await {
                sum += bytes.len();
                if sum == 40 * 10_000 {
                    break;
                }
            }
            other.send_async(sum as u32).await.unwrap();
        };
        let fill = async {
            for _ in 0..40 {
                one.send_async(vec![1; 10_000]).await.unwrap();
            }
            one.recv_async().await.unwrap()
        };
        let (sum, ()) = timeout(SOON, async { ::tokio::join!(fill, echo) }).await.unwrap();
        assert_eq!(sum, 400_000);
        drop(other);
        assert!(matches!(one.recv_async().await, Err(PipeRecvError::Disconnected)));
    });
}

#[test]
fn several_things_are_awaited_at_once() {
    runtime().block_on(async {
        let (_sender, receiver) = queue::bounded::<u8>(1).unwrap();
        let stop = Event::new().unwrap();
        let sources: [&(dyn Waitable + Sync); 2] = [&receiver, &stop];
        assert!(timeout(SHORT, wait_any_async(&sources)).await.is_err());
        stop.set();
        assert_eq!(timeout(SOON, wait_any_async(&sources)).await.unwrap().unwrap(), [1]);
    });
}

#[test]
fn the_futures_may_move_between_threads() {
    fn is_send<T: Send>(_: T) {}
    let (sender, receiver) = queue::bounded::<u8>(1).unwrap();
    let (one, other) = pipe::duplex::<u8, u8>().unwrap();
    is_send(sender.send_async(1));
    is_send(receiver.recv_async());
    is_send(one.send_async(1));
    is_send(other.recv_async());
    is_send(wait_any_async(&[&receiver]));
}
