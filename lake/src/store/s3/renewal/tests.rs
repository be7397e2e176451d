//! When a refusal has credentials read, and when it is worth another try.

use std::sync::Mutex as StdMutex;

use super::*;

/// The credentials that every AWS tool would find now, and how often they were looked for.
#[derive(Clone, Default)]
struct Found(Arc<StdMutex<(&'static str, &'static str, u32)>>);

impl Found {
    fn set(&self, key: &'static str, secret: &'static str) {
        let mut found = self.0.lock().unwrap();
        (found.0, found.1) = (key, secret);
    }

    fn chain(&self) -> SharedCredentialsProvider {
        let (key, secret, _) = *self.0.lock().unwrap();
        SharedCredentialsProvider::new(Credentials::new(key, secret, None, None, "test"))
    }

    fn reads(&self) -> u32 {
        self.0.lock().unwrap().2
    }
}

async fn renewable(found: &Found) -> Renewable {
    let source = found.clone();
    let new_chain = move || {
        source.0.lock().unwrap().2 += 1;
        let chain = source.chain();
        Box::pin(async { Some(chain) }) as BoxFuture<'static, _>
    };
    let renewable = Renewable::new(found.chain(), Box::new(new_chain));
    renewable.current().await.unwrap();
    renewable
}

#[tokio::test]
async fn a_refusal_is_tried_again_only_with_other_credentials() {
    let found = Found::default();
    found.set("first", "a");
    let renewable = renewable(&found).await;
    assert!(!renewable.mends(Some("first"), Verdict::Refused).await);
    for (key, secret) in [("second", "a"), ("second", "b")] {
        found.set(key, secret);
        assert!(renewable.mends(Some(renewable.current().await.unwrap().access_key_id()), Verdict::Refused).await);
        let current = renewable.current().await.unwrap();
        assert_eq!((current.access_key_id(), current.secret_access_key()), (key, secret));
        assert!(!renewable.mends(Some(key), Verdict::Refused).await);
    }
    assert_eq!(renewable.renewals(), 2);
}

#[tokio::test]
async fn many_refusals_of_permissions_read_credentials_once() {
    let found = Found::default();
    found.set("first", "a");
    let renewable = renewable(&found).await;
    for _ in 0..100 {
        assert!(!renewable.mends(Some("first"), Verdict::Unclear).await);
    }
    assert_eq!(found.reads(), 1);
    // They do not keep a refusal of the credentials from having them read.
    found.set("second", "a");
    assert!(renewable.mends(Some("first"), Verdict::Refused).await);
    // A request that was signed before is tried again whatever it was refused for, and without another look.
    assert!(renewable.mends(Some("first"), Verdict::Unclear).await);
    assert_eq!(found.reads(), 2);
}

#[tokio::test]
async fn what_a_response_says_is_read_from_its_code_and_the_body_is_kept() {
    for (status, body, expected) in [
        (403, "<Error><Code>InvalidAccessKeyId</Code></Error>", Verdict::Refused),
        (400, "<Error><Code>ExpiredToken</Code></Error>", Verdict::Refused),
        (403, "<Error><Code>AccessDenied</Code></Error>", Verdict::Unclear),
        (403, "", Verdict::Unclear),
        (400, "<Error><Code>EntityTooLarge</Code></Error>", Verdict::Fine),
        (403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", Verdict::Unclear),
        (404, "<Error><Code>ExpiredToken</Code></Error>", Verdict::Fine),
    ] {
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        assert_eq!(verdict(&mut response).await.unwrap(), expected, "{status} {body}");
        assert_eq!(response.body().bytes(), Some(body.as_bytes()));
    }
    assert_eq!(signing_key("AWS4-HMAC-SHA256 Credential=KEY/20261120/us-east-1/s3/aws4_request"), Some("KEY"));
}
