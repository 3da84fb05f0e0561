//! The application's state of each connection, by slot.

use crate::base::ConnectionId;
use crate::base::blocks::Blocks;

/// One value for each open connection of the application.
#[derive(Debug)]
pub(super) struct States<C> {
    table: Blocks<Option<C>>,
    /// Values of a type without size: they are all alike, so only their number is kept.
    units: Vec<C>,
}

impl<C> States<C> {
    const IS_UNIT: bool = size_of::<C>() == 0;

    pub(super) fn new() -> Self {
        Self { table: Blocks::default(), units: Vec::new() }
    }

    pub(super) fn insert(&mut self, id: ConnectionId, state: C) {
        if Self::IS_UNIT {
            self.units.push(state);
        } else {
            *self.table.reach(id.slot, || None) = Some(state);
        }
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut C> {
        if Self::IS_UNIT { self.units.last_mut() } else { self.table.get_mut(id.slot)?.as_mut() }
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<C> {
        if Self::IS_UNIT { self.units.pop() } else { self.table.get_mut(id.slot)?.take() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32) -> ConnectionId {
        ConnectionId { slot, generation: 1 }
    }

    #[test]
    fn each_connection_has_its_own_state() {
        let mut states = States::new();
        for slot in [3, 0, 5000] {
            states.insert(id(slot), slot);
        }
        assert_eq!(states.get_mut(id(5000)).copied(), Some(5000));
        assert_eq!((states.remove(id(3)), states.remove(id(3))), (Some(3), None));
        assert_eq!(
            (states.get_mut(id(0)).copied(), states.get_mut(id(7)).copied()),
            (Some(0), None)
        );
    }

    #[test]
    fn states_without_size_take_no_memory_and_are_each_returned_once() {
        let mut states = States::new();
        (0..3).for_each(|slot| states.insert(id(slot), ()));
        assert_eq!(states.table.len(), 0);
        assert!(states.remove(id(1)).is_some() && states.get_mut(id(0)).is_some());
        assert!(states.remove(id(0)).is_some() && states.remove(id(2)).is_some());
        assert!(states.remove(id(2)).is_none() && states.get_mut(id(2)).is_none());
    }
}
