//! Which objects are blamed when the processes that read them die.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use consumer::{
    Error,
    execute::{
        ChildOutcome, Company, Death, DeathCause, Executor, IsolatedExecutor, Isolation, NoWatch, Purpose, TaskReport,
        TaskRequest, run_task,
    },
};
use lake::{ErrorKind, ledger::Outcome, store::Lake};

use crate::{lake_in_a_folder::FolderLake, other_processes::planned};

const SIGABRT: i32 = 6;

/// A machine on which a process dies that reads one of these inputs.
#[derive(Debug)]
struct Machine {
    lake: Lake,
    /// `None`: whatever it reads, and if it reads nothing.
    deadly: Option<Vec<usize>>,
    /// Whether it dies before it begins to read.
    early: bool,
    /// The most inputs that a task was run without.
    blamed: AtomicUsize,
}

#[async_trait]
impl Isolation for Machine {
    async fn run(&self, request: &TaskRequest, purpose: Purpose, _: Company) -> Result<ChildOutcome, Error> {
        self.blamed.fetch_max(request.poisoned.len(), Ordering::Relaxed);
        let read = (request.first_input..).take(request.objects.len());
        let mut read = read.filter(|input| !request.poisoned.contains(input));
        let kills = match &self.deadly {
            None => Some(request.first_input),
            Some(deadly) => read.find(|input| deadly.contains(input)),
        };
        Ok(match (kills, purpose) {
            (Some(input), _) => {
                let reading = (!self.early).then_some(input);
                ChildOutcome::Died(Death { cause: DeathCause::Signal(SIGABRT), reading, last_words: String::new() })
            }
            (None, Purpose::Rehearse) => ChildOutcome::Rehearsed,
            (None, Purpose::Run) => ChildOutcome::Reported(run_task(&self.lake, request, Arc::new(NoWatch)).await?),
        })
    }
}

/// Runs four objects as one task: a readable one, a cut one, another readable one, and an empty one. Also returns how many
/// of them were blamed.
async fn run(deadly: Option<Vec<usize>>, early: bool) -> (Result<TaskReport, Error>, usize) {
    let lake = FolderLake::new().await;
    let requests = planned(&lake).await;
    let objects = requests.iter().flat_map(|request| request.objects.clone()).collect();
    let task = TaskRequest { objects, ..requests[0].clone() };
    let machine = Arc::new(Machine { lake: lake.lake.clone(), deadly, early, blamed: AtomicUsize::new(0) });
    let isolation: Arc<dyn Isolation> = Arc::<Machine>::clone(&machine);
    let reports = IsolatedExecutor::new(isolation, 2).run(vec![task]).await;
    (reports.map(|mut reports| reports.remove(0)), machine.blamed.load(Ordering::Relaxed))
}

/// Which of the objects are dead letters, and how many were blamed.
async fn dead(deadly: &[usize], early: bool) -> (Vec<bool>, usize) {
    let (report, blamed) = run(Some(deadly.to_vec()), early).await;
    let dead = report.unwrap().inputs.iter().map(|input| input.outcome == Outcome::DeadLettered).collect();
    (dead, blamed)
}

/// Fails when nothing checks whether a process dies that reads nothing: each object is then blamed in turn.
#[tokio::test]
async fn what_kills_every_process_is_not_blamed_on_an_object() {
    for early in [false, true] {
        let (ended, blamed) = run(None, early).await;
        let error = ended.unwrap_err();
        assert_eq!((error.kind(), blamed), (ErrorKind::Retry, 0));
        assert!(error.to_string().contains("no object makes them die"), "{error}");
    }
}

/// Fails when the search ends with the first one.
#[tokio::test]
async fn several_deadly_objects_of_a_task_are_found_and_no_other() {
    assert_eq!(dead(&[0, 2], false).await, (vec![true, true, true, true], 2));
    assert_eq!(dead(&[1, 2], false).await, (vec![false, true, true, true], 2));
}

/// Fails when a process that dies while it fetches its objects names none, and none is tried.
#[tokio::test]
async fn the_largest_object_is_suspected_when_a_process_dies_before_it_reads_any() {
    assert_eq!(dead(&[0], true).await, (vec![true, true, false, true], 1));
}
