//! Reads of configurations that no bucket has: what S3 answers for a bucket that was never configured.

use aws_sdk_s3::types::{Payer, Permission, Type};

use crate::support::{BUCKET, Fixture, refusal};

/// Sends a read of a configuration to the bucket, which must refuse it with this code and 404, and to a bucket that
/// does not exist.
macro_rules! assert_not_configured {
    ($s3:ident: $($operation:ident $code:literal,)*) => {
        $(
            let read = $s3.client.$operation().bucket(BUCKET).send().await;
            assert_eq!(refusal(read), (404, $code.to_owned()), stringify!($operation));
            let absent = $s3.client.$operation().bucket("absent").send().await;
            assert_eq!(refusal(absent), (404, "NoSuchBucket".to_owned()), stringify!($operation));
        )*
    };
}

#[tokio::test]
async fn a_configuration_that_does_not_exist_is_named_as_such() {
    let s3 = Fixture::start().await;
    assert_not_configured!(s3:
        get_bucket_policy "NoSuchBucketPolicy",
        get_bucket_policy_status "NoSuchBucketPolicy",
        get_bucket_lifecycle_configuration "NoSuchLifecycleConfiguration",
        get_bucket_cors "NoSuchCORSConfiguration",
        get_bucket_tagging "NoSuchTagSet",
        get_bucket_encryption "ServerSideEncryptionConfigurationNotFoundError",
        get_public_access_block "NoSuchPublicAccessBlockConfiguration",
        get_bucket_website "NoSuchWebsiteConfiguration",
        get_bucket_replication "ReplicationConfigurationNotFoundError",
        get_object_lock_configuration "ObjectLockConfigurationNotFoundError",
        get_bucket_ownership_controls "OwnershipControlsNotFoundError",
    );
}

#[tokio::test]
async fn what_every_bucket_has_says_that_nothing_is_configured() {
    let s3 = Fixture::start().await;
    let versioning = s3.client.get_bucket_versioning().bucket(BUCKET).send().await.unwrap();
    assert_eq!((versioning.status(), versioning.mfa_delete()), (None, None));
    let location = s3.client.get_bucket_location().bucket(BUCKET).send().await.unwrap();
    assert!(location.location_constraint().is_none_or(|region| region.as_str().is_empty()));
    assert!(s3.client.get_bucket_logging().bucket(BUCKET).send().await.unwrap().logging_enabled().is_none());
    let notified = s3.client.get_bucket_notification_configuration().bucket(BUCKET).send().await.unwrap();
    assert!(notified.queue_configurations().is_empty() && notified.topic_configurations().is_empty());
    let accelerated = s3.client.get_bucket_accelerate_configuration().bucket(BUCKET).send().await.unwrap();
    assert_eq!(accelerated.status(), None);
    let paid = s3.client.get_bucket_request_payment().bucket(BUCKET).send().await.unwrap();
    assert_eq!(paid.payer(), Some(&Payer::BucketOwner));
    let absent = s3.client.get_bucket_logging().bucket("absent").send().await;
    assert_eq!(refusal(absent), (404, "NoSuchBucket".to_owned()));
}

#[tokio::test]
async fn the_owner_has_full_control_and_no_one_else_any() {
    let s3 = Fixture::start().await;
    s3.put_all(["a"]).await;
    let bucket = s3.client.get_bucket_acl().bucket(BUCKET).send().await.unwrap();
    let object = s3.client.get_object_acl().bucket(BUCKET).key("a").send().await.unwrap();
    for (owner, grants) in [(bucket.owner(), bucket.grants()), (object.owner(), object.grants())] {
        assert_eq!(grants.len(), 1);
        let grantee = grants[0].grantee().unwrap();
        assert_eq!((grants[0].permission(), grantee.r#type()), (Some(&Permission::FullControl), &Type::CanonicalUser));
        assert_eq!(grantee.id(), owner.unwrap().id());
    }
    let absent = s3.client.get_object_acl().bucket(BUCKET).key("absent").send().await;
    assert_eq!(refusal(absent), (404, "NoSuchKey".to_owned()));
}

#[tokio::test]
async fn no_object_is_locked() {
    let s3 = Fixture::start().await;
    s3.put_all(["a"]).await;
    let retained = s3.client.get_object_retention().bucket(BUCKET).key("a").send().await;
    assert_eq!(refusal(retained), (400, "InvalidRequest".to_owned()));
    let held = s3.client.get_object_legal_hold().bucket(BUCKET).key("a").send().await;
    assert_eq!(refusal(held), (400, "InvalidRequest".to_owned()));
}

/// To accept a setting and not obey it would be worse than to refuse it.
#[tokio::test]
async fn a_configuration_cannot_be_set() {
    let s3 = Fixture::start().await;
    let policy = s3.client.put_bucket_policy().bucket(BUCKET).policy("{}").send().await;
    assert_eq!(refusal(policy), (501, "NotImplemented".to_owned()));
    let versioned = aws_sdk_s3::types::VersioningConfiguration::builder()
        .status(aws_sdk_s3::types::BucketVersioningStatus::Enabled)
        .build();
    let versioning = s3.client.put_bucket_versioning().bucket(BUCKET).versioning_configuration(versioned).send().await;
    assert_eq!(refusal(versioning), (501, "NotImplemented".to_owned()));
}
