//! Sending many values: they are encoded as a group, and each time the lock is taken, as many as fit are placed.

use super::error::Rejection;
use super::fault::SendFault;
use super::layout::FREED;
use super::sender::Sender;
use super::wait::WaitLimit;
use crate::sys::poll::Deadline;
use crate::wire::attachments;
use crate::wire::codec::{self, Message};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// The largest group, in messages.
const GROUP: usize = 256;
/// The size in bytes at which a group is complete.
const GROUP_BYTES: usize = 1 << 20;

/// Encoded values that have not been sent.
#[derive(Default)]
struct Group {
    bytes: Vec<u8>,
    /// The offset at which the first value begins.
    begin: usize,
    /// The offset at which each value ends.
    ends: VecDeque<usize>,
}

impl<T: Message> Sender<T> {
    /// Sends all of `values`, and counts the values sent in `sent`.
    pub(super) fn send_all(&self, values: &[T], sent: &mut usize) -> Result<(), SendFault> {
        let mut group = Group::default();
        while *sent < values.len() {
            // A value that cannot be sent ends the group; the values before it are sent first.
            let stopped = self.encode_group(&values[*sent..], &mut group).err();
            let has_handles = attachments::take_missed();
            while !group.ends.is_empty() {
                self.send_some(&mut group, sent)?;
            }
            match stopped {
                None => {}
                Some(_) if has_handles => {
                    self.send_value(&values[*sent], WaitLimit::Until(Deadline::NEVER))?;
                    *sent += 1;
                }
                Some(why) => return Err(why.into()),
            }
        }
        Ok(())
    }

    fn encode_group(&self, values: &[T], group: &mut Group) -> Result<(), Rejection> {
        group.bytes.clear();
        group.begin = 0;
        for value in values.iter().take(self.capacity().min(GROUP)) {
            codec::encode_into(value, &mut group.bytes)?;
            let begin = group.ends.back().copied().unwrap_or(0);
            self.check_size(group.bytes.len() - begin)?;
            group.ends.push_back(group.bytes.len());
            if group.bytes.len() >= GROUP_BYTES {
                break;
            }
        }
        Ok(())
    }

    /// Sends as many values of the group as there is room for, at least one.
    fn send_some(&self, group: &mut Group, sent: &mut usize) -> Result<(), SendFault> {
        let wait = WaitLimit::Until(Deadline::NEVER);
        loop {
            if !self.has_receivers() {
                return Err(SendFault::Disconnected);
            }
            let mut sending = self.side.sending(Deadline::NEVER)?;
            if sending.is_closed() {
                return Err(SendFault::Disconnected);
            }
            let (mut placed, mut failed) = (0, None);
            while let Some(&end) = group.ends.front() {
                match sending.has_room() {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(why) => return Err(why.into()),
                }
                if let Err(why) = sending.place(&group.bytes[group.begin..end]) {
                    failed = Some(why);
                    break;
                }
                group.begin = end;
                group.ends.pop_front();
                placed += 1;
            }
            sending.publish();
            *sent += placed;
            match failed {
                Some(why) => return Err(why.into()),
                None if placed > 0 => return Ok(()),
                None => {}
            }
            drop(sending);
            self.wait_for_room(self.side.end.channel.memory.word(FREED).load(Ordering::Relaxed), wait)?;
        }
    }
}
