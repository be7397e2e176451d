//! Ctrl-C and SIGTERM as a cancellation token.

use tokio_util::sync::CancellationToken;

/// A token that is cancelled when the process is asked to stop, by Ctrl-C or SIGTERM. Needs a tokio runtime.
///
/// The signals are caught from this call on: a signal right after it also stops the program in an orderly way.
pub fn stop_token() -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    #[cfg(unix)]
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    #[cfg(unix)]
    let interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
    tokio::spawn(async move {
        #[cfg(unix)]
        if let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            return cancel.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel();
        }
    });
    token
}
