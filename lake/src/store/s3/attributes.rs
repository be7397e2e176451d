//! Converts object attributes to S3 headers and back.
//!
//! Knows names on both sides. Knows nothing about requests.
//! Invariant: an attribute that S3 has no header for is refused, not dropped.

use std::collections::HashMap;

use aws_sdk_s3::{
    operation::{
        create_multipart_upload::builders::CreateMultipartUploadFluentBuilder, get_object::GetObjectOutput,
        head_object::HeadObjectOutput, put_object::builders::PutObjectFluentBuilder,
    },
    types::StorageClass,
};
use object_store::{Attribute, Attributes, Error, Result};

/// A request that carries attributes.
pub(super) trait WithAttributes: Sized {
    /// Adds the attributes and the URL-encoded tags to the request.
    fn with_attributes(self, attributes: &Attributes, tags: &str) -> Result<Self>;
}

/// A response that carries attributes.
pub(super) trait ToAttributes {
    /// The attributes that S3 returned.
    fn to_attributes(&self) -> Attributes;
}

macro_rules! with_attributes {
    ($($request:ty),*) => {$(
        impl WithAttributes for $request {
            fn with_attributes(mut self, attributes: &Attributes, tags: &str) -> Result<Self> {
                if !tags.is_empty() {
                    self = self.tagging(tags);
                }
                for (attribute, value) in attributes {
                    let value = value.as_ref();
                    self = match attribute {
                        Attribute::CacheControl => self.cache_control(value),
                        Attribute::ContentDisposition => self.content_disposition(value),
                        Attribute::ContentEncoding => self.content_encoding(value),
                        Attribute::ContentLanguage => self.content_language(value),
                        Attribute::ContentType => self.content_type(value),
                        Attribute::StorageClass => self.storage_class(StorageClass::from(value)),
                        Attribute::Metadata(name) => self.metadata(name.as_ref(), value),
                        other => return Err(unknown(other)),
                    };
                }
                Ok(self)
            }
        }
    )*};
}

macro_rules! to_attributes {
    ($($answer:ty),*) => {$(
        impl ToAttributes for $answer {
            fn to_attributes(&self) -> Attributes {
                let named = [
                    (Attribute::CacheControl, self.cache_control()),
                    (Attribute::ContentDisposition, self.content_disposition()),
                    (Attribute::ContentEncoding, self.content_encoding()),
                    (Attribute::ContentLanguage, self.content_language()),
                    (Attribute::ContentType, self.content_type()),
                    // Some servers return the default class and some don't.
                    (Attribute::StorageClass, self.storage_class().map(StorageClass::as_str).filter(|&class| class != "STANDARD")),
                ];
                collect(named, self.metadata())
            }
        }
    )*};
}

with_attributes!(PutObjectFluentBuilder, CreateMultipartUploadFluentBuilder);
to_attributes!(GetObjectOutput, HeadObjectOutput);

fn collect<const N: usize>(
    named: [(Attribute, Option<&str>); N],
    metadata: Option<&HashMap<String, String>>,
) -> Attributes {
    let named = named.into_iter().filter_map(|(attribute, value)| Some((attribute, value?.to_owned())));
    let metadata = metadata.into_iter().flatten();
    let metadata = metadata.map(|(name, value)| (Attribute::Metadata(name.clone().into()), value.clone()));
    named.chain(metadata).collect()
}

fn unknown(attribute: &Attribute) -> Error {
    Error::NotImplemented { operation: format!("attribute {attribute:?}"), implementer: "S3Store".to_owned() }
}
