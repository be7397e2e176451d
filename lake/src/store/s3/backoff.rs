//! How long to wait before another try of what the SDK itself does not try again.
//!
//! Knows a number of tries. Knows nothing of requests.
//! Invariant: no wait is longer than [`LONGEST`].

use std::time::Duration;

const FIRST_MS: u64 = 20;
const LONGEST: Duration = Duration::from_millis(500);

/// Waits before the try after `tries` failed ones: at random up to a bound that doubles, so that rivals part ways.
pub(super) async fn pause(tries: u32) {
    let bound = Duration::from_millis(FIRST_MS << tries.min(10)).min(LONGEST);
    tokio::time::sleep(bound.mul_f64(fastrand::f64())).await;
}
