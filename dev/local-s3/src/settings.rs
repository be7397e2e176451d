//! Validates arguments and environment.
//!
//! Invariant: every problem is reported at once, each with the name of the flag or variable to correct.

use std::net::IpAddr;
use std::path::Path;

use local_s3::{Config, Credentials, FaultPlan, NotifyTarget};

use crate::args::Args;

/// Validates `args` and the variables that `variable` looks up.
///
/// # Errors
/// Every problem found, one sentence each.
pub(crate) fn validate(args: Args, variable: impl Fn(&str) -> Option<String>) -> Result<Config, Vec<String>> {
    let mut problems = Vec::new();
    let host = parse_host(&args.host).unwrap_or_else(|problem| {
        problems.push(problem);
        IpAddr::from([127, 0, 0, 1])
    });
    let mut required = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.unwrap_or_else(|| {
            problems.push(format!("{name} is not set: export the key that clients sign with"));
            String::new()
        })
    };
    let access_key = required("AWS_ACCESS_KEY_ID");
    let secret_key = required("AWS_SECRET_ACCESS_KEY");
    let mut config = Config::new(args.root, Credentials::new(access_key, secret_key));
    config.host = host;
    config.port = args.port;
    config.buckets = args.buckets;
    config.fsync = args.fsync;
    if let Some(file) = &args.faults {
        match read_faults(file) {
            Ok(plan) => config.faults = plan,
            Err(mistakes) => {
                problems.extend(mistakes.into_iter().map(|mistake| format!("--faults {}: {mistake}", file.display())));
            }
        }
    }
    if let Some(url) = &args.notify {
        match notify_target(url, variable("NOTIFY_TOKEN")) {
            Ok(target) => config.notify = Some(target),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn notify_target(url: &str, token: Option<String>) -> Result<NotifyTarget, String> {
    let target = NotifyTarget::parse(url).map_err(|problem| format!("--notify: {problem}"))?;
    match token.filter(|token| !token.is_empty()) {
        Some(token) => target.with_token(&token).map_err(|problem| format!("NOTIFY_TOKEN {problem}")),
        None => Ok(target),
    }
}

fn read_faults(file: &Path) -> Result<FaultPlan, Vec<String>> {
    let text = std::fs::read_to_string(file).map_err(|error| vec![format!("cannot be read: {error}")])?;
    FaultPlan::from_json(&text)
}

fn parse_host(host: &str) -> Result<IpAddr, String> {
    match host {
        "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
        _ => host
            .parse()
            .map_err(|_| format!("--host {host} is not an IP address: use one such as 127.0.0.1 or 0.0.0.0")),
    }
}
