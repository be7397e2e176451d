//! Digests of a body: what the client claims, what we compute, and whether they match.
//!
//! Knows S3's digest headers. Knows nothing about where the bytes come from or go to.
//! Invariant: a body whose claimed digest is wrong is refused with `BadDigest`, never stored.

use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::Checksum;
use s3s::{S3Result, TrailingHeaders, s3_error};

use crate::store::records::Checksums;

const NAMES: [&str; 5] = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];

/// The digests that a request sends.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// The `Content-MD5` header, base64.
    pub(crate) md5: Option<String>,
    pub(crate) checksums: Checksums,
    /// Algorithms requested without a value: those in `x-amz-trailer`, whose values come after the body, and the one in
    /// `x-amz-sdk-checksum-algorithm`, whose value we compute.
    pub(crate) wanted: Vec<String>,
    /// Contains the values named by `x-amz-trailer` once the body has been read.
    pub(crate) trailers: Option<TrailingHeaders>,
}

impl Claims {
    /// Adds what the raw headers say in addition to the parsed input.
    pub(crate) fn with_headers(mut self, headers: &HeaderMap, trailers: Option<TrailingHeaders>) -> Self {
        let named = |header: &str| headers.get_all(header).into_iter().filter_map(|value| value.to_str().ok());
        let trailing = named("x-amz-trailer").flat_map(|list| list.split(','));
        let wanted = trailing
            .map(str::trim)
            .filter_map(|name| name.strip_prefix("x-amz-checksum-"))
            .chain(named("x-amz-sdk-checksum-algorithm"));
        self.wanted = wanted.map(str::to_ascii_lowercase).collect();
        self.trailers = trailers;
        self
    }

    /// Fails if a claim does not match what was computed. Call once the body has been read to its end.
    pub(crate) fn verify(&self, computed: &Digests) -> S3Result<()> {
        if let Some(md5) = &self.md5 {
            let is_md5 = base64_simd::STANDARD.decode_to_vec(md5).is_ok_and(|bytes| bytes.len() == computed.md5.len());
            if !is_md5 {
                return Err(s3_error!(InvalidDigest, "the Content-MD5 sent is not the base64 of an MD5"));
            }
            if *md5 != computed.md5_base64() {
                return Err(bad_digest("Content-MD5"));
            }
        }
        for name in NAMES {
            let header = format!("x-amz-checksum-{name}");
            let trailer = self.trailers.as_ref().and_then(|trailers| {
                trailers.read(|map| map.get(&header).and_then(|value| value.to_str().ok()).map(str::to_owned))
            });
            let claim = self.checksums.get(name).map(str::to_owned).or(trailer.flatten());
            if claim.is_some() && claim.as_deref() != computed.checksums.get(name) {
                return Err(bad_digest(&header));
            }
        }
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        self.checksums.get(name).is_some() || self.wanted.iter().any(|wanted| wanted == name)
    }
}

fn bad_digest(header: &str) -> s3s::S3Error {
    s3_error!(BadDigest, "the {header} sent is not the digest of the bytes received: send them again")
}

/// Computes the digests of a body as it is read.
pub(crate) struct Digester {
    md5: Md5,
    checksums: ChecksumHasher,
}

impl Digester {
    /// Computes MD5, for the ETag, and the digests that `claims` needs.
    pub(crate) fn new(claims: &Claims) -> Self {
        Self {
            md5: Md5::new(),
            checksums: ChecksumHasher {
                crc32: claims.wants("crc32").then(Default::default),
                crc32c: claims.wants("crc32c").then(Default::default),
                crc64nvme: claims.wants("crc64nvme").then(Default::default),
                sha1: claims.wants("sha1").then(Default::default),
                sha256: claims.wants("sha256").then(Default::default),
            },
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksums.update(bytes);
    }

    pub(crate) fn finish(self) -> Digests {
        Digests { md5: self.md5.finalize(), checksums: self.checksums.finalize().into() }
    }
}

/// The digests of a complete body.
#[derive(Debug)]
pub(crate) struct Digests {
    md5: [u8; 16],
    pub(crate) checksums: Checksums,
}

impl Digests {
    /// The ETag of an object stored whole, without quotes.
    pub(crate) fn etag(&self) -> String {
        hex(&self.md5)
    }

    fn md5_base64(&self) -> String {
        base64_simd::STANDARD.encode_to_string(self.md5)
    }
}

/// The ETag of an object made of parts: the MD5 of their MD5s, and their number.
///
/// `None` if a part's ETag is not an MD5 in hex, which only happens if the index is damaged.
pub(crate) fn multipart_etag<'e>(part_etags: impl ExactSizeIterator<Item = &'e str>) -> Option<String> {
    let count = part_etags.len();
    let mut md5 = Md5::new();
    for etag in part_etags {
        for at in (0..etag.len()).step_by(2) {
            md5.update(&[u8::from_str_radix(etag.get(at..at + 2)?, 16).ok()?]);
        }
    }
    Some(format!("{}-{count}", hex(&md5.finalize())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Checksums {
    fn get(&self, name: &str) -> Option<&str> {
        match name {
            "crc32" => self.crc32.as_deref(),
            "crc32c" => self.crc32c.as_deref(),
            "crc64nvme" => self.crc64nvme.as_deref(),
            "sha1" => self.sha1.as_deref(),
            "sha256" => self.sha256.as_deref(),
            _ => None,
        }
    }
}

impl From<Checksum> for Checksums {
    fn from(checksum: Checksum) -> Self {
        Self {
            crc32: checksum.checksum_crc32,
            crc32c: checksum.checksum_crc32c,
            crc64nvme: checksum.checksum_crc64nvme,
            sha1: checksum.checksum_sha1,
            sha256: checksum.checksum_sha256,
        }
    }
}
