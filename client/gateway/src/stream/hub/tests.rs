use std::path::PathBuf;

use super::*;
use crate::Metrics;

/// Upstreams of a daemon that is not there.
fn hubs() -> (Hubs, TaskTracker, CancellationToken) {
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let daemon = Daemon::new(PathBuf::from("/nonexistent/d.sock"));
    let hubs = Hubs::new(daemon, tasks.clone(), stop.clone());
    (hubs, tasks, stop)
}

fn key() -> Key {
    Key {
        project: "/p".into(),
        id: 1,
    }
}

#[tokio::test]
async fn a_stop_is_no_end_of_the_log() {
    let (hubs, tasks, stop) = hubs();
    let mut joined = hubs.join(&key(), "");
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    assert!(!matches!(joined.look(), Upstream::Ended), "{joined:?}");
}

#[tokio::test]
async fn viewers_that_left_are_not_kept_though_nothing_is_logged() {
    let (hubs, _tasks, _stop) = hubs();
    let stays = hubs.join(&key(), "");
    let stream = Arc::new(Metrics::new().stream_opened("task"));
    for _ in 0..100 {
        let mut joined = hubs.join(&key(), "");
        joined.tell_lag(&stream);
        joined.tell_lag(&stream);
        assert_eq!(stays.hub.lags.len(), 1);
    }
    assert_eq!(stays.hub.lags.len(), 0);
}
