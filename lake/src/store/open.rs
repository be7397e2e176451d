//! Opens the zones of a lake from their URLs.

use std::{collections::HashMap, io, path::Path, sync::Arc};

use futures::TryStreamExt;
use object_store::{ObjectStore, memory::InMemory};

use super::{
    Lake, Transfers, Unconditional, Versions, Zone,
    folder::{FolderStore, OutwardLinks},
    s3::{S3Failure, S3Store, Waits},
};
use crate::{
    error::Error,
    keys::ZoneName,
    settings::{LakeUrls, Problems, StoreUrl},
};

impl Lake {
    /// Opens each zone where the settings put it. Zones in one bucket share one client.
    ///
    /// Sends nothing to an S3 store yet: see [`Lake::check_reachable`]. A missing `file://` folder counts as empty; the
    /// first write creates it.
    ///
    /// # Errors
    /// [`Error::Settings`], naming the variable, when a zone can't be opened. Correct it and start again.
    pub async fn open(urls: &LakeUrls) -> Result<Self, Error> {
        Self::open_with(urls, Waits::LONG).await
    }

    /// Like [`Lake::open`], for interactive programs: gives up after half a minute on a store that does not answer.
    ///
    /// # Errors
    /// As [`Lake::open`].
    pub async fn open_to_look(urls: &LakeUrls) -> Result<Self, Error> {
        Self::open_with(urls, Waits::SHORT).await
    }

    async fn open_with(urls: &LakeUrls, waits: Waits) -> Result<Self, Error> {
        let outward_links = urls.outward_links();
        let mut opened = Opened { waits, outward_links, buckets: HashMap::new(), memory: None };
        let mut zones = Vec::with_capacity(ZoneName::ALL.len());
        let mut problems = Problems::default();
        for name in ZoneName::ALL {
            let (variable, url) = urls.zone(name);
            match opened.open(name, &url).await {
                Ok(zone) => zones.push(zone),
                Err(Refused { name, what }) => problems.add(name.as_deref().unwrap_or(variable), what),
            }
        }
        problems.into_result()?;
        let opened = <[Zone; ZoneName::COUNT]>::try_from(zones);
        let zones = opened.map_err(|_| Error::Bug("a zone was neither opened nor refused".to_owned()))?;
        Ok(Self { zones: Arc::new(zones), transfers: Transfers::default() })
    }
}

impl Lake {
    /// Makes sure that any zone exists: to a program that only reads, a mistyped URL looks like an empty lake. A zone
    /// in a folder exists if the folder does, and any other if it contains an object. An S3 store reports a missing
    /// bucket itself.
    ///
    /// # Errors
    /// [`Error::NoLake`] when no zone exists; [`Error::Store`] when that can't be checked.
    pub async fn check_exists(&self) -> Result<(), Error> {
        for name in ZoneName::ALL {
            let zone = self.zone(name);
            let found = match &zone.folder {
                Some(folder) => folder.exists().await,
                None => zone.store.list(Some(&zone.path(name.as_str()))).try_next().await.map(|any| any.is_some()),
            };
            if found.map_err(Error::store(format!("access {zone}")))? {
                return Ok(());
            }
        }
        let zone = self.zone(ZoneName::Checkpoints);
        let url = zone.url().strip_suffix("/checkpoints").unwrap_or(zone.url()).to_owned();
        Err(Error::NoLake { url })
    }
}

/// The stores opened so far; buckets by their name.
struct Opened {
    waits: Waits,
    outward_links: OutwardLinks,
    buckets: HashMap<String, Arc<S3Store>>,
    memory: Option<Arc<dyn ObjectStore>>,
}

/// A store, and what it can do to versions.
type Both = (Arc<dyn ObjectStore>, Arc<dyn Versions>);

/// Why a zone can't be opened, and the setting to correct if it is not the zone's own.
struct Refused {
    name: Option<String>,
    what: String,
}

impl Opened {
    async fn open(&mut self, name: ZoneName, url: &StoreUrl) -> Result<Zone, Refused> {
        let (mut folder, mut s3) = (None, None);
        let ((store, versions), root): (Both, String) = match url {
            StoreUrl::S3 { bucket, prefix } => {
                let bucket = self.bucket(bucket).await?;
                s3 = Some(Arc::clone(&bucket));
                ((Arc::<S3Store>::clone(&bucket), bucket), prefix.clone())
            }
            StoreUrl::Memory { prefix } => {
                let memory = self.memory.get_or_insert_with(|| Arc::new(InMemory::new()));
                ((Arc::clone(memory), Arc::new(Unconditional(Arc::clone(memory)))), prefix.clone())
            }
            StoreUrl::File { path } => {
                let opened = check_folder(path, self.outward_links).map_err(|what| Refused { name: None, what })?;
                let opened = Arc::new(folder.insert(opened).clone());
                ((Arc::<FolderStore>::clone(&opened), opened), String::new())
            }
        };
        Ok(Zone { name, store, versions, root, url: url.to_string(), folder, bucket: s3 })
    }

    async fn bucket(&mut self, bucket: &str) -> Result<Arc<S3Store>, Refused> {
        if let Some(store) = self.buckets.get(bucket) {
            return Ok(Arc::clone(store));
        }
        let store = S3Store::connect_with(bucket, self.waits).await.map_err(|error| match error {
            S3Failure::Settings { name, what } => Refused { name: Some(name), what },
            error => Refused { name: None, what: crate::error::describe(&error) },
        })?;
        let store = Arc::new(store);
        self.buckets.insert(bucket.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

fn check_folder(path: &Path, links: OutwardLinks) -> Result<FolderStore, String> {
    match path.metadata() {
        Ok(found) if !found.is_dir() => Err(format!("{path:?} is not a folder")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("cannot access {path:?}: {error}")),
        _ => Ok(FolderStore::with_links(path, links)),
    }
}
