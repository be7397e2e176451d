//! Pauses in tokio's paused time, which jumps ahead when every task waits.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

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

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_grows_slowly_however_often_a_try_fails() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let began = Instant::now();
    let outcome = backoff(Patience::Forever).retry(
        |error: &&str| Some((*error).to_owned()),
        || async { if began.elapsed() < 10 * MINUTE { Err("away") } else { Ok(()) } },
    );
    outcome.await.unwrap();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let count = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!((count("trying again"), count("works again")), (1, 1), "{log}");
    // After about 10, 20, 40, 80, 160 and 320 seconds.
    assert_eq!((count("still failing"), log.lines().count()), (6, 8), "{log}");
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
