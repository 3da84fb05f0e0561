//! One core's end of the mesh.

use std::fmt;

use super::sleep::{Sleeper, work_is_visible};
use super::spsc::{Consumer, Producer, ring};

/// How much each ring holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Items, rounded up to a power of two; at least one.
    pub entries: usize,
    /// What the items may count for together. One alone may count for more.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 1024, bytes: 8 << 20 }
    }
}

/// Makes the ports of so many cores, in the order of their numbers, with a ring from each to each
/// other.
#[must_use]
pub fn mesh<T: Send>(cores: usize, limits: Limits) -> Vec<Port<T>> {
    let sleepers: Vec<Sleeper> = (0..cores).map(|_| Sleeper::awake()).collect();
    let mut incoming: Vec<Vec<_>> = (0..cores).map(|_| Vec::with_capacity(cores)).collect();
    let mut ports = Vec::with_capacity(cores);
    for (number, own) in sleepers.iter().enumerate() {
        let mut outgoing = Vec::with_capacity(cores);
        for (to, (sleeper, incoming)) in sleepers.iter().zip(&mut incoming).enumerate() {
            if number == to {
                outgoing.push(None);
                incoming.push(None);
                continue;
            }
            let (producer, consumer) = ring(limits.entries, limits.bytes);
            outgoing.push(Some(Outgoing { ring: producer, consumer: sleeper.clone() }));
            incoming.push(Some(consumer));
        }
        let sleeper = own.clone();
        let (incoming, touched) = (Vec::new(), Vec::new());
        ports.push(Port { number, outgoing, incoming, sleeper, touched });
    }
    for (port, incoming) in ports.iter_mut().zip(incoming) {
        port.incoming = incoming;
    }
    ports
}

/// The way to another core.
struct Outgoing<T> {
    ring: Producer<T>,
    consumer: Sleeper,
}

/// One core's end of the mesh, for the thread of that core.
///
/// A core that has nothing to do calls [`try_sleep`](Self::try_sleep), looks into the inboxes that
/// the mesh does not know of, sleeps until its doorbell rings or something else comes, and calls
/// [`wake_up`](Self::wake_up).
pub struct Port<T> {
    number: usize,
    /// By the number of the other core; `None` is this one.
    outgoing: Vec<Option<Outgoing<T>>>,
    /// By the number of the other core; `None` is this one.
    incoming: Vec<Option<Consumer<T>>>,
    sleeper: Sleeper,
    /// The cores that something was pushed for since the last publication. It first allocates on
    /// the thread of the core, away from the lists of other cores, which are written all the time.
    touched: Vec<usize>,
}

impl<T> Port<T> {
    /// Which core this is, from 0.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.number
    }

    /// How many cores there are.
    #[must_use]
    pub const fn cores(&self) -> usize {
        self.incoming.len()
    }

    /// Queues `item`, which counts for `bytes`, for the core `to`. The core cannot see it before
    /// [`publish`](Self::publish). A port that is dropped drops what it has not published.
    ///
    /// # Errors
    ///
    /// Gives the item back if the ring has no entry free or would hold more bytes than its limit. A
    /// ring that is empty takes any item.
    ///
    /// # Panics
    ///
    /// If `to` is not another core of this mesh.
    #[inline]
    pub fn push(&mut self, to: usize, bytes: usize, item: T) -> Result<(), T> {
        let Some(Some(outgoing)) = self.outgoing.get_mut(to) else { no_way(to) };
        let is_first = !outgoing.ring.has_unpublished();
        outgoing.ring.push(bytes, item)?;
        if is_first {
            self.touched.push(to);
        }
        Ok(())
    }

    /// Makes everything visible that was pushed, and calls `ring_bell` with each core that it is
    /// for and that sleeps: at most once for each time a core sleeps, whoever publishes.
    #[inline]
    pub fn publish(&mut self, mut ring_bell: impl FnMut(usize)) {
        if self.touched.is_empty() {
            return;
        }
        for to in &self.touched {
            if let Some(Some(outgoing)) = self.outgoing.get_mut(*to) {
                outgoing.ring.publish();
            }
        }
        work_is_visible();
        for to in self.touched.drain(..) {
            if let Some(Some(outgoing)) = self.outgoing.get(to)
                && outgoing.consumer.claim()
            {
                ring_bell(to);
            }
        }
    }

    /// Takes what each ring holds when it is looked at, at most `most` from each and oldest first:
    /// `take(from, item)`. Returns how many. The space of a ring is free when its batch is taken.
    #[inline]
    pub fn drain(&mut self, most: usize, mut take: impl FnMut(usize, T)) -> usize {
        let mut count = 0;
        for (from, ring) in self.incoming.iter_mut().enumerate() {
            if let Some(ring) = ring {
                count += ring.drain(most, |item| take(from, item));
            }
        }
        count
    }

    /// Whether a ring holds something to take.
    #[must_use]
    pub fn has_mail(&self) -> bool {
        self.incoming.iter().flatten().any(Consumer::has_some)
    }

    /// Announces that this core is about to sleep. False if there is mail: then it is not announced
    /// and must not sleep.
    ///
    /// Inboxes of other kinds are to be looked at after this; if there is something in them, the
    /// core calls [`wake_up`](Self::wake_up) and goes on. The bell may have been rung meanwhile.
    #[must_use = "if false, the core must not sleep"]
    pub fn try_sleep(&mut self) -> bool {
        debug_assert!(self.touched.is_empty(), "a core publishes before it sleeps");
        self.sleeper.announce();
        // What was published before the announcement rang no bell.
        let has_mail = self.has_mail();
        if has_mail {
            self.sleeper.revoke();
        }
        !has_mail
    }

    /// Says that this core runs again, whatever woke it.
    pub fn wake_up(&mut self) {
        self.sleeper.revoke();
    }

    /// For threads that have no port and hand work to this core by other means.
    #[must_use]
    pub fn sleeper(&self) -> Sleeper {
        self.sleeper.clone()
    }
}

impl<T> fmt::Debug for Port<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cold]
fn no_way(to: usize) -> ! {
    panic!("core {to} is not another core of this mesh")
}
