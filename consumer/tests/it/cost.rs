//! What discovery costs in requests: little on large prefixes, whatever the objects' names.

use std::time::Duration;

use consumer::discover::{Discovery, KnownInputs, KnownOnes, Mending};
use lake::{ledger::Ledger, store::Lake, stream::Format};
use local_s3::Server;

use crate::{
    lake_in_a_folder::{contents, definition, events},
    lake_on_s3::{bucket, drain, land, server},
};

/// A lake whose raw zone has its own server, so that its requests are counted separately.
struct TwoServers {
    raw: Server,
    rest: Server,
    _roots: [tempfile::TempDir; 2],
}

impl TwoServers {
    async fn start() -> Self {
        let ((raw, raw_root), (rest, rest_root)) = (server().await, server().await);
        Self { raw, rest, _roots: [raw_root, rest_root] }
    }

    fn lake(&self) -> Lake {
        Lake::on_two_buckets(bucket(&self.raw), bucket(&self.rest))
    }
}

const RECORD: &str = "[{\"id\": 1}]";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_object_among_1100_known_ones_costs_a_restart_two_listings_and_one_read() {
    let servers = TwoServers::start().await;
    let lake = servers.lake();
    for index in 0..1_100 {
        land(&lake, &format!("{index:04}.json"), RECORD).await;
    }
    drain(&lake, definition(Format::JsonArray)).await.unwrap();
    // Sorts before every other key, as a random name may.
    land(&lake, "00.json", RECORD).await;
    let before = servers.raw.requests();
    drain(&lake, definition(Format::JsonArray)).await.unwrap();
    let cost = servers.raw.requests().since(&before);
    // One page of the listing is the probe of the store at startup.
    assert_eq!(cost.get("GetObject"), 1, "{cost}");
    assert!(cost.get("ListObjectsV2") <= 2 + 1, "{cost}");
    let held = contents(&Ledger::new(lake, events())).await;
    assert_eq!(held.rows.len(), 1_101);
    servers.raw.shutdown().await;
    servers.rest.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_between_full_listings_costs_one_request_and_a_full_one_finds_what_sorts_before() {
    let servers = TwoServers::start().await;
    let lake = servers.lake();
    for index in 0..2_500 {
        land(&lake, &format!("m{index:04}.json"), RECORD).await;
    }
    let known = &mut KnownInputs::new(Ledger::new(lake.clone(), events()), Mending::Keep);
    let mut discovery = Discovery::new(Duration::from_secs(600), KnownOnes::PassOver);
    let mut look =
        async |discovery: &mut Discovery| discovery.look(&lake, &events(), known).await.unwrap().objects.len();
    let before = servers.raw.requests();
    assert_eq!(look(&mut discovery).await, 2_500);
    assert_eq!(servers.raw.requests().since(&before).get("ListObjectsV2"), 3);

    land(&lake, "a.json", RECORD).await;
    land(&lake, "z.json", RECORD).await;
    let before = servers.raw.requests();
    assert_eq!(look(&mut discovery).await, 1, "only keys after the last key seen are found");
    assert_eq!(servers.raw.requests().since(&before).get("ListObjectsV2"), 1);
    // A prefix of three pages is fully listed again two seconds after the last time, not at every look.
    let found = async {
        while look(&mut discovery).await != 2_502 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.unwrap();
    servers.raw.shutdown().await;
    servers.rest.shutdown().await;
}
