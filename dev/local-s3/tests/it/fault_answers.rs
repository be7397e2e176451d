//! Faults of time, responses and connections: what the client sees, and what is stored afterwards.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use aws_sdk_s3::types::MetadataDirective;
use local_s3::{Answer, Fault, FaultKind, Moment};

use crate::support::{BUCKET, Fixture, noise, refusal, unanswered};
use crate::uploads::{begin, complete, part};

const ANSWERS: [(Answer, u16, &str); 5] = [
    (Answer::SlowDown, 503, "SlowDown"),
    (Answer::TooManyRequests, 429, "TooManyRequests"),
    (Answer::InternalError, 500, "InternalError"),
    (Answer::AccessDenied, 403, "AccessDenied"),
    (Answer::InvalidObjectState, 403, "InvalidObjectState"),
];

fn error(answer: Answer, moment: Moment) -> Fault {
    Fault::new(FaultKind::Error { answer, moment })
}

fn latency(at_least: u64, at_most: Option<u64>) -> Fault {
    let at_most = at_most.map(Duration::from_millis);
    Fault::new(FaultKind::Latency { at_least: Duration::from_millis(at_least), at_most, moment: Moment::Before })
}

fn stall(at_most: u64, moment: Moment) -> Fault {
    Fault::new(FaultKind::Stall { at_most: Duration::from_millis(at_most), moment }).on("PutObject")
}

#[tokio::test]
async fn latency_delays_and_changes_nothing_else() {
    let s3 = Fixture::with_faults([latency(150, None).on("PutObject"), latency(50, Some(90)).on("PutObject")]).await;
    let start = Instant::now();
    s3.put("a", b"x").send().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    assert_eq!(s3.body("a").await, b"x");
    assert_eq!(s3.server.faults_injected().get("latency", "PutObject"), 2);
}

#[tokio::test]
async fn latency_after_the_effect_delays_the_answer_only() {
    let moment = Moment::After;
    let kind = FaultKind::Latency { at_least: Duration::from_secs(30), at_most: None, moment };
    let s3 = Fixture::with_faults([Fault::new(kind).on("PutObject")]).await;
    let put = tokio::time::timeout(Duration::from_millis(500), s3.put("a", b"x").send()).await;
    assert!(put.is_err(), "{put:?}");
    assert_eq!(s3.body("a").await, b"x");
}

#[tokio::test]
async fn a_stall_outlasts_the_client_and_has_no_effect() {
    let s3 = Fixture::with_faults([stall(60_000, Moment::Before)]).await;
    let put = tokio::time::timeout(Duration::from_millis(500), s3.put("a", b"x").send()).await;
    assert!(put.is_err(), "{put:?}");
    assert!(!s3.exists("a").await);
    assert_eq!(s3.server.faults_injected().get("stall", "PutObject"), 1);
}

#[tokio::test]
async fn a_stall_after_the_effect_leaves_the_object() {
    let s3 = Fixture::with_faults([stall(60_000, Moment::After)]).await;
    let put = tokio::time::timeout(Duration::from_millis(500), s3.put("a", b"x").send()).await;
    assert!(put.is_err(), "{put:?}");
    assert_eq!(s3.body("a").await, b"x");
}

#[tokio::test]
async fn a_stall_ends_without_an_answer() {
    let s3 = Fixture::with_faults([stall(100, Moment::Before).limit(1), stall(100, Moment::After)]).await;
    for exists in [false, true] {
        let start = Instant::now();
        unanswered(s3.put("a", b"x").send().await);
        assert!(start.elapsed() >= Duration::from_millis(100));
        assert_eq!(s3.exists("a").await, exists);
    }
}

#[tokio::test]
async fn a_stall_ends_with_the_server() {
    let s3 = Fixture::with_faults([stall(60_000, Moment::Before)]).await;
    let put = tokio::spawn(s3.put("a", b"x").send());
    let start = Instant::now();
    while s3.server.faults_injected().total() == 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "the PUT never stalled");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let start = Instant::now();
    s3.server.shutdown().await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    unanswered(put.await.unwrap());
}

#[tokio::test]
async fn an_error_before_the_effect_leaves_nothing() {
    for (answer, status, code) in ANSWERS {
        let s3 = Fixture::with_faults([error(answer, Moment::Before).on("PutObject").limit(1)]).await;
        assert_eq!(refusal(s3.put("a", b"x").send().await), (status, code.to_owned()));
        assert!(!s3.exists("a").await, "{code}");
        s3.put("a", b"again").send().await.unwrap();
    }
}

#[tokio::test]
async fn an_error_after_the_effect_lies() {
    for (answer, status, code) in ANSWERS {
        let s3 = Fixture::with_faults([error(answer, Moment::After).on("PutObject")]).await;
        let create = || s3.put("a", b"x").if_none_match("*").send();
        assert_eq!(refusal(create().await), (status, code.to_owned()));
        assert_eq!(s3.body("a").await, b"x", "{code}");
        // A request without an effect gets its true response.
        assert_eq!(refusal(create().await).0, 412);
        assert_eq!(s3.server.faults_injected().total(), 1);
    }
}

#[tokio::test]
async fn an_error_reaches_the_client_however_large_the_body() {
    let s3 = Fixture::with_faults([error(Answer::SlowDown, Moment::Before).on("PutObject")]).await;
    for length in [1 << 10, 1 << 16, 5_000_000] {
        assert_eq!(refusal(s3.put("a", &noise(length)).send().await).0, 503, "{length} bytes");
    }
    let (answer, end) = s3.raw_put("a", &"x".repeat(3_000_000)).await;
    assert!(answer.starts_with("HTTP/1.1 503") && end.is_ok(), "{answer}: {end:?}");
}

#[tokio::test]
async fn a_reset_before_the_effect_leaves_nothing() {
    let s3 = Fixture::with_faults([Fault::new(FaultKind::Reset { moment: Moment::Before }).on("PutObject")]).await;
    unanswered(s3.put("a", b"x").send().await);
    assert!(!s3.exists("a").await);
    let (answer, end) = s3.raw_put("a", "x").await;
    assert_eq!((answer.as_str(), end.unwrap_err().kind()), ("", ErrorKind::ConnectionReset));
    assert!(!s3.exists("a").await);
    assert_eq!(s3.server.faults_injected().of_fault(0), 2);
}

#[tokio::test]
async fn a_reset_after_the_effect_loses_the_answer() {
    let s3 = Fixture::with_faults([Fault::new(FaultKind::Reset { moment: Moment::After }).on("PutObject")]).await;
    unanswered(s3.put("a", b"x").send().await);
    assert_eq!(s3.body("a").await, b"x");
    let (answer, end) = s3.raw_put("a", "y").await;
    assert_eq!((answer.as_str(), end.unwrap_err().kind()), ("", ErrorKind::ConnectionReset));
    assert_eq!(s3.body("a").await, b"y");
}

#[tokio::test]
async fn a_conflict_hits_a_conditional_create_and_leaves_the_key_absent() {
    let s3 = Fixture::with_faults([Fault::new(FaultKind::Conflict).limit(1)]).await;
    s3.put("other", b"x").send().await.unwrap();
    let create = || s3.put("a", b"x").if_none_match("*").send();
    assert_eq!(refusal(create().await), (409, "ConditionalRequestConflict".to_owned()));
    assert!(!s3.exists("a").await);
    create().await.unwrap();
    assert_eq!(s3.server.faults_injected().get("conflict", "PutObject"), 1);
}

#[tokio::test]
async fn an_ignored_condition_overwrites() {
    let s3 = Fixture::start().await;
    s3.put("a", b"first").send().await.unwrap();
    s3.set_faults([Fault::new(FaultKind::ConditionIgnored)]);
    s3.put("a", b"second").if_none_match("*").send().await.unwrap();
    assert_eq!(s3.body("a").await, b"second");

    let id = begin(&s3, "a").await;
    let parts = [part(&s3, "a", &id, 1, b"third").await];
    complete(&s3, "a", &id, &parts).if_none_match("*").send().await.unwrap();
    assert_eq!(s3.body("a").await, b"third");

    s3.put("b", b"fourth").send().await.unwrap();
    let copy = s3.client.copy_object().bucket(BUCKET).key("a").copy_source(format!("{BUCKET}/b"));
    let copy = copy.metadata_directive(MetadataDirective::Replace).customize().mutate_request(|request| {
        request.headers_mut().insert("if-none-match", "*");
    });
    copy.send().await.unwrap();
    assert_eq!(s3.body("a").await, b"fourth");
    let counts = s3.server.faults_injected();
    assert_eq!((counts.of_kind("condition_ignored"), counts.of_operation("PutObject")), (3, 1));
}

#[tokio::test]
async fn a_failed_completion_is_answered_200_and_creates_nothing() {
    let s3 = Fixture::with_faults([Fault::new(FaultKind::CompletionFailed).limit(1)]).await;
    let id = begin(&s3, "a").await;
    let parts = [part(&s3, "a", &id, 1, b"whole").await];
    let failed = complete(&s3, "a", &id, &parts).send().await.unwrap_err();
    let response = failed.raw_response().unwrap();
    let body = std::str::from_utf8(response.body().bytes().unwrap()).unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert!(body.contains("<Error><Code>InternalError</Code>"), "{body}");
    assert!(!s3.exists("a").await);
    complete(&s3, "a", &id, &parts).send().await.unwrap();
    assert_eq!(s3.body("a").await, b"whole");
}
