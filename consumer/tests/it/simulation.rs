//! The simulation: several consumers on one stream in virtual time, while everything that can go wrong does.
//!
//! A seed decides everything: which consumer is killed, stopped, frozen beyond take-over or restarted and when, and which
//! child process; what lands, is overwritten or deleted, or kills each process that reads it; whose writes are refused; which requests fail before or after they take effect; how far each clock is off; which hints are lost, doubled, late or forged. At the end,
//! one consumer drains the stream undisturbed, and the auditor checks the lake against what landed. The consumers are
//! the real ones; time is tokio's paused clock, so that a minute takes a second.
//!
//! `make sim SEEDS=1000` runs more seeds; a failure prints the command that runs its seed again.

mod audit;
mod children;
mod feeder;
mod herald;
mod store;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use consumer::{
    hints::Hints,
    pipeline::{Pipeline, RunSettings},
};
use fastrand::Rng;
use lake::{
    ErrorKind,
    clock::{Clock, ManualClock, Timestamp},
    store::Lake,
    stream::{Format, StreamDefinition},
};
use object_store::memory::InMemory;
use serde_json::json;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::lake_in_a_folder::with_schema;
use audit::Figures;
use children::Children;
use feeder::Feeder;
use herald::Herald;
use store::{Faults, SimStore};

/// How long things go wrong, in virtual time.
const TURMOIL: Duration = Duration::from_secs(40);

/// What all actors of one simulation share.
struct World {
    seed: u64,
    store: Arc<InMemory>,
    ends: Instant,
    /// One for each place; what is hinted at while no consumer runs there comes late.
    hints: Vec<Hints>,
    counts: Counts,
}

/// What happened to consumers.
#[derive(Default)]
struct Counts {
    kills: AtomicU64,
    freezes: AtomicU64,
    stops: AtomicU64,
    refusals: AtomicU64,
    deaths: AtomicU64,
    child_kills: Arc<AtomicU64>,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A generator for one actor, so that its numbers do not depend on the others.
fn rng(seed: u64, actor: u64, life: u64) -> Rng {
    Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (actor << 32) ^ life)
}

fn millis(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}

/// One consumer's stream definition: batch sizes differ, and some already have a column that others don't.
fn definition(rng: &mut Rng) -> StreamDefinition {
    let mut properties = json!({"id": {"type": "integer"}});
    if rng.bool() {
        properties["note"] = json!({"type": "string"});
    }
    let schema = json!({"type": "object", "required": ["id"], "properties": properties});
    let mut definition = with_schema(Format::JsonArray, schema);
    definition.interval = Duration::from_millis(200);
    definition.reconcile = Duration::from_secs(5);
    definition.take_over_after = Duration::from_secs(2);
    // Far more than the clocks differ.
    definition.unreadable_after = Duration::from_secs(86_400);
    definition.batch.objects_max = rng.usize(1..12);
    definition.batch.task_bytes = rng.u64(1..400);
    definition
}

/// A clock that is up to an hour off, in either direction.
fn clock(rng: &mut Rng) -> Arc<dyn Clock> {
    let off = rng.i64(-3_600..3_600) * 1_000_000;
    Arc::new(ManualClock::new(Timestamp::from_micros(1_795_000_000_000_000 + off).unwrap()))
}

/// How much one look of a consumer keeps: half of them never see a whole listing at once.
fn found_max(rng: &mut Rng) -> usize {
    if rng.bool() { rng.usize(1..20) } else { usize::MAX }
}

/// One place where a consumer runs: it is started, killed at some moment, and started again.
async fn place(world: &World, number: u64) {
    for life in 0.. {
        let mut rng = rng(world.seed, number, life);
        sleep(millis(&mut rng, 0..1_500)).await;
        if Instant::now() >= world.ends {
            return;
        }
        let faults = Faults::of(&mut rng);
        let (store, mut has_died) = SimStore::deadly(Arc::clone(&world.store), faults, rng.fork());
        let frozen = store.frozen();
        let lake = Lake::on_store(Arc::new(store));
        let (definition, clock) = (definition(&mut rng), clock(&mut rng));
        let found_max = found_max(&mut rng);
        let children = Children::new(Arc::clone(&world.store), faults, rng.fork(), &world.counts.child_kills);
        let (stop, stopped) = oneshot::channel::<()>();
        let life = async {
            let (isolation, hints) = (Some(Arc::new(children) as _), world.hints[number as usize].clone());
            let settings = RunSettings { isolation, hints, ..RunSettings::in_process(false, 0) };
            let stopped = async { drop(stopped.await) };
            Pipeline::open(lake, definition, clock, settings).await?.in_parts_of(found_max).run(stopped).await
        };
        let (freezes, stops) = (rng.u8(0..3) == 0, rng.u8(0..3) == 0);
        let freeze = async {
            sleep(millis(&mut rng, 0..6_000)).await;
            if freezes {
                count(&world.counts.freezes);
                frozen.send_replace(true);
                // Often longer than the others wait before a take-over.
                sleep(millis(&mut rng, 1_000..9_000)).await;
                frozen.send_replace(false);
            }
            sleep(millis(&mut rng, 100..4_000)).await;
            if stops {
                let _asked = stop.send(());
                // Sometimes it is killed before it has ended.
                sleep(millis(&mut rng, 0..12_000)).await;
            }
        };
        tokio::select! {
            ended = life => match ended {
                Ok(()) => count(&world.counts.stops),
                Err(error) if error.kind() == ErrorKind::Invalid && faults.refuses_writes => {
                    count(&world.counts.refusals);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Retry, "{error}"),
            },
            died = has_died.wait_for(|has_died| *has_died) => {
                died.unwrap();
                count(&world.counts.deaths);
            }
            () = freeze => count(&world.counts.kills),
            () = sleep_until(world.ends) => return,
        }
    }
}

/// Runs one seed from the first object to the audit.
async fn play(seed: u64) -> Figures {
    let store = Arc::new(InMemory::new());
    let ends = Instant::now() + TURMOIL;
    let places = rng(seed, 101, 0).u64(1..5);
    let hints: Vec<_> = (0..places).map(|_| Hints::default()).collect();
    let world = World { seed, store, ends, hints: hints.clone(), counts: Counts::default() };
    let mut feeder = Feeder::new(Arc::clone(&world.store), rng(seed, 100, 0));
    let honest = Lake::on_store(Arc::<InMemory>::clone(&world.store));
    let reader = audit::Reader::new(honest.clone());
    let mut herald = Herald::new(feeder.news(), hints, rng(seed, 103, 0));
    feeder.crowd().await;
    let (_, (), (), given) = tokio::join!(
        futures::future::join_all((0..places).map(|number| place(&world, number))),
        feeder.feed(world.ends),
        reader.poll(world.ends),
        herald.hint(world.ends),
    );
    drain(&honest, seed).await;
    let mut figures = audit::audit(&honest, feeder.landed()).await;
    let counts = world.counts;
    figures.hints = given;
    figures.kills = counts.kills.into_inner();
    figures.freezes = counts.freezes.into_inner();
    figures.stops = counts.stops.into_inner();
    figures.refusals = counts.refusals.into_inner();
    figures.deaths = counts.deaths.into_inner();
    figures.child_kills = counts.child_kills.load(Ordering::Relaxed);
    figures
}

/// One undisturbed consumer.
async fn drain(lake: &Lake, seed: u64) {
    let mut rng = rng(seed, 102, 0);
    let settings = RunSettings::in_process(true, 0);
    let mut definition = definition(&mut rng);
    // Nothing else reads the lake now, so it may delete young files too.
    definition.ledger_keep = rng.bool().then_some(Duration::from_secs(1));
    let pipeline = Pipeline::open(lake.clone(), definition, clock(&mut rng), settings).await.unwrap();
    pipeline.in_parts_of(found_max(&mut rng)).run(std::future::pending()).await.unwrap();
}

/// Runs one seed on its own runtime, whose time stands still unless every task waits.
fn play_alone(seed: u64) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        // Work on other threads ends in the order in which it began.
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        timeout(100 * TURMOIL, play(seed)).await.expect("the stream was not drained within an hour of virtual time")
    })
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

#[test]
fn whatever_goes_wrong_every_record_is_in_one_place_once() {
    let (first, seeds) = (number("SIM_FIRST", 0), number("SIM_SEEDS", 50));
    let next = AtomicU64::new(first);
    let sum = std::sync::Mutex::new(Figures::default());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    match std::panic::catch_unwind(AssertUnwindSafe(|| play_alone(seed))) {
                        Ok(figures) => sum.lock().unwrap().add(&figures),
                        Err(panic) => {
                            eprintln!("seed {seed} failed; to run it again: make sim FIRST={seed} SEEDS=1");
                            std::panic::resume_unwind(panic);
                        }
                    }
                }
            });
        }
    });
    println!("{seeds} seeds: {}", sum.into_inner().unwrap());
}
