//! What faults do at the gate, before and after the operation.
//!
//! Knows delays, errors and hanging up. Knows nothing about what an operation does: the service injects the faults that
//! need the store or an operation's input or output.
//! Invariant: no delay outlives the connection or the server.

use std::time::Duration;

use s3s::{HttpError, HttpResponse, S3Error, S3Result, s3_error};
use tokio::sync::watch;

use crate::faults::armed::Injection;
use crate::faults::dice::Purpose;
use crate::faults::{FaultKind, Moment, answers};

/// Before the operation: an error is the response, and the operation does not run.
pub(super) async fn before(injections: &[Injection], stopped: &watch::Receiver<bool>) -> S3Result<()> {
    for injection in injections {
        match injection.kind() {
            FaultKind::Latency { moment: Moment::Before, .. } => wait(injection, stopped).await,
            FaultKind::Stall { moment: Moment::Before, .. } => {
                wait(injection, stopped).await;
                return Err(unheard());
            }
            FaultKind::Reset { moment: Moment::Before } => return refuse(injection, unheard()),
            FaultKind::Error { answer, moment: Moment::Before } => return refuse(injection, answer.error()),
            FaultKind::Conflict => return refuse(injection, answers::conflict()),
            FaultKind::CompletionFailed => return refuse(injection, answers::failed_completion()),
            _ => {}
        }
    }
    Ok(())
}

/// After the operation: what to send instead of `response`.
///
/// # Errors
/// The connection must be closed without a response.
pub(super) async fn after(
    injections: &[Injection],
    mut response: HttpResponse,
    stopped: &watch::Receiver<bool>,
) -> Result<HttpResponse, HttpError> {
    for injection in injections {
        let effective = response.status().is_success();
        match injection.kind() {
            FaultKind::Latency { moment: Moment::After, .. } => wait(injection, stopped).await,
            FaultKind::Stall { moment: Moment::Before, .. } | FaultKind::Reset { moment: Moment::Before } => {
                return Err(answers::hang_up());
            }
            FaultKind::Stall { moment: Moment::After, .. } if effective => {
                wait(injection, stopped).await;
                return Err(answers::hang_up());
            }
            FaultKind::Reset { moment: Moment::After } if effective => {
                injection.happened();
                return Err(answers::hang_up());
            }
            FaultKind::Error { answer, moment: Moment::After } if effective => {
                injection.happened();
                response = answer.error().to_http_response().map_err(|error| HttpError::new(Box::new(error)))?;
            }
            FaultKind::CutBody { keep, length } if effective => {
                let draw = |whole| injection.dice().below(Purpose::Cut, whole);
                if answers::cut(&mut response, *keep, *length, draw).await.is_some() {
                    injection.happened();
                }
            }
            _ => {}
        }
    }
    Ok(response)
}

fn refuse(injection: &Injection, error: S3Error) -> S3Result<()> {
    injection.happened();
    Err(error)
}

/// Stops the operation; [`after`] closes the connection, so this is never sent.
fn unheard() -> S3Error {
    s3_error!(ServiceUnavailable, "a fault closes the connection")
}

/// Waits as long as the fault says, or until the server stops.
async fn wait(injection: &Injection, stopped: &watch::Receiver<bool>) {
    injection.happened();
    let delay = match injection.kind() {
        FaultKind::Latency { at_least, at_most, .. } => {
            let spread = at_most.unwrap_or(*at_least).saturating_sub(*at_least);
            let nanoseconds = u64::try_from(spread.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
            *at_least + Duration::from_nanos(injection.dice().below(Purpose::Latency, nanoseconds))
        }
        FaultKind::Stall { at_most, .. } => *at_most,
        _ => Duration::ZERO,
    };
    let mut stopped = stopped.clone();
    let told = stopped.wait_for(|stopped| *stopped);
    // Any outcome ends the wait: the time is over, the server stops, or it is gone.
    drop(tokio::time::timeout(delay, told).await);
}
