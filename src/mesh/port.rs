//! One core's end of the mesh.

use std::fmt;

use super::sleep::{SleepFlag, publish_fence};
use super::spsc::{Consumer, Producer, queue};

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

/// Makes a port for each of `cores` cores, in the order of their numbers, with a queue from each
/// core to each other.
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
            let (producer, consumer) = queue(limits.entries, limits.bytes);
            outgoing.push(Some(Outgoing { queue: producer, receiver: flag.clone() }));
            incoming.push(Some(consumer));
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

/// The queue to another core, and that core's flag.
struct Outgoing<T> {
    queue: Producer<T>,
    receiver: SleepFlag,
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
    incoming: Vec<Option<Consumer<T>>>,
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
        let Some(Some(outgoing)) = self.outgoing.get_mut(to) else { not_a_peer(to) };
        let is_first = !outgoing.queue.has_unpublished();
        outgoing.queue.push(bytes, item)?;
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
                outgoing.queue.publish();
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
    /// is taken.
    #[inline]
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(usize, T)) -> usize {
        let mut count = 0;
        for (from, queue) in self.incoming.iter_mut().enumerate() {
            if let Some(queue) = queue {
                count += queue.drain(max, |item| take(from, item));
            }
        }
        count
    }

    /// Whether there is an item to take.
    #[must_use]
    pub fn has_incoming(&self) -> bool {
        self.incoming.iter().flatten().any(Consumer::has_items)
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
