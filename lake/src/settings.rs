//! Where a lake is, said by flags, the environment and `.env`, in this order of precedence.
//!
//! Raw text in, checked values out; every mistake is found before any is reported.

use std::{fmt, path::PathBuf};

use crate::{error::Error, keys::ZoneName};

/// The flags that say where the lake is; every program has them.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Lake")]
pub struct LakeArgs {
    /// The lake, as s3://bucket/prefix, file:///folder or memory://
    #[arg(long, env = "LAKE_URL", value_name = "URL", global = true)]
    pub lake_url: Option<String>,
    /// Where raw objects land, if not under the lake's raw/
    #[arg(long, env = "RAW_URL", value_name = "URL", global = true)]
    pub raw_url: Option<String>,
    /// Where rows go, if not under the lake's bronze/
    #[arg(long, env = "BRONZE_URL", value_name = "URL", global = true)]
    pub bronze_url: Option<String>,
    /// Where dead letters go, if not under the lake's dead_letters/
    #[arg(long, env = "DEAD_LETTERS_URL", value_name = "URL", global = true)]
    pub dead_letters_url: Option<String>,
    /// Where the ledger is, if not under the lake's checkpoints/
    #[arg(long, env = "CHECKPOINTS_URL", value_name = "URL", global = true)]
    pub checkpoints_url: Option<String>,
}

/// The place of each zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeUrls {
    zones: [(&'static str, StoreUrl); 4],
}

impl LakeUrls {
    /// A lake with all zones below one URL.
    ///
    /// # Errors
    /// [`Error::Settings`] when the text is no URL of a supported kind.
    pub fn below(lake_url: &str) -> Result<Self, Error> {
        LakeArgs { lake_url: Some(lake_url.to_owned()), ..LakeArgs::default() }.check()
    }

    /// Where a zone is, and the variable that said so.
    pub fn zone(&self, name: ZoneName) -> (&'static str, StoreUrl) {
        self.zones[name as usize].clone()
    }
}

impl LakeArgs {
    /// Checks all URLs together.
    ///
    /// # Errors
    /// [`Error::Settings`] with every mistake, each with the variable it stands in.
    pub fn check(&self) -> Result<LakeUrls, Error> {
        let mut problems = Problems::default();
        let lake = self.lake_url.as_deref().filter(|text| !text.is_empty());
        let lake = lake.and_then(|text| problems.keep("LAKE_URL", StoreUrl::parse(text)));
        let mut zone = |variable, own: &Option<String>, name: ZoneName| {
            let url = match own.as_deref().filter(|text| !text.is_empty()) {
                Some(text) => problems.keep(variable, StoreUrl::parse(text)),
                None => lake.as_ref().map(|lake| lake.join(name.as_str())),
            };
            let said_by = if own.as_deref().is_some_and(|text| !text.is_empty()) { variable } else { "LAKE_URL" };
            url.map(|url| (said_by, url))
        };
        let zones = [
            zone("RAW_URL", &self.raw_url, ZoneName::Raw),
            zone("BRONZE_URL", &self.bronze_url, ZoneName::Bronze),
            zone("DEAD_LETTERS_URL", &self.dead_letters_url, ZoneName::DeadLetters),
            zone("CHECKPOINTS_URL", &self.checkpoints_url, ZoneName::Checkpoints),
        ];
        match zones {
            [Some(raw), Some(bronze), Some(dead_letters), Some(checkpoints)] if problems.is_empty() => {
                Ok(LakeUrls { zones: [raw, bronze, dead_letters, checkpoints] })
            }
            _ => {
                if problems.is_empty() {
                    problems.add("LAKE_URL", "is not set; say where the lake is, for example LAKE_URL=s3://lake");
                }
                Err(Error::Settings(problems))
            }
        }
    }
}

/// A place that a zone can be stored at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `s3://bucket/prefix`; the prefix may be empty.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix without slashes at its ends.
        prefix: String,
    },
    /// `file:///folder`.
    File {
        /// The folder, absolute.
        path: PathBuf,
    },
    /// `memory://prefix`: this process alone.
    Memory {
        /// The prefix without slashes at its ends.
        prefix: String,
    },
}

impl StoreUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Whatever stands before an @ in the host's place may be a password, and is not repeated.
        let after_scheme = text.split_once(':').map_or(text, |(_, rest)| rest).trim_start_matches('/');
        let host = after_scheme.split('/').next().unwrap_or_default();
        if !text.starts_with("file:///") && (host.contains('@') || host.contains(':') && text.contains('@')) {
            let what = "credentials do not belong in the URL; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            return Err(what.to_owned());
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("{text:?} is not a URL; write s3://bucket/prefix, file:///folder or memory://"));
        };
        if text.chars().any(char::is_control) {
            return Err(format!("{text:?} holds control characters"));
        }
        match scheme {
            "s3" | "s3a" => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if !is_bucket_name(bucket) {
                    return Err(format!(
                        "{bucket:?} is not a bucket's name (3 to 63 characters: lower-case letters, digits, \"-\", \".\")"
                    ));
                }
                Ok(Self::S3 { bucket: bucket.to_owned(), prefix: clean_prefix(prefix)? })
            }
            "file" => {
                let path = PathBuf::from(rest.strip_prefix("localhost").unwrap_or(rest));
                if !path.is_absolute() {
                    return Err(format!("{text:?} is not absolute; write file:///folder with three slashes"));
                }
                Ok(Self::File { path })
            }
            "memory" => Ok(Self::Memory { prefix: clean_prefix(rest)? }),
            _ => Err(format!("{scheme:?} is not a supported kind of store; use s3, file or memory")),
        }
    }

    fn join(&self, folder: &str) -> Self {
        let below = |prefix: &str| if prefix.is_empty() { folder.to_owned() } else { format!("{prefix}/{folder}") };
        match self {
            Self::S3 { bucket, prefix } => Self::S3 { bucket: bucket.clone(), prefix: below(prefix) },
            Self::File { path } => Self::File { path: path.join(folder) },
            Self::Memory { prefix } => Self::Memory { prefix: below(prefix) },
        }
    }
}

fn clean_prefix(prefix: &str) -> Result<String, String> {
    let prefix = prefix.trim_end_matches('/');
    if prefix.split('/').any(|segment| segment == "." || segment == ".." || segment.is_empty()) && !prefix.is_empty() {
        return Err(format!("the prefix {prefix:?} has an empty, \".\" or \"..\" segment"));
    }
    Ok(prefix.to_owned())
}

fn is_bucket_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::File { path } => write!(f, "file://{}", path.display()),
            Self::Memory { prefix } => write!(f, "memory://{prefix}"),
        }
    }
}

/// All that is wrong with the settings: what, and under which name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<(String, String)>);

impl Problems {
    /// Notes one mistake under the name of the flag, variable or key it stands in; the same one only once.
    pub fn add(&mut self, name: impl Into<String>, what: impl Into<String>) {
        let problem = (name.into(), what.into());
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// The value, or `None` with the mistake noted.
    pub fn keep<T>(&mut self, name: &str, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|what| self.add(name, what)).ok()
    }

    /// Takes over the mistakes in `result`, if these are settings' mistakes; other errors pass through.
    ///
    /// # Errors
    /// What `result` holds, when it is no [`Error::Settings`].
    pub fn absorb<T>(&mut self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Settings(more)) => {
                self.0.extend(more.0);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Ok` when nothing was noted.
    ///
    /// # Errors
    /// [`Error::Settings`] with all that was.
    pub fn into_result(self) -> Result<(), Error> {
        if self.is_empty() { Ok(()) } else { Err(Error::Settings(self)) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [(name, what)] => write!(f, "{name}: {what}"),
            many => {
                write!(f, "{} settings are wrong:", many.len())?;
                many.iter().try_for_each(|(name, what)| write!(f, "\n  {name}: {what}"))
            }
        }
    }
}
