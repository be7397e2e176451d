//! Hints that come through an SQS queue, with the real program against moto's server.

use std::{
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use aws_sdk_sqs::{
    Client,
    config::{Builder, Credentials},
    types::QueueAttributeName,
};
use lake::{ids::BatchId, ledger::Ledger, store::Lake, store::s3::service_settings};
use serde_json::json;

use crate::{
    lake_in_a_folder::{contents, events},
    lake_on_s3::{bucket, environment, ids, land, server},
    program::{consumer, stop, streams},
};

/// moto's server, which keeps queues in memory.
struct Moto {
    process: Child,
    endpoint: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It is killed in any case.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Moto {
    async fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let program = std::env::var("MOTO_SERVER").unwrap_or_else(|_| "moto_server".to_owned());
        let mut command = Command::new(program);
        command.args(["-p", &free.port().to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("moto is not installed: pip install 'moto[server]', or set MOTO_SERVER");
        let started = Self { process, endpoint: format!("http://{free}") };
        while tokio::net::TcpStream::connect(free).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        started
    }

    async fn client(&self) -> Client {
        let settings = service_settings(self.endpoint.clone(), Some("us-east-1")).await;
        let credentials = Credentials::new("tester", "test-secret", None, None, "test");
        Client::from_conf(Builder::from(&settings).credentials_provider(credentials).build())
    }
}

/// A consumer that does not outlive its test, even a failed one.
struct Running(Option<Child>);

impl Running {
    fn stop(mut self) -> ExitStatus {
        stop(self.0.take().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut process) = self.0.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

async fn committed(ledger: &Ledger, batch: BatchId) {
    let committed = async {
        while ledger.commit(batch).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), committed).await.expect("no hint has woken the consumer");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs moto: pip install 'moto[server]', then cargo test -p consumer --test it -- --ignored hints_by_queue"]
async fn a_message_in_the_queue_makes_what_has_landed_visible_and_is_deleted() {
    let (server, _root) = server().await;
    let (moto, lake) = (Moto::start().await, Lake::on_bucket(bucket(&server)));
    let sqs = moto.client().await;
    let queue = sqs.create_queue().queue_name("raw-events").send().await.unwrap().queue_url.unwrap();
    land(&lake, "a.json", "[{\"id\": 0}]").await;
    let streams = streams("[trigger]\ninterval = \"1h\"\n");
    let mut command = consumer(streams.path(), &environment(&server));
    let consumer = Running(Some(command.args(["--hints-queue", &queue]).spawn().unwrap()));
    let ledger = Ledger::new(lake.clone(), events());
    let mut batch = BatchId::FIRST;
    committed(&ledger, batch).await;
    let object = json!({"bucket": {"name": "lake"}, "object": {"key": "raw/events/b.json"}});
    let record = json!({"eventName": "ObjectCreated:Put", "s3": object});
    let direct = json!({ "Records": [record] }).to_string();
    let through_sns = json!({"Type": "Notification", "Message": direct}).to_string();
    for (id, body) in [direct, through_sns, "not a notification".to_owned()].into_iter().enumerate() {
        land(&lake, &format!("b-{id}.json"), &format!("[{{\"id\": {}}}]", id + 1)).await;
        sqs.send_message().queue_url(&queue).message_body(body).send().await.unwrap();
        batch = batch.next();
        committed(&ledger, batch).await;
    }
    // A message that is not deleted is hidden for a while, and counted.
    let emptied = async { while waiting(&sqs, &queue).await > 0 {} };
    tokio::time::timeout(Duration::from_secs(20), emptied).await.expect("messages are not deleted");
    assert!(consumer.stop().success());
    assert_eq!(ids(&contents(&ledger).await), (0..4).collect());
}

/// How many messages there are, hidden ones included.
async fn waiting(sqs: &Client, queue: &str) -> u32 {
    let request = sqs.get_queue_attributes().queue_url(queue).attribute_names(QueueAttributeName::All);
    let attributes = request.send().await.unwrap().attributes.unwrap();
    let counts =
        [QueueAttributeName::ApproximateNumberOfMessages, QueueAttributeName::ApproximateNumberOfMessagesNotVisible];
    counts.iter().map(|name| attributes[name].parse::<u32>().unwrap()).sum()
}
