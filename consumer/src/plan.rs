//! Planner: new objects in, one batch's tasks out. Pure.

use lake::{
    ledger::{PlannedObject, PlannedTask},
    stream::BatchSettings,
};

/// Takes a batch's worth of objects off the front of `pending` and splits them into tasks.
///
/// No task or batch exceeds its bytes but for a single object that does so alone. Empty where nothing is pending.
pub fn take_tasks(pending: &mut std::collections::VecDeque<PlannedObject>, limits: &BatchSettings) -> Vec<PlannedTask> {
    let mut tasks: Vec<PlannedTask> = Vec::new();
    let (mut objects, mut batch_bytes, mut task_bytes) = (0, 0_u64, 0_u64);
    while let Some(next) = pending.front() {
        let full = objects >= limits.objects_max || batch_bytes.saturating_add(next.size) > limits.bytes_max;
        if objects > 0 && full {
            break;
        }
        let Some(object) = pending.pop_front() else { break };
        let fits = task_bytes.saturating_add(object.size) <= limits.task_bytes;
        objects += 1;
        batch_bytes = batch_bytes.saturating_add(object.size);
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
