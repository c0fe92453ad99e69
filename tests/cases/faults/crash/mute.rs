//! A shim that does not answer (SIGSTOP): its agent is kept, a person is told, nobody else waits.

use std::sync::Arc;
use std::time::Instant;

use rustix::process::Signal;
use steroids_proto::v1;
use steroids_tests::processes::signal;
use steroids_tests::rpc::command;
use steroids_tests::{Ctl, Daemon, Home, Puppet, Rpc, eventually, faults, invocation};

/// What show tells of it, once that is `wanted`.
async fn alarm(rpc: &Rpc, ctl: &Ctl, id: i64, wanted: impl Fn(&str) -> bool) -> v1::Invocation {
    eventually("an alarm, or its end", async || {
        let shown = rpc.get(&ctl.project(), id).await;
        wanted(&shown.alarm).then_some(shown)
    })
    .await
}

fn is_mute(alarm: &str) -> bool {
    alarm.contains("does not answer")
}

async fn agents(home: &Arc<Home>, daemon: &Daemon, ctl: &Ctl) -> Vec<(Puppet, v1::Invocation)> {
    let rpc = daemon.rpc().await;
    let mut agents = Vec::new();
    for name in ["a", "b", "c"] {
        let mut agent = Puppet::new(home, name);
        let started = rpc.start_fake(&ctl.project(), name, &agent.args()).await;
        agent.prints("before");
        let selector = invocation(&ctl.project(), started.id);
        rpc.follow(selector, "", true).await.until("before").await;
        agents.push((agent, started));
    }
    agents
}

#[tokio::test]
async fn a_mute_shim_at_start_holds_nobody_up_and_is_told_of_until_it_answers() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agents = agents(&home, &daemon, &ctl).await;
    daemon.kill9().await;
    let stopped = home.shim(&agents[0].1.uuid);
    signal(stopped, Signal::STOP);
    let begun = Instant::now();
    daemon.start_again().await;
    let ready = begun.elapsed();
    let rpc = daemon.rpc().await;
    for (agent, started) in &mut agents[1..] {
        agent.prints("after");
        agent.exits(0);
        let ended = rpc.ended(&ctl.project(), started.id).await;
        assert_eq!(ended.outcome, "success");
    }
    let id = agents[0].1.id;
    let shown = alarm(&rpc, &ctl, id, is_mute).await;
    assert_eq!(shown.state(), v1::State::Running);
    let told = rpc.degraded().await;
    assert!(told.len() == 1 && is_mute(&told[0]), "{told:?}");
    let shown = ctl.run(["show", &id.to_string()]).await.ok();
    assert!(is_mute(&shown), "{shown}");
    let status = ctl.run(["status"]).await.ok();
    assert!(is_mute(&status), "{status}");

    signal(stopped, Signal::CONT);
    alarm(&rpc, &ctl, id, str::is_empty).await;
    assert_eq!(rpc.degraded().await, Vec::<String>::new());
    agents[0].0.prints("after");
    agents[0].0.exits(5);
    let ended = rpc.ended(&ctl.project(), id).await;
    assert_eq!((&*ended.outcome, ended.exit_code), ("failed", Some(5)));
    let seen = format!(
        "ready after {} ms; running, alarm in show and status, gone after CONT",
        ready.as_millis()
    );
    faults::held(11, seen);
}

#[tokio::test]
async fn a_shim_that_falls_mute_later_is_told_of_and_obeys_when_it_is_back() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let agents = agents(&home, &daemon, &ctl).await;
    let rpc = daemon.rpc().await;
    let (_, started) = &agents[0];
    let stopped = home.shim(&started.uuid);
    let begun = Instant::now();
    signal(stopped, Signal::STOP);
    let shown = alarm(&rpc, &ctl, started.id, is_mute).await;
    let told = begun.elapsed();
    assert_eq!(shown.state(), v1::State::Running);
    assert!(rpc.degraded().await.iter().any(|line| is_mute(line)));
    let asked = ctl.spawn(["--json", "stop", &started.id.to_string(), "--grace", "10m"]);
    // The others' alarms are their own.
    let other = rpc.get(&ctl.project(), agents[1].1.id).await;
    assert_eq!(other.alarm, "");
    // Nobody else has it go on.
    let (lines, output) = asked.rest().await;
    assert_eq!(output.code, 0, "{output:?}");
    assert!(lines.concat().contains("cancelled"), "{lines:?}");
    assert_eq!(rpc.degraded().await, Vec::<String>::new());
    let seen = format!(
        "alarm after {:.1} s, a stop asked meanwhile is carried out",
        told.as_secs_f64()
    );
    faults::held(108, seen);
}

/// Its shim is its parent.
#[tokio::test]
async fn an_agent_that_stops_its_own_shim_is_told_of_and_ends_when_it_is_to() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    // Not before its start was answered: that is the shim's to say.
    let script = "until [ -e go ]; do sleep 0.1; done; kill -STOP $PPID; exec sleep 1000";
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let started = rpc.start(command(&ctl.project(), "T1", argv)).await;
    let started = started.unwrap();
    let cure = format!("kill -CONT {}", home.shim(&started.uuid));
    std::fs::write(ctl.folder().join("go"), "").unwrap();
    alarm(&rpc, &ctl, started.id, |alarm| alarm.contains(&cure)).await;
    let told = rpc.degraded().await;
    assert!(
        told.iter().any(|line| line.contains("kill -CONT")),
        "{told:?}"
    );
    let stopped = ctl.run(["stop", &started.id.to_string()]).await;
    assert!(stopped.ok().contains("cancelled"));
    assert_eq!(rpc.degraded().await, Vec::<String>::new());
    faults::held(108, "stopped by its own agent: named, and ended by a stop");
}
