//! Hints: what notifications say, how they arrive, and that they make objects visible without a poll.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use consumer::{
    discover::{BegunListing, Discovery, KnownInputs, KnownOnes, Mending},
    hints::{Hints, Intake, Limits, Listener},
    pipeline::{Pipeline, RunSettings},
};
use futures::FutureExt;
use lake::{
    clock::SystemClock,
    ids::BatchId,
    keys::Key,
    ledger::Ledger,
    store::{
        Lake,
        s3::{Credentials, S3Store},
    },
    stream::{Format, StreamDefinition},
};
use local_s3::{Config, NotifyTarget, Secret, Server};
use object_store::{ObjectStore, PutOptions, memory::InMemory};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use crate::{
    lake_in_a_folder::{FolderLake, contents, definition, events},
    lake_on_s3::{bucket, ids, land},
};

/// Far longer than a test may take.
const LONG: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(60);

const MINIO: &str = r#"{"EventName":"s3:ObjectCreated:Put","Key":"lake/raw/events/a b+ü.json",
 "Records":[{"eventVersion":"2.0","eventSource":"minio:s3","awsRegion":"",
 "eventTime":"2026-11-20T10:00:00.000Z","eventName":"s3:ObjectCreated:Put",
 "userIdentity":{"principalId":"admin"},"requestParameters":{"sourceIPAddress":"10.0.0.1"},
 "s3":{"s3SchemaVersion":"1.0","configurationId":"Config",
 "bucket":{"name":"lake","ownerIdentity":{"principalId":"admin"},"arn":"arn:aws:s3:::lake"},
 "object":{"key":"raw%2Fevents%2Fa+b%2B%C3%BC.json","size":2,"eTag":"d7","contentType":"application/json",
 "userMetadata":{"content-type":"application/json"},"sequencer":"18"}},"source":{"host":"10.0.0.1","port":""}}]}"#;

const AWS: &str = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1",
 "eventTime":"2026-11-20T10:00:00.000Z","eventName":"ObjectCreated:CompleteMultipartUpload",
 "s3":{"s3SchemaVersion":"1.0","configurationId":"raw",
 "bucket":{"name":"lake","arn":"arn:aws:s3:::lake"},"object":{"key":"raw/events/2026/b.json",
 "size":2,"eTag":"d7-2","sequencer":"18"}}},{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"lake"},
 "object":{"key":"raw/events/c.json"}}}]}"#;

const SEAWEEDFS: &str = r#"{"event_type":"create","key":"/buckets/lake/raw/events/a b+ü.json","message":{"new_entry":{
 "name":"a b+ü.json","chunks":[{"size":2,"e_tag":"11Fx","fid":{"volume_id":5,"file_key":1}}],
 "attributes":{"file_size":2},"extended":{"Seaweed-X-Amz-ETag":"ZDc="}},
 "delete_chunks":true,"new_parent_path":"/buckets/lake/raw/events",
 "signatures":[-923421313]}}"#;

/// A bucket at an address where nothing listens.
fn nowhere() -> Lake {
    let credentials = Credentials::new("tester", "test-secret", None, None, "test");
    Lake::on_bucket(S3Store::at("lake", "http://127.0.0.1:9", credentials).unwrap())
}

fn key(rest: &str) -> Key {
    Key::Raw { stream: events(), rest: rest.to_owned() }
}

/// Whether a hint has come, and the names below `raw/events/` that it says.
fn given(hints: &Hints) -> (bool, Vec<String>) {
    let woken = hints.arrived().now_or_never().is_some();
    let names = hints.take().into_iter().map(|key| key.to_string().trim_start_matches("raw/events/").to_owned());
    (woken, names.collect())
}

fn accepted(body: &[u8]) -> (bool, Vec<String>) {
    let hints = Hints::default();
    Intake::new(nowhere(), events(), hints.clone()).accept(body);
    given(&hints)
}

fn names(names: &[&str]) -> (bool, Vec<String>) {
    (true, names.iter().map(|name| (*name).to_owned()).collect())
}

const NOTHING: (bool, Vec<String>) = (false, Vec::new());

#[test]
fn notifications_of_s3_minio_and_seaweedfs_name_their_objects() {
    assert_eq!(accepted(MINIO.as_bytes()), names(&["a b+ü.json"]));
    assert_eq!(accepted(AWS.as_bytes()), names(&["2026/b.json", "c.json"]));
    assert_eq!(accepted(SEAWEEDFS.as_bytes()), names(&["a b+ü.json"]));
    let sns = json!({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:raw", "Message": AWS});
    assert_eq!(accepted(sns.to_string().as_bytes()), names(&["2026/b.json", "c.json"]));
    let bridge = json!({"version": "0", "detail-type": "Object Created", "source": "aws.s3", "detail": {
        "version": "0", "bucket": {"name": "lake"}, "object": {"key": "raw/events/a b+c.json", "size": 2}}});
    assert_eq!(accepted(bridge.to_string().as_bytes()), names(&["a b+c.json"]));
}

#[test]
fn notifications_about_anything_else_do_not_wake() {
    let put = |name: &str, bucket: &str, key: &str| {
        let record = json!({"eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}});
        accepted(json!({ "Records": [record] }).to_string().as_bytes())
    };
    assert_eq!(put("ObjectCreated:Put", "lake", "raw/events/a.json"), names(&["a.json"]));
    assert_eq!(put("s3:ObjectCreated:Put", "lake", "raw/other/a.json"), NOTHING);
    assert_eq!(put("s3:ObjectCreated:Put", "lake", "raw/events"), NOTHING);
    assert_eq!(put("s3:ObjectCreated:Put", "lake", "checkpoints/events/commits/1.json"), NOTHING);
    assert_eq!(put("s3:ObjectCreated:Put", "lakes", "raw/events/a.json"), NOTHING);
    assert_eq!(put("s3:ObjectCreated:Put", "lake", &format!("raw/events/{}", "a".repeat(2_000))), NOTHING);
    // A look would cause more of these.
    assert_eq!(put("s3:ObjectAccessed:Head", "lake", "raw/events/a.json"), NOTHING);
    assert_eq!(put("ObjectRemoved:Delete", "lake", "raw/events/a.json"), NOTHING);
    let deleted = json!({"event_type": "delete", "key": "/buckets/lake/raw/events/a.json", "message": {
        "old_entry": {"name": "a.json"}, "delete_chunks": true, "signatures": [1]}});
    assert_eq!(accepted(deleted.to_string().as_bytes()), NOTHING);
    let folder = SEAWEEDFS.replace("\"chunks\"", "\"is_directory\":true,\"chunks\"");
    assert_eq!(accepted(folder.as_bytes()), NOTHING);
}

#[test]
fn what_is_not_understood_wakes_and_names_nothing() {
    let deep = "[".repeat(100_000);
    let not_utf8 = MINIO.replace("%C3%BC", "%FF");
    let bodies: [&[u8]; 8] =
        [b"", b"{}", b"[]", b"\xff\xfe", deep.as_bytes(), not_utf8.as_bytes(), b"{\"Records\": 7}", b"hello"];
    for body in bodies {
        assert_eq!(accepted(body), names(&[]), "{:?}", String::from_utf8_lossy(body));
    }
}

#[test]
fn hints_that_wait_are_bounded() {
    let hints = Hints::default();
    for number in 0..100_000 {
        hints.name([key(&format!("{number}.json"))]);
    }
    let (woken, named) = given(&hints);
    assert!(woken && named.len() <= 1_000, "{}", named.len());
    assert_eq!(given(&hints), NOTHING);
}

/// A listener in this process.
struct Listening {
    address: SocketAddr,
    hints: Hints,
    serving: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Listening {
    async fn start(token: Option<&str>, limits: Limits) -> Self {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), token.map(Secret::new)).await.unwrap();
        let (address, hints) = (listener.address().unwrap(), Hints::default());
        let intake = Intake::new(nowhere(), events(), hints.clone());
        Self { address, hints, serving: tokio::spawn(listener.with_limits(limits).serve(intake)) }
    }

    /// Sends these bytes, and returns the status of the answer; 0 if the connection ends without one.
    async fn send(&self, bytes: &[u8]) -> u16 {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        status(&mut stream).await
    }

    async fn request(&self, method: &str, headers: &str, body: &str) -> u16 {
        let length = body.len();
        let head =
            format!("{method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}");
        self.send(format!("{head}\r\n{body}").as_bytes()).await
    }
}

/// Reads until the connection ends.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}

#[tokio::test]
async fn the_listener_passes_on_what_is_posted_and_answers_checks() {
    let listening = Listening::start(None, Limits::default()).await;
    for body in [MINIO, SEAWEEDFS] {
        assert_eq!(listening.request("POST", "", body).await, 200);
        assert_eq!(given(&listening.hints), names(&["a b+ü.json"]));
    }
    for method in ["HEAD", "GET", "OPTIONS"] {
        assert_eq!(listening.request(method, "", "").await, 200, "{method}");
    }
    assert_eq!(listening.request("DELETE", "", "").await, 405);
    assert_eq!(listening.request("POST", "", &MINIO.replace("events", "others")).await, 200);
    assert_eq!(given(&listening.hints), NOTHING);
    assert_eq!(listening.request("POST", "", "what?").await, 200);
    assert_eq!(given(&listening.hints), names(&[]));
    // As a sender does that keeps its connection open.
    let twice = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{AWS}", AWS.len());
    let end = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_eq!(listening.send(format!("{twice}{twice}{end}").as_bytes()).await, 200);
    assert_eq!(given(&listening.hints), names(&["2026/b.json", "c.json"]));
}

#[tokio::test]
async fn without_the_token_no_hint_is_taken() {
    let listening = Listening::start(Some("right"), Limits::default()).await;
    for headers in ["", "authorization: Bearer wrong\r\n", "authorization: right\r\n", "authorization: Basic right\r\n"]
    {
        assert_eq!(listening.request("POST", headers, MINIO).await, 401, "{headers}");
        assert_eq!(given(&listening.hints), NOTHING);
    }
    for headers in ["authorization: Bearer right\r\n", "Authorization: bearer  right\r\n"] {
        assert_eq!(listening.request("POST", headers, MINIO).await, 200, "{headers}");
        assert_eq!(given(&listening.hints), names(&["a b+ü.json"]));
    }
}

#[tokio::test]
async fn what_a_peer_sends_is_bounded() {
    let limits = Limits { body_bytes: 10_000, connections: 2, patience: Duration::from_millis(50), lifetime: LONG };
    let listening = Listening::start(None, limits).await;
    assert_eq!(listening.request("POST", "", &" ".repeat(10_001)).await, 413);
    assert_eq!(given(&listening.hints), names(&[]));
    let chunked =
        format!("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffff\r\n{}", " ".repeat(20_000));
    assert_eq!(listening.send(chunked.as_bytes()).await, 413);
    assert_eq!(given(&listening.hints), names(&[]));
    let many = format!("POST / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(10_000));
    assert!(matches!(listening.send(many.as_bytes()).await, 0 | 431));
    // Slow peers take all places: each is cut off, and the next one is served.
    let starts: [&[u8]; 3] =
        [b"", b"POST / HTTP/1.1\r\nhost", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"];
    for start in starts {
        let mut slow = Vec::new();
        for _ in 0..4 {
            let mut stream = TcpStream::connect(listening.address).await.unwrap();
            stream.write_all(start).await.unwrap();
            slow.push(stream);
        }
        assert_eq!(listening.request("POST", "", MINIO).await, 200);
        assert_eq!(given(&listening.hints), names(&["a b+ü.json"]));
        for mut stream in slow {
            assert!(matches!(status(&mut stream).await, 0 | 408));
        }
    }
}

/// A lake on a local-s3 server that sends its notifications to the consumer of `events`.
struct Notified {
    _server: Server,
    lake: Lake,
    hints: Hints,
    serving: JoinHandle<()>,
    _root: tempfile::TempDir,
}

impl Drop for Notified {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Notified {
    async fn start() -> Self {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Some(Secret::new("secret"))).await.unwrap();
        let target = NotifyTarget::parse(&format!("http://{}/", listener.address().unwrap())).unwrap();
        let root = tempfile::tempdir().unwrap();
        let config = Config::new(root.path(), local_s3::Credentials::new("tester", "test-secret")).bucket("lake");
        let server = Server::start(config.notify(target.with_token("secret").unwrap())).await.unwrap();
        let (lake, hints) = (Lake::on_bucket(bucket(&server)), Hints::default());
        let serving = tokio::spawn(listener.serve(Intake::new(lake.clone(), events(), hints.clone())));
        Self { _server: server, lake, hints, serving, _root: root }
    }

    fn ledger(&self) -> Ledger {
        Ledger::new(self.lake.clone(), events())
    }

    /// Runs a consumer that polls once an hour, until `done`.
    async fn run_until(&self, done: impl Future<Output = ()>) {
        let definition = StreamDefinition { interval: LONG, ..definition(Format::JsonArray) };
        let settings = RunSettings { hints: self.hints.clone(), ..RunSettings::in_process(false, 1) };
        let pipeline = Pipeline::open(self.lake.clone(), definition, Arc::new(SystemClock), settings).await.unwrap();
        tokio::time::timeout(PATIENCE, pipeline.run(done)).await.expect("no hint has woken the consumer").unwrap();
    }

    async fn committed(&self, batch: BatchId) {
        while self.ledger().commit(batch).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_becomes_visible_without_a_poll_whatever_its_name() {
    let notified = Notified::start().await;
    land(&notified.lake, "m.json", "[{\"id\": 0}]").await;
    notified
        .run_until(async {
            let mut batch = BatchId::FIRST;
            notified.committed(batch).await;
            // Sorts after what was listed, before it, and needs encoding.
            for (id, name) in ["n.json", "a.json", "a b+ü%.json"].into_iter().enumerate() {
                land(&notified.lake, name, &format!("[{{\"id\": {}}}]", id + 1)).await;
                batch = batch.next();
                notified.committed(batch).await;
            }
        })
        .await;
    let held = contents(&notified.ledger()).await;
    assert_eq!(ids(&held), (0..4).collect());
    assert_eq!(held.commits.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_hints_change_nothing_that_is_read() {
    let notified = Notified::start().await;
    land(&notified.lake, "m.json", "[{\"id\": 0}]").await;
    notified
        .run_until(async {
            notified.committed(BatchId::FIRST).await;
            let forged = ["m.json", "gone.json", "m.json/", "./m.json", "/m.json", "../events/m.json", "\u{202e}\n"];
            notified.hints.name(forged.map(key));
            notified.hints.name([Key::Probe, Key::Plan { stream: events(), batch: BatchId::FIRST }]);
            land(&notified.lake, "n.json", "[{\"id\": 1}]").await;
            notified.committed(BatchId::FIRST.next()).await;
        })
        .await;
    assert_eq!(ids(&contents(&notified.ledger()).await), (0..2).collect());
}

async fn put(store: &InMemory, rest: &str) {
    put_text(store, rest, "[]").await;
}

async fn put_text(store: &InMemory, rest: &str, text: &str) {
    let path = lake::store::s3::to_path(&format!("raw/events/{rest}"));
    store.put_opts(&path, Bytes::copy_from_slice(text.as_bytes()).into(), PutOptions::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn looks_that_hints_cause_are_a_tenth_of_the_interval_apart() {
    let store = Arc::new(InMemory::new());
    let (lake, hints) = (Lake::on_store(Arc::<InMemory>::clone(&store)), Hints::default());
    let definition = StreamDefinition { interval: Duration::from_secs(5), ..definition(Format::JsonArray) };
    let settings = RunSettings { hints: hints.clone(), ..RunSettings::in_process(false, 0) };
    let pipeline = Pipeline::open(lake.clone(), definition, Arc::new(SystemClock), settings).await.unwrap();
    // Ends before the second look that is due without hints.
    let busy = async {
        for number in 0..60 {
            let name = format!("{number:02}.json");
            put_text(&store, &name, &format!("[{{\"id\": {number}}}]")).await;
            hints.name([key(&name)]);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
    };
    pipeline.run(busy).await.unwrap();
    let held = contents(&Ledger::new(lake, events())).await;
    assert_eq!(ids(&held), (0..60).collect());
    // Three seconds: one at once, and then one each half second.
    assert!((6..=9).contains(&held.commits.len()), "{}", held.commits.len());
}

fn nothing_known(lake: &Lake) -> KnownInputs {
    KnownInputs::new(Ledger::new(lake.clone(), events()), Mending::Keep)
}

/// The names of the objects that the next look finds, which must be a short one.
async fn short_look(discovery: &mut Discovery, lake: &Lake) -> Vec<String> {
    let found = discovery.look(lake, &events(), &mut nothing_known(lake)).await.unwrap();
    assert!(!found.full);
    assert_eq!(found.ignored, 0, "a hint counts what is passed over again");
    found.objects.iter().map(|object| object.key.to_string().trim_start_matches("raw/events/").to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_short_look_finds_the_late_objects_that_hints_name() {
    let store = Arc::new(InMemory::new());
    let lake = Lake::on_store(Arc::<InMemory>::clone(&store));
    // So many that the next looks do not list all.
    for number in 0..2_000 {
        put(&store, &format!("_passed/{number}")).await;
    }
    put(&store, "m.json").await;
    let mut discovery = Discovery::new(LONG, KnownOnes::PassOver);
    assert!(discovery.look(&lake, &events(), &mut nothing_known(&lake)).await.unwrap().full);

    for name in ["a.json", "b.json", "x.json", "c//c.json"] {
        put(&store, name).await;
    }
    assert_eq!(short_look(&mut discovery, &lake).await, ["x.json"]);
    let other = Key::Raw { stream: "other".parse().unwrap(), rest: "a.json".to_owned() };
    discovery.hint(["b.json", "gone.json", "c//c.json", "_passed/7"].map(key).into_iter().chain([other, Key::Probe]));
    put(&store, "y.json").await;
    assert_eq!(short_look(&mut discovery, &lake).await, ["b.json", "y.json"]);
    discovery.hint([key("a.json")]);
    assert_eq!(short_look(&mut discovery, &lake).await, ["a.json"]);
    // Neither is a hint followed twice, nor does a late object make later ones appear again.
    assert_eq!(short_look(&mut discovery, &lake).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_first_look_continues_a_listing_that_began_before_it_unless_a_hint_came_since() {
    let store = Arc::new(InMemory::new());
    let lake = Lake::on_store(Arc::<InMemory>::clone(&store));
    put(&store, "m.json").await;
    let (begun, again) = (BegunListing::new(&lake, &events()), BegunListing::new(&lake, &events()));
    put(&store, "a.json").await;
    let look = async |discovery: &mut Discovery| {
        let found = discovery.look(&lake, &events(), &mut nothing_known(&lake)).await.unwrap();
        assert!(found.full && found.complete);
        found.objects.len()
    };
    let mut discovery = Discovery::new(LONG, KnownOnes::PassOver).with_listing(begun);
    assert_eq!([look(&mut discovery).await, look(&mut discovery).await], [1, 2]);

    let mut hinted = Discovery::new(LONG, KnownOnes::PassOver).with_listing(again);
    hinted.hint([key("a.json")]);
    assert_eq!(look(&mut hinted).await, 2);
}

#[tokio::test(start_paused = true)]
async fn in_a_folder_a_hint_leads_to_no_object_under_another_key() {
    let folder = FolderLake::new().await;
    for number in 0..1_500 {
        folder.land(&format!("_passed/{number}"), "");
    }
    folder.land("m.json", "[]");
    let mut discovery = Discovery::new(LONG, KnownOnes::PassOver);
    let found = discovery.look(&folder.lake, &events(), &mut nothing_known(&folder.lake)).await.unwrap();
    assert_eq!(found.objects.len(), 1);
    discovery.hint(["./m.json", "/m.json", "a/../m.json", "M.json", "m.json"].map(key));
    assert_eq!(short_look(&mut discovery, &folder.lake).await, [""; 0]);
}

#[test]
fn a_location_leads_back_to_its_key() {
    let lake = nowhere();
    for key in [key("a/b c+ü%.json"), key("//"), Key::Commit { stream: events(), batch: BatchId::FIRST }] {
        assert_eq!(lake.key_at(key.zone(), &lake.location(&key)), Some(key));
    }
    for location in ["", "s3://lake/raw", "s3://lake/rawevents/a", "s3://lake/raw/", "file:///lake/raw/events/a", "é"]
    {
        assert_eq!(lake.key_at(lake::keys::ZoneName::Raw, location), None, "{location}");
    }
}
