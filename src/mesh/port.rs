//! One core's end of the mesh.

use std::fmt;

use super::sleep::{SleepFlag, publish_fence};
use super::spsc::{Consumer, Producer, queue};

/// The entries of each queue for control items, if there are as many for other items.
const CONTROL_ENTRIES: usize = 256;

/// The capacity of each queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Items, rounded up to a power of two; at least one.
    pub entries: usize,
    /// The sum of the bytes that items count for. A single item may count for more.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 1024, bytes: 8 << 20 }
    }
}

/// Makes a port for each of `cores` cores, in the order of their numbers, with two queues from each
/// core to each other: one for items, and one for control items, which do not wait behind items.
#[must_use]
pub fn mesh<T: Send>(cores: usize, limits: Limits) -> Vec<Port<T>> {
    let flags: Vec<SleepFlag> = (0..cores).map(|_| SleepFlag::awake()).collect();
    let mut incoming: Vec<Vec<_>> = (0..cores).map(|_| Vec::with_capacity(cores)).collect();
    let mut ports = Vec::with_capacity(cores);
    for (number, own) in flags.iter().enumerate() {
        let mut outgoing = Vec::with_capacity(cores);
        for (to, (flag, incoming)) in flags.iter().zip(&mut incoming).enumerate() {
            if number == to {
                outgoing.push(None);
                incoming.push(None);
                continue;
            }
            let (items, from_items) = queue(limits.entries, limits.bytes);
            let (control, from_control) = queue(limits.entries.min(CONTROL_ENTRIES), limits.bytes);
            outgoing.push(Some(Outgoing { items, control, receiver: flag.clone() }));
            incoming.push(Some(Incoming { items: from_items, control: from_control }));
        }
        let sleep_flag = own.clone();
        let (incoming, unpublished) = (Vec::new(), Vec::new());
        ports.push(Port { number, outgoing, incoming, sleep_flag, unpublished });
    }
    for (port, incoming) in ports.iter_mut().zip(incoming) {
        port.incoming = incoming;
    }
    ports
}

/// The queues to another core, and that core's flag.
struct Outgoing<T> {
    items: Producer<T>,
    control: Producer<T>,
    receiver: SleepFlag,
}

impl<T> Outgoing<T> {
    const fn has_unpublished(&self) -> bool {
        self.items.has_unpublished() || self.control.has_unpublished()
    }
}

/// The queues from another core.
struct Incoming<T> {
    items: Consumer<T>,
    control: Consumer<T>,
}

/// One core's end of the mesh, for the thread of that core.
///
/// A core without work calls [`try_sleep`](Self::try_sleep), looks into inboxes that do not belong
/// to the mesh, sleeps until it is woken, and calls [`wake_up`](Self::wake_up).
pub struct Port<T> {
    number: usize,
    /// By the number of the other core; `None` for this one.
    outgoing: Vec<Option<Outgoing<T>>>,
    /// By the number of the other core; `None` for this one.
    incoming: Vec<Option<Incoming<T>>>,
    sleep_flag: SleepFlag,
    /// The cores that items were pushed for since the last [`publish`](Self::publish). It first
    /// allocates on the thread of its core, so that it shares no cache line with another core's
    /// list, which is written in every turn.
    unpublished: Vec<usize>,
}

impl<T> Port<T> {
    /// The number of this core, from 0.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.number
    }

    /// The number of cores.
    #[must_use]
    pub const fn cores(&self) -> usize {
        self.incoming.len()
    }

    /// Queues `item`, which counts for `bytes`, for the core `to`. That core cannot see it before
    /// [`publish`](Self::publish). A dropped port drops the items that it has not published.
    ///
    /// # Errors
    ///
    /// Returns the item if the queue has no free entry or would exceed its limit of bytes. An empty
    /// queue takes any item.
    ///
    /// # Panics
    ///
    /// If `to` is not another core of this mesh.
    #[inline]
    pub fn push(&mut self, to: usize, bytes: usize, item: T) -> Result<(), T> {
        self.push_to(to, |outgoing| outgoing.items.push(bytes, item))
    }

    /// Queues a control item: as [`push`](Self::push), but in a queue of its own, in which it waits
    /// for control items only. There is no order between the items of the two queues.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push).
    ///
    /// # Panics
    ///
    /// If `to` is not another core of this mesh.
    #[inline]
    pub fn push_control(&mut self, to: usize, bytes: usize, item: T) -> Result<(), T> {
        self.push_to(to, |outgoing| outgoing.control.push(bytes, item))
    }

    #[inline]
    fn push_to(
        &mut self,
        to: usize,
        push: impl FnOnce(&mut Outgoing<T>) -> Result<(), T>,
    ) -> Result<(), T> {
        let Some(Some(outgoing)) = self.outgoing.get_mut(to) else { not_a_peer(to) };
        let is_first = !outgoing.has_unpublished();
        push(outgoing)?;
        if is_first {
            self.unpublished.push(to);
        }
        Ok(())
    }

    /// Makes all pushed items visible, and calls `wake` with each receiving core that sleeps. A
    /// core is woken at most once for each time that it sleeps, whichever cores publish.
    #[inline]
    pub fn publish(&mut self, mut wake: impl FnMut(usize)) {
        if self.unpublished.is_empty() {
            return;
        }
        for to in &self.unpublished {
            if let Some(Some(outgoing)) = self.outgoing.get_mut(*to) {
                if outgoing.control.has_unpublished() {
                    outgoing.control.publish();
                }
                if outgoing.items.has_unpublished() {
                    outgoing.items.publish();
                }
            }
        }
        publish_fence();
        for to in self.unpublished.drain(..) {
            if let Some(Some(outgoing)) = self.outgoing.get(to)
                && outgoing.receiver.take_wake()
            {
                wake(to);
            }
        }
    }

    /// Takes the items that are visible in each queue, at most `max` from each and oldest first:
    /// `take(from, item)`. Returns their number. The space of a queue is freed after its last item
    /// is taken. Control items are not among them.
    #[inline]
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(usize, T)) -> usize {
        let mut count = 0;
        for (from, queues) in self.incoming.iter_mut().enumerate() {
            if let Some(queues) = queues {
                count += queues.items.drain(max, |item| take(from, item));
            }
        }
        count
    }

    /// Takes the control items that are visible, as [`drain`](Self::drain) takes the others.
    #[inline]
    pub fn drain_control(&mut self, max: usize, mut take: impl FnMut(usize, T)) -> usize {
        let mut count = 0;
        for (from, queues) in self.incoming.iter_mut().enumerate() {
            if let Some(queues) = queues {
                count += queues.control.drain(max, |item| take(from, item));
            }
        }
        count
    }

    /// Whether there is an item or a control item to take.
    #[must_use]
    pub fn has_incoming(&self) -> bool {
        let mut all = self.incoming.iter().flatten();
        all.any(|queues| queues.items.has_items() || queues.control.has_items())
    }

    /// Whether there is an item to take, not counting control items.
    #[must_use]
    pub fn has_items(&self) -> bool {
        self.incoming.iter().flatten().any(|queues| queues.items.has_items())
    }

    /// Declares that this core is about to sleep. Returns false, and declares nothing, if there is
    /// an item to take: then the core must not sleep.
    ///
    /// Inboxes of other kinds have to be looked at after this call. If one holds something, the
    /// core calls [`wake_up`](Self::wake_up) and goes on; a wake-up may be under way by then.
    #[must_use = "if false, the core must not sleep"]
    pub fn try_sleep(&mut self) -> bool {
        debug_assert!(self.unpublished.is_empty(), "a core publishes before it sleeps");
        self.sleep_flag.begin_sleep();
        // No core was woken for items that were published before the flag was set.
        let has_incoming = self.has_incoming();
        if has_incoming {
            self.sleep_flag.end_sleep();
        }
        !has_incoming
    }

    /// Declares that this core is awake, for whatever reason it has woken.
    pub fn wake_up(&mut self) {
        self.sleep_flag.end_sleep();
    }

    /// Whether the core `to` was declared to hang ([`SleepFlag::set_hung`]).
    #[must_use]
    pub fn is_hung(&self, to: usize) -> bool {
        let outgoing = self.outgoing.get(to).and_then(Option::as_ref);
        outgoing.is_some_and(|outgoing| outgoing.receiver.is_hung())
    }

    /// The number of items that the core `to` has not taken. Control items are not among them.
    #[must_use]
    pub fn untaken(&self, to: usize) -> usize {
        let outgoing = self.outgoing.get(to).and_then(Option::as_ref);
        outgoing.map_or(0, |outgoing| outgoing.items.untaken())
    }

    /// Declares whether this core has more work than it should be given.
    pub fn set_busy(&self, is_busy: bool) {
        self.sleep_flag.set_busy(is_busy);
    }

    /// Whether the core `to` has declared that it is busy, at about this moment.
    #[must_use]
    pub fn is_busy(&self, to: usize) -> bool {
        let outgoing = self.outgoing.get(to).and_then(Option::as_ref);
        outgoing.is_some_and(|outgoing| outgoing.receiver.is_busy())
    }

    /// The flag of this core, for threads without a port that pass work to it by other means.
    #[must_use]
    pub fn sleep_flag(&self) -> SleepFlag {
        self.sleep_flag.clone()
    }
}

impl<T> fmt::Debug for Port<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cold]
fn not_a_peer(to: usize) -> ! {
    panic!("core {to} is not another core of this mesh")
}
