//! Uploads in parts.

use super::*;

#[tokio::test]
async fn an_upload_whose_completion_fails_with_status_200_is_an_error() {
    let fails_late = |_, request: &Request| match request.method.as_str() {
        "POST" if request.target.contains("uploads") => answer(
            "200 OK",
            "",
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        ),
        "PUT" => PUT_DONE.to_owned(),
        _ => refusal("200 OK", "InternalError", "it did not work out"),
    };
    let server = Scripted::start(fails_late).await;

    let mut upload = server.store().put_multipart(&some_path()).await.unwrap();
    upload.put_part("x".into()).await.unwrap();
    let error = upload.complete().await.unwrap_err();

    assert!(matches!(S3Failure::of(&error), Some(S3Failure::UnknownOutcome { .. })), "{error:?}");
}
