use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::config::{Route, RouteTo, Routes, SlowConsumer};
use crate::session::{Frames, Offer};

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Option<Slot>>() <= 112, "{}", size_of::<Option<Slot>>());
}

#[test]
fn a_queue_has_the_limit_and_the_policy_of_its_route() {
    let frames = |len: usize| {
        let bytes = Bytes::from(vec![0; len]);
        Rc::new(Frames::new(bytes.into(), "a".into(), 1, 0))
    };
    let route = |path| Route::new(path, RouteTo::Topics).unwrap();
    let mut config = Config::default();
    let own = route("/own/{topic}").queue(1000).slow(SlowConsumer::DropNewest);
    config.routes = Routes::new([own, route("/server/{topic}")]).unwrap();
    config.pubsub.queue = 2000;
    let pools = Pools::new(Arc::new(config.clone()));
    for (path, limit, beyond) in
        [("/own/a", 1000, Offer::Dropped(1)), ("/server/a", 2000, Offer::TooSlow)]
    {
        let route = config.routes.of_handshake(path).unwrap();
        for (len, expected) in
            [(limit - 1, Offer::Queued(0)), (limit, Offer::Queued(0)), (limit + 1, beyond)]
        {
            let mut queue = Queue::new(&pools, route).queue;
            assert_eq!(queue.push_droppable(&frames(500)), Offer::Queued(0));
            assert_eq!(queue.push_droppable(&frames(len - 500)), expected, "{path} {len}");
        }
    }
}
