//! Pauses in tokio's paused time, which jumps ahead when every task waits.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn backoff(patience: Patience) -> Backoff {
    Backoff::new(Duration::from_millis(200), Duration::from_secs(5), patience)
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_the_longest_and_end_with_the_patience() {
    let (mut backoff, began, mut pauses) = (backoff(Patience::For(MINUTE)), Instant::now(), Vec::new());
    while let Some(pause) = backoff.pause("away") {
        pauses.push(pause.as_millis());
        tokio::time::sleep(pause).await;
    }
    assert_eq!(pauses[..6], [200, 400, 800, 1_600, 3_200, 5_000]);
    let waited = began.elapsed();
    assert!(waited > Duration::from_secs(55) && waited <= MINUTE, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_success_begins_the_patience_again() {
    let mut backoff = backoff(Patience::For(MINUTE));
    for _ in 0..3 {
        assert_eq!(backoff.pause("away"), Some(Duration::from_millis(200)));
        while let Some(pause) = backoff.pause("away") {
            tokio::time::sleep(pause).await;
        }
        assert!(backoff.is_failing());
        backoff.reset();
        assert!(!backoff.is_failing());
    }
}

#[tokio::test(start_paused = true)]
async fn no_patience_gives_up_at_the_first_failure_and_endless_patience_never_does() {
    assert_eq!(backoff(Patience::For(Duration::ZERO)).pause("away"), None);
    let (mut endless, began) = (backoff(Patience::Forever), Instant::now());
    while began.elapsed() < 1_000 * MINUTE {
        tokio::time::sleep(endless.pause("away").unwrap()).await;
    }
}

#[test]
fn a_patience_is_a_duration_or_forever() {
    assert_eq!("10min".parse(), Ok(Patience::For(10 * MINUTE)));
    assert_eq!("0s".parse(), Ok(Patience::For(Duration::ZERO)));
    assert_eq!("forever".parse(), Ok(Patience::Forever));
    for wrong in ["", "10", "-1s", "Forever"] {
        let refused = wrong.parse::<Patience>().unwrap_err();
        assert!(refused.contains("must be a duration such as 60s or 10min, or forever"), "{refused}");
    }
}
