//! A run: the control flow of the producer.
//!
//! Invariant: batches are made, and their truth is written, one at a time and in order. Several may be in flight at
//! once; they are recorded as stored in the same order.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesOrdered};
use lake::clock::Clock;
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    batch::{Batch, Earlier, Recipe},
    error::Error,
    pace::{Pace, Times},
    send::{Sent, Sink},
    settings::Settings,
    totals::{Counts, Totals},
    truth::{ObjectTruth, TruthFile},
};

/// How long to wait for batches in flight after a stop request.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Sends batches until all are sent, `stop` is ready, or the reader of stdout is gone.
///
/// After `stop`, waits for batches in flight but makes no new ones.
///
/// # Errors
/// The first error; its kind says what to do. Objects recorded as stored are stored even then.
pub async fn run(settings: Settings, clock: Arc<dyn Clock>, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let mut stop = pin!(stop);
    let truth = settings.truth.as_deref().map(TruthFile::open).transpose()?;
    let sink = tokio::select! {
        () = &mut stop => return Ok(()),
        sink = Sink::open(&settings.sink, settings.store_wait) => sink?,
    };
    let Settings { recipe, batches, interval, is_seeded, .. } = settings;
    let hint = if is_seeded { "" } else { ", chosen at random; --seed makes the same events at fixed times" };
    tracing::info!("sending batches of stream {} to {}, seed {}{hint}", recipe.stream, sink.url(), recipe.seed);
    let maker = Maker { recipe, times: Times::new(is_seeded, clock), earlier: Earlier::default(), made: 0, truth };
    let mut run = Run { sink, maker: Some(maker), in_flight: FuturesOrdered::new(), totals: Totals::new() };
    let outcome = run.send_all(batches, Pace::new(interval), stop).await;
    run.totals.log("sent in all");
    outcome
}

/// Makes one batch after the other and writes its truth.
struct Maker {
    recipe: Recipe,
    times: Times,
    earlier: Earlier,
    made: u64,
    truth: Option<TruthFile>,
}

/// A batch whose truth is written, and that truth without the records.
type Told = (Batch, Option<ObjectTruth>);

impl Maker {
    fn next(&mut self) -> Result<Told, Error> {
        self.made += 1;
        let batch = self.recipe.batch(self.made, self.times.of(self.made), &mut self.earlier);
        let truth = self.truth.as_mut().map(|file| file.sending(batch.truth())).transpose()?;
        Ok((batch, truth))
    }
}

/// The result of sending one batch.
struct Landed {
    sent: Sent,
    counts: Counts,
    truth: Option<ObjectTruth>,
}

struct Run {
    sink: Sink,
    /// `None` while it makes a batch.
    maker: Option<Maker>,
    in_flight: FuturesOrdered<JoinHandle<Result<Landed, Error>>>,
    totals: Totals,
}

impl Run {
    async fn send_all(
        &mut self,
        batches: Option<u64>,
        mut pace: Pace,
        mut stop: impl Future<Output = ()> + Unpin,
    ) -> Result<(), Error> {
        let mut left = batches.unwrap_or(u64::MAX);
        while left > 0 || !self.in_flight.is_empty() {
            let has_room = left > 0 && self.in_flight.len() < self.sink.in_flight_max();
            tokio::select! {
                biased;
                () = &mut stop => return self.drain().await,
                Some(landed) = self.in_flight.next() => {
                    let landed = landed.map_err(|source| Error::Bug { source })??;
                    if self.land(landed)?.is_none() {
                        return Ok(());
                    }
                }
                () = pace.due(), if has_room => {
                    self.launch().await?;
                    left -= 1;
                }
            }
        }
        Ok(())
    }

    /// Makes the next batch and starts sending it.
    async fn launch(&mut self) -> Result<(), Error> {
        let Some(mut maker) = self.maker.take() else { return Ok(()) };
        // A large batch takes a while, so it must not block the threads that serve the connections.
        let made = tokio::task::spawn_blocking(move || (maker.next(), maker)).await;
        let (told, maker) = made.map_err(|source| Error::Bug { source })?;
        self.maker = Some(maker);
        let (batch, truth) = told?;
        let sink = self.sink.clone();
        self.in_flight.push_back(tokio::spawn(async move {
            let counts = Counts::of(&batch);
            let Batch { number, key, bytes, corruption, .. } = batch;
            let size = bytes.len();
            let sent = sink.send(&key, bytes, truth.is_some()).await?;
            tracing::debug!(number, %key, size, ?corruption, "sent");
            Ok(Landed { sent, counts, truth })
        }));
        Ok(())
    }

    /// Records that a batch is stored; `None` when the reader of stdout is gone.
    fn land(&mut self, landed: Landed) -> Result<Option<()>, Error> {
        let Sent::Stored { etag } = landed.sent else { return Ok(None) };
        self.totals.add(landed.counts);
        let file = self.maker.as_mut().and_then(|maker| maker.truth.as_mut());
        if let (Some(file), Some(truth)) = (file, landed.truth) {
            file.stored(truth, etag)?;
        }
        Ok(Some(()))
    }

    async fn drain(&mut self) -> Result<(), Error> {
        let drained = timeout(STOP_PATIENCE, async {
            while let Some(landed) = self.in_flight.next().await {
                let landed = landed.map_err(|source| Error::Bug { source })??;
                if self.land(landed)?.is_none() {
                    break;
                }
            }
            Ok(())
        });
        match drained.await {
            Ok(outcome) => outcome,
            // A slow or stopped reader of stdout loses nothing that it was promised.
            Err(_) if matches!(self.sink, Sink::Stdout) => Ok(()),
            Err(_) => Err(Error::Unsent { url: self.sink.url().to_owned(), batches: self.in_flight.len() }),
        }
    }
}
