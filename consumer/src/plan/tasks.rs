//! Splits a batch's objects into tasks. Pure.

use std::collections::VecDeque;

use lake::{
    ledger::{PlannedObject, PlannedTask},
    stream::BatchSettings,
};

/// A task is worth its files if it has this many bytes; so many cores may share a batch.
const TASK_BYTES_MIN: u64 = 4 << 20;

/// Takes a batch's worth of objects off the front of `pending` and splits them into tasks for this many cores.
///
/// No task or batch exceeds its bytes, except for a single object that exceeds them alone. Empty if nothing is pending.
pub(crate) fn take_tasks(
    pending: &mut VecDeque<PlannedObject>,
    limits: &BatchSettings,
    cores: usize,
) -> Vec<PlannedTask> {
    let (count, bytes) = batch_of(pending, limits);
    // As few tasks as possible, of about the same size and as many for each core, so that they end at about the same
    // time.
    let fewest = bytes.div_ceil(limits.task_bytes.max(1)).max(1);
    let for_cores = fewest.checked_next_multiple_of(cores.max(1) as u64).unwrap_or(fewest);
    let even_bytes = bytes.div_ceil(for_cores.min(bytes / TASK_BYTES_MIN).max(fewest));
    let mut tasks: Vec<PlannedTask> = Vec::new();
    let (mut task_bytes, mut due_bytes) = (0_u64, 0_u64);
    for object in pending.drain(..count) {
        // An object belongs to the task that its middle falls into.
        let middle = due_bytes.saturating_add(object.size / 2);
        let is_even = middle <= even_bytes.saturating_mul(tasks.len() as u64);
        let fits = is_even && task_bytes.saturating_add(object.size) <= limits.task_bytes;
        due_bytes = due_bytes.saturating_add(object.size);
        match tasks.last_mut() {
            Some(task) if fits => {
                task_bytes += object.size;
                task.objects.push(object);
            }
            _ => {
                task_bytes = object.size;
                tasks.push(PlannedTask { objects: vec![object] });
            }
        }
    }
    tasks
}

/// How many pending objects one batch takes, and how many bytes they have.
fn batch_of(pending: &VecDeque<PlannedObject>, limits: &BatchSettings) -> (usize, u64) {
    let (mut count, mut bytes) = (0, 0_u64);
    for object in pending.iter().take(limits.objects_max) {
        let with_it = bytes.saturating_add(object.size);
        if count > 0 && with_it > limits.bytes_max {
            break;
        }
        (count, bytes) = (count + 1, with_it);
    }
    (count, bytes)
}

#[cfg(test)]
mod tests;
