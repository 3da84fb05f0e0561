//! The changes of interest that another core has not been sent.

use std::collections::BTreeMap;

use super::name::Filter;

/// The memory of a change, with a filter that nobody else may hold any more.
const CHANGE: usize = 192;

/// The filters of which the interest has changed since the other core was sent it last, in the
/// order in which that began. Each is sent once, as its current state, however often it changes. A
/// filter that came and went in between is never sent.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// The number of the first change that is not sent, and whether the other core holds an entry.
    by_filter: BTreeMap<Filter, (u64, bool)>,
    /// By this number.
    by_number: BTreeMap<u64, Filter>,
}

impl Unsent {
    pub(super) fn memory(&self) -> usize {
        self.by_filter.len() * CHANGE
    }

    /// The number of filters.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_filter.len()
    }

    /// With this change, the filter is wanted in one more form. `is_held` says whether it was
    /// wanted in another before.
    pub(super) fn want(&mut self, filter: &Filter, number: u64, is_held: bool) {
        if !self.by_filter.contains_key(filter) {
            self.add(filter, number, is_held);
        }
    }

    /// With this change, the filter is not wanted any more.
    pub(super) fn withdraw(&mut self, filter: &Filter, number: u64) {
        match self.by_filter.get(filter) {
            None => self.add(filter, number, true),
            Some((_, true)) => {}
            Some((first, false)) => {
                self.by_number.remove(first);
                self.by_filter.remove(filter);
            }
        }
    }

    fn add(&mut self, filter: &Filter, number: u64, is_held: bool) {
        self.by_filter.insert(filter.clone(), (number, is_held));
        self.by_number.insert(number, filter.clone());
    }

    /// The filter to be sent next, and the number up to which all changes are sent with it, if
    /// `last` is the number of the last change.
    pub(super) fn first(&self, last: u64) -> Option<(&Filter, u64)> {
        let mut order = self.by_number.iter();
        let (_, filter) = order.next()?;
        Some((filter, order.next().map_or(last, |(next, _)| next - 1)))
    }

    /// The first filter is sent.
    pub(super) fn remove_first(&mut self) {
        if let Some((_, filter)) = self.by_number.pop_first() {
            self.by_filter.remove(&filter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(name: &str) -> Filter {
        Filter::new(name, 64).unwrap()
    }

    #[test]
    fn filters_are_sent_once_in_the_order_of_their_first_change() {
        let mut unsent = Unsent::default();
        let (one, two, three) = (filter("z"), filter("b"), filter("a"));
        unsent.want(&one, 1, false);
        unsent.want(&two, 2, false);
        unsent.want(&one, 3, true);
        unsent.want(&three, 4, true);
        assert_eq!((unsent.len(), unsent.first(7)), (3, Some((&one, 1))));
        unsent.remove_first();
        // It came and went.
        unsent.withdraw(&two, 5);
        assert_eq!((unsent.len(), unsent.first(7)), (1, Some((&three, 7))));
        // The other core has to be told.
        unsent.withdraw(&three, 6);
        unsent.withdraw(&one, 7);
        assert_eq!((unsent.len(), unsent.first(7)), (2, Some((&three, 6))));
        unsent.want(&three, 8, false);
        unsent.remove_first();
        assert_eq!(unsent.first(8), Some((&one, 8)));
        unsent.remove_first();
        unsent.remove_first();
        assert_eq!((unsent.len(), unsent.memory(), unsent.first(8)), (0, 0, None));
    }
}
