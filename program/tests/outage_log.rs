//! What the log says while something fails, in tokio's paused time.
//!
//! A process of its own: tracing remembers for all threads whether anyone listens, so tests beside this one, which have no
//! log, could silence it.

#![expect(clippy::unwrap_used, reason = "a test helper fails its test by panicking")]

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use program::backoff::{Backoff, Patience};
use tokio::time::Instant;

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
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let began = Instant::now();
    let outcome = Backoff::new(Duration::from_millis(200), Duration::from_secs(5), Patience::Forever).retry(
        |error: &&str| Some((*error).to_owned()),
        || async { if began.elapsed() < Duration::from_secs(600) { Err("away") } else { Ok(()) } },
    );
    outcome.await.unwrap();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let count = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!((count("trying again"), count("works again")), (1, 1), "{log}");
    // After about 10, 20, 40, 80, 160 and 320 seconds.
    assert_eq!((count("still failing"), log.lines().count()), (6, 8), "{log}");
}
