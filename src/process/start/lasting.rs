//! A thread that exists as long as the process, for children that die with their parent.
//!
//! `PR_SET_PDEATHSIG` refers to the parent *thread*: a child created by a short-lived thread would be killed when
//! that thread ends. The main thread lasts; for any other thread, one that is kept for this purpose creates the
//! child. While it is idle it holds no lock, so it does not prevent a fork.

use crate::sys::pid::Pid;
use crate::sys::task;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

type Job = Box<dyn FnOnce() + Send>;

struct Lasting {
    /// The process that has the thread: a fork copies this value, but not the thread.
    pid: Pid,
    jobs: Sender<Job>,
}

static LASTING: Mutex<Option<Lasting>> = Mutex::new(None);

fn lasting() -> MutexGuard<'static, Option<Lasting>> {
    let mut lasting = LASTING.lock().unwrap_or_else(PoisonError::into_inner);
    lasting.take_if(|lasting| lasting.pid != Pid::this());
    lasting
}

/// Runs `work` on a thread that exists as long as the process: the calling one if it is the main thread.
pub(super) fn on_lasting_thread<R: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<R> + Send + 'static,
) -> std::io::Result<R> {
    if task::is_main_thread() {
        return work();
    }
    let mut lasting = lasting();
    if lasting.is_none() {
        let (jobs, queue) = channel::<Job>();
        std::thread::Builder::new()
            .name("proclab-parent".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job()))?;
        *lasting = Some(Lasting { pid: Pid::this(), jobs });
    }
    let (answer, answered) = channel();
    let job: Job = Box::new(move || drop(answer.send(work())));
    let gone = |_| std::io::Error::other("the thread that makes children is gone");
    lasting.as_ref().expect("made above").jobs.send(job).map_err(|_| gone(()))?;
    answered.recv().map_err(|_| gone(()))?
}

/// Calls `fork` while the lasting thread is idle, with the number of threads without that one.
pub(super) fn while_idle<R>(fork: impl FnOnce(usize) -> R) -> std::io::Result<R> {
    let lasting = lasting();
    let n_threads = task::n_threads()? - usize::from(lasting.is_some());
    Ok(fork(n_threads))
}
