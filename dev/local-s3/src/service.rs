//! The S3 operations this server implements.
//!
//! One method per operation, which only calls the file that does the work. Knows nothing about sockets or signatures.
//! Invariant: every operation not named here answers `NotImplemented`.

mod attributes;
mod body;
mod buckets;
mod completions;
mod conditions;
mod configurations;
mod copies;
mod digests;
mod faults;
mod listings;
mod objects;
mod tags;
mod upload_listings;
mod uploads;
mod version_listings;

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use crate::notify::{Cause, Event, Notifier};
use crate::store::Store;
use crate::store::records::ObjectRecord;

pub(crate) use self::attributes::query_parameter;
pub(crate) use self::conditions::modified_at;

/// The longest key S3 allows, in bytes.
const KEY_BYTES_MAX: usize = 1024;

/// S3 over one [`Store`].
pub(crate) struct Service {
    pub(crate) store: Arc<Store>,
    pub(crate) notifier: Notifier,
}

impl Service {
    /// Announces an object that was created.
    fn announce(&self, cause: Cause, place: (String, String), record: &ObjectRecord) {
        if self.notifier.is_on() {
            self.notifier.send(Event::new(cause, place, record));
        }
    }
}

/// Refuses a request for one version of an object: an object has one here, and its id is `null`.
fn refuse_versions(uri: &http::Uri) -> S3Result<()> {
    match query_parameter(uri, "versionId") {
        Some(id) if id != "null" => Err(no_such_version(&id)),
        _ => Ok(()),
    }
}

fn no_such_version(id: &str) -> s3s::S3Error {
    s3_error!(InvalidArgument, "version {id:?} does not exist: local-s3 keeps one version of each object")
}

/// Forwards each operation to its inherent method.
macro_rules! operations {
    ($($operation:ident, $method:ident, $input:ident, $output:ident;)*) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(
                async fn $operation(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    conditions::refuse_unknown(stringify!($operation), &request.method, &request.headers)?;
                    refuse_versions(&request.uri)?;
                    self.$method(request).await
                }
            )*
        }

        const OUTPUTS: &[&str] = &[$(stringify!($output)),*];
    };
}

operations! {
    create_bucket, on_create_bucket, CreateBucketInput, CreateBucketOutput;
    head_bucket, on_head_bucket, HeadBucketInput, HeadBucketOutput;
    delete_bucket, on_delete_bucket, DeleteBucketInput, DeleteBucketOutput;
    list_buckets, on_list_buckets, ListBucketsInput, ListBucketsOutput;

    put_object, on_put_object, PutObjectInput, PutObjectOutput;
    get_object, on_get_object, GetObjectInput, GetObjectOutput;
    head_object, on_head_object, HeadObjectInput, HeadObjectOutput;
    delete_object, on_delete_object, DeleteObjectInput, DeleteObjectOutput;
    delete_objects, on_delete_objects, DeleteObjectsInput, DeleteObjectsOutput;
    copy_object, on_copy_object, CopyObjectInput, CopyObjectOutput;

    list_objects, on_list_objects, ListObjectsInput, ListObjectsOutput;
    list_objects_v2, on_list_objects_v2, ListObjectsV2Input, ListObjectsV2Output;
    list_object_versions, on_list_object_versions, ListObjectVersionsInput, ListObjectVersionsOutput;

    create_multipart_upload, on_create_upload, CreateMultipartUploadInput, CreateMultipartUploadOutput;
    upload_part, on_upload_part, UploadPartInput, UploadPartOutput;
    upload_part_copy, on_upload_part_copy, UploadPartCopyInput, UploadPartCopyOutput;
    complete_multipart_upload, on_complete_upload, CompleteMultipartUploadInput, CompleteMultipartUploadOutput;
    abort_multipart_upload, on_abort_upload, AbortMultipartUploadInput, AbortMultipartUploadOutput;
    list_parts, on_list_parts, ListPartsInput, ListPartsOutput;
    list_multipart_uploads, on_list_uploads, ListMultipartUploadsInput, ListMultipartUploadsOutput;

    get_object_tagging, on_get_tags, GetObjectTaggingInput, GetObjectTaggingOutput;
    put_object_tagging, on_put_tags, PutObjectTaggingInput, PutObjectTaggingOutput;
    delete_object_tagging, on_delete_tags, DeleteObjectTaggingInput, DeleteObjectTaggingOutput;

    get_bucket_location, on_get_bucket_location, GetBucketLocationInput, GetBucketLocationOutput;
    get_bucket_versioning, on_get_bucket_versioning, GetBucketVersioningInput, GetBucketVersioningOutput;
    get_bucket_policy, on_get_policy, GetBucketPolicyInput, GetBucketPolicyOutput;
    get_bucket_policy_status, on_get_policy_status, GetBucketPolicyStatusInput, GetBucketPolicyStatusOutput;
    get_bucket_lifecycle_configuration, on_get_lifecycle, GetBucketLifecycleConfigurationInput,
        GetBucketLifecycleConfigurationOutput;
    get_bucket_cors, on_get_cors, GetBucketCorsInput, GetBucketCorsOutput;
    get_bucket_tagging, on_get_bucket_tags, GetBucketTaggingInput, GetBucketTaggingOutput;
    get_bucket_encryption, on_get_encryption, GetBucketEncryptionInput, GetBucketEncryptionOutput;
    get_public_access_block, on_get_public_access_block, GetPublicAccessBlockInput, GetPublicAccessBlockOutput;
    get_bucket_website, on_get_website, GetBucketWebsiteInput, GetBucketWebsiteOutput;
    get_bucket_replication, on_get_replication, GetBucketReplicationInput, GetBucketReplicationOutput;
    get_object_lock_configuration, on_get_object_lock, GetObjectLockConfigurationInput,
        GetObjectLockConfigurationOutput;
    get_bucket_ownership_controls, on_get_ownership, GetBucketOwnershipControlsInput,
        GetBucketOwnershipControlsOutput;
    get_bucket_logging, on_get_logging, GetBucketLoggingInput, GetBucketLoggingOutput;
    get_bucket_notification_configuration, on_get_notifications, GetBucketNotificationConfigurationInput,
        GetBucketNotificationConfigurationOutput;
    get_bucket_accelerate_configuration, on_get_acceleration, GetBucketAccelerateConfigurationInput,
        GetBucketAccelerateConfigurationOutput;
    get_bucket_request_payment, on_get_request_payment, GetBucketRequestPaymentInput, GetBucketRequestPaymentOutput;
    get_bucket_acl, on_get_bucket_acl, GetBucketAclInput, GetBucketAclOutput;
    get_object_acl, on_get_object_acl, GetObjectAclInput, GetObjectAclOutput;
    get_object_retention, on_get_retention, GetObjectRetentionInput, GetObjectRetentionOutput;
    get_object_legal_hold, on_get_legal_hold, GetObjectLegalHoldInput, GetObjectLegalHoldOutput;
}

/// The S3 names of the operations: the names of their outputs, without the suffix.
pub(crate) fn operation_names() -> impl Iterator<Item = &'static str> {
    OUTPUTS.iter().filter_map(|output| output.strip_suffix("Output"))
}
