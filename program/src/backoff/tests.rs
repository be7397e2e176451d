//! Pauses in tokio's paused time, which jumps ahead when every task waits.

use super::*;

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(200), Duration::from_secs(5), Duration::from_secs(60))
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_the_longest_and_end_with_the_patience() {
    let (mut backoff, began, mut pauses) = (backoff(), Instant::now(), Vec::new());
    while let Some(pause) = backoff.pause() {
        pauses.push(pause.as_millis());
        tokio::time::sleep(pause).await;
    }
    assert_eq!(pauses[..6], [200, 400, 800, 1_600, 3_200, 5_000]);
    let waited = began.elapsed();
    assert!(waited > Duration::from_secs(55) && waited <= Duration::from_secs(60), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_success_begins_the_patience_again() {
    let mut backoff = backoff();
    assert_eq!(backoff.reset(), None);
    for _ in 0..3 {
        while let Some(pause) = backoff.pause() {
            tokio::time::sleep(pause).await;
        }
        assert!(backoff.reset().is_some_and(|failed| failed > Duration::from_secs(55)));
    }
    assert_eq!(backoff.pause(), Some(Duration::from_millis(200)));
}
