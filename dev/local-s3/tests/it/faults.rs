//! When faults happen: seeds, probabilities, limits, and which requests are spared.

use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use local_s3::{Answer, ContentLength, DoubledOn, Fault, FaultKind, FaultPlan, KeyMatch, Moment};

use crate::support::{BUCKET, Fixture, refusal};

fn slow_down() -> Fault {
    Fault::new(FaultKind::Error { answer: Answer::SlowDown, moment: Moment::Before })
}

/// Which of `count` PUTs, one after the other, succeeded.
async fn puts(s3: &Fixture, count: usize) -> Vec<bool> {
    let mut admitted = Vec::new();
    for _ in 0..count {
        admitted.push(s3.put("a", b"x").send().await.is_ok());
    }
    admitted
}

/// Several kinds of faults, none of them certain.
fn mixed(seed: u64) -> FaultPlan {
    let delay = (Duration::ZERO, Some(Duration::from_millis(2)));
    let kinds = [
        FaultKind::Latency { at_least: delay.0, at_most: delay.1, moment: Moment::Before },
        FaultKind::Error { answer: Answer::InternalError, moment: Moment::After },
        FaultKind::Reset { moment: Moment::Before },
        FaultKind::Conflict,
        FaultKind::ConditionIgnored,
        FaultKind::CutBody { keep: None, length: ContentLength::Lying },
        FaultKind::Overwritten { with: None },
        FaultKind::KeyMissing { listed: None },
        FaultKind::KeyDoubled { listed: None, on: DoubledOn::SamePage },
    ];
    let faults = kinds.map(|kind| Fault::new(kind).probability(0.25));
    FaultPlan { seed, faults: faults.into() }
}

fn told<T: std::fmt::Debug, E: ProvideErrorMetadata>(
    result: Result<T, SdkError<E>>,
    success: impl FnOnce(T) -> String,
) -> String {
    match result {
        Ok(output) => success(output),
        Err(error) => match error.raw_response() {
            Some(response) => format!("{} {}", response.status().as_u16(), error.code().unwrap_or_default()),
            None => "no answer".to_owned(),
        },
    }
}

/// What a client that creates, reads and lists under `plan` sees, and what was injected.
async fn outcomes(plan: FaultPlan) -> (Vec<String>, String) {
    let s3 = Fixture::start().await;
    s3.server.set_faults(plan).unwrap();
    let mut told_all = Vec::new();
    for round in 0..60 {
        let key = format!("k/{}", round % 7);
        let create = s3.put(&key, format!("body of round {round}").as_bytes()).if_none_match("*").send().await;
        told_all.push(told(create, |_| "created".to_owned()));
        match s3.client.get_object().bucket(BUCKET).key(&key).send().await {
            Ok(got) => told_all.push(match got.body.collect().await {
                Ok(body) => format!("{:?}", body.to_vec()),
                Err(_) => "a broken body".to_owned(),
            }),
            failed => told_all.push(told(failed, |_| String::new())),
        }
        let listed = s3.client.list_objects_v2().bucket(BUCKET).prefix("k/").send().await;
        told_all.push(told(listed, |page| {
            format!("{:?}", page.contents().iter().map(|object| (object.key(), object.e_tag())).collect::<Vec<_>>())
        }));
    }
    (told_all, s3.server.faults_injected().to_string())
}

#[tokio::test]
async fn the_same_seed_gives_the_same_outcomes() {
    let plan = mixed(42);
    let (first, second) = (outcomes(plan.clone()).await, outcomes(plan.clone()).await);
    assert_eq!(first, second, "replay with local-s3 --faults FILE, where FILE contains {}", plan.to_json());
    for kind in plan.faults.iter().map(|fault| fault.kind.name()) {
        assert!(first.1.contains(kind), "{kind} never happened: {}", first.1);
    }
}

#[tokio::test]
async fn another_seed_gives_other_outcomes() {
    let mut seen = Vec::new();
    for seed in 1..=4 {
        let outcome = outcomes(mixed(seed)).await;
        assert!(!seen.contains(&outcome), "seed {seed} repeats another");
        seen.push(outcome);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_faults_happen_to_concurrent_requests() {
    let s3 = Fixture::with_faults([slow_down().on("PutObject").probability(0.3)]).await;
    puts(&s3, 100).await;
    let one_by_one = s3.server.faults_injected().total();
    s3.set_faults([slow_down().on("PutObject").probability(0.3)]);
    let puts = (0..100).map(|number| tokio::spawn(s3.put(&format!("k{number}"), b"").send()));
    for put in puts.collect::<Vec<_>>() {
        drop(put.await.unwrap());
    }
    assert_eq!(s3.server.faults_injected().of_fault(0), one_by_one);
}

#[tokio::test]
async fn a_fault_does_not_depend_on_the_faults_before_it() {
    let fault = || slow_down().on("PutObject").probability(0.5);
    let seldom = Fault::new(FaultKind::Reset { moment: Moment::Before }).on("PutObject").probability(0.2);
    let s3 = Fixture::with_faults([Fault { probability: 0.0, ..seldom.clone() }, fault()]).await;
    let alone = puts(&s3, 40).await;
    s3.set_faults([seldom, fault()]);
    let mut behind = Vec::new();
    for _ in 0..40 {
        behind.push(s3.put("a", b"x").send().await);
    }
    // If the first fault lets a request pass, the second does the same as alone.
    assert!(behind.iter().any(|put| matches!(put, Err(SdkError::DispatchFailure(_)))));
    let pairs = alone.iter().zip(&behind).filter(|(_, put)| !matches!(put, Err(SdkError::DispatchFailure(_))));
    assert!(pairs.into_iter().all(|(alone, behind)| *alone == behind.is_ok()));
}

#[tokio::test]
async fn a_probability_holds() {
    for (probability, expected) in [(0.0, 0..=0), (0.25, 70..=130), (1.0, 400..=400)] {
        let s3 = Fixture::with_faults([slow_down().on("PutObject").probability(probability)]).await;
        let refused = puts(&s3, 400).await.into_iter().filter(|admitted| !admitted).count();
        assert!(expected.contains(&refused), "{probability}: {refused}");
        assert_eq!(s3.server.faults_injected().of_fault(0), refused as u64);
    }
}

#[tokio::test]
async fn a_limit_and_a_skip_hold() {
    let s3 = Fixture::with_faults([slow_down().on("PutObject").skip(2).limit(3)]).await;
    assert_eq!(puts(&s3, 8).await, [true, true, false, false, false, true, true, true]);
    let counts = s3.server.faults_injected();
    assert_eq!((counts.of_fault(0), counts.of_fault(1), counts.total()), (3, 0, 3));
    assert_eq!(counts.iter().collect::<Vec<_>>(), [("error", "PutObject", 3)]);
    assert_eq!(s3.server.requests().get("PutObject"), 8, "a refused request counts as one");
}

#[tokio::test]
async fn the_first_fault_that_is_due_takes_the_request() {
    let second = Fault::new(FaultKind::Error { answer: Answer::InternalError, moment: Moment::Before }).limit(1);
    let s3 = Fixture::with_faults([slow_down().limit(1), second]).await;
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(refusal(s3.put("a", b"x").send().await).0);
    }
    s3.put("a", b"x").send().await.unwrap();
    assert_eq!(statuses, [503, 500]);
}

#[tokio::test]
async fn a_fault_spares_other_keys_and_operations() {
    let s3 = Fixture::start().await;
    s3.put_all(["raw/a", "raw/b", "bronze/raw"]).await;
    let cases = [
        (KeyMatch::Prefix("raw/".to_owned()), [false, false, true]),
        (KeyMatch::Contains("raw".to_owned()), [false, false, false]),
        (KeyMatch::Exact("raw/b".to_owned()), [true, false, true]),
    ];
    for (key, expected) in cases {
        s3.set_faults([slow_down().on("GetObject").key(key)]);
        let mut admitted = Vec::new();
        for key in ["raw/a", "raw/b", "bronze/raw"] {
            admitted.push(s3.client.get_object().bucket(BUCKET).key(key).send().await.is_ok());
            assert!(s3.exists(key).await, "HeadObject is another operation");
        }
        assert_eq!(admitted, expected);
    }
    // The key of a listing is its prefix; a request for a bucket has no key.
    s3.set_faults([slow_down().prefix("raw/a+b ")]);
    let list = |prefix: &str| s3.client.list_objects_v2().bucket(BUCKET).prefix(prefix).send();
    assert_eq!(refusal(list("raw/a+b c").await).0, 503);
    list("raw/").await.unwrap();
    s3.client.head_bucket().bucket(BUCKET).send().await.unwrap();
    s3.set_faults([slow_down()]);
    assert_eq!(refusal(s3.client.head_bucket().bucket(BUCKET).send().await).0, 503);
}

#[tokio::test]
async fn a_plan_can_be_replaced_and_ended() {
    let s3 = Fixture::with_faults([slow_down().limit(1)]).await;
    assert_eq!(puts(&s3, 2).await, [false, true]);
    s3.set_faults([slow_down().limit(1)]);
    assert_eq!(puts(&s3, 2).await, [false, true]);
    s3.set_faults([slow_down()]);
    let refused = s3.server.set_faults(FaultPlan::new(1).fault(slow_down().probability(2.0)));
    assert!(refused.unwrap_err().to_string().contains("faults[0].probability"));
    assert_eq!(puts(&s3, 1).await, [false], "the old plan stays in use");
    s3.server.set_faults(FaultPlan::default()).unwrap();
    assert_eq!(puts(&s3, 1).await, [true]);
    let counts = s3.server.faults_injected();
    assert_eq!((counts.get("error", "PutObject"), counts.of_fault(0)), (3, 0));
}
