//! What cores tell each other: what was published, what they want to hear of, and that they know.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::mesh::Port;
use crate::pubsub::batch::Batch;
use crate::pubsub::form::{Form, Forms};
use crate::pubsub::name::Filter;

/// What goes from core to core.
#[derive(Clone, Debug)]
pub struct Parcel(pub(super) Contents);

#[derive(Clone, Debug)]
pub(super) enum Contents {
    /// What was published.
    Batch(Arc<Batch>),
    /// What subscribers of the sender want of the filter now.
    Interest(Filter, Forms),
    /// So many changes of interest have been told.
    Told(u64),
    /// So many are known.
    Known(u64),
}

/// What a parcel without payload counts for.
const SMALL: usize = 256;

/// What this core wants of a filter.
#[derive(Debug, Default)]
struct Wanted {
    forms: Forms,
    /// The number of the change that added the last form.
    number: u64,
    /// The subscriptions that want it, in force or not yet.
    subscriptions: usize,
}

/// The way to another core.
#[derive(Debug, Default)]
struct Link {
    /// Batches that found no room.
    backlog: VecDeque<Arc<Batch>>,
    /// Filters of which the other core is still to be told what is wanted now, and whether it was
    /// told that something is. However often that changes, it is told once; and nothing of what
    /// has come and gone meanwhile.
    to_tell: BTreeMap<Filter, bool>,
    /// The changes that it has been told of, and those that it is known to know.
    told: u64,
    known: u64,
    /// Of its own changes, those that are known here, and those that it was told are.
    heard: u64,
    confirmed: u64,
}

/// The ways to the other cores.
#[derive(Debug)]
pub(super) struct Links {
    port: Port<Parcel>,
    /// By core; that of this core is not used.
    links: Vec<Link>,
    wanted: HashMap<Filter, Wanted>,
    /// Counted up with each change of what is wanted.
    changes: u64,
}

impl Links {
    pub(super) fn new(port: Port<Parcel>) -> Self {
        let links = (0..port.cores()).map(|_| Link::default()).collect();
        Self { port, links, wanted: HashMap::new(), changes: 0 }
    }

    pub(super) const fn port(&mut self) -> &mut Port<Parcel> {
        &mut self.port
    }

    pub(super) const fn number(&self) -> usize {
        self.port.number()
    }

    /// The numbers of the other cores.
    pub(super) fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let own = self.number();
        (0..self.port.cores()).filter(move |core| *core != own)
    }

    /// Whether batches wait for room.
    pub(super) fn is_backed_up(&self) -> bool {
        self.links.iter().any(|link| !link.backlog.is_empty())
    }

    /// Whether anything waits for room.
    pub(super) fn is_unfinished(&self) -> bool {
        let mut links = self.others().filter_map(|core| self.links.get(core));
        links.any(|link| !link.is_finished(self.changes))
    }

    /// Filters of which other cores are still to be told.
    #[cfg(test)]
    pub(super) fn untold(&self) -> usize {
        self.links.iter().map(|link| link.to_tell.len()).sum()
    }

    /// Sends a batch to core `to`.
    pub(super) fn send_batch(&mut self, to: usize, batch: &Arc<Batch>) {
        let Some(link) = self.links.get_mut(to) else { return };
        let parcel = Parcel(Contents::Batch(Arc::clone(batch)));
        if !link.backlog.is_empty() || self.port.push(to, batch.len(), parcel).is_err() {
            link.backlog.push_back(Arc::clone(batch));
        }
    }

    /// Counts a subscription, and has the other cores told, if they are not, that it wants `filter`
    /// in this form. Returns the number of the change that they have to know of before it is in
    /// force.
    pub(super) fn want(&mut self, filter: &Filter, form: Form) -> u64 {
        if self.port.cores() < 2 {
            return 0;
        }
        let wanted = self.wanted.entry(filter.clone()).or_default();
        wanted.subscriptions += 1;
        if !wanted.forms.contains(form) {
            wanted.forms = wanted.forms.with(form);
            wanted.number = self.changes + 1;
            self.changes += 1;
            let was_told = wanted.subscriptions > 1;
            for to in self.others() {
                if let Some(link) = self.links.get_mut(to) {
                    link.to_tell.entry(filter.clone()).or_insert(was_told);
                }
            }
            return self.changes;
        }
        wanted.number
    }

    /// A subscription has ended. With the last one the other cores are told.
    pub(super) fn withdraw(&mut self, filter: &Filter) {
        if let Some(wanted) = self.wanted.get_mut(filter) {
            wanted.subscriptions -= 1;
            if wanted.subscriptions == 0 {
                self.wanted.remove(filter);
                self.changes += 1;
                for to in self.others() {
                    if let Some(link) = self.links.get_mut(to) {
                        link.forget(filter);
                    }
                }
            }
        }
    }

    /// The changes that all other cores know of.
    pub(super) fn known_by_all(&self) -> u64 {
        let known = self.others().filter_map(|core| self.links.get(core)).map(|link| link.known);
        known.min().unwrap_or(u64::MAX)
    }

    /// Another core knows our changes up to `number`.
    pub(super) fn set_known(&mut self, core: usize, number: u64) {
        if let Some(link) = self.links.get_mut(core) {
            link.known = number;
        }
    }

    /// This core knows another one's changes up to `number`; it has to hear of that.
    pub(super) fn confirm(&mut self, core: usize, number: u64) {
        if let Some(link) = self.links.get_mut(core) {
            link.heard = number;
        }
    }

    /// Sends what there is room for, and wakes the cores that sleep.
    pub(super) fn flush(&mut self, bells: &mut Vec<usize>) {
        for to in self.others() {
            if let Some(link) = self.links.get_mut(to) {
                let _ = link.flush(to, &mut self.port, &self.wanted, self.changes);
            }
        }
        self.port.publish(|core| bells.push(core));
    }
}

impl Link {
    /// Nothing of the filter is wanted any more.
    fn forget(&mut self, filter: &Filter) {
        if self.to_tell.get(filter) == Some(&false) {
            self.to_tell.remove(filter);
        } else {
            self.to_tell.insert(filter.clone(), true);
        }
    }

    /// Whether the other core has been sent everything.
    fn is_finished(&self, changes: u64) -> bool {
        self.backlog.is_empty() && self.told == changes && self.heard == self.confirmed
    }

    /// Sends until there is no more room, which is the error.
    fn flush(
        &mut self,
        to: usize,
        port: &mut Port<Parcel>,
        wanted: &HashMap<Filter, Wanted>,
        changes: u64,
    ) -> Result<(), ()> {
        let mut push = |bytes, contents| port.push(to, bytes, Parcel(contents)).map_err(drop);
        while let Some(batch) = self.backlog.front() {
            push(batch.len(), Contents::Batch(Arc::clone(batch)))?;
            self.backlog.pop_front();
        }
        if self.heard != self.confirmed {
            push(SMALL, Contents::Known(self.heard))?;
            self.confirmed = self.heard;
        }
        while let Some((filter, _)) = self.to_tell.first_key_value() {
            let forms = wanted.get(filter).map_or(Forms::EMPTY, |wanted| wanted.forms);
            push(SMALL + filter.as_str().len(), Contents::Interest(filter.clone(), forms))?;
            self.to_tell.pop_first();
        }
        if self.told != changes {
            push(SMALL, Contents::Told(changes))?;
            self.told = changes;
        }
        Ok(())
    }
}
