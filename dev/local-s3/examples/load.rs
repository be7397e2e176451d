//! Measures how many small requests a server answers: `cargo run --release -p local-s3 --example load -- [--fsync]`.
//!
//! Starts a server in a temporary directory and sends it presigned requests over bare keep-alive connections, so that
//! the figures measure the server and not the client.

use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::presigning::PresigningConfig;
use local_s3::{Config, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const REQUESTS: usize = 20_000;
const BODY: &[u8] = &[b'x'; 1024];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = tempfile::tempdir()?;
    let mut config = Config::new(root.path(), local_s3::Credentials::new("load", "load-secret")).bucket("load");
    config.fsync = std::env::args().any(|argument| argument == "--fsync");
    println!("{REQUESTS} objects of {} bytes, fsync {}", BODY.len(), config.fsync);
    let server = Server::start(config).await?;
    let client = client(&server.endpoint());
    let lifetime = PresigningConfig::expires_in(Duration::from_secs(600))?;

    let (mut puts, mut gets) = (Vec::new(), Vec::new());
    for number in 0..REQUESTS {
        let key = format!("prefix/{number:08}");
        let put = client.put_object().bucket("load").key(&key).presigned(lifetime.clone()).await?;
        puts.push(request("PUT", put.uri(), BODY));
        let get = client.get_object().bucket("load").key(&key).presigned(lifetime.clone()).await?;
        gets.push(request("GET", get.uri(), b""));
    }
    for connections in [1, 16, 64] {
        for (name, requests) in [("PUT", &puts), ("GET", &gets)] {
            let elapsed = run(&server, requests, connections).await?;
            let rate = requests.len() as f64 / elapsed.as_secs_f64();
            println!("{connections:3} connections: {rate:8.0} {name}/s");
        }
    }
    let begin = Instant::now();
    let mut pages = client.list_objects_v2().bucket("load").into_paginator().send();
    while let Some(page) = pages.next().await {
        page?;
    }
    println!("all {REQUESTS} keys listed by the AWS SDK in {:.0?}", begin.elapsed());
    server.shutdown().await;
    Ok(())
}

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .force_path_style(true)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("load", "load-secret", None, None, "load"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}

fn request(method: &str, uri: &str, body: &[u8]) -> Vec<u8> {
    let rest = uri.strip_prefix("http://").unwrap_or(uri);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let head = format!("{method} /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Sends `requests`, split among `connections`, and waits for every response.
async fn run(server: &Server, requests: &[Vec<u8>], connections: usize) -> std::io::Result<Duration> {
    let begin = Instant::now();
    let mut tasks = Vec::new();
    for share in requests.chunks(requests.len().div_ceil(connections)) {
        let (share, address) = (share.to_vec(), server.address());
        tasks.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut answer = Vec::new();
            for request in share {
                stream.write_all(&request).await?;
                read_answer(&mut stream, &mut answer).await?;
            }
            Ok::<_, std::io::Error>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(begin.elapsed())
}

/// Reads one response to its end, and fails if it is not a 200.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> std::io::Result<()> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
        if !text.starts_with("http/1.1 200") {
            return Err(std::io::Error::other(text));
        }
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or_default();
        if answer.len() >= head + 4 + length {
            return Ok(());
        }
    }
}
