//! Goal: the index finds what a plain list of subscriptions would find, and forgets what is taken
//! away.
//! Method: a matcher written from the rules, level by level and recursive; a model of the index
//! that keeps every subscription in a map and asks that matcher; seeded random operations on both.

#![allow(clippy::cast_possible_truncation, reason = "numbers of the tests' own")]

mod listed;
mod lists;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::rc::Rc;

use fastrand::Rng;

use super::*;
use crate::base::ConnectionId;
use crate::pubsub::encoding::{Codec, Form, Forms};
use crate::pubsub::name::{Filter, Topic};

const CORES: usize = 3;

fn topic(name: &str) -> Topic {
    Topic::new(name, 1 << 20).unwrap()
}

fn filter(text: &str) -> Filter {
    Filter::new(text, 1 << 20).unwrap()
}

fn subscriber(slot: u32) -> Subscriber {
    let id = ConnectionId { slot, generation: 7 };
    Subscriber { id, form: Form::RAW, echo: false }
}

/// Searches in one go, or in steps of one node.
fn find(index: &Index, name: &str, matches: &mut Matches, in_steps: bool) {
    let topic = topic(name);
    index.begin(&topic, matches);
    let budget = if in_steps { 1 } else { u64::MAX };
    while !index.resume(&topic, matches, &mut budget.clone()) {
        assert!(in_steps);
    }
}

fn found(index: &Index, name: &str) -> Recipients {
    let mut matches = Matches::default();
    find(index, name, &mut matches, false);
    matches.take()
}

/// The slots in all lists that match, sorted.
fn slots(index: &Index, name: &str) -> Vec<u32> {
    let lists = found(index, name).lists;
    let mut slots: Vec<u32> =
        lists.iter().flat_map(|list| list.iter().map(|s| s.id.slot)).collect();
    slots.sort_unstable();
    slots
}

/// The rules as they are written, for texts that are known to be valid.
fn oracle(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match filter {
            [] => topic.is_empty(),
            ["#"] => true,
            [first, filter @ ..] => {
                !topic.is_empty()
                    && (*first == "+" || *first == topic[0])
                    && levels(filter, &topic[1..])
            }
        }
    }
    let filter: Vec<&str> = filter.split('/').collect();
    let topic: Vec<&str> = topic.split('/').collect();
    let begins_wild = filter[0] == "+" || filter[0] == "#";
    !(begins_wild && topic[0].starts_with('$')) && levels(&filter, &topic)
}

/// One to five levels of few different texts; empty ones among them.
fn random_text(rng: &mut Rng, is_filter: bool) -> String {
    loop {
        let mut levels: Vec<&str> = (0..rng.usize(1..=5))
            .map(|_| match rng.u8(0..10) {
                0..=3 => "a",
                4 => "b",
                5 => "",
                6 => "$a",
                _ if is_filter => "+",
                7 => "ü",
                _ => "a",
            })
            .collect();
        if is_filter && rng.u8(0..4) == 0 {
            levels.push("#");
        }
        let text = levels.join("/");
        if !text.is_empty() {
            return text;
        }
    }
}

#[test]
fn filters_match_as_the_oracle_says() {
    let mut rng = Rng::with_seed(1);
    let mut matching = 0;
    for _ in 0..200_000 {
        let (wanted, name) = (random_text(&mut rng, true), random_text(&mut rng, false));
        let expected = oracle(&wanted, &name);
        matching += u32::from(expected);
        assert_eq!(filter(&wanted).matches(&topic(&name)), expected, "{wanted} {name}");
    }
    assert!(matching > 10_000, "only {matching} matched");
}

/// What the index should know.
#[derive(Default)]
struct Model {
    local: BTreeMap<(String, u32), Subscriber>,
    remote: BTreeMap<(String, usize), Forms>,
}

impl Model {
    fn filters(&self) -> usize {
        let local = self.local.keys().map(|(filter, _)| filter);
        let remote = self.remote.keys().map(|(filter, _)| filter);
        local.chain(remote).collect::<BTreeSet<_>>().len()
    }

    fn local_forms(&self, filter: &str) -> Forms {
        let of = self.local.iter().filter(|((wanted, _), _)| wanted == filter);
        of.fold(Forms::EMPTY, |forms, (_, s)| forms.with(s.form))
    }

    fn check(&self, index: &Index, name: &str, matches: &mut Matches) {
        find(index, name, matches, name.len().is_multiple_of(2));
        let matches = matches.take();
        let mut expected: BTreeMap<&str, Vec<(u32, usize, bool)>> = BTreeMap::new();
        let mut local = Forms::EMPTY;
        for ((wanted, _), s) in self.local.iter().filter(|((wanted, _), _)| oracle(wanted, name)) {
            expected.entry(wanted).or_default().push((s.id.slot, s.form.index(), s.echo));
            local = local.with(s.form);
        }
        let mut remote = vec![Forms::EMPTY; CORES];
        for ((wanted, core), forms) in &self.remote {
            if oracle(wanted, name) {
                remote[*core] = remote[*core].union(*forms);
            }
        }
        let mut lists: Vec<Vec<(u32, usize, bool)>> = expected.into_values().collect();
        let plain = |list: &Rc<Snapshot>| {
            let mut list: Vec<_> =
                list.iter().map(|s| (s.id.slot, s.form.index(), s.echo)).collect();
            list.sort_unstable();
            list
        };
        let mut got: Vec<_> = matches.lists.iter().map(plain).collect();
        lists.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, lists, "{name}");
        assert_eq!((matches.local, &matches.remote), (local, &remote), "{name}");
        let has_remote = remote.iter().any(|forms| !forms.is_empty());
        assert_eq!(matches.has_remote(), has_remote);
        assert_eq!(matches.is_empty(), lists.is_empty() && !has_remote);
    }
}

/// One operation on both; whether it had to change something.
fn step(
    rng: &mut Rng,
    (index, model): (&mut Index, &mut Model),
    filters: &[String],
    growing: bool,
) -> bool {
    let text = filters[rng.usize(..filters.len())].clone();
    let wanted = filter(&text);
    let mut new = subscriber(rng.u32(0..150));
    match rng.u8(0..20) {
        roll @ 0..=16 if (roll < 14) == growing => {
            new.form = Form::new(
                Codec::ALL[rng.usize(..2)],
                Some(rng.u8(7..=15)).filter(|bits| *bits != 7),
            );
            new.echo = rng.bool();
            let is_new = !model.local.contains_key(&(text.clone(), new.id.slot));
            assert_eq!(index.subscribe(&wanted, new), is_new);
            model.local.entry((text.clone(), new.id.slot)).or_insert(new);
            is_new
        }
        0..=16 => {
            let had = model.local.remove(&(text.clone(), new.id.slot)).is_some();
            assert_eq!(index.unsubscribe(&wanted, new.id), had);
            had
        }
        _ => {
            let forms = (0..rng.u8(0..3)).fold(Forms::EMPTY, |forms, _| {
                forms.with(Form::new(Codec::ALL[rng.usize(..2)], Some(rng.u8(9..=15))))
            });
            let core = rng.usize(..CORES);
            index.set_remote(&wanted, core, forms);
            let before = match forms.is_empty() {
                true => model.remote.remove(&(text.clone(), core)),
                false => model.remote.insert((text.clone(), core), forms),
            };
            before.unwrap_or_default() != forms
        }
    }
}

#[test]
fn the_index_finds_what_the_model_finds() {
    for seed in 0..20 {
        let mut rng = Rng::with_seed(seed);
        let mut index = Index::new(CORES);
        let mut model = Model::default();
        let mut matches = Matches::default();
        // Few filters make lists large, many make the trie wide.
        let count = [1, 8, 60, 400][seed as usize % 4];
        let filters: Vec<String> = (0..count).map(|_| random_text(&mut rng, true)).collect();
        for n in 0..3_000 {
            let before = index.version();
            // Up and down, so that lists become large and small again.
            let growing = n / 500 % 2 == 0;
            let changed = step(&mut rng, (&mut index, &mut model), &filters, growing);
            assert_eq!(index.version(), before + u64::from(changed));
            assert_eq!(index.filters(), model.filters());
            if n % 4 == 0 {
                let text = &filters[n % filters.len()];
                assert_eq!(index.local_forms(&filter(text)), model.local_forms(text), "{text}");
                model.check(&index, &random_text(&mut rng, false), &mut matches);
            }
        }
        for ((wanted, _), s) in std::mem::take(&mut model.local) {
            assert!(index.unsubscribe(&filter(&wanted), s.id));
        }
        model.check(&index, "a/b", &mut matches);
        for (wanted, core) in std::mem::take(&mut model.remote).into_keys() {
            index.set_remote(&filter(&wanted), core, Forms::EMPTY);
        }
        model.check(&index, "a/b", &mut matches);
        assert_eq!((index.filters(), index.wild.nodes().0, index.bytes()), (0, 1, 0));
    }
}

#[test]
fn only_the_very_subscription_is_taken_away() {
    let mut index = Index::new(1);
    let mut first = subscriber(1);
    assert!(index.subscribe(&filter("a"), first));
    first.form = Form::JSON;
    assert!(!index.subscribe(&filter("a"), first), "the first one holds");
    assert_eq!(index.local_forms(&filter("a")), Forms::EMPTY.with(Form::RAW));
    assert!(!index.unsubscribe(&filter("a"), ConnectionId { slot: 1, generation: 8 }));
    assert!(
        !index.unsubscribe(&filter("b"), first.id) && !index.unsubscribe(&filter("#"), first.id)
    );
    assert!(index.subscribe(&filter("#"), first));
    assert_eq!(slots(&index, "a"), [1, 1]);
    assert!(
        index.unsubscribe(&filter("a"), first.id) && !index.unsubscribe(&filter("a"), first.id)
    );
    assert_eq!((slots(&index, "a"), index.filters(), index.version()), (vec![1], 1, 3));
}

#[test]
fn a_search_starts_from_nothing() {
    let mut index = Index::new(2);
    index.set_remote(&filter("a"), 1, Forms::EMPTY.with(Form::JSON));
    assert!(index.subscribe(&filter("a"), subscriber(3)));
    let mut matches = Matches::default();
    find(&index, "a", &mut matches, false);
    let got = &matches.found;
    assert!(got.has_remote() && got.remote[1].contains(Form::JSON));
    assert_eq!((got.lists.len(), got.remote.len()), (1, 2));
    find(&index, "b", &mut matches, false);
    let got = &matches.found;
    assert!(got.is_empty() && got.local.is_empty() && got.remote.len() == 2);
    find(&index, "a", &mut matches, false);
    matches.clear();
    let got = matches.take();
    assert!(got.is_empty() && !got.has_remote() && got.local.is_empty());
}

#[test]
fn memory_comes_back() {
    const COUNT: u32 = 20_000;
    let mut index = Index::new(1);
    let exact = |n: u32| filter(&format!("{}/b/{n}", n % 50));
    let wild = |n: u32| filter(&format!("{}/+/{n}/#", n % 50));
    for n in 0..COUNT {
        assert!(index.subscribe(&exact(n), subscriber(1)));
        index.set_remote(&wild(n), 0, Forms::EMPTY.with(Form::RAW));
    }
    assert_eq!((index.filters(), index.wild.nodes().0), (2 * COUNT as usize, COUNT as usize + 51));
    let (exact_most, (_, wild_most)) = (index.exact.memory(), index.wild.nodes());
    for n in 50..COUNT {
        assert!(index.unsubscribe(&exact(n), subscriber(1).id));
        index.set_remote(&wild(n), 0, Forms::EMPTY);
    }
    // What is left is whole, after all the moving.
    let (nodes, held) = index.wild.nodes();
    assert_eq!((index.filters(), nodes), (100, 51));
    assert!(held < wild_most / 16, "{held} of {wild_most}");
    assert!(index.exact.memory() < exact_most / 16, "{} of {exact_most}", index.exact.memory());
    for n in 0..50 {
        assert_eq!(slots(&index, &format!("{n}/b/{n}")), [1]);
        assert!(found(&index, &format!("{n}/b/{n}")).has_remote());
        assert!(found(&index, &format!("{n}/b/{}", n + 50)).is_empty());
        assert!(index.unsubscribe(&exact(n), subscriber(1).id));
        index.set_remote(&wild(n), 0, Forms::EMPTY);
    }
    let (nodes, held) = index.wild.nodes();
    assert_eq!((index.filters(), nodes), (0, 1));
    assert!(held < 2048 && index.exact.memory() < exact_most / 64, "{held} bytes for nodes");
}

/// However many filters there are, none that comes or goes has many others moved.
#[test]
fn no_change_moves_many_filters() {
    const COUNT: u32 = 200_000;
    let mut index = Index::new(2);
    let exact = |n: u32| filter(&format!("some/{n}"));
    let mut most = 0;
    for n in 0..COUNT {
        index.set_remote(&exact(n), 1, Forms::EMPTY.with(Form::RAW));
        most = most.max(index.exact.moved());
    }
    let memory = index.memory();
    for n in 0..COUNT {
        index.set_remote(&exact(n), 1, Forms::EMPTY);
        most = most.max(index.exact.moved());
    }
    // As in the test of the trie.
    assert!((100..1500).contains(&most), "one change moved {most} filters");
    assert!(index.memory() < memory / 1000, "{} of {memory} bytes are left", index.memory());
}

#[test]
fn deep_topics_take_no_stack() {
    let deep = || {
        for levels in [8, Filter::MAX_LEVELS - 1] {
            let name = "/".repeat(levels - 1);
            let pluses: String = iter::repeat_n("+", levels).collect::<Vec<_>>().join("/");
            let mut index = Index::new(1);
            for text in [&name, &pluses, &format!("{name}/#"), &format!("{pluses}/+")] {
                assert!(index.subscribe(&filter(text), subscriber(1)));
            }
            assert_eq!(slots(&index, &name), [1, 1, 1]);
            assert!(filter(&pluses).matches(&topic(&name)));
            assert!(index.unsubscribe(&filter(&pluses), subscriber(1).id));
            assert_eq!(slots(&index, &name), [1, 1]);
            assert!(index.unsubscribe(&filter(&format!("{pluses}/+")), subscriber(1).id));
            assert_eq!(index.wild.nodes().0, 2);
        }
        // Of a topic any number of levels may come.
        let mut index = Index::new(1);
        let name = "/".repeat(100_000);
        for text in [name.as_str(), "#", "+/#", "/#"] {
            assert!(index.subscribe(&filter(text), subscriber(1)));
        }
        assert_eq!(slots(&index, &name), [1, 1, 1, 1]);
    };
    std::thread::Builder::new().stack_size(64 << 10).spawn(deep).unwrap().join().unwrap();
}

#[test]
fn names_that_are_no_wildcards_stay_out_of_the_trie() {
    let mut index = Index::new(1);
    assert!(index.subscribe(&filter("a/b"), subscriber(1)));
    assert!(index.wild.is_empty() && index.wild.nodes().0 == 1);
    assert!(index.subscribe(&filter("a/+"), subscriber(1)));
    assert_eq!((index.wild.len(), index.exact.len(), index.wild.nodes().0), (1, 1, 2));
}
