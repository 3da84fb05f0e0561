//! What the honest measured: waits without the attack and with it, and what never came.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::sched::Moment;
use crate::waits::Waits;

/// What the whole run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Phase {
    /// Nothing counts yet.
    Warm,
    /// The honest are alone.
    Quiet,
    /// The attack is under way, or has just ended.
    Attack,
    /// What is under way is waited for, and nothing new begins.
    Over,
}

impl Phase {
    pub(crate) const ALL: [Self; 4] = [Self::Warm, Self::Quiet, Self::Attack, Self::Over];
}

/// The start of a wait.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) at: Moment,
    pub(crate) phase: Phase,
    /// When the byte came back that was sent just before, over a connection that the server has no
    /// part in; none if it is still under way.
    pub(crate) control: Rc<Cell<Option<Moment>>>,
}

impl Begun {
    pub(crate) fn new(at: Moment, phase: Phase) -> Self {
        Self { at, phase, control: Rc::default() }
    }

    /// How long the wait until `now` was, less the time that the machine took from the server and
    /// from the measuring thread, and less the time that the byte took: the sender's own core may
    /// be busy with packets of the attackers, or this thread with sending.
    fn counted(&self, now: &Moment) -> Duration {
        let byte = self.control.get().unwrap_or(*now);
        now.since(&self.at).saturating_sub(byte.since(&self.at))
    }
}

/// The waits of one phase.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    /// Less what the machine did to the measuring thread and to the server, and less the control.
    pub(crate) counted: Waits,
    /// As the wall clock saw them.
    pub(crate) wall: Waits,
}

/// The waits of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    pub(crate) quiet: Side,
    pub(crate) attack: Side,
    /// Waits that had no end.
    pub(crate) lost: u64,
}

impl Series {
    /// Takes the wait from `begun` to `now`.
    pub(crate) fn add(&mut self, begun: &Begun, now: &Moment) {
        let side = match begun.phase {
            Phase::Warm => return,
            Phase::Quiet => &mut self.quiet,
            Phase::Attack | Phase::Over => &mut self.attack,
        };
        side.counted.add(begun.counted(now));
        side.wall.add(now.at.saturating_duration_since(begun.at.at));
    }

    /// Adds the wait of the control itself.
    pub(crate) fn add_control(&mut self, begun: &Begun, now: &Moment) {
        begun.control.set(Some(begun.at));
        self.add(begun, now);
        begun.control.set(Some(*now));
    }

    /// The same for a wait that is given up.
    pub(crate) fn lose(&mut self, begun: &Begun, now: &Moment) {
        self.add(begun, now);
        self.lost += 1;
    }

    /// The longest wait of the attack.
    pub(crate) fn longest(&self) -> Duration {
        self.attack.counted.longest()
    }
}

/// All that the honest measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// From sending a message to its echo.
    pub(crate) echo: Series,
    /// From publishing to the receipt by each subscriber.
    pub(crate) topic: Series,
    /// The same on a topic with a single subscriber.
    pub(crate) push: Series,
    /// From connecting to the response of the handshake.
    pub(crate) handshake: Series,
    /// From sending to receiving over a connection that the server has no part in: how late the
    /// measuring itself is.
    pub(crate) control: Series,
    /// Newcomers that were answered with 503: the server does that while its memory is scarce.
    pub(crate) refused: u64,
    /// Honest connections that the server ended.
    pub(crate) closed: u64,
}
