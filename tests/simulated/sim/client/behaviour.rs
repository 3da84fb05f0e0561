//! The behaviour of a client: what it sends, when it stalls, how it ends.

use std::time::Duration;

use corecast::io::sim::ClientId;

use super::{Client, Stage};
use crate::sim::actions;
use crate::sim::link::Link;
use crate::sim::model::Ending;
use crate::sim::world::World;

/// The server does not cut a client that stalls for no longer than this.
const SHORT_STALL: Duration = Duration::from_secs(10);

/// The way in which a client ends its connection after its actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Close,
    HalfClose,
    Reset,
    Violate,
    FallSilent,
    /// It does not read either.
    Hang,
    /// It does not end the connection: the server stops at some time.
    Stay,
}

impl Plan {
    pub(crate) fn random(rng: &mut fastrand::Rng) -> Self {
        let plans = [
            Self::Close,
            Self::Close,
            Self::HalfClose,
            Self::Reset,
            Self::Violate,
            Self::Violate,
            Self::FallSilent,
            Self::Hang,
            Self::Stay,
        ];
        *rng.choice(&plans).unwrap()
    }
}

impl Client {
    pub(super) fn write(&mut self, id: ClientId, network: &Link<'_>, world: &World) {
        if !self.urgent.is_empty() && self.outbox.is_empty() {
            network.write(id, &self.urgent);
            self.urgent.clear();
        }
        self.outbox.append(&mut self.urgent);
        while self.has_something_to_do() && self.next_at <= world.now {
            if self.outbox.is_empty() && !self.fin_follows {
                self.choose(id, network, world);
            }
            if matches!(self.stage, Stage::Gone | Stage::Hung) {
                return;
            }
            let in_slices = self.writes_slices && !self.outbox.is_empty();
            let count =
                if in_slices { self.rng.usize(1..=self.outbox.len()) } else { self.outbox.len() };
            let rest = self.outbox.split_off(count);
            let slice = std::mem::replace(&mut self.outbox, rest);
            if !slice.is_empty() {
                self.moved_at = world.now;
                network.write(id, &slice);
            }
            if self.outbox.is_empty() && std::mem::take(&mut self.fin_follows) {
                self.moved_at = world.now;
                network.half_close(id);
            }
            if !self.outbox.is_empty() {
                self.next_at = world.now + Duration::from_millis(self.rng.u64(0..400));
            }
        }
    }

    /// Chooses the next action.
    fn choose(&mut self, id: ClientId, network: &Link<'_>, world: &World) {
        let pause = match self.rng.u8(0..100) {
            0..60 => 0,
            60..90 => self.rng.u64(0..50),
            90..99 => self.rng.u64(0..5000),
            _ => self.rng.u64(0..100_000),
        };
        self.next_at = world.now + Duration::from_millis(pause);
        self.writes_slices = self.rng.u8(0..12) == 0;
        if self.actions == 0 {
            return self.conclude(id, network, world);
        }
        self.actions -= 1;
        let (rng, model) = (&mut self.rng, &mut self.model);
        match rng.u8(0..100) {
            0..55 => self.outbox = actions::message(rng, world, model),
            55..75 => self.outbox = actions::pipeline(rng, world, model),
            75..85 => self.outbox = actions::ping(rng, model),
            85..90 => {
                let payload = [rng.u8(..); 5];
                self.outbox = actions::pong(rng, &payload);
            }
            90..99 => self.stall(id, network, SHORT_STALL, world),
            _ => {
                self.model.may_be_cut = true;
                self.stall(id, network, Duration::from_secs(100), world);
            }
        }
        if self.model.ending != Ending::None {
            self.leave(world);
        }
    }

    /// Stops reading for a while.
    fn stall(&mut self, id: ClientId, network: &Link<'_>, longest: Duration, world: &World) {
        if self.stalled_until.is_none() {
            let longest = u64::try_from(longest.as_millis()).unwrap();
            let until = world.now + Duration::from_millis(self.rng.u64(0..longest));
            self.stalled_until = Some(until);
            network.set_receive_window(id, 0);
        }
    }

    /// Ends the connection as planned.
    fn conclude(&mut self, id: ClientId, network: &Link<'_>, world: &World) {
        match self.plan {
            Plan::Close => {
                let payload = actions::close_payload(&mut self.rng);
                self.outbox = actions::close(&mut self.rng, &payload);
                self.model.ending = if self.rng.u8(0..8) == 0 {
                    self.outbox.extend(actions::junk(&mut self.rng));
                    Ending::CloseWithMore(payload)
                } else {
                    Ending::Close(payload)
                };
                self.fin_follows = self.rng.u8(0..4) == 0;
            }
            Plan::HalfClose => {
                self.model.ending = Ending::HalfClose;
                self.fin_follows = true;
            }
            Plan::Violate => {
                let (bytes, code) = actions::violation(&mut self.rng, world);
                self.outbox = bytes;
                self.model.ending = Ending::Violation(code);
                if self.rng.u8(0..4) == 0 {
                    self.outbox.extend(actions::junk(&mut self.rng));
                }
                self.fin_follows = self.rng.u8(0..4) == 0;
            }
            Plan::Reset => {
                network.reset(id);
                self.stage = Stage::Gone;
                return;
            }
            Plan::FallSilent => {
                self.model.may_be_cut = true;
                self.stopped_sending_at = world.now;
                self.stage = Stage::Silent;
                return;
            }
            Plan::Hang => {
                network.set_receive_window(id, 0);
                for _ in 0..self.rng.usize(0..20) {
                    let bytes = actions::pipeline(&mut self.rng, world, &mut self.model);
                    network.write(id, &bytes);
                }
                self.stalled_until = None;
                self.stopped_sending_at = world.now;
                self.stage = Stage::Hung;
                return;
            }
            Plan::Stay => {
                self.next_at = Duration::MAX;
                return;
            }
        }
        self.leave(world);
    }
}
