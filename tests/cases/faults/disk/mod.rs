//! Disks that are full, broken or read-only; files that are torn, changed or taken away; output of
//! any bytes and of any amount. See `tests/harness/faults/disk.rs`.

mod bytes;
mod flood;
mod full;
mod refused;
mod replaced;
mod retention;
mod torn;
mod unwatched;

use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Rpc, eventually, log, reprojected};

/// What the daemon says does not work.
async fn degraded(daemon: &Daemon) -> Vec<String> {
    let request = v1::StatusRequest {};
    let answer = daemon.rpc().await.daemon().status(request).await;
    answer.unwrap().into_inner().degraded
}

/// Waits until one of the things that do not work is told with all these words, and gives the line.
async fn told(daemon: &Daemon, words: &[&str]) -> String {
    eventually(&format!("{words:?} in status"), async || {
        let lines = degraded(daemon).await;
        let said = |line: &String| words.iter().all(|word| line.contains(word));
        lines.into_iter().find(said)
    })
    .await
}

/// Waits until everything works again.
async fn well(daemon: &Daemon) {
    eventually("nothing to be degraded", async || {
        degraded(daemon).await.is_empty().then_some(())
    })
    .await;
}

/// Waits until the invocation's alarm contains `words`.
async fn alarmed(rpc: &Rpc, project: &str, id: i64, words: &str) -> String {
    eventually(&format!("the alarm `{words}`"), async || {
        let alarm = rpc.get(project, id).await.alarm;
        alarm.contains(words).then_some(alarm)
    })
    .await
}

/// Panics unless the log of an ended invocation is what its spool says, byte for byte.
fn assert_undisturbed(ctl: &Ctl, invocation: &v1::Invocation) {
    let path = ctl.log_path(invocation.id);
    log::assert_whole(&log::lines(&path));
    let undisturbed = reprojected(&ctl.home().invocation_dir(&invocation.uuid));
    let on_disk = std::fs::read(path).unwrap();
    assert!(on_disk == undisturbed, "the log is not what its spool says");
}
