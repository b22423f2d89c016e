//! Time limits of calls in which a task sleeps: waits for a futex, a System V semaphore, a message queue.
//!
//! The kernel's clock is not the program's, so the kernel is not told of the limit. It expires as all others do: when
//! nothing else can continue, or at any moment if the search asks for that. The call is then interrupted, and fails as if
//! its time were over.

use nix::libc;

use super::machine::{Done, Machine, failed};
use super::stamps::{BEGIN, UPTIME};
use super::waiting::Came;
use super::world::{State, World};
use crate::explore::step::Access;
use crate::sys::ptrace::arch::Registers;
use crate::sys::ptrace::stops::{self, Stop};

/// `ERESTARTSYS` and `ERESTARTNOHAND` of the kernel: a call that a signal interrupts restarts if the handler has
/// `SA_RESTART`, or if there is no handler.
const RESTARTS: i64 = -512;
const RESTARTS_WITHOUT_HANDLER: i64 = -514;

/// The time limit of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLimit {
    /// Which argument it is, and the address there.
    argument: usize,
    address: u64,
    /// When it expires, by the clock of the task.
    ends_at: u64,
    /// The error with which the call fails then.
    error: i32,
}

impl World {
    /// The time limit of the pending call, if it has one and the kernel would sleep in it.
    pub(super) fn time_limit(&self, task: usize) -> Option<TimeLimit> {
        const OPERATION: i32 = !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
        let call = self.call(task);
        let is_realtime = call.int(1) & libc::FUTEX_CLOCK_REALTIME != 0;
        // The time on the clock of a task at which the limit's clock begins; none for a duration.
        let (argument, begin, error) = match call.number {
            libc::SYS_futex => match call.int(1) & OPERATION {
                libc::FUTEX_WAIT => (3, None, libc::ETIMEDOUT),
                libc::FUTEX_LOCK_PI => (3, Some(BEGIN), libc::ETIMEDOUT),
                libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAIT_REQUEUE_PI | libc::FUTEX_LOCK_PI2 => {
                    (3, Some(if is_realtime { BEGIN } else { UPTIME }), libc::ETIMEDOUT)
                }
                _ => return None,
            },
            libc::SYS_semtimedop => (3, None, libc::EAGAIN),
            libc::SYS_mq_timedsend | libc::SYS_mq_timedreceive => (4, Some(BEGIN), libc::ETIMEDOUT),
            _ => return None,
        };
        let address = call.args[argument];
        if address == 0 {
            return None;
        }
        let word = |at| crate::sys::ptrace::memory::protected_pointer(self.tid(task), at).unwrap_or(0);
        let time = word(address).saturating_mul(1_000_000_000).saturating_add(word(address + 8));
        let ends_at = match begin {
            None => self.task(task).clock.saturating_add(time),
            Some(begin) => time.saturating_sub(begin),
        };
        Some(TimeLimit { argument, address, ends_at, error })
    }

    /// How the pending call, which may sleep, accesses what it waits for: if its limit may expire at any moment, it never
    /// only waits for others.
    pub(super) fn waits(&self, task: usize) -> Access {
        if self.timeouts && self.time_limit(task).is_some() { Access::Write } else { Access::Await }
    }

    /// The error with which the pending call fails at once, because its time is over already.
    pub(super) fn expired(&self, task: usize) -> Option<i64> {
        let limit = self.time_limit(task)?;
        (limit.ends_at <= self.task(task).clock).then_some(-i64::from(limit.error))
    }
}

impl Machine {
    /// Takes the time limit out of the call that the task is about to make.
    pub(super) fn hide_limit(&mut self, index: usize) -> Done {
        let Some(limit) = self.world.time_limit(index) else { return Ok(()) };
        let tid = self.world.tid(index);
        let mut registers = Registers::of(tid).map_err(failed("registers"))?;
        registers.set_argument(limit.argument, 0);
        registers.set(tid).map_err(failed("registers"))?;
        self.world.tasks[index].limit = Some(limit);
        Ok(())
    }

    /// Gives the time limit back to a call that has returned: its caller may use the register, and the kernel may
    /// restart the call.
    pub(super) fn restore_limit(&mut self, index: usize) -> Done {
        let Some(limit) = self.world.tasks[index].limit.take() else { return Ok(()) };
        let tid = self.world.tid(index);
        let mut registers = Registers::of(tid).map_err(failed("registers"))?;
        registers.set_argument(limit.argument, limit.address);
        // A handler always ends a wait for a futex that has a limit (`signal(7)`).
        if registers.result() == RESTARTS && self.world.call(index).number == libc::SYS_futex {
            registers.set_result(RESTARTS_WITHOUT_HANDLER);
        }
        registers.set(tid).map_err(failed("registers"))
    }

    /// Ends the call in which the task sleeps, as if its time were over.
    pub(super) fn expire(&mut self, index: usize) -> Done {
        let Some(limit) = self.world.tasks[index].limit else { return Ok(()) };
        let tid = self.world.tid(index);
        stops::interrupt(tid).map_err(failed("interrupt"))?;
        loop {
            match self.next_of(index)? {
                Came::Stop(Stop::Exit) => break,
                Came::Stop(Stop::Ended(status)) => {
                    self.ended(index, status);
                    return Ok(());
                }
                Came::Stop(_) => stops::resume_to_exit(tid, 0).map_err(failed("resume"))?,
                Came::Asleep | Came::Spins => {
                    self.world.note("a time limit that did not expire");
                    return Ok(());
                }
            }
        }
        self.restore_limit(index)?;
        let mut registers = Registers::of(tid).map_err(failed("registers"))?;
        if registers.result() < 0 {
            registers.set_result(-i64::from(limit.error));
            registers.set(tid).map_err(failed("registers"))?;
        }
        let task = &mut self.world.tasks[index];
        task.clock = task.clock.max(limit.ends_at);
        task.state = State::Woken;
        Ok(())
    }
}
