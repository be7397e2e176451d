//! Reads of a bucket's configuration and of access lists: this server has none, and S3 has an answer for that.
//!
//! Invariant: a bucket that does not exist is `NoSuchBucket`, and a missing configuration is what S3 answers for a bucket
//! that was never configured. Changes of a configuration stay `NotImplemented`: none is accepted and then ignored.

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::Service;
use super::listings::owner;

/// Operations that read a configuration which no bucket here has, with S3's code for that.
macro_rules! never_configured {
    ($($method:ident, $input:ident, $output:ident, $code:literal;)*) => {
        impl Service {
            $(
                pub(super) async fn $method(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    self.require_bucket(request.input.bucket).await?;
                    Err(not_configured($code))
                }
            )*
        }
    };
}

never_configured! {
    on_get_policy, GetBucketPolicyInput, GetBucketPolicyOutput, "NoSuchBucketPolicy";
    on_get_policy_status, GetBucketPolicyStatusInput, GetBucketPolicyStatusOutput, "NoSuchBucketPolicy";
    on_get_lifecycle, GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput,
        "NoSuchLifecycleConfiguration";
    on_get_cors, GetBucketCorsInput, GetBucketCorsOutput, "NoSuchCORSConfiguration";
    on_get_bucket_tags, GetBucketTaggingInput, GetBucketTaggingOutput, "NoSuchTagSet";
    on_get_encryption, GetBucketEncryptionInput, GetBucketEncryptionOutput,
        "ServerSideEncryptionConfigurationNotFoundError";
    on_get_public_access_block, GetPublicAccessBlockInput, GetPublicAccessBlockOutput,
        "NoSuchPublicAccessBlockConfiguration";
    on_get_website, GetBucketWebsiteInput, GetBucketWebsiteOutput, "NoSuchWebsiteConfiguration";
    on_get_replication, GetBucketReplicationInput, GetBucketReplicationOutput,
        "ReplicationConfigurationNotFoundError";
    on_get_object_lock, GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput,
        "ObjectLockConfigurationNotFoundError";
    on_get_ownership, GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput,
        "OwnershipControlsNotFoundError";
}

/// Operations whose empty output says that nothing is configured.
macro_rules! configured_by_default {
    ($($method:ident, $input:ident, $output:ident;)*) => {
        impl Service {
            $(
                pub(super) async fn $method(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    self.require_bucket(request.input.bucket).await?;
                    Ok(S3Response::new($output::default()))
                }
            )*
        }
    };
}

configured_by_default! {
    // No constraint, which is `us-east-1` on S3; requests for any region are served.
    on_get_bucket_location, GetBucketLocationInput, GetBucketLocationOutput;
    // No status: the bucket was never versioned.
    on_get_bucket_versioning, GetBucketVersioningInput, GetBucketVersioningOutput;
    on_get_logging, GetBucketLoggingInput, GetBucketLoggingOutput;
    on_get_notifications, GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput;
    on_get_acceleration, GetBucketAccelerateConfigurationInput, GetBucketAccelerateConfigurationOutput;
}

impl Service {
    pub(super) async fn on_get_request_payment(
        &self,
        request: S3Request<GetBucketRequestPaymentInput>,
    ) -> S3Result<S3Response<GetBucketRequestPaymentOutput>> {
        self.require_bucket(request.input.bucket).await?;
        let payer = Some(Payer::from_static(Payer::BUCKET_OWNER));
        Ok(S3Response::new(GetBucketRequestPaymentOutput { payer }))
    }

    pub(super) async fn on_get_bucket_acl(
        &self,
        request: S3Request<GetBucketAclInput>,
    ) -> S3Result<S3Response<GetBucketAclOutput>> {
        self.require_bucket(request.input.bucket).await?;
        Ok(S3Response::new(GetBucketAclOutput { grants: Some(vec![full_control()]), owner: Some(owner()) }))
    }

    pub(super) async fn on_get_object_acl(
        &self,
        request: S3Request<GetObjectAclInput>,
    ) -> S3Result<S3Response<GetObjectAclOutput>> {
        let GetObjectAclInput { bucket, key, .. } = request.input;
        self.store.read(move |tables| tables.object(&bucket, &key)).await?;
        let (grants, owner) = (Some(vec![full_control()]), Some(owner()));
        Ok(S3Response::new(GetObjectAclOutput { grants, owner, request_charged: None }))
    }

    pub(super) async fn on_get_retention(
        &self,
        request: S3Request<GetObjectRetentionInput>,
    ) -> S3Result<S3Response<GetObjectRetentionOutput>> {
        self.require_bucket(request.input.bucket).await?;
        Err(not_locked())
    }

    pub(super) async fn on_get_legal_hold(
        &self,
        request: S3Request<GetObjectLegalHoldInput>,
    ) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
        self.require_bucket(request.input.bucket).await?;
        Err(not_locked())
    }

    /// # Errors
    /// `NoSuchBucket`.
    pub(super) async fn require_bucket(&self, bucket: String) -> S3Result<()> {
        self.store.read(move |tables| tables.bucket(&bucket)).await.map(drop)
    }
}

/// S3's answer for a configuration that the bucket does not have.
fn not_configured(code: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), "the bucket has no such configuration");
    error.set_status_code(StatusCode::NOT_FOUND);
    error
}

fn not_locked() -> S3Error {
    s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration")
}

/// The one grant of everything here.
fn full_control() -> Grant {
    let Owner { id, display_name } = owner();
    let grantee =
        Grantee { id, display_name, email_address: None, uri: None, type_: Type::from_static(Type::CANONICAL_USER) };
    Grant { grantee: Some(grantee), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) }
}
