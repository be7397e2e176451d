//! An SQS queue that gets the bucket's notifications.
//!
//! Knows SQS. Knows nothing about what a notification says. Invariant: a message is deleted once its hint is passed on;
//! no failure ends the consumer, which then works as without hints.

use std::{fmt, time::Duration};

use aws_sdk_sqs::{
    Client,
    config::Builder,
    types::{DeleteMessageBatchRequestEntry, Message},
};
use lake::store::s3::service_settings;
use program::{
    backoff::{Backoff, Patience},
    output::{describe, escape_control},
};
use url::Url;

use super::Intake;

/// How long one request waits for messages, in seconds: the longest that SQS allows.
const WAIT_SECONDS: i32 = 20;

/// The most messages of one answer: as many as SQS allows.
const MESSAGES_MAX: i32 = 10;

const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The URL of a queue, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueUrl {
    url: Url,
}

impl QueueUrl {
    /// Reads a URL such as `https://sqs.eu-west-1.amazonaws.com/123456789012/raw-events`.
    ///
    /// # Errors
    /// What is wrong with it, in words; it does not repeat the URL, which may contain a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let example = "write it as SQS shows it: https://sqs.<region>.amazonaws.com/<account>/<queue>";
        let url = url.ok_or_else(|| format!("is not a queue's URL; {example}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            let what = "credentials do not belong in the URL; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            return Err(what.to_owned());
        }
        if url.path().trim_matches('/').is_empty() {
            return Err(format!("has no queue's name; {example}"));
        }
        Ok(Self { url })
    }

    /// Where to send requests.
    fn endpoint(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// The region, if AWS's host name has one.
    fn region(&self) -> Option<&str> {
        let host = self.url.host_str()?;
        let (region, rest) = host.strip_prefix("sqs.")?.split_once('.')?;
        rest.starts_with("amazonaws.com").then_some(region)
    }
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// A queue, and the client that reads it.
#[derive(Debug)]
pub struct Queue {
    client: Client,
    url: QueueUrl,
}

impl Queue {
    /// Prepares to read the queue with the credentials that every AWS tool finds. Sends nothing to it yet.
    pub async fn open(url: QueueUrl) -> Self {
        let settings = service_settings(url.endpoint(), url.region()).await;
        // On the builder it also wins over AWS_ENDPOINT_URL, which is the store's.
        let client = Client::from_conf(Builder::from(&settings).endpoint_url(url.endpoint()).build());
        Self { client, url }
    }

    /// Passes on notifications for ever.
    pub async fn follow(self, intake: Intake) {
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX, Patience::Forever).of("the queue of hints");
        loop {
            match self.receive(&intake).await {
                Ok(()) => backoff.reset(),
                Err(what) => {
                    let pause = backoff.pause(&format!("{}: {what}", self.url));
                    tokio::time::sleep(pause.unwrap_or(PAUSE_MAX)).await;
                }
            }
        }
    }

    /// Waits for messages, passes them on and deletes them.
    async fn receive(&self, intake: &Intake) -> Result<(), String> {
        let request = self.client.receive_message().queue_url(self.url.to_string());
        let request = request.wait_time_seconds(WAIT_SECONDS).max_number_of_messages(MESSAGES_MAX);
        let received = request.send().await.map_err(|error| escape_control(&describe(&error)))?;
        let messages = received.messages();
        for message in messages {
            intake.accept(message.body().unwrap_or_default().as_bytes());
        }
        self.delete(messages).await
    }

    async fn delete(&self, messages: &[Message]) -> Result<(), String> {
        let receipts = messages.iter().filter_map(Message::receipt_handle).enumerate();
        let entries = receipts.map(|(index, receipt)| {
            DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(receipt).build()
        });
        let entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(|error| describe(&error))?;
        if entries.is_empty() {
            return Ok(());
        }
        let request = self.client.delete_message_batch().queue_url(self.url.to_string());
        let deleted = request.set_entries(Some(entries)).send().await;
        let deleted = deleted.map_err(|error| escape_control(&describe(&error)))?;
        match deleted.failed().first() {
            Some(failed) => Err(format!("a message could not be deleted: {}", escape_control(failed.code()))),
            None => Ok(()),
        }
    }
}
