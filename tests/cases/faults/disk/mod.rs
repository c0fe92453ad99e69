//! Disks that are full, broken or read-only; files that are torn, changed or taken away; output of
//! any bytes and of any amount. See `tests/harness/faults/disk.rs`.

mod bytes;
mod flood;
mod full;
mod full_state;
mod hung;
mod hung_many;
mod hung_streams;
mod refused;
mod replaced;
mod retention;
mod torn;
mod unwatched;

use std::time::Duration;

use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Puppet, Rpc, eventually, rpc};

/// An agent that has printed its first line, which is in the log.
async fn begun(ctl: &Ctl, rpc: &Rpc, agent: &mut Puppet) -> v1::Invocation {
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    agent.counts(1..=1, 20, Duration::ZERO);
    let selector = rpc::invocation(&ctl.project(), started.id);
    rpc.follow(selector, "", true).await.until("n 000001").await;
    started
}

/// Waits until one of the things that do not work is told with all these words, and gives the line.
async fn told(daemon: &Daemon, words: &[&str]) -> String {
    eventually(&format!("{words:?} in status"), async || {
        let lines = daemon.rpc().await.degraded().await;
        let said = |line: &String| words.iter().all(|word| line.contains(word));
        lines.into_iter().find(said)
    })
    .await
}

/// Waits until everything works again.
async fn well(daemon: &Daemon) {
    eventually("nothing to be degraded", async || {
        let lines = daemon.rpc().await.degraded().await;
        lines.is_empty().then_some(())
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
