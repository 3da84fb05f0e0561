//! Filters in order, page by page.

use super::*;

/// The filters that have local subscribers, with the numbers of these.
fn expected(model: &Model) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (filter, _) in model.local.keys() {
        *counts.entry(filter.clone()).or_default() += 1;
    }
    counts
}

fn page(index: &Index, after: Option<&str>, most: usize) -> Vec<(String, usize)> {
    let all = index.filters_after(after);
    all.take(most).map(|(name, count)| (name.to_owned(), count)).collect()
}

#[test]
fn filters_with_local_subscribers_are_listed_in_order() {
    for seed in 0..12_u8 {
        let mut rng = Rng::with_seed(seed.into());
        let (mut index, mut model) = (Index::new(CORES), Model::default());
        index.list_filters();
        let count = [1, 8, 400][usize::from(seed) % 3];
        let filters: Vec<String> = (0..count).map(|_| random_text(&mut rng, true)).collect();
        for n in 0..1_000 {
            step(&mut rng, (&mut index, &mut model), &filters, n / 250 % 2 == 0);
            let all = expected(&model);
            let after = random_text(&mut rng, true);
            let behind = all.range(after.clone()..).filter(|(name, _)| **name != after);
            let behind: Vec<_> = behind.take(5).map(|(name, n)| (name.clone(), *n)).collect();
            assert_eq!(page(&index, Some(&after), 5), behind, "behind {after}");
            assert!(page(&index, None, usize::MAX).into_iter().eq(all));
        }
        let (with, filters) = (index.memory(), page(&index, None, usize::MAX).len());
        index.listed = None;
        assert!(with >= index.memory() + 16 * filters, "their memory is counted");
    }
}

#[test]
fn without_a_list_there_is_none() {
    let mut index = Index::new(1);
    assert!(index.subscribe(&filter("a"), subscriber(1)));
    assert_eq!(index.filters_after(None).count(), 0);
    assert!(index.unsubscribe(&filter("a"), subscriber(1).id));
}
