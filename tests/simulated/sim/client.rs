//! A simulated client: it acts at random, from its own seed, and checks every received byte.

mod behaviour;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corecast::io::sim::{ClientId, ServerEnd, SimNetwork};
use rustls::ClientConfig;

use crate::frames;
use crate::sim::actions;
use crate::sim::handshake::{Ask, take_response};
use crate::sim::link::{Link, Tls};
use crate::sim::model::{Model, Reaction};
use crate::sim::tally::Tally;
use crate::sim::world::World;
use crate::trace::Trace;
use behaviour::Plan;

/// The time that the server may take for an answer when nothing delays it. The slowest network
/// delays each piece by 0.2 s.
const REPLY_TIMEOUT: Duration = Duration::from_secs(6);
/// The same for FIN after the last frame. Shorter than the linger time of the server.
const FIN_TIMEOUT: Duration = Duration::from_millis(1500);
/// The tolerance for deadlines of the server.
const LATE: Duration = Duration::from_secs(3);

/// The state of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not connected yet.
    NotConnected,
    /// The response is not complete.
    Requesting,
    /// Refused: a body of `body` bytes and then the end of the stream must follow.
    Refused {
        body: usize,
    },
    Open,
    /// Sends nothing any more, not even pongs.
    Silent,
    /// Sends nothing any more, and does not read either.
    Hung,
    /// Has sent its last frame, or received the server's.
    Ending,
    Gone,
}

pub(crate) struct Client {
    rng: fastrand::Rng,
    stage: Stage,
    plan: Plan,
    ask: Ask,
    id: Option<ClientId>,
    tls: Option<Rc<RefCell<Tls>>>,
    start_at: Duration,
    opened_at: Duration,
    actions: u32,
    /// Bytes to be written, in slices if `writes_slices`.
    outbox: Vec<u8>,
    writes_slices: bool,
    /// Answers to the server, to be written between two frames.
    urgent: Vec<u8>,
    /// FIN follows the last byte of the outbox.
    fin_follows: bool,
    /// The time of its next write or action.
    next_at: Duration,
    stalled_until: Option<Duration>,
    /// The time at which it stopped sending: it ended the connection or became silent.
    stopped_sending_at: Duration,
    /// The time of the last progress in either direction; the time at which the server last
    /// received something, as far as is known; and the number of bytes that it had not received
    /// then.
    moved_at: Duration,
    received_at: Duration,
    not_received: usize,
    arrived: Vec<u8>,
    trace: Trace,
    model: Model,
    /// The status of the response.
    status: Option<u16>,
    /// The end of the stream, as the client saw it.
    end: Option<ServerEnd>,
}

impl Client {
    pub(crate) fn new(mut rng: fastrand::Rng, world: &World) -> Self {
        let stays = world.has_many_clients && rng.u8(0..4) > 0;
        let plan = if stays { Plan::Stay } else { Plan::random(&mut rng) };
        let ask = Ask::random(&mut rng);
        // Some clients connect at once, some when others are gone.
        let start_at = Duration::from_millis(if rng.bool() { 0 } else { rng.u64(0..20_000) });
        let most = if world.has_many_clients || rng.bool() { 10 } else { 300 };
        let actions = rng.u32(0..=most);
        Self {
            rng,
            stage: Stage::NotConnected,
            plan,
            ask,
            id: None,
            tls: None,
            start_at,
            opened_at: Duration::ZERO,
            actions,
            outbox: Vec::new(),
            writes_slices: false,
            urgent: Vec::new(),
            fin_follows: false,
            next_at: start_at,
            stalled_until: None,
            stopped_sending_at: Duration::ZERO,
            moved_at: Duration::ZERO,
            received_at: Duration::ZERO,
            not_received: 0,
            arrived: Vec::new(),
            trace: Trace::default(),
            model: Model::new(start_at),
            status: None,
            end: None,
        }
    }

    /// Has it speak TLS.
    pub(crate) fn with_tls(mut self, config: &Arc<ClientConfig>) -> Self {
        // The end of TLS says that nothing is missing; a close frame says so too.
        let truncates = self.plan == Plan::Close && self.actions.is_multiple_of(2);
        self.tls = Some(Tls::new(config, truncates));
        self
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// Adds its counts to the tally.
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

    /// Reads, writes, and acts if it is time; returns the time of its next call at the latest.
    pub(crate) fn act(
        &mut self,
        network: &SimNetwork,
        world: &World,
    ) -> Result<Option<Duration>, String> {
        let tls = self.tls.clone();
        let network = &Link { network, tls: tls.as_deref() };
        if self.stage == Stage::Gone || (self.stage == Stage::NotConnected && world.is_draining()) {
            self.stage = Stage::Gone;
            return Ok(None);
        }
        let id = match self.id {
            Some(id) => id,
            None if world.now < self.start_at => return Ok(Some(self.start_at)),
            None => self.connect(network, world),
        };
        if self.stalled_until.is_some_and(|until| until <= world.now) {
            self.stalled_until = None;
            (self.moved_at, self.received_at) = (world.now, world.now);
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

    fn connect(&mut self, network: &Link<'_>, world: &World) -> ClientId {
        let id = network.connect(self.rng.usize(0..world.options.listeners));
        self.id = Some(id);
        self.stage = Stage::Requesting;
        self.outbox = self.ask.request(&mut self.rng);
        self.writes_slices = self.ask == Ask::WebSocket { slowly: true };
        (self.start_at, self.moved_at) = (world.now, world.now);
        id
    }

    fn next_time(&self, world: &World) -> Duration {
        let patience = self.waits_for(world).map_or(Duration::MAX, |(_, until)| until);
        let action = if self.has_something_to_do() { self.next_at } else { Duration::MAX };
        // A stalled client has no reply timeout.
        let next = match self.stalled_until {
            Some(until) if self.stage != Stage::Hung => until.min(action),
            _ => patience.min(action),
        };
        // Finds the time at which the server has received the last byte of a silent client.
        let watch = self.stage == Stage::Silent && self.not_received > 0;
        let longest = Duration::from_secs(if watch { 1 } else { 600 });
        next.clamp(world.now + Duration::from_micros(1), world.now + longest)
    }

    fn has_something_to_do(&self) -> bool {
        self.stage == Stage::Open || !self.outbox.is_empty() || self.fin_follows
    }

    fn read(&mut self, id: ClientId, network: &Link<'_>, world: &World) -> Result<(), String> {
        // The end is checked before the data is read, so that no data is left if the stream has
        // ended.
        let end = network.closed_by_server(id);
        let bytes = network.read(id);
        self.trace.received(world.now, &bytes, end);
        if network.has_moved() || !bytes.is_empty() {
            self.moved_at = world.now;
            self.arrived.extend(bytes);
        }
        if self.stage == Stage::Requesting {
            self.read_response(world)?;
        }
        while matches!(self.stage, Stage::Open | Stage::Silent | Stage::Ending)
            && let Some(frame) = frames::take(&mut self.arrived)?
        {
            let reaction = self.model.frame(frame, world)?;
            self.react(reaction, world);
        }
        if let Some(end) = end {
            let is_faulted = network.is_faulted(id);
            // Without a slot, or with too many connections, there is no time for a handshake.
            let is_full = world.may_be_full() || world.may_have_no_slot();
            let is_turned_away = self.tls.is_some() && self.stage == Stage::Requesting && is_full;
            self.ended(end, is_faulted || is_turned_away, world)?;
            let has_to_end = self.model.is_answered() && end == ServerEnd::Fin && !is_faulted;
            if let Some(fault) = network.fault(has_to_end && !world.is_hurrying()) {
                return Err(fault);
            }
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
            // The server counts from its response, which may have waited for a slot.
            self.model.waits_for_slot(world);
            (self.opened_at, self.next_at) = (world.now, world.now);
        } else {
            self.stage = Stage::Refused { body: response.body };
            self.outbox.clear();
        }
        Ok(())
    }

    /// Whether the server may have given up waiting for the request.
    fn is_late(&self, world: &World) -> bool {
        world.is_past(self.start_at + world.config.timeouts.handshake)
    }

    fn react(&mut self, reaction: Reaction, world: &World) {
        match reaction {
            Reaction::Pong(payload) if self.stage == Stage::Open => {
                self.urgent.extend(actions::pong(&mut self.rng, &payload));
            }
            Reaction::Close(payload) => {
                if self.stage == Stage::Open {
                    self.urgent.extend(actions::close(&mut self.rng, &payload));
                    // The server has a time limit for this.
                    (self.writes_slices, self.next_at) = (false, world.now);
                }
                if self.stage != Stage::Silent {
                    self.leave(world);
                }
            }
            Reaction::Pong(_) | Reaction::Nothing => {}
        }
    }

    fn leave(&mut self, world: &World) {
        self.stage = Stage::Ending;
        (self.stopped_sending_at, self.moved_at) = (world.now, world.now);
    }

    /// Checks that the stream may have ended.
    fn ended(&self, end: ServerEnd, faulted: bool, world: &World) -> Result<(), String> {
        if faulted {
            // The received part was right, and the rest need not arrive.
            return Ok(());
        }
        let hurried = world.is_draining() || self.is_late(world);
        match (self.stage, end) {
            (Stage::Requesting, _) if hurried => Ok(()),
            (Stage::Refused { body }, ServerEnd::Fin) if self.arrived.len() == body => Ok(()),
            (Stage::Refused { .. }, ServerEnd::Reset) if hurried => Ok(()),
            (Stage::Requesting | Stage::Refused { .. }, _) => {
                Err(format!("{end:?} {} bytes into {:?}", self.arrived.len(), self.stage))
            }
            (_, ServerEnd::Fin) => self.model.fin(&self.arrived, world),
            (_, ServerEnd::Reset) => self.model.reset(self.stopped_sending_at, world),
        }
    }

    /// The event that the client waits for, and the time by which it must happen.
    fn waits_for(&self, world: &World) -> Option<(&'static str, Duration)> {
        let timeouts = &world.config.timeouts;
        let silence = timeouts.ping_after + timeouts.pong + timeouts.close;
        let soon = self.moved_at + REPLY_TIMEOUT;
        // Only FIN is missing.
        let at_once = self.moved_at + FIN_TIMEOUT;
        match self.stage {
            Stage::Requesting if self.ask == Ask::Never => {
                Some(("the end of its patience with the request", soon + timeouts.handshake))
            }
            Stage::Requesting if self.outbox.is_empty() => Some(("an answer", soon)),
            Stage::Open if world.is_draining() => Some((
                "the close frame of a server that stops",
                soon.max(world.stop_at + world.config.draining.window + REPLY_TIMEOUT),
            )),
            Stage::Open => Some(self.model.next_answer().map_or(
                ("the end of an idle connection", self.model.idle_until(world).1.max(soon) + LATE),
                |answer| (answer, soon),
            )),
            Stage::Ending if self.model.is_answered() => Some(("FIN", at_once)),
            Stage::Refused { .. } | Stage::Ending => Some(("the end of the stream", soon)),
            // The timeouts for the ping, the pong, and the close frame. The server does not know
            // how much of what it sent has been read, and leaves the client the time for that.
            Stage::Silent => {
                let reading = Duration::from_secs(self.model.echoed_bytes.min(4 << 20) / (8 << 10));
                let silence = timeouts.ping_after + timeouts.pong.max(reading) + timeouts.close;
                let until = self.stopped_sending_at.max(self.received_at) + silence + LATE;
                Some(("the end of a silent connection", until))
            }
            // The same, and then the time until the server gives up its queued data.
            Stage::Hung => {
                let until = self.stopped_sending_at + silence + timeouts.stall + 2 * LATE;
                Some(("the end of a hung connection", until))
            }
            Stage::Requesting | Stage::NotConnected | Stage::Gone => None,
        }
    }

    fn check_progress(
        &mut self,
        id: ClientId,
        network: &Link<'_>,
        world: &World,
    ) -> Result<(), String> {
        let not_received = network.bytes_not_received(id);
        if std::mem::replace(&mut self.not_received, not_received) != not_received {
            (self.moved_at, self.received_at) = (world.now, world.now);
        }
        if self.stage == Stage::Hung && network.is_closed(id) {
            // This client does not read, so it cannot check the end of the stream.
            self.stage = Stage::Gone;
        }
        // A server without a free slot lets the client wait and does not refuse it.
        let waits_for_slot = world.may_have_no_slot() && !network.is_accepted(id);
        if self.stage == Stage::Requesting && waits_for_slot {
            // The timeout starts when it is accepted.
            self.moved_at = world.now;
            self.model.waits_for_slot(world);
        }
        match self.waits_for(world) {
            Some((what, until)) if self.stalled_until.is_none() && until < world.now => {
                Err(format!("waits in vain for {what}, {:?}, {:?}", self.stage, self.model))
            }
            _ => Ok(()),
        }
    }

    /// The last check: the server sent no more pings than necessary.
    pub(crate) fn finish(&self, world: &World) -> Result<(), String> {
        let open = world.now - self.opened_at;
        let most = 1 + open.as_secs() / world.config.timeouts.ping_after.as_secs();
        if self.model.server_pings > most {
            return Err(format!("{} pings in {open:?}", self.model.server_pings));
        }
        Ok(())
    }
}
