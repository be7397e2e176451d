//! A lake in a folder: every file that can be an object is one, and everything else is accounted for.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
};

use bytes::Bytes;
use futures::TryStreamExt;
use lake::{
    ErrorKind,
    error::describe,
    keys::{Key, Prefix, ZoneName},
    settings::{LakeArgs, LakeUrls},
    store::{
        Created, FoundVersion, Lake, Listed, Removed, Wanted,
        folder::{FolderFailure, FolderStore},
        s3::to_path,
    },
};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, WriteMultipart};

use crate::ledger::{folder_lake, stream};

struct Folder {
    lake: Lake,
    root: tempfile::TempDir,
}

impl Folder {
    async fn new() -> Self {
        let (lake, root) = folder_lake().await;
        Self { lake, root }
    }

    fn raw(&self, name: &str) -> PathBuf {
        self.root.path().join("raw/events").join(name)
    }

    fn land(&self, name: &str, body: &str) {
        fs::create_dir_all(self.raw(name).parent().unwrap()).unwrap();
        fs::write(self.raw(name), body).unwrap();
    }

    async fn list(&self, after: Option<&str>) -> BTreeMap<String, Listed> {
        let after = after.map(raw_key);
        let listed: Vec<_> = self.lake.list(&Prefix::Raw(&stream()), after.as_ref()).try_collect().await.unwrap();
        let name = |listed: &Listed| listed.key.strip_prefix("raw/events/").unwrap().to_owned();
        listed.into_iter().map(|listed| (name(&listed), listed)).collect()
    }
}

fn raw_key(name: &str) -> Key {
    Key::Raw { stream: stream(), rest: name.to_owned() }
}

const NAMES: &[&str] = &[
    "a.json#1",
    "#7",
    "b.json",
    "line\nfeed",
    "tab\t",
    "\u{1b}[31m",
    "per%2Fcent",
    "%~marked",
    "deep/er/c#2",
    "ünï-日本",
    ".hidden",
    "back\\slash",
    "two..dots",
    "star*?[x]",
];

#[tokio::test]
async fn every_name_that_is_text_is_a_key_that_can_be_listed_and_read() {
    let folder = Folder::new().await;
    for name in NAMES {
        folder.land(name, name);
    }
    let listed = folder.list(None).await;
    let mut expected = NAMES.to_vec();
    expected.sort_unstable();
    assert_eq!(listed.keys().collect::<Vec<_>>(), expected);
    for (name, listed) in listed {
        let key = raw_key(&name);
        assert!(listed.is_object);
        assert_eq!(folder.lake.read(&key).await.unwrap(), Some(Bytes::from(name.clone())));
        assert_eq!(folder.lake.head(&key).await.unwrap().unwrap(), listed);
        let opened = folder.lake.open_version(&key, &listed.etag).await.unwrap();
        assert_eq!(opened.bytes().await.unwrap(), name.as_bytes());
    }
}

#[tokio::test]
async fn a_listing_after_a_key_shows_what_sorts_after_it() {
    let folder = Folder::new().await;
    for name in NAMES {
        folder.land(name, "");
    }
    for after in NAMES {
        let mut expected: Vec<_> = NAMES.iter().filter(|name| *name > after).collect();
        expected.sort_unstable();
        assert_eq!(folder.list(Some(after)).await.keys().collect::<Vec<_>>(), expected, "after {after:?}");
    }
}

#[tokio::test]
async fn a_version_follows_from_size_and_time_alone() {
    let folder = Folder::new().await;
    folder.land("a.json", "[1]");
    let before = folder.list(None).await;
    let copied = Command::new("cp").arg("-a").args([folder.raw("a.json"), folder.raw("copy.json")]).status().unwrap();
    assert!(copied.success());
    fs::rename(folder.raw("copy.json"), folder.raw("a.json")).unwrap();
    assert_eq!(folder.list(None).await, before, "another inode, but the same version");

    let file = fs::File::options().write(true).open(folder.raw("a.json")).unwrap();
    let changed = file.metadata().unwrap().modified().unwrap();
    file.set_modified(changed + std::time::Duration::from_nanos(1)).unwrap();
    let after = folder.list(None).await;
    assert_ne!(after["a.json"].etag, before["a.json"].etag);
    let refused = folder.lake.open_version(&raw_key("a.json"), &before["a.json"].etag).await;
    assert!(matches!(refused, Err(object_store::Error::Precondition { .. })));
}

#[tokio::test]
async fn what_cannot_be_an_object_is_listed_as_such_and_never_read() {
    let folder = Folder::new().await;
    folder.land("a.json", "[]");
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9\n\xe2\x80\xae.json");
    fs::write(folder.raw("").join(name), "[]").unwrap();
    assert!(Command::new("mkfifo").arg(folder.raw("pipe")).status().unwrap().success());
    std::os::unix::fs::symlink("nothing", folder.raw("dangling")).unwrap();
    std::os::unix::fs::symlink("circle", folder.raw("circle")).unwrap();
    std::os::unix::fs::symlink(".", folder.raw("loop")).unwrap();

    let listed = folder.list(None).await;
    let objects: Vec<_> = listed.iter().map(|(name, listed)| (name.as_str(), listed.is_object)).collect();
    let expected = [
        ("a.json", true),
        ("caf\\xe9\\n\\u{202e}.json", false),
        ("circle", false),
        ("dangling", false),
        ("loop", false),
        ("pipe", false),
    ];
    assert_eq!(objects, expected);
    // Opening a pipe without a writer would wait forever.
    assert_eq!(folder.lake.read(&raw_key("pipe")).await.unwrap(), None);
}

/// A folder outside of the lake with one file, and links to both and within the lake.
fn with_links(folder: &Folder) -> tempfile::TempDir {
    folder.land("a.json", "[1]");
    folder.land("sub/b.json", "[1]");
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("far.json"), "[2]").unwrap();
    let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, folder.raw(name)).unwrap();
    link(Path::new("a.json"), "again.json");
    link(Path::new("sub"), "inside");
    link(elsewhere.path(), "there");
    link(&elsewhere.path().join("far.json"), "far.json");
    link(Path::new("there/far.json"), "through.json");
    elsewhere
}

/// Fails when a link makes anything outside of the lake an input, or lets a write through.
#[tokio::test]
async fn links_are_followed_within_a_zone_and_not_out_of_it() {
    let folder = Folder::new().await;
    let elsewhere = with_links(&folder);
    let listed = folder.list(None).await;
    let objects: Vec<_> = listed.iter().map(|(name, listed)| (name.as_str(), listed.is_object)).collect();
    let expected = [
        ("a.json", true),
        ("again.json", true),
        ("far.json", false),
        ("inside/b.json", true),
        ("sub/b.json", true),
        ("there", false),
        ("through.json", false),
    ];
    assert_eq!(objects, expected);
    for name in ["far.json", "there/far.json", "through.json"] {
        assert_eq!(folder.lake.read(&raw_key(name)).await.unwrap(), None, "{name}");
    }
    let refused = folder.lake.create(&raw_key("there/new.json"), Bytes::new()).await.unwrap_err();
    assert!(describe(&refused).contains("FOLLOW_LINKS=true"), "{}", describe(&refused));
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);

    // The same for a stream that is a link as a whole, and for every zone.
    let ours = folder.root.path();
    std::os::unix::fs::symlink(elsewhere.path(), ours.join("raw/linked")).unwrap();
    fs::create_dir_all(ours.join("checkpoints")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), ours.join("checkpoints/linked")).unwrap();
    let stream: lake::ids::StreamName = "linked".parse().unwrap();
    let listed: Vec<_> = folder.lake.list(&Prefix::Raw(&stream), None).try_collect().await.unwrap();
    assert!(listed.iter().all(|listed| !listed.is_object) && listed.len() == 1, "{listed:?}");
    assert_eq!(folder.lake.streams().await.unwrap(), []);
}

/// Fails when a file is read because the file before it in the same folder could be: that one leads back into the lake.
#[tokio::test]
async fn of_many_files_those_below_a_link_out_of_the_zone_are_not_read() {
    let folder = Folder::new().await;
    let elsewhere = with_links(&folder);
    std::os::unix::fs::symlink(folder.raw("a.json"), elsewhere.path().join("back.json")).unwrap();
    let all = Folder { lake: lake_that_follows(&folder).await, root: folder.root };
    let listed = all.list(None).await;
    let names =
        ["a.json", "far.json", "again.json", "there/back.json", "there/far.json", "inside/b.json", "sub/b.json"];
    let wanted = names.map(|name| Wanted { key: raw_key(name), etag: listed[name].etag.clone(), whole: true });
    let lake = Lake::open(&LakeUrls::below(&format!("file://{}", all.root.path().display())).unwrap()).await.unwrap();
    let found = lake.fetch(wanted.to_vec()).map(Result::unwrap);
    let read: Vec<_> = names.iter().zip(found).filter(|(_, found)| *found != FoundVersion::Missing).collect();
    let read: Vec<_> = read.into_iter().map(|(name, _)| *name).collect();
    assert_eq!(read, ["a.json", "again.json", "there/back.json", "inside/b.json", "sub/b.json"]);
}

/// The lake in this folder, for a user who follows links.
async fn lake_that_follows(folder: &Folder) -> Lake {
    let args = LakeArgs {
        lake_url: Some(format!("file://{}", folder.root.path().display())),
        follow_links: Some("true".to_owned()),
        ..LakeArgs::default()
    };
    Lake::open(&args.check().unwrap()).await.unwrap()
}

/// A user may follow links, and still nothing outside of the lake is moved or deleted.
#[tokio::test]
async fn links_out_of_a_zone_are_followed_if_that_is_set_and_nothing_there_is_ever_deleted() {
    let folder = Folder::new().await;
    let elsewhere = with_links(&folder);
    let folder = Folder { lake: lake_that_follows(&folder).await, root: folder.root };
    let listed = folder.list(None).await;
    for name in ["far.json", "there/far.json", "through.json"] {
        assert!(listed[name].is_object, "{name}");
        assert_eq!(folder.lake.read(&raw_key(name)).await.unwrap(), Some(Bytes::from_static(b"[2]")), "{name}");
    }
    let refused = folder.lake.delete_version(&raw_key("there/far.json"), &listed["there/far.json"].etag).await;
    assert!(describe(&refused.unwrap_err()).contains("nothing outside of it is deleted"));
    for name in ["far.json", "through.json"] {
        // The link is in the zone; what it leads to is not.
        assert_eq!(folder.lake.delete_version(&raw_key(name), &listed[name].etag).await.unwrap(), Removed::Gone);
        assert!(!folder.raw(name).is_symlink());
    }
    assert_eq!(fs::read(elsewhere.path().join("far.json")).unwrap(), b"[2]");
}

#[tokio::test]
async fn only_the_first_write_creates_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lake");
    let lake = Lake::open(&LakeUrls::below(&format!("file://{}", root.display())).unwrap()).await.unwrap();
    assert_eq!(lake.read(&Key::Probe).await.unwrap(), None);
    assert!(lake.streams().await.unwrap().is_empty());
    for name in ZoneName::ALL {
        lake.check_reachable(name).await.unwrap();
    }
    assert!(!root.exists());
    assert_eq!(lake.create(&Key::Probe, Bytes::new()).await.unwrap(), Created::Ours);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
}

#[tokio::test]
async fn a_file_in_place_of_a_zone_is_reported_when_the_lake_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("raw"), "").unwrap();
    let urls = LakeUrls::below(&format!("file://{}", folder.path().display())).unwrap();
    let error = Lake::open(&urls).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("is not a folder"), "{error}");
}

/// A store in an empty folder.
fn store() -> (FolderStore, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    (FolderStore::new(root.path()), root)
}

/// The names of all files in a folder, including hidden ones.
fn files(root: &tempfile::TempDir) -> Vec<String> {
    let names = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[tokio::test]
async fn a_file_that_is_still_being_written_is_never_listed() {
    let (store, root) = store();
    let path = to_path("large#1");
    let mut upload = store.put_multipart(&path).await.unwrap();
    upload.put_part("half of it".into()).await.unwrap();
    assert_eq!(files(&root).len(), 1, "the staged file exists");
    assert!(store.list(None).try_collect::<Vec<_>>().await.unwrap().is_empty());
    let mut upload = WriteMultipart::new(upload);
    upload.write(b", and the rest");
    upload.finish().await.unwrap();
    assert_eq!(files(&root), ["large#1"]);
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "half of it, and the rest");
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let (store, root) = store();
    let mut upload = store.put_multipart(&to_path("a")).await.unwrap();
    upload.put_part("half".into()).await.unwrap();
    upload.abort().await.unwrap();
    drop(store.put_multipart(&to_path("b")).await.unwrap());
    assert_eq!(files(&root), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_creates_of_one_name_one_wins_and_keeps_its_bytes() {
    let (store, root) = store();
    let path = to_path("deep/commit.json");
    let creates = (0..32).map(|number: u32| {
        let (store, path) = (store.clone(), path.clone());
        tokio::spawn(async move {
            let created = store.put_opts(&path, number.to_string().into(), PutMode::Create.into()).await;
            match created {
                Ok(_) => Some(number),
                Err(object_store::Error::AlreadyExists { .. }) => None,
                Err(error) => panic!("{error}"),
            }
        })
    });
    let mut winners = Vec::new();
    for create in creates.collect::<Vec<_>>() {
        winners.extend(create.await.unwrap());
    }
    let [winner] = winners[..] else { panic!("{winners:?}") };
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), winner.to_string());
    assert_eq!(fs::read_dir(root.path().join("deep")).unwrap().count(), 1, "the losers left nothing");
}

#[tokio::test]
async fn a_location_never_leads_out_of_the_folder() {
    let (store, root) = store();
    let outside = root.path().with_extension("outside");
    for location in ["..", "a/../../b", "/", "a//b", "a\0", "./a", "%~%0A%2F..%2F..%2Fa"] {
        let path = to_path(location);
        assert!(matches!(store.get(&path).await, Err(object_store::Error::NotFound { .. })), "{location:?}");
        if location != "%~%0A%2F..%2F..%2Fa" {
            assert!(store.put(&path, "x".into()).await.is_err(), "{location:?}");
        }
        assert!(store.list(Some(&path)).try_collect::<Vec<_>>().await.unwrap().is_empty(), "{location:?}");
    }
    assert!(!outside.exists());
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_an_error_and_not_a_mixture() {
    let (store, root) = store();
    let path = to_path("a");
    store.put(&path, vec![b'a'; 4 << 20].into()).await.unwrap();
    let mut body = store.get(&path).await.unwrap().into_stream();
    assert!(body.try_next().await.unwrap().unwrap().len() < 4 << 20, "in pieces");
    fs::write(root.path().join("a"), vec![b'b'; (4 << 20) - 1]).unwrap();
    let error = body.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(FolderFailure::of(&error).unwrap().to_string().contains("changed while it was read"), "{error}");
}

/// Fails when everything is looked for in the raw zone: a copy of a bad object is then missing.
#[tokio::test]
async fn versions_are_fetched_each_from_its_own_zone_in_the_order_asked_for() {
    let (lake, _root) = folder_lake().await;
    let copy = |input: &str| Key::ObjectCopy {
        stream: stream(),
        batch: lake::ids::BatchId::FIRST,
        input: input.parse().unwrap(),
        plan: None,
    };
    let keys = [raw_key("a"), copy("00001"), copy("00002"), raw_key("b"), copy("00003")];
    let mut wanted = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        let body = Bytes::from(format!("body {number}"));
        assert_eq!(lake.create(key, body).await.unwrap(), Created::Ours);
        let etag = lake.head(key).await.unwrap().unwrap().etag;
        wanted.push(Wanted { key: key.clone(), etag, whole: number != 3 });
    }
    wanted.push(Wanted { key: copy("00009"), ..wanted[0].clone() });
    let mut fetching = lake.fetch(wanted);
    assert_eq!(fetching.arrived().await, 6, "files need no network");
    let found = fetching.map(Result::unwrap).collect::<Vec<_>>();
    let whole = |number: usize| FoundVersion::Whole(format!("body {number}").into());
    assert_eq!(found, [whole(0), whole(1), whole(2), FoundVersion::There, whole(4), FoundVersion::Missing]);
}

/// A file that a killed process left, last changed this many hours ago.
fn left(file: &Path, hours: u64) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "half of it").unwrap();
    age(file, hours);
}

fn age(file: &Path, hours: u64) {
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(hours * 3_600);
    fs::File::options().write(true).open(file).unwrap().set_modified(then).unwrap();
}

#[tokio::test]
async fn what_killed_processes_left_half_written_is_removed_in_every_folder_of_the_stream() {
    let folder = Folder::new().await;
    let lefts = [
        "raw/events/a/.sluice-1.partial",
        "raw/_archive/events/.sluice-2.partial",
        "bronze/events/ingested_date=2026-11-20/.sluice-3.partial",
        "dead_letters/events/objects/.sluice-4.partial",
        "checkpoints/events/plans/.sluice-5.partial",
    ];
    // Too new, of another stream, an object, what was an object, and what another program calls so.
    let others = [
        ("raw/events/.sluice-6.partial", 0),
        ("raw/other/.sluice-7.partial", 2),
        ("raw/events/a.partial", 2),
        ("raw/events/.sluice-8.aside", 2),
        ("raw/events/.sluice-9.partial/b.json", 2),
    ];
    lefts.iter().for_each(|name| left(&folder.root.path().join(name), 2));
    others.iter().for_each(|(name, hours)| left(&folder.root.path().join(name), *hours));
    fs::write(folder.raw(".sluice-empty.partial"), "").unwrap();
    age(&folder.raw(".sluice-empty.partial"), 2);

    assert_eq!(folder.lake.remove_leftovers(&stream()).await.unwrap(), 6);
    assert!(lefts.iter().all(|name| !folder.root.path().join(name).exists()));
    assert!(others.iter().all(|(name, _)| folder.root.path().join(name).exists()));
    assert_eq!(folder.list(None).await.into_keys().collect::<Vec<_>>(), [".sluice-9.partial/b.json", "a.partial"]);
}

#[tokio::test]
async fn a_file_that_a_live_process_writes_is_never_a_leftover() {
    let folder = Folder::new().await;
    let store = folder.lake.store(&raw_key("a"));
    let mut upload = store.put_multipart(&folder.lake.path(&raw_key("a.json"))).await.unwrap();
    upload.put_part("[{\"id\": 1}]".into()).await.unwrap();
    let names = || fs::read_dir(folder.raw("")).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let [partial] = names().try_into().unwrap();
    age(&partial, 24);
    assert_eq!(folder.lake.remove_leftovers(&stream()).await.unwrap(), 0);
    upload.complete().await.unwrap();
    assert_eq!(fs::read_to_string(folder.raw("a.json")).unwrap(), "[{\"id\": 1}]");
    assert_eq!(names().len(), 1);
}

#[tokio::test]
async fn leftovers_are_not_looked_for_through_links() {
    let folder = Folder::new().await;
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("events/.sluice-1.partial");
    left(&file, 2);
    folder.land("a.json", "[]");
    std::os::unix::fs::symlink(outside.path(), folder.raw("linked")).unwrap();
    std::os::unix::fs::symlink(&file, folder.raw(".sluice-2.partial")).unwrap();
    fs::create_dir_all(folder.root.path().join("bronze")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("events"), folder.root.path().join("bronze/events")).unwrap();
    assert_eq!(folder.lake.remove_leftovers(&stream()).await.unwrap(), 0);
    assert!(file.exists());
}
