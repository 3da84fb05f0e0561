//! What cores tell each other: what was published, what they want to hear of, and that they know.

use std::collections::{HashMap, VecDeque};
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
    /// Subscribers of the sender want messages that match the filter in these forms.
    Interest { filter: Filter, forms: Forms, number: u64 },
    /// All interests up to this number are known.
    Known(u64),
}

/// What a parcel without payload counts for.
const SMALL: usize = 256;

/// The way to the other cores.
#[derive(Debug)]
pub(super) struct Links {
    port: Port<Parcel>,
    /// What found no room, by core, with what it counts for.
    backlog: Vec<VecDeque<(usize, Parcel)>>,
    /// What the other cores have been told: forms, and the number of the last telling.
    announced: HashMap<Filter, (Forms, u64)>,
    /// Counted up with each interest told.
    told: u64,
    /// The interests that each core is known to know of.
    known: Vec<u64>,
    /// The interests of each core that it has to be told are known; 0 for none.
    to_confirm: Vec<u64>,
}

impl Links {
    pub(super) fn new(port: Port<Parcel>) -> Self {
        let cores = port.cores();
        let mut known = vec![0; cores];
        // This core knows what it wants.
        if let Some(own) = known.get_mut(port.number()) {
            *own = u64::MAX;
        }
        Self {
            backlog: (0..cores).map(|_| VecDeque::new()).collect(),
            announced: HashMap::new(),
            told: 0,
            known,
            to_confirm: vec![0; cores],
            port,
        }
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
        (0..self.cores()).filter(move |core| *core != own)
    }

    pub(super) const fn cores(&self) -> usize {
        self.port.cores()
    }

    /// Whether something waits for room.
    pub(super) fn is_backed_up(&self) -> bool {
        self.backlog.iter().any(|backlog| !backlog.is_empty())
    }

    /// Sends a batch to core `to`.
    pub(super) fn send_batch(&mut self, to: usize, batch: &Arc<Batch>) {
        self.send(to, batch.len(), Contents::Batch(Arc::clone(batch)));
    }

    fn send(&mut self, to: usize, bytes: usize, contents: Contents) {
        let Some(backlog) = self.backlog.get_mut(to) else { return };
        let parcel = Parcel(contents);
        if !backlog.is_empty() {
            return backlog.push_back((bytes, parcel));
        }
        if let Err(parcel) = self.port.push(to, bytes, parcel) {
            backlog.push_back((bytes, parcel));
        }
    }

    /// Tells the other cores, if they do not know, that a subscriber wants `filter` in this form.
    /// Returns the number of the interest that has to be known before all is said to be in force.
    pub(super) fn want(&mut self, filter: &Filter, form: Form) -> u64 {
        let (forms, number) = self.announced.get(filter).copied().unwrap_or_default();
        if forms.contains(form) {
            return number;
        }
        let forms = forms.with(form);
        self.tell(filter, forms);
        self.announced.insert(filter.clone(), (forms, self.told));
        self.told
    }

    /// Tells the other cores that nobody wants `filter` any more.
    pub(super) fn withdraw(&mut self, filter: &Filter) {
        if self.announced.remove(filter).is_some() {
            self.tell(filter, Forms::EMPTY);
        }
    }

    fn tell(&mut self, filter: &Filter, forms: Forms) {
        self.told += 1;
        for to in self.others() {
            let filter = filter.clone();
            let bytes = SMALL + filter.as_str().len();
            self.send(to, bytes, Contents::Interest { filter, forms, number: self.told });
        }
    }

    /// The interests that all other cores know of.
    pub(super) fn known_by_all(&self) -> u64 {
        self.known.iter().copied().min().unwrap_or(u64::MAX)
    }

    /// Another core knows our interests up to `number`.
    pub(super) fn set_known(&mut self, core: usize, number: u64) {
        if let Some(known) = self.known.get_mut(core) {
            *known = number;
        }
    }

    /// Our side knows an interest of another core, which has to hear of it.
    pub(super) fn confirm(&mut self, core: usize, number: u64) {
        if let Some(to_confirm) = self.to_confirm.get_mut(core) {
            *to_confirm = number;
        }
    }

    /// Sends what found no room before, and confirms; then wakes the cores that sleep.
    pub(super) fn flush(&mut self, bells: &mut Vec<usize>) {
        for to in 0..self.cores() {
            let number = self.to_confirm.get_mut(to).map_or(0, std::mem::take);
            if number > 0 {
                self.send(to, SMALL, Contents::Known(number));
            }
            let Some(backlog) = self.backlog.get_mut(to) else { continue };
            while let Some((bytes, parcel)) = backlog.pop_front() {
                if let Err(parcel) = self.port.push(to, bytes, parcel) {
                    backlog.push_front((bytes, parcel));
                    break;
                }
            }
        }
        self.port.publish(|core| bells.push(core));
    }
}
