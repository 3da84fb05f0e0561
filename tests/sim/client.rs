//! A simulated client: it acts at random, by its own seed, and checks what it gets.

mod behaviour;

use std::time::Duration;

use corecast::io::sim::{ClientId, ServerEnd, SimNetwork};

use crate::actions;
use crate::frames;
use crate::handshake::{Ask, take_response};
use crate::model::{Model, Reaction};
use crate::tally::Tally;
use crate::trace::Trace;
use crate::world::World;
use behaviour::Plan;

/// With nothing else to wait for, how long the server may leave a client without what it owes.
/// The slowest network delays each piece by a fifth of a second.
const PATIENCE: Duration = Duration::from_secs(6);
/// The same after the last frame. Shorter than the time that the server lingers.
const PATIENCE_FOR_FIN: Duration = Duration::from_millis(1500);
/// What deadlines of the server may be late by.
const LATE: Duration = Duration::from_secs(3);

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not connected yet.
    Unborn,
    /// The answer to its request is not complete.
    Asking,
    /// Refused: a body of so many bytes and then the end of the stream must follow.
    Refused {
        body: usize,
    },
    Open,
    /// Says nothing any more, not even pongs.
    Silent,
    /// Says nothing any more, and does not read either.
    Hung,
    /// Has said its last word, or heard the server's.
    Leaving,
    Gone,
}

pub(crate) struct Client {
    rng: fastrand::Rng,
    stage: Stage,
    plan: Plan,
    ask: Ask,
    id: Option<ClientId>,
    born_at: Duration,
    opened_at: Duration,
    actions: u32,
    /// To be written, in slices if the client dribbles.
    outbox: Vec<u8>,
    dribbles: bool,
    /// Answers to the server, to be written as soon as no frame is half written.
    urgent: Vec<u8>,
    /// FIN follows the last of the outbox.
    fin_follows: bool,
    /// When it next writes or does something else.
    next_at: Duration,
    stalled_until: Option<Duration>,
    /// When it stopped speaking: by a goodbye or by falling silent.
    last_word_at: Duration,
    /// When something last moved in either direction, and when the server last received something,
    /// as far as is known; and what it had yet to receive then.
    moved_at: Duration,
    heard_at: Duration,
    not_received: usize,
    arrived: Vec<u8>,
    trace: Trace,
    model: Model,
    /// Of the response.
    status: Option<u16>,
    /// As it was seen.
    end: Option<ServerEnd>,
}

impl Client {
    pub(crate) fn new(mut rng: fastrand::Rng, world: &World) -> Self {
        let stays = world.is_crowded && rng.u8(0..4) > 0;
        let plan = if stays { Plan::Stay } else { Plan::random(&mut rng) };
        let ask = Ask::random(&mut rng);
        // Some come together, some when others have gone.
        let born_at = Duration::from_millis(if rng.bool() { 0 } else { rng.u64(0..20_000) });
        let most = if world.is_crowded || rng.bool() { 10 } else { 300 };
        let actions = rng.u32(0..=most);
        Self {
            rng,
            stage: Stage::Unborn,
            plan,
            ask,
            id: None,
            born_at,
            opened_at: Duration::ZERO,
            actions,
            outbox: Vec::new(),
            dribbles: false,
            urgent: Vec::new(),
            fin_follows: false,
            next_at: born_at,
            stalled_until: None,
            last_word_at: Duration::ZERO,
            moved_at: Duration::ZERO,
            heard_at: Duration::ZERO,
            not_received: 0,
            arrived: Vec::new(),
            trace: Trace::default(),
            model: Model::new(born_at),
            status: None,
            end: None,
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// Adds what it has seen.
    pub(crate) fn report(&self, tally: &mut Tally) {
        self.model.report(tally);
        tally.trace.add(&self.trace);
        if let Some(status) = self.status {
            *tally.statuses.entry(status).or_default() += 1;
        }
        match self.end {
            Some(ServerEnd::Fin) => tally.fins += 1,
            Some(ServerEnd::Reset) => tally.resets += 1,
            None => {}
        }
    }

    /// Reads, writes, does what is due; returns when it wants to be called at the latest.
    pub(crate) fn act(
        &mut self,
        network: &SimNetwork,
        world: &World,
    ) -> Result<Option<Duration>, String> {
        if self.stage == Stage::Gone || (self.stage == Stage::Unborn && world.is_draining()) {
            self.stage = Stage::Gone;
            return Ok(None);
        }
        let id = match self.id {
            Some(id) => id,
            None if world.now < self.born_at => return Ok(Some(self.born_at)),
            None => self.connect(network, world),
        };
        if self.stalled_until.is_some_and(|until| until <= world.now) {
            self.stalled_until = None;
            (self.moved_at, self.heard_at) = (world.now, world.now);
            network.set_receive_window(id, usize::MAX);
        }
        if self.stalled_until.is_none() && self.stage != Stage::Hung {
            self.read(id, network, world)?;
        }
        if self.stage != Stage::Gone {
            self.write(id, network, world);
            self.check_progress(id, network, world)?;
        }
        Ok((self.stage != Stage::Gone).then(|| self.next_time(world)))
    }

    fn connect(&mut self, network: &SimNetwork, world: &World) -> ClientId {
        let id = network.connect(self.rng.usize(0..world.options.listeners));
        self.id = Some(id);
        self.stage = Stage::Asking;
        self.outbox = self.ask.request(&mut self.rng);
        self.dribbles = self.ask == Ask::WebSocket { slowly: true };
        (self.born_at, self.moved_at) = (world.now, world.now);
        id
    }

    fn next_time(&self, world: &World) -> Duration {
        let patience = self.waits_for(world).map_or(Duration::MAX, |(_, until)| until);
        let action = if self.has_something_to_do() { self.next_at } else { Duration::MAX };
        // A stalled client is not impatient.
        let next = match self.stalled_until {
            Some(until) if self.stage != Stage::Hung => until.min(action),
            _ => patience.min(action),
        };
        // To know when the server has received the last of a silent client.
        let watch = self.stage == Stage::Silent && self.not_received > 0;
        let longest = Duration::from_secs(if watch { 1 } else { 600 });
        next.clamp(world.now + Duration::from_micros(1), world.now + longest)
    }

    fn has_something_to_do(&self) -> bool {
        self.stage == Stage::Open || !self.outbox.is_empty() || self.fin_follows
    }

    fn read(&mut self, id: ClientId, network: &SimNetwork, world: &World) -> Result<(), String> {
        // First whether it has ended, then what has arrived: all of it, if so.
        let end = network.closed_by_server(id);
        let bytes = network.read(id);
        self.trace.received(world.now, &bytes, end);
        if !bytes.is_empty() {
            self.moved_at = world.now;
            self.arrived.extend(bytes);
        }
        if self.stage == Stage::Asking {
            self.read_response(world)?;
        }
        while matches!(self.stage, Stage::Open | Stage::Silent | Stage::Leaving)
            && let Some(frame) = frames::take(&mut self.arrived)?
        {
            let reaction = self.model.frame(frame, world)?;
            self.react(reaction, world);
        }
        if let Some(end) = end {
            self.ended(end, network.is_faulted(id), world)?;
            network.half_close(id);
            (self.stage, self.end) = (Stage::Gone, Some(end));
        }
        Ok(())
    }

    fn read_response(&mut self, world: &World) -> Result<(), String> {
        let Some(response) = take_response(&mut self.arrived)? else { return Ok(()) };
        let status = response.status;
        self.status = Some(status);
        let as_asked = match self.ask {
            Ask::WebSocket { .. } => status == 101,
            Ask::Refused(expected) => status == expected,
            Ask::Never => false,
        };
        let full = status == 503 && (world.may_be_full() || world.is_draining());
        let late = status == 408 && self.is_late(world);
        if !as_asked && !full && !late {
            return Err(format!("status {status} after {:?}", self.ask));
        }
        if status == 101 {
            self.stage = Stage::Open;
            // The server counts from its answer, which may have waited for a slot.
            self.model.waits_in_line(world);
            (self.opened_at, self.next_at) = (world.now, world.now);
        } else {
            self.stage = Stage::Refused { body: response.body };
            self.outbox.clear();
        }
        Ok(())
    }

    /// Whether the server may have given up waiting for the request.
    fn is_late(&self, world: &World) -> bool {
        world.is_past(self.born_at + world.config.timeouts.handshake)
    }

    fn react(&mut self, reaction: Reaction, world: &World) {
        match reaction {
            Reaction::Pong(payload) if self.stage == Stage::Open => {
                self.urgent.extend(actions::pong(&mut self.rng, &payload));
            }
            Reaction::Close(payload) => {
                if self.stage == Stage::Open {
                    self.urgent.extend(actions::close(&mut self.rng, &payload));
                    // The server does not wait for ever.
                    (self.dribbles, self.next_at) = (false, world.now);
                }
                if self.stage != Stage::Silent {
                    self.leave(world);
                }
            }
            Reaction::Pong(_) | Reaction::Nothing => {}
        }
    }

    fn leave(&mut self, world: &World) {
        self.stage = Stage::Leaving;
        (self.last_word_at, self.moved_at) = (world.now, world.now);
    }

    /// The stream has ended: whether it may.
    fn ended(&self, end: ServerEnd, faulted: bool, world: &World) -> Result<(), String> {
        if faulted {
            // What arrived before was right, and more need not come.
            return Ok(());
        }
        let hurried = world.is_draining() || self.is_late(world);
        match (self.stage, end) {
            (Stage::Asking, _) if hurried => Ok(()),
            (Stage::Refused { body }, ServerEnd::Fin) if self.arrived.len() == body => Ok(()),
            (Stage::Refused { .. }, ServerEnd::Reset) if hurried => Ok(()),
            (Stage::Asking | Stage::Refused { .. }, _) => {
                Err(format!("{end:?} {} bytes into {:?}", self.arrived.len(), self.stage))
            }
            (_, ServerEnd::Fin) => self.model.fin(&self.arrived, world),
            (_, ServerEnd::Reset) => self.model.reset(self.last_word_at, world),
        }
    }

    /// What the client waits for, and until when it must have come.
    fn waits_for(&self, world: &World) -> Option<(&'static str, Duration)> {
        let timeouts = &world.config.timeouts;
        let silence = timeouts.ping_after + timeouts.pong + timeouts.close;
        let soon = self.moved_at + PATIENCE;
        // Nothing but FIN is missing.
        let at_once = self.moved_at + PATIENCE_FOR_FIN;
        match self.stage {
            Stage::Asking if self.ask == Ask::Never => {
                Some(("the end of its patience with the request", soon + timeouts.handshake))
            }
            Stage::Asking if self.outbox.is_empty() => Some(("an answer", soon)),
            Stage::Open if world.is_draining() => {
                Some(("the close frame of a server that stops", soon.max(world.stop_at + PATIENCE)))
            }
            Stage::Open => Some(self.model.owed().map_or(
                ("the end of an idle connection", self.model.idle_until(world).1.max(soon) + LATE),
                |owed| (owed, soon),
            )),
            Stage::Leaving if self.model.is_answered() => Some(("FIN", at_once)),
            Stage::Refused { .. } | Stage::Leaving => Some(("the end of the stream", soon)),
            // Ping, no pong, close frame, no close frame. The server does not know how much of what
            // it sent has been read, and leaves the client the time for that.
            Stage::Silent => {
                let reading = Duration::from_secs(self.model.echoed_bytes.min(4 << 20) / (8 << 10));
                let silence = timeouts.ping_after + timeouts.pong.max(reading) + timeouts.close;
                let until = self.last_word_at.max(self.heard_at) + silence + LATE;
                Some(("the end of a silent connection", until))
            }
            // The same, and then what waits to be sent must be given up.
            Stage::Hung => {
                let until = self.last_word_at + silence + timeouts.stall + 2 * LATE;
                Some(("the end of a hung connection", until))
            }
            Stage::Asking | Stage::Unborn | Stage::Gone => None,
        }
    }

    fn check_progress(
        &mut self,
        id: ClientId,
        network: &SimNetwork,
        world: &World,
    ) -> Result<(), String> {
        let not_received = network.bytes_not_received(id);
        if std::mem::replace(&mut self.not_received, not_received) != not_received {
            (self.moved_at, self.heard_at) = (world.now, world.now);
        }
        if self.stage == Stage::Hung && network.is_closed(id) {
            // What it would have seen of the end does not matter.
            self.stage = Stage::Gone;
        }
        // A server whose slots are all taken leaves it waiting, not refused.
        let in_line = world.may_have_no_slot() && !network.is_accepted(id);
        if self.stage == Stage::Asking && in_line {
            // Its patience begins when it is accepted.
            self.moved_at = world.now;
            self.model.waits_in_line(world);
        }
        match self.waits_for(world) {
            Some((what, until)) if self.stalled_until.is_none() && until < world.now => {
                Err(format!("waits in vain for {what}, {:?}, {:?}", self.stage, self.model))
            }
            _ => Ok(()),
        }
    }

    /// The last check: the server's pings were no more than it needs.
    pub(crate) fn finish(&self, world: &World) -> Result<(), String> {
        let open = world.now - self.opened_at;
        let most = 1 + open.as_secs() / world.config.timeouts.ping_after.as_secs();
        if self.model.server_pings > most {
            return Err(format!("{} pings in {open:?}", self.model.server_pings));
        }
        Ok(())
    }
}
