//! Where the lake is, and whether a target is inside it, however the target is written.
//!
//! Asks the file system about symbolic links, and about folders with several names. Invariant: a target that can't be
//! resolved counts as inside the lake.

mod links;

use std::{
    collections::VecDeque,
    fs,
    path::{Component, Path, PathBuf},
};

use lake::settings::StoreUrl;

/// The most symbolic links that are followed, as in Linux.
const LINKS_MAX: usize = 40;
/// The URL schemes of objects that DuckDB writes, all through one protocol.
const OBJECT_SCHEMES: [&str; 6] = ["s3://", "s3a://", "s3n://", "gcs://", "gs://", "r2://"];

/// The protected places.
#[derive(Debug)]
pub(super) struct Places {
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Bucket { bucket: String, prefix: Vec<String> },
}

impl Places {
    pub(super) fn new(urls: &[StoreUrl]) -> Self {
        let kept = urls.iter().filter_map(|url| {
            let place = match url {
                StoreUrl::File { path } => Place::Folder(path.clone()),
                StoreUrl::S3 { bucket, prefix } => {
                    Place::Bucket { bucket: bucket.to_lowercase(), prefix: segments(prefix) }
                }
                StoreUrl::Memory { .. } => return None,
            };
            Some(Kept { url: url.to_string(), place })
        });
        Self { kept: kept.collect() }
    }

    /// Checks that a target is outside all places and contains none of them: a folder may be overwritten as a whole.
    ///
    /// # Errors
    /// The reason as text.
    pub(super) fn check(&self, target: &str) -> Result<(), String> {
        if target.is_empty() || target == ":memory:" {
            return Ok(());
        }
        let object = object_of(target)?;
        let file = resolved(target).ok_or_else(|| format!("{target:?} can't be resolved; write its full path"))?;
        let touched = self.kept.iter().find(|kept| match &kept.place {
            Place::Folder(folder) => resolved_path(folder).is_none_or(|folder| touches(&file, &folder)),
            Place::Bucket { bucket, prefix } => object
                .as_ref()
                .is_some_and(|(other, key)| bucket == other && key.iter().zip(prefix).all(|(one, other)| one == other)),
        });
        match touched {
            Some(kept) => {
                Err(format!("{target:?} is in the lake ({}), which is read-only here; write elsewhere", kept.url))
            }
            None if object.is_some() => Ok(()),
            None => self.check_links(&file),
        }
    }

    /// The protected buckets, in lower case.
    pub(super) fn buckets(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().filter_map(|kept| match &kept.place {
            Place::Bucket { bucket, .. } => Some(bucket.as_str()),
            Place::Folder(_) => None,
        })
    }

    /// Whether any place is on an object store.
    pub(super) fn has_bucket(&self) -> bool {
        self.buckets().next().is_some()
    }

    /// Checks that no link leads into a protected folder from a target, its contents, or files that DuckDB writes next
    /// to it.
    fn check_links(&self, file: &Path) -> Result<(), String> {
        let folders = self.kept.iter().filter_map(|kept| match &kept.place {
            Place::Folder(folder) => resolved_path(folder),
            Place::Bucket { .. } => None,
        });
        let folders: Vec<PathBuf> = folders.collect();
        if folders.is_empty() { Ok(()) } else { links::check(file, &folders) }
    }
}

/// Whether a target is on an object store.
pub(super) fn is_object(target: &str) -> bool {
    scheme_of(target).is_some()
}

fn scheme_of(target: &str) -> Option<&'static str> {
    let is_first = |scheme: &&str| target.get(..scheme.len()).is_some_and(|first| first.eq_ignore_ascii_case(scheme));
    OBJECT_SCHEMES.into_iter().find(is_first)
}

/// The bucket and the key of a target on an object store; `None` for any other.
fn object_of(target: &str) -> Result<Option<(String, Vec<String>)>, String> {
    let Some(scheme) = scheme_of(target) else { return Ok(None) };
    let rest = &target[scheme.len()..];
    if rest.contains('?') || rest.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(format!("{target:?} has a \"?\", \".\" or \"..\" part; write the object's plain address"));
    }
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    // httpfs sends a bucket's name unescaped, so a name that a server could read differently is refused.
    if bucket.contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_')) {
        return Err(format!("{bucket:?} is not a valid bucket name"));
    }
    Ok(Some((bucket.to_lowercase(), segments(key))))
}

fn segments(key: &str) -> Vec<String> {
    key.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

/// Whether the two are the same, or one contains the other.
fn touches(file: &Path, folder: &Path) -> bool {
    file.starts_with(folder)
        || folder.starts_with(file)
        || file.ancestors().any(|above| is_same(above, folder))
        || folder.ancestors().any(|above| is_same(above, file))
}

/// Whether both names are the same folder, as with a bind mount or on a file system that ignores case.
#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(_: &Path, _: &Path) -> bool {
    false
}

/// The path that DuckDB would open, with all links resolved.
fn resolved(target: &str) -> Option<PathBuf> {
    let path = ["file://localhost/", "file:///", "file:/"].iter().find_map(|prefix| target.strip_prefix(prefix));
    let path = match path {
        Some(path) => PathBuf::from(format!("/{path}")),
        None => match target.strip_prefix('~') {
            Some(rest) => PathBuf::from(format!("{}{rest}", std::env::var("HOME").unwrap_or_default())),
            None => PathBuf::from(target),
        },
    };
    resolved_path(&std::env::current_dir().ok()?.join(path))
}

/// An absolute path with links, `.` and `..` resolved; its end need not exist. `None` for a circle of links.
fn resolved_path(path: &Path) -> Option<PathBuf> {
    let mut left: VecDeque<PathBuf> = path.components().map(|part| PathBuf::from(part.as_os_str())).collect();
    let mut done = PathBuf::new();
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        match part.components().next()? {
            Component::ParentDir => drop(done.pop()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => done.push(part),
            Component::Normal(name) => {
                done.push(name);
                // A dangling link is followed too: writing to it creates its target.
                let Ok(target) = fs::read_link(&done) else { continue };
                links += 1;
                if links > LINKS_MAX {
                    return None;
                }
                done.pop();
                target.components().rev().for_each(|part| left.push_front(PathBuf::from(part.as_os_str())));
            }
        }
    }
    Some(done)
}
