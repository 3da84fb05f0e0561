//! What the honest measured: waits without the attack and with it, and what never came.

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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) at: Moment,
    pub(crate) phase: Phase,
}

/// The waits of one phase.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    /// Less what the machine did to the measuring thread and to the server.
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
        side.counted.add(now.since(&begun.at));
        side.wall.add(now.at.saturating_duration_since(begun.at.at));
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
