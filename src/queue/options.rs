//! The options of a new queue.

use super::channel::Channel;
use super::error::CreateError;
use super::layout::{DEFAULT_MESSAGE_LIMIT, Layout};
use super::policy::{Policy, ReturnTo};
use super::receiver::Receiver;
use super::sender::Sender;
use super::side::Side;
use crate::sys::mmap::largest_file;

/// The options of a new queue.
///
/// ```
/// use proclab::queue::{Options, ReturnTo};
///
/// // A job that fails three times is set aside.
/// let (sender, receiver) = Options::new(100).max_deliveries(3).create::<String>()?;
/// sender.send("divide by zero".to_owned())?;
/// for _ in 0..3 {
///     drop(receiver.lease()?);
/// }
/// assert!(receiver.try_lease().is_err());
/// let letter = receiver.take_dead_letter()?.expect("it was delivered three times");
/// assert_eq!((letter.deliveries, letter.value?.as_str()), (3, "divide by zero"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "options do nothing until a queue is created from them"]
pub struct Options {
    capacity: usize,
    /// `None` for the default.
    message_limit: Option<u64>,
    policy: Policy,
}

impl Options {
    /// A queue for `capacity` messages of up to [`DEFAULT_MESSAGE_LIMIT`] bytes each; of fewer where this process's limit
    /// of a file's size (`ulimit -f`) allows no more, for the queue's memory counts as a file.
    ///
    /// ```
    /// use proclab::queue::Options;
    ///
    /// let (sender, receiver) = Options::new(5).create()?;
    /// sender.send(7)?;
    /// assert_eq!(receiver.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(capacity: usize) -> Self {
        Options { capacity, message_limit: None, policy: Policy::default() }
    }

    /// Sets the message size limit, in encoded bytes.
    ///
    /// ```
    /// use proclab::queue::Options;
    ///
    /// let (sender, _receiver) = Options::new(5).message_limit(4).create()?;
    /// assert!(sender.send("five!".to_owned()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn message_limit(mut self, bytes: u64) -> Self {
        self.message_limit = Some(bytes);
        self
    }

    /// Sets where a leased message returns to when its holder drops it, exits or is killed. The default is the
    /// tail.
    ///
    /// ```
    /// use proclab::queue::{Options, ReturnTo};
    ///
    /// let (sender, receiver) = Options::new(2).return_leases_to(ReturnTo::Head).create()?;
    /// sender.send_many([1, 2])?;
    /// drop(receiver.lease()?);
    /// assert_eq!(receiver.recv()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn return_leases_to(mut self, place: ReturnTo) -> Self {
        self.policy.return_to = place;
        self
    }

    /// Sets the number of deliveries after which a returned message becomes a dead letter. The default, 0, means
    /// never.
    ///
    /// ```
    /// use proclab::queue::Options;
    ///
    /// let (sender, receiver) = Options::new(1).max_deliveries(1).create()?;
    /// sender.send(7)?;
    /// drop(receiver.lease()?);
    /// assert_eq!(receiver.dead_letters(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_deliveries(mut self, deliveries: u32) -> Self {
        self.policy.max_deliveries = deliveries;
        self
    }

    /// Creates the queue.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::Options::new(1).create()?;
    /// sender.send('x')?;
    /// assert_eq!(receiver.recv()?, 'x');
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn create<T>(&self) -> Result<(Sender<T>, Receiver<T>), CreateError> {
        let layout = match self.message_limit {
            Some(limit) => Layout::new(self.capacity, limit, self.policy)?,
            None => Layout::within(self.capacity, DEFAULT_MESSAGE_LIMIT, self.policy, largest_file())?,
        };
        let (senders, receivers) = Side::pair(Channel::create(layout)?)?;
        Ok((Sender::new(senders), Receiver::new(receivers)))
    }
}
