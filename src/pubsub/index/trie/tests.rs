//! Goal: the trie finds what it should at a bounded cost, and takes no more nodes than its filters
//! need.
//! Method: a set of filters beside it, the rule for nodes checked after each change.

use std::collections::BTreeSet;

use super::*;
use crate::pubsub::index::node::Children;

fn finds(trie: &Trie, name: &str) -> (u64, usize) {
    let (mut found, mut left) = (0, 1 << 40);
    let mut search = Search::default();
    search.begin();
    assert!(trie.find(&Topic::new(name, 255).unwrap(), &mut search, &mut left, |_| found += 1));
    ((1 << 40) - left, found)
}

impl Trie {
    /// Checks that each node in use but the root has an entry or at least two children, and the
    /// sums over all nodes.
    fn check(&self, filters: &BTreeSet<String>) {
        let (mut in_use, mut text, mut entries) = (0, 0, 0);
        let mut stack = vec![(ROOT, 0)];
        while let Some((node_id, level)) = stack.pop() {
            let node = &self.nodes[node_id];
            assert!(node_id == ROOT || node.has_entry() || node.links() > 1, "{self:#?}");
            in_use += 1;
            text += level + node.rest.len();
            entries += usize::from(node.here.is_some()) + usize::from(node.hash.is_some());
            let plus = (node.plus != ROOT).then_some((node.plus, 1));
            stack.extend(plus);
            stack.extend(node.children.all().into_iter().map(|(level, at)| (at, level.len())));
        }
        assert_eq!((entries, self.len()), (filters.len(), filters.len()));
        assert_eq!((in_use, text), (self.nodes().0, self.text));
        assert!(in_use <= 2 * entries.max(1), "{in_use} nodes for {entries} filters");
        assert!(filters.iter().all(|filter| self.get(filter).is_some()));
    }
}

/// One to seven levels of few texts, with a wildcard among them.
fn random_filter(rng: &mut fastrand::Rng) -> String {
    let count = rng.usize(1..8);
    let mut levels: Vec<&str> = (0..count)
        .map(|_| *rng.choice(&["a", "ab", "", "+", "u", "\u{fc}", "+"]).unwrap())
        .collect();
    let is_wild = levels.contains(&"+");
    if !is_wild || rng.u8(..4) == 0 {
        levels.push("#");
    }
    levels.join("/")
}

#[test]
fn nodes_are_split_and_merged() {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut most = 0;
    for _ in 0..40 {
        let (mut trie, mut filters) = (Trie::default(), BTreeSet::new());
        for n in 0..600 {
            let filter = random_filter(&mut rng);
            let is_growing = n / 150 % 2 == 0;
            if is_growing || filters.is_empty() {
                trie.entry(&filter);
                filters.insert(filter);
            } else {
                let gone = rng.choice(&filters).unwrap().clone();
                trie.remove(&gone);
                filters.remove(&gone);
                assert!(trie.get(&gone).is_none());
            }
            // A filter that is not there, or a part of one, or a longer one.
            trie.remove(&format!("{}/nowhere/+", random_filter(&mut rng).replace('#', "x")));
            let other = random_filter(&mut rng);
            assert_eq!(trie.get_mut(&other).is_some(), filters.contains(&other), "{other}");
            trie.check(&filters);
            most = most.max(trie.nodes().0);
        }
        for filter in std::mem::take(&mut filters) {
            trie.remove(&filter);
        }
        trie.check(&filters);
        assert_eq!((trie.nodes().0, trie.bytes(), trie.text), (1, 0, 0));
    }
    assert!(most > 100, "{most} nodes");
}

#[test]
fn a_run_of_levels_is_one_node() {
    let mut trie = Trie::default();
    let deep = ["a"; 31].join("/");
    for n in 0..100 {
        trie.entry(&format!("{n}/{deep}/+"));
    }
    assert_eq!(trie.nodes().0, 101);
    // It parts in the middle of the runs.
    trie.entry(&format!("7/{}/b/+", ["a"; 15].join("/")));
    assert_eq!(trie.nodes().0, 103);
    assert_eq!(finds(&trie, &format!("7/{deep}/x")).1, 1);
    assert_eq!(finds(&trie, &format!("7/{}/b/x", ["a"; 15].join("/"))).1, 1);
    assert_eq!(finds(&trie, &format!("7/{}", ["a"; 15].join("/"))).1, 0);
    trie.remove(&format!("7/{}/b/+", ["a"; 15].join("/")));
    assert_eq!(trie.nodes().0, 101);
    assert_eq!(finds(&trie, &format!("7/{deep}/x")).1, 1);
}

#[test]
fn a_search_costs_no_more_than_the_nodes() {
    let mut trie = Trie::default();
    // Every mixture of `a` and `+` in twelve levels, and long runs of `+` that fail at their end.
    for bits in 1_u32..1 << 12 {
        let levels = (0..12).map(|n| if bits >> n & 1 == 1 { "+" } else { "a" });
        trie.entry(&levels.collect::<Vec<_>>().join("/"));
    }
    for length in 1..=127 {
        trie.entry(&format!("{}x", "+/".repeat(length)));
    }
    let deep = vec!["a"; 128].join("/");
    let nodes = trie.nodes().0 as u64;
    let levels = trie.text as u64;
    for (name, expected) in [(&deep[..], 0), (&deep[..23], (1 << 12) - 1)] {
        let (work, found) = finds(&trie, name);
        assert_eq!(found, expected);
        let most = nodes * Work::NODE + levels * Work::LEVEL + found as u64 * Work::FILTER;
        assert!(work <= most, "{work} for {nodes} nodes");
    }
    assert_eq!(finds(&trie, "b/b"), (3 * Work::NODE, 0), "the root, `+` and `+/+`");
    assert_eq!(finds(&trie, "$/b"), (Work::NODE, 0), "the root only");
}

#[test]
fn a_search_goes_on_where_it_stopped() {
    let mut trie = Trie::default();
    for n in 0..50 {
        trie.entry(&format!("+/{n}/#"));
        trie.entry(&format!("a/+/{n}"));
        trie.entry(&format!("{}/#", ["a", "b", "+"][n % 3]));
    }
    let topic = Topic::new("a/7/7", 255).unwrap();
    let (mut search, mut found, mut steps) = (Search::default(), 0, 0);
    search.begin();
    while !trie.find(&topic, &mut search, &mut 1, |_| found += 1) {
        steps += 1;
    }
    assert_eq!(finds(&trie, "a/7/7").1, found);
    assert!(found == 4 && steps > 4, "{found} in {steps} steps");
    assert!(!trie.find(
        &topic,
        &mut {
            search.begin();
            search
        },
        &mut 0,
        |_| found += 1
    ));
}

/// Nodes stay where they are, and of the children of a node few are moved at a time.
#[test]
fn no_change_moves_many_nodes() {
    const COUNT: u32 = 200_000;
    let moved = |trie: &Trie| match &trie.nodes[ROOT].children {
        Children::Listed(few) => few.len(),
        Children::Hashed(many) => many.moved(),
    };
    let mut trie = Trie::default();
    let (empty, mut most) = (trie.memory(), 0);
    trie.entry("kept/#");
    let (_, kept) = trie.nodes[ROOT].any_child().unwrap();
    let at = &raw const trie.nodes[kept];
    for n in 0..COUNT {
        trie.entry(&format!("{n}/+"));
        most = most.max(moved(&trie));
    }
    let full = trie.memory();
    for n in 0..COUNT {
        trie.remove(&format!("{n}/+"));
        most = most.max(moved(&trie));
    }
    // At most a shard of children is divided, both halves of it grow, and so does the shard of the
    // new child: some 490 + 2 * 225 + 448. Which shards are large depends on the random keys.
    assert!((100..1500).contains(&most), "one change moved {most} children");
    assert!(std::ptr::eq(at, &raw const trie.nodes[kept]));
    let left = trie.memory() - empty;
    assert!(left < 1024, "{left} bytes are left of {full}");
    trie.check(&BTreeSet::from(["kept/#".to_owned()]));
}
