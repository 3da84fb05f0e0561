//! Checks for when the system is quiescent, and for the end.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use corecast::config::SlowConsumer;
use corecast::io::Wake;
use corecast::io::sim::Faults;

use crate::pubsub_model::client::{Client, Kind, Stage};
use crate::pubsub_model::log::{Retain, TOPICS};
use crate::pubsub_model::tally::Tally;
use crate::pubsub_model::world::{PROGRAMS, World};

impl World {
    /// The system is quiescent: every message that had to arrive has arrived.
    pub(crate) fn check_quiet(&mut self) -> Result<(), String> {
        self.settle()?;
        let mut missing = vec![0; self.cores.len()];
        for client in &mut self.clients {
            let core = &self.cores[client.core];
            if !client.keeps_up(&core.network) {
                continue;
            }
            client.settle();
            let dropped = core.worker.stats().dropped;
            let complete = self.policy == SlowConsumer::Close || dropped == 0;
            for topic in 0..TOPICS.len() {
                let count = client.count(&self.log, topic);
                missing[client.core] += count.missing;
                if complete && (count.missing > 0 || client.lost[topic] > 0) {
                    let message = count.example.map(|number| &self.log.messages[number]);
                    return Err(format!(
                        "client {} lacks {:?} {message:?} of {count:?} on {topic}; {client:?}",
                        client.number, count.example
                    ));
                }
            }
        }
        for (core, missing) in self.cores.iter().zip(missing) {
            let dropped = core.worker.stats().dropped;
            if missing > dropped {
                return Err(format!("{missing} are missing, but {dropped} were dropped"));
            }
        }
        let exact: Result<u64, String> = self.clients.iter().map(|c| self.check_gaps(c)).sum();
        self.exact += exact?;
        Ok(())
    }

    /// Marks the messages that are certainly published, and checks that no answer is pending.
    fn settle(&mut self) -> Result<(), String> {
        for client in &self.clients {
            let network = &self.cores[client.core].network;
            let Some(id) = client.id.filter(|id| !network.is_faulted(*id)) else { continue };
            if client.stage == Stage::Opening && client.stalled_until.is_none() {
                return Err(format!("client {} has no answer to its request", client.number));
            }
            let keeps_up = client.keeps_up(network);
            if keeps_up && (!client.pending.is_empty() || network.bytes_not_received(id) > 0) {
                let unread = network.bytes_not_received(id);
                return Err(format!("{unread} bytes are not read, or not answered: {client:?}"));
            }
            let is_closed = client.stage == Stage::Gone
                && (!client.is_broken || client.is_finished && client.close_code.is_none());
            if keeps_up || is_closed {
                let open =
                    |message: &&mut crate::pubsub_model::log::Message| message.settled_at.is_none();
                for message in self.log.messages.iter_mut().filter(open) {
                    if message.by == client.number {
                        message.settled_at = Some(self.moment);
                    }
                }
            }
        }
        for message in self.log.messages.iter_mut().filter(|m| m.settled_at.is_none()) {
            if message.by >= PROGRAMS {
                message.settled_at = Some(self.moment);
            }
        }
        Ok(())
    }

    /// In JSON all losses are reported, and no more than those. If all published messages must have
    /// arrived and none was retained, the sum is exact. Returns the number of topics with losses
    /// for which the sum was exact.
    fn check_gaps(&self, client: &Client) -> Result<u64, String> {
        let mut exact = 0;
        if !client.is_json() || !client.keeps_up(&self.cores[client.core].network) {
            return Ok(0);
        }
        for topic in 0..TOPICS.len() {
            let count = client.count(&self.log, topic);
            let values = client.retained.get(&topic).map_or(0, Vec::len) as u64;
            let replays = client.subs_to(topic).count() as u64;
            let live = |number: &&usize| self.log.messages[**number].topic == topic;
            let got = client.live.iter().filter(live).count() as u64 + client.empty[topic];
            let lost = client.lost[topic];
            let is_bounded = got + values + lost <= count.may + replays;
            let is_retained =
                self.log.messages.iter().any(|m| m.topic == topic && m.retain != Retain::No);
            let may_differ = is_retained || count.must < count.may;
            let is_exact = may_differ || got + lost == count.may;
            exact += u64::from(!may_differ && lost > 0);
            if count.missing > lost || !is_bounded || !is_exact {
                return Err(format!("got {got}, lost {lost} of {count:?} on {topic}: {client:?}"));
            }
        }
        Ok(exact)
    }

    /// The end: quiescent, the same retained values on all cores, and no leaked resources.
    pub(crate) fn finish(&mut self, tally: &mut Tally) -> Result<(), String> {
        self.cores.iter().for_each(|core| core.network.set_faults(Faults::default()));
        self.run(Self::is_idle)?;
        let (first, now) = (self.clients.len(), self.now);
        for core in 0..self.cores.len() {
            let mut probe = Client::new(first + core, core, Kind::Json, self.rng.fork());
            probe.next_at = now;
            probe.conflates = self.policy == SlowConsumer::Conflate;
            self.clients.push(probe);
        }
        self.run(Self::is_idle)?;
        for probe in &mut self.clients[first..] {
            self.moment += 1;
            let network = &self.cores[probe.core].network;
            probe.subscribe_to(network, &["#", "$s/#"], self.moment);
        }
        self.mark_changed();
        self.run(|_| true)?;
        self.check_retained(first)?;
        self.clients.iter().for_each(|client| client.report(&self.log, tally));
        for client in &mut self.clients {
            let network = &self.cores[client.core].network;
            client.close(network);
        }
        self.run(|world| world.cores.iter().all(|core| core.worker.connections() == 0))?;
        for (number, core) in self.cores.iter().enumerate() {
            let stats = core.stats();
            if (stats.subscriptions, stats.filters) != (0, 0) {
                return Err(format!("core {number} is left with {stats:?}"));
            }
        }
        self.stop.store(true, Ordering::Release);
        self.cores.iter().for_each(|core| core.waker.wake());
        self.run(|world| world.cores.iter().all(|core| core.worker.is_done()))?;
        for core in &mut self.cores {
            // Submits what the last turn queued.
            core.worker.turn().map_err(|error| error.to_string())?;
            core.network.check_quiescent();
            tally.add(core);
        }
        tally.quiets += self.quiets;
        tally.exact += self.exact;
        self.clients.iter().for_each(|client| tally.trace.add(&client.trace));
        Ok(())
    }

    /// Checks that all probes received the same retained values, and every value that must be
    /// retained.
    fn check_retained(&self, first: usize) -> Result<(), String> {
        let (clients, probes) = self.clients.split_at(first);
        let values = |client: &Client| -> HashMap<usize, Vec<usize>> { client.retained.clone() };
        let expected = values(&probes[0]);
        for probe in probes {
            if values(probe) != expected {
                return Err(format!("{:?} here, but {expected:?} there", probe.retained));
            }
        }
        for topic in 0..TOPICS.len() {
            let value = expected.get(&topic).map(|values| values[0]);
            if !self.log.may_be_retained(topic, value) {
                return Err(format!("{value:?} is retained on {topic}"));
            }
            let Some(value) = value else { continue };
            for client in clients {
                let core = &self.cores[client.core];
                let complete =
                    self.policy == SlowConsumer::Close || core.worker.stats().dropped == 0;
                let subscribed = client.subs_to(topic).any(|sub| sub.ending_at.is_none());
                let exempt = !complete || !client.keeps_up(&core.network) || !subscribed;
                if !exempt && !client.has(value, topic) && client.may_get(&self.log.messages[value])
                {
                    return Err(format!(
                        "client {} never got the value {value} of {topic}, {:?}; {client:?}",
                        client.number, self.log.messages[value]
                    ));
                }
            }
        }
        Ok(())
    }
}
