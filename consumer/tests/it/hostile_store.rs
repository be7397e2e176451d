//! On a store that fails, lies and forgets: every record once, or a loud stop; never a silent loss.

use std::{collections::BTreeSet, time::Duration};

use consumer::inspect::verify;
use futures::TryStreamExt;
use lake::{
    ErrorKind,
    keys::{Key, Prefix, ZoneName},
    ledger::Outcome,
    stream::Format,
};
use local_s3::{Answer, ContentLength, DoubledOn, Fault, FaultKind, Moment};

use crate::{
    lake_in_a_folder::{definition, events},
    lake_on_s3::{S3Lake, ids},
};

const COMMITS: &str = "checkpoints/events/commits/";

fn error(answer: Answer, moment: Moment) -> Fault {
    Fault::new(FaultKind::Error { answer, moment })
}

fn reset(moment: Moment) -> Fault {
    Fault::new(FaultKind::Reset { moment })
}

/// Fails when the consumer does not read back the key of a create that failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_exists_once_and_nothing_is_deleted() {
    let losses = [
        reset(Moment::After).limit(1),
        // At every try of the client, so that it never gets an answer.
        reset(Moment::After),
        error(Answer::InternalError, Moment::After).limit(1),
    ];
    for loss in losses {
        let lake = S3Lake::new().await;
        lake.land_ids(3, |id| format!("{id}.json")).await;
        lake.faults(1, [loss.on("PutObject").prefix(COMMITS)]);
        lake.consume(definition(Format::JsonArray)).await.unwrap();
        assert!(lake.server.faults_injected().total() > 0);
        let held = lake.holds().await;
        assert_eq!((held.commits.len(), ids(&held).len()), (1, 3));
        let requests = lake.server.requests();
        assert_eq!(requests.get("DeleteObject") + requests.get("DeleteObjects"), 0, "{requests}");
    }
}

/// Both the S3 client and `Lake::create` try again: without the one, the other still does.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_on_a_commit_that_does_not_exist_is_tried_again() {
    let lake = S3Lake::new().await;
    lake.land_ids(3, |id| format!("{id}.json")).await;
    lake.faults(1, [Fault::new(FaultKind::Conflict).on("PutObject").prefix(COMMITS).limit(3)]);
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    assert_eq!(lake.server.faults_injected().total(), 3);
    assert_eq!(ids(&lake.holds().await).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_all_the_time_delays_the_same_rows() {
    let lake = S3Lake::new().await;
    lake.land_ids(40, |id| format!("{id}.json")).await;
    let cut = |length, probability| {
        Fault::new(FaultKind::CutBody { keep: None, length }).prefix("raw/").probability(probability)
    };
    let stall = FaultKind::Stall { at_most: Duration::from_secs(3), moment: Moment::Before };
    lake.faults(
        7,
        [
            error(Answer::SlowDown, Moment::Before).probability(0.10),
            error(Answer::TooManyRequests, Moment::Before).probability(0.05),
            reset(Moment::Before).probability(0.10),
            reset(Moment::After).probability(0.05),
            Fault::new(stall).probability(0.01).limit(2),
            cut(ContentLength::True, 0.1),
            cut(ContentLength::Lying, 0.02),
        ],
    );
    let mut definition = definition(Format::JsonArray);
    definition.batch.objects_max = 8;
    // The probe at startup gives up sooner than a running consumer; start it again, as a user would.
    let mut starts = 0;
    while let Err(error) = lake.consume(definition.clone()).await {
        starts += 1;
        assert_eq!(error.kind(), ErrorKind::Retry, "{error}");
        assert!(starts < 20, "{error}");
    }
    let injected = lake.server.faults_injected();
    assert!(injected.of_kind("error") > 0 && injected.of_kind("reset") > 0 && injected.of_kind("cut_body") > 0);
    lake.faults(7, []);
    assert_eq!(ids(&lake.holds().await), (0..40).collect());
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());
}

/// Fails when the received bytes are not counted: without a stored checksum, the client can't notice the loss.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_body_whose_length_lies_is_not_the_end_of_the_file() {
    let lake = S3Lake::new().await;
    lake.land_ids(3, |id| format!("{id}.json")).await;
    let one = |kind| Fault::new(kind).on("GetObject").prefix("raw/events/1").limit(1);
    lake.faults(
        1,
        [
            // The new object has no checksum.
            one(FaultKind::Overwritten { with: Some("[{\"id\": 100}]".to_owned()) }),
            one(FaultKind::CutBody { keep: Some(5), length: ContentLength::Lying }).skip(1),
        ],
    );
    for _ in 0..2 {
        lake.consume(definition(Format::JsonArray)).await.unwrap();
    }
    assert_eq!(lake.server.faults_injected().of_kind("cut_body"), 1);
    let held = lake.holds().await;
    assert_eq!((ids(&held), held.dead_letters.len()), ([0, 2, 100].into(), 0));
}

/// Fails when the read is not conditional on the planned version.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_overwritten_before_it_is_read_is_changed_and_its_new_version_an_input_of_its_own() {
    let lake = S3Lake::new().await;
    lake.land_ids(3, |id| format!("{id}.json")).await;
    let kind = FaultKind::Overwritten { with: Some("[{\"id\": 100}]".to_owned()) };
    lake.faults(1, [Fault::new(kind).on("GetObject").prefix("raw/events/1").limit(1)]);
    for _ in 0..2 {
        lake.consume(definition(Format::JsonArray)).await.unwrap();
    }
    let held = lake.holds().await;
    assert_eq!(ids(&held), [0, 2, 100].into());
    let outcomes: Vec<_> = held.commits[0].inputs.iter().map(|input| input.outcome).collect();
    assert_eq!(outcomes, [Outcome::Ingested, Outcome::Changed, Outcome::Ingested]);
}

/// Fails when a vanished object is remembered as read.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_deleted_before_it_is_read_is_missing_and_found_when_it_comes_back() {
    let lake = S3Lake::new().await;
    lake.land_ids(3, |id| format!("{id}.json")).await;
    lake.faults(1, [Fault::new(FaultKind::Deleted).on("GetObject").prefix("raw/events/1").limit(1)]);
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let held = lake.holds().await;
    assert_eq!((ids(&held), held.commits[0].inputs[1].outcome), ([0, 2].into(), Outcome::Missing));
    lake.land("1.json", "[{\"id\": 1}]").await;
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    assert_eq!(ids(&lake.holds().await), [0, 1, 2].into(), "the same bytes under the same key were never read");
}

/// Fails when a key that is listed twice is planned twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_doubles_or_forgets_keys_doubles_and_loses_no_row() {
    let lake = S3Lake::new().await;
    // More than a page, with names that must be encoded.
    lake.land_ids(1_100, |id| format!("{} é+&%{id}.json", 9_999 - id)).await;
    let listing = |kind| Fault::new(kind).on("ListObjectsV2").prefix("raw/");
    lake.faults(
        3,
        [
            listing(FaultKind::KeyMissing { listed: None }).limit(1),
            listing(FaultKind::KeyDoubled { listed: None, on: DoubledOn::SamePage }).limit(1),
            listing(FaultKind::KeyDoubled { listed: None, on: DoubledOn::NextPage }).limit(1),
        ],
    );
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let injected = lake.server.faults_injected();
    assert_eq!((injected.of_kind("key_missing"), injected.of_kind("key_doubled")), (1, 2));
    assert_eq!(ids(&lake.holds().await), (0..1_100).collect());
}

/// Fails when a gap in a listing of commits is treated as a lost commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_forgets_a_commit_is_not_damage() {
    let lake = S3Lake::new().await;
    for id in 0..4 {
        lake.land(&format!("{id}.json"), &format!("[{{\"id\": {id}}}]")).await;
        lake.consume(definition(Format::JsonArray)).await.unwrap();
    }
    for listed in 1..=4 {
        let missing = FaultKind::KeyMissing { listed: Some(format!("{COMMITS}{listed:020}.json")) };
        lake.faults(1, [Fault::new(missing).on("ListObjectsV2")]);
        lake.consume(definition(Format::JsonArray)).await.unwrap();
        assert!(lake.server.faults_injected().total() > 0);
    }
    lake.faults(1, []);
    let held = lake.holds().await;
    assert_eq!((held.commits.len(), ids(&held)), (4, (0..4).collect()));
}

/// Ensured by the order of writes, and again by the balance check: the commit would name fewer dead letters than it
/// counts.
#[tokio::test(flavor = "multi_thread")]
async fn no_commit_exists_before_both_files_do() {
    let lake = S3Lake::new().await;
    lake.land("a.json", "[{\"id\": 1}, {\"id\": \"x\"}]").await;
    lake.faults(1, [error(Answer::InternalError, Moment::Before).on("PutObject").prefix("dead_letters/")]);
    let refused = async {
        while lake.server.faults_injected().total() < 6 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = lake.consume(definition(Format::JsonArray)) => panic!("{ended:?}"),
        () = refused => {}
    }
    let bronze: Vec<_> = lake.lake.list(&Prefix::Bronze(&events()), None).try_collect().await.unwrap();
    assert_eq!((bronze.len(), lake.holds().await.commits.len()), (1, 0));
    lake.faults(1, []);
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let held = lake.holds().await;
    assert_eq!((held.commits.len(), held.rows.len(), held.dead_letters.len()), (1, 1, 1));
    let adopted = held.commits[0].files.iter().find(|file| file.key.zone() == ZoneName::Bronze).unwrap();
    assert_eq!(adopted.key.to_string(), bronze[0].key);
}

/// Fails when the consumer does not probe the store at startup.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_conditions_is_not_used() {
    let lake = S3Lake::new().await;
    lake.land("a.json", "[{\"id\": 1}]").await;
    lake.faults(1, [Fault::new(FaultKind::ConditionIgnored)]);
    let error = lake.consume(definition(Format::JsonArray)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    for words in ["zone checkpoints at s3://lake/checkpoints", "If-None-Match", "set CHECKPOINTS_URL to a folder"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    lake.faults(1, []);
    // Nothing was written but the object of that test: no schema, no plan, no commit.
    let written = lake.lake.store(&Key::Probe).list(None).map_ok(|object| object.location.to_string());
    let written: BTreeSet<_> = written.try_collect().await.unwrap();
    assert_eq!(written, [Key::Probe.to_string(), "raw/events/a.json".to_owned()].into());
}

/// Fails when what an execution writes depends on anything but the plan, such as the clock: the second execution
/// replaces the files of the first one here, instead of adopting them.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_ledger_needs_a_store_that_obeys_conditions() {
    let lake = S3Lake::new().await;
    lake.land("a.json", "[{\"id\": 1}, {\"id\": \"x\"}]").await;
    lake.land("b.json", "[{\"id\": ").await;
    let ignored = |prefix: &'static str| Fault::new(FaultKind::ConditionIgnored).prefix(prefix);
    let zones = ["raw/", "bronze/", "dead_letters/"];
    let no_commit = error(Answer::InternalError, Moment::Before).on("PutObject").prefix(COMMITS);
    lake.faults(1, zones.map(ignored).into_iter().chain([no_commit]));
    let written = async {
        while lake.server.faults_injected().of_kind("error") == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = lake.consume(definition(Format::JsonArray)) => panic!("{ended:?}"),
        () = written => {}
    }
    // A row, two dead letters, and the object that can't be read.
    let files = [Prefix::Bronze(&events()), Prefix::DeadLetters(&events())];
    let listed = async || {
        let files = files.iter().map(|prefix| lake.lake.list(prefix, None).try_collect::<Vec<_>>());
        let files = futures::future::try_join_all(files).await.unwrap().concat();
        files.into_iter().map(|file| (file.key, file.etag)).collect::<Vec<_>>()
    };
    let first = listed().await;
    assert_eq!((first.len(), lake.holds().await.commits.len()), (3, 0));

    // Three consumers at once, while more lands: an upload that is sent again replaces the equal one before it.
    lake.faults(1, zones.map(ignored));
    lake.land_ids(20, |id| format!("{id}.json")).await;
    lake.land_ids(20, |id| format!("{id}.json")).await;
    let consume = || lake.consume(definition(Format::JsonArray));
    let (one, two, three) = tokio::join!(consume(), consume(), consume());
    one.and(two).and(three).unwrap();
    assert!(lake.server.faults_injected().of_kind("condition_ignored") > 6);
    let second = listed().await;
    assert!(first.iter().all(|file| second.contains(file)), "{first:?} {second:?}");
    let held = lake.holds().await;
    assert_eq!(held.rows.len(), 21);
    assert_eq!(held.dead_letters.len(), 2);
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());
}
