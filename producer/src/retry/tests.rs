//! What is retried, and for how long. Time is tokio's, which jumps ahead when all tasks wait.

use super::*;
use lake::settings::Problems;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);

fn store_failed() -> lake::Error {
    let source = object_store::Error::Generic { store: "test", source: "connection refused".into() };
    lake::Error::Store { doing: "create raw/events/a.json".to_owned(), source }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_is_waited_for() {
    let mut failures = 0..5;
    let outcome = patiently(Patience::For(PATIENCE), || {
        let fails = failures.next().is_some();
        async move { if fails { Err(store_failed()) } else { Ok("stored") } }
    });
    assert_eq!(outcome.await.unwrap(), "stored");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_is_given_up_after_a_minute() {
    let started = Instant::now();
    let outcome = patiently(Patience::For(PATIENCE), || async { Err::<(), _>(store_failed()) }).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Retry);
    let waited = started.elapsed();
    assert!(waited > PATIENCE - PAUSE_MAX && waited <= PATIENCE, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_setting_is_reported_at_once() {
    let mut attempts = 0;
    let outcome = patiently(Patience::For(PATIENCE), || {
        attempts += 1;
        async { Err::<(), _>(lake::Error::Settings(Problems::default())) }
    });
    assert_eq!(outcome.await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(attempts, 1);
}
