//! How long to wait before retrying what the SDK itself does not retry.
//!
//! Knows a number of tries. Knows nothing about requests.
//! Invariant: no wait is longer than [`LONGEST`].

use std::time::Duration;

const FIRST_MS: u64 = 20;
const LONGEST: Duration = Duration::from_millis(500);

/// Waits after `tries` failed tries: a random time up to a bound that doubles, so that rivals spread out.
pub(super) async fn pause(tries: u32) {
    let bound = Duration::from_millis(FIRST_MS << tries.min(10)).min(LONGEST);
    tokio::time::sleep(bound.mul_f64(fastrand::f64())).await;
}
