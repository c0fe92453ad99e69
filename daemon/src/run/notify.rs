//! What the service manager is told, where one wants to know (`Type=notify`): that we are ready, that we
//! take a new configuration, that we end, that we are alive; and a line for `systemctl status`.
//!
//! It is told on a thread of its own and waited for a moment at most: a manager that does not take its
//! post is no reason to stand still.

use std::time::Duration;

use sd_notify::NotifyState;

/// A manager that is well takes it at once.
const WITHIN: Duration = Duration::from_secs(1);

/// Held by the one thread that tells: while it hangs no other is spent on that.
static OUT: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Something that is told, with the line that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Only the line.
    Line,
    /// It serves.
    Ready,
    /// It reads its configuration; [`Told::Ready`] follows.
    Reloading,
    /// It ends.
    Stopping,
    /// It is alive.
    Alive,
}

/// Tells it; without a service manager nothing happens.
pub(super) async fn tell(told: Told, line: String) {
    let telling = async {
        let alone = OUT.lock().await;
        let send = move || {
            let _alone = alone;
            send(told, &line)
        };
        tokio::task::spawn_blocking(send).await
    };
    match tokio::time::timeout(WITHIN, telling).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(%error, "the service manager cannot be told"),
        Ok(Err(_)) | Err(_) => tracing::warn!("the service manager does not take what it is told"),
    }
}

fn send(told: Told, line: &str) -> std::io::Result<()> {
    let mut states = Vec::with_capacity(3);
    match told {
        Told::Line => {}
        Told::Ready => states.push(NotifyState::Ready),
        Told::Stopping => states.push(NotifyState::Stopping),
        Told::Alive => states.push(NotifyState::Watchdog),
        Told::Reloading => {
            states.push(NotifyState::Reloading);
            // From systemd 253 on a reload without its time is a failure.
            states.push(NotifyState::monotonic_usec_now()?);
        }
    }
    states.push(NotifyState::Status(line));
    sd_notify::notify(&states)
}
