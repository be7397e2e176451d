//! Conditional creates and updates: one PUT each, and an honest error if its response is lost.

use super::*;

#[tokio::test]
async fn a_create_is_one_conditional_put_whatever_its_size() {
    let server = Scripted::start(|_, _| PUT_DONE.to_owned()).await;
    let body = PutPayload::from(vec![7; 20 << 20]);

    server.store().put_opts(&some_path(), body, create()).await.unwrap();

    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method, "PUT");
    assert_eq!(requests[0].header("if-none-match"), Some("*"));
    assert_eq!(requests[0].body_bytes, 20 << 20);
    assert!(!requests[0].target.contains("upload"), "{}", requests[0].target);
}

#[tokio::test]
async fn a_create_that_meets_another_writer_is_tried_again() {
    let conflict = |number, _: &Request| match number {
        0 | 1 => refusal("409 Conflict", "ConditionalRequestConflict", "another write is under way"),
        _ => PUT_DONE.to_owned(),
    };
    let server = Scripted::start(conflict).await;

    server.store().put_opts(&some_path(), "x".into(), create()).await.unwrap();

    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_create_that_meets_other_writers_every_time_ends_in_a_retryable_conflict() {
    let server = Scripted::start(|_, _| refusal("409 Conflict", "ConditionalRequestConflict", "busy")).await;

    let error = server.store().put_opts(&some_path(), "x".into(), create()).await.unwrap_err();

    let failure = S3Failure::of(&error).unwrap();
    assert!(matches!(failure, S3Failure::Conflict { .. }), "{error}");
    assert!(failure.is_retryable());
    assert_eq!(server.requests().len(), 10);
}

#[tokio::test]
async fn a_create_without_an_answer_has_an_unknown_outcome() {
    for answer in [String::new(), refusal("500 Internal Server Error", "InternalError", "try again")] {
        let server = Scripted::start(move |_, _| answer.clone()).await;

        let error = server.store().put_opts(&some_path(), "x".into(), create()).await.unwrap_err();

        assert!(matches!(S3Failure::of(&error), Some(S3Failure::UnknownOutcome { .. })), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("may or may not have happened") && text.contains(&server.endpoint), "{text}");
    }
}

#[tokio::test]
async fn an_update_without_an_answer_has_an_unknown_outcome() {
    let server = Scripted::start(|_, _| String::new()).await;
    let version = UpdateVersion { e_tag: Some("\"1\"".to_owned()), version: None };

    let error = server.store().put_opts(&some_path(), "x".into(), PutMode::Update(version).into()).await.unwrap_err();

    assert!(matches!(S3Failure::of(&error), Some(S3Failure::UnknownOutcome { .. })), "{error:?}");
}

#[tokio::test]
async fn a_create_whose_first_answer_was_lost_finds_its_own_write() {
    let lost_then_there = |number, _: &Request| match number {
        0 => String::new(),
        _ => refusal("412 Precondition Failed", "PreconditionFailed", "it is there"),
    };
    let server = Scripted::start(lost_then_there).await;

    let error = server.store().put_opts(&some_path(), "x".into(), create()).await.unwrap_err();

    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn an_update_of_a_missing_key_fails_its_precondition() {
    let served = serve().await;
    let version = UpdateVersion { e_tag: Some("\"0\"".to_owned()), version: None };

    let error = served.store.put_opts(&some_path(), "x".into(), PutMode::Update(version).into()).await.unwrap_err();

    assert!(matches!(error, Error::Precondition { .. }), "{error}");
}
