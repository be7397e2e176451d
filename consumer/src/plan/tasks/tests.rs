//! What a batch takes, whatever is pending and whatever the limits are.

use lake::{ids::StreamName, keys::Key};
use proptest::prelude::*;

use super::*;

fn object(number: usize, size: u64) -> PlannedObject {
    let stream: StreamName = "events".parse().unwrap();
    let key = Key::Raw { stream, rest: format!("{number:04}.json") };
    PlannedObject { key, etag: "e".to_owned(), size, earlier: Vec::new(), last_try: false }
}

fn bytes(task: &PlannedTask) -> u64 {
    task.objects.iter().map(|object| object.size).sum()
}

proptest! {
    /// Fails when an object is dropped, doubled or moved, or a limit is passed by more than one object.
    #[test]
    fn each_pending_object_is_in_one_task_in_order_and_no_limit_is_passed_but_by_one_object_alone(
        sizes in prop::collection::vec(prop_oneof![0..100_u64, 0..5_000_u64, Just(u64::MAX / 2)], 0..60),
        objects_max in 1..50_usize,
        bytes_max in 1..10_000_u64,
        task_bytes in 0..4_000_u64,
        cores in 0..5_usize,
    ) {
        let limits = BatchSettings { objects_max, bytes_max, task_bytes };
        let all: Vec<_> = sizes.iter().enumerate().map(|(number, size)| object(number, *size)).collect();
        let mut pending: VecDeque<_> = all.iter().cloned().collect();
        let mut taken = Vec::new();
        while !pending.is_empty() {
            let left = pending.len();
            let tasks = take_tasks(&mut pending, &limits, cores);
            let count: usize = tasks.iter().map(|task| task.objects.len()).sum();
            prop_assert_eq!(count, left - pending.len());
            prop_assert!((1..=objects_max).contains(&count));
            let batch_bytes: u128 = tasks.iter().flat_map(|task| &task.objects).map(|object| u128::from(object.size)).sum();
            prop_assert!(count == 1 || batch_bytes <= u128::from(bytes_max));
            for task in &tasks {
                prop_assert!(task.objects.len() == 1 || bytes(task) <= task_bytes, "{:?}", task);
                prop_assert!(!task.objects.is_empty());
            }
            taken.extend(tasks.into_iter().flat_map(|task| task.objects));
        }
        prop_assert_eq!(taken, all);
        prop_assert!(take_tasks(&mut VecDeque::new(), &limits, cores).is_empty());
    }

    /// Fails when tasks end far below their limit: each of them costs files of its own.
    #[test]
    fn small_objects_make_few_tasks(count in 2..200_usize, size in 1..100_u64, task_bytes in 500..2_000_u64) {
        let limits = BatchSettings { objects_max: 1_000, bytes_max: u64::MAX, task_bytes };
        let mut pending = (0..count).map(|number| object(number, size)).collect();
        let tasks = take_tasks(&mut pending, &limits, 2);
        let fewest = (count as u64 * size).div_ceil(task_bytes) as usize;
        prop_assert!(tasks.len() <= fewest + fewest / 4 + 1, "{:?}", tasks.iter().map(bytes).collect::<Vec<_>>());
    }

    /// Fails when a core has nothing to do while others work, or has work that is not worth its files.
    #[test]
    fn a_batch_is_shared_by_the_cores_if_each_share_is_worth_it(mebibytes in 1..200_u64, cores in 1..9_usize) {
        let limits = BatchSettings { objects_max: 1_000, bytes_max: u64::MAX, task_bytes: 16 << 20 };
        let mut pending = (0..mebibytes as usize).map(|number| object(number, 1 << 20)).collect();
        let tasks = take_tasks(&mut pending, &limits, cores);
        let smallest = tasks.iter().map(bytes).min().unwrap();
        prop_assert!(tasks.len() == 1 || smallest >= 3 << 20, "{:?}", tasks.iter().map(bytes).collect::<Vec<_>>());
        prop_assert!(tasks.len() >= cores.min(mebibytes as usize / 4).max(1));
    }
}
