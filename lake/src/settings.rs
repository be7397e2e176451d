//! Where a lake is: from flags, the environment and `.env`, in this order of precedence.
//!
//! Raw text in, checked values out; reports every mistake at once.

use std::{fmt, path::PathBuf};

use crate::{error::Error, keys::ZoneName, store::folder::OutwardLinks};

/// The flags that set where the lake is; every program has them: `--lake-url`, one for each zone, and `--follow-links`.
#[derive(Clone, Debug, Default)]
pub struct LakeArgs {
    /// The lake, as `s3://bucket/prefix`, `file:///folder` or `memory://`.
    pub lake_url: Option<String>,
    /// Each zone's own place, if it has one.
    pub zone_urls: [Option<String>; ZoneName::COUNT],
    /// Whether links that lead out of a `file://` zone are followed: `true` or `false`.
    pub follow_links: Option<String>,
}

const LAKE_URL: &str = "LAKE_URL";

/// The variable that says whether links that lead out of a `file://` zone are followed.
pub const FOLLOW_LINKS: &str = "FOLLOW_LINKS";

impl clap::Args for LakeArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        let flag = |id: &'static str, flag: &'static str, variable: &'static str, help: &'static str| {
            clap::Arg::new(id).long(flag).env(variable).value_name("URL").global(true).help(help).help_heading("Lake")
        };
        let lake = flag(LAKE_URL, "lake-url", LAKE_URL, "The lake, as s3://bucket/prefix, file:///folder or memory://");
        let zones = ZoneName::ALL.map(|zone| flag(zone.variable(), zone.flag(), zone.variable(), zone.help()));
        let links = "Follow links that lead out of a file:// zone: true or false (the default)";
        let links = flag(FOLLOW_LINKS, "follow-links", FOLLOW_LINKS, links).value_name("BOOL");
        command.arg(lake).args(zones).arg(links)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for LakeArgs {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let url = |id: &str| matches.get_one::<String>(id).cloned();
        let zone_urls = ZoneName::ALL.map(|zone| url(zone.variable()));
        Ok(Self { lake_url: url(LAKE_URL), zone_urls, follow_links: url(FOLLOW_LINKS) })
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The place of each zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeUrls {
    zones: [(&'static str, StoreUrl); ZoneName::COUNT],
    outward_links: OutwardLinks,
}

impl LakeUrls {
    /// A lake with all zones under one URL.
    ///
    /// # Errors
    /// [`Error::Settings`] when the text is not a URL of a supported kind.
    pub fn below(lake_url: &str) -> Result<Self, Error> {
        LakeArgs { lake_url: Some(lake_url.to_owned()), ..LakeArgs::default() }.check()
    }

    /// Where a zone is, and the variable that set it.
    pub fn zone(&self, name: ZoneName) -> (&'static str, StoreUrl) {
        self.zones[name as usize].clone()
    }

    /// What to do with links that lead out of a `file://` zone.
    pub fn outward_links(&self) -> OutwardLinks {
        self.outward_links
    }
}

impl LakeArgs {
    /// Checks all URLs together.
    ///
    /// # Errors
    /// [`Error::Settings`] with every mistake, each with its variable.
    pub fn check(&self) -> Result<LakeUrls, Error> {
        let mut problems = Problems::default();
        let lake = self.lake_url.as_deref().filter(|text| !text.is_empty());
        let lake = lake.and_then(|text| problems.keep(LAKE_URL, StoreUrl::parse(text)));
        let mut zones = Vec::with_capacity(ZoneName::COUNT);
        for (name, own) in ZoneName::ALL.into_iter().zip(&self.zone_urls) {
            let own = own.as_deref().filter(|text| !text.is_empty());
            let (variable, url) = match own {
                Some(text) => (name.variable(), problems.keep(name.variable(), StoreUrl::parse(text))),
                None => (LAKE_URL, lake.as_ref().map(|lake| lake.join(name.as_str()))),
            };
            zones.extend(url.map(|url| (variable, url)));
        }
        let outward_links = match self.follow_links.as_deref() {
            None | Some("" | "false") => OutwardLinks::Ignore,
            Some("true") => OutwardLinks::Follow,
            Some(other) => {
                problems.add(FOLLOW_LINKS, format!("{other:?} is neither true nor false"));
                OutwardLinks::Ignore
            }
        };
        match zones.try_into() {
            Ok(zones) if problems.is_empty() => Ok(LakeUrls { zones, outward_links }),
            _ => {
                if problems.is_empty() {
                    problems.add(LAKE_URL, "is not set: set it to where the lake is, for example LAKE_URL=s3://lake");
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
    /// `memory://prefix`: this process only.
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
        // Whatever comes before an @ in place of the host may be a password, and is not repeated.
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
            return Err(format!("{text:?} has control characters"));
        }
        match scheme {
            "s3" | "s3a" => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if !is_bucket_name(bucket) {
                    return Err(format!(
                        "{bucket:?} is not a bucket name (3 to 63 characters: lower-case letters, digits, \"-\", \".\")"
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

/// All mistakes in the settings: what is wrong, and under which name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<(String, String)>);

impl Problems {
    /// Notes a mistake under the name of its flag, variable or key; the same mistake only once.
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

    /// Takes over the mistakes in `result`, if it is a settings error; returns any other error.
    ///
    /// # Errors
    /// The error in `result`, if it is not an [`Error::Settings`].
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

    /// Whether no mistake was noted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Ok` if no mistake was noted.
    ///
    /// # Errors
    /// [`Error::Settings`] with all mistakes.
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
