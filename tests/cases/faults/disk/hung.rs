//! A project's disk that does not answer: its requests are refused after a while, and nobody else
//! notices.

use std::time::Duration;

use steroids_proto::v1;
use steroids_tests::faults::{held, share};
use steroids_tests::{Daemon, Home, HungDisk, Puppet, eventually, rpc};
use tonic::Code;

use super::{begun, told, well};

/// More than the runtime has threads on most machines, and less than the streams of a connection.
const ASKING: usize = 48;

#[tokio::test]
async fn a_disk_that_does_not_answer_holds_up_its_own_project_alone() {
    let home = Home::new();
    let Some(disk) = HungDisk::prepare() else {
        return held(146, "not shown: needs root");
    };
    let daemon = Daemon::start(&home).await;
    let (app, other) = (daemon.project("app").await, daemon.project("other").await);
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = begun(&app, &rpc, &mut agent).await;

    let hung = disk.mount(app.folder());
    let asking: Vec<_> = (0..ASKING)
        .map(|_| {
            let (mut client, project) = (rpc.invocations(), app.project());
            let id = started.id;
            tokio::spawn(async move { client.get(v1::GetRequest { project, id }).await })
        })
        .collect();
    // Meanwhile another project is served.
    let beside = rpc
        .start_fake(&other.project(), "T2", &["numbers", "--count", "3"])
        .await;
    let beside = rpc.ended(&other.project(), beside.id).await;
    assert_eq!(beside.outcome, "success", "{beside:?}");
    let selector = rpc::invocation(&other.project(), beside.id);
    rpc.follow(selector, "", true).await.until("n 000003").await;
    let mut refused = String::new();
    if share(false, true) {
        for asked in asking {
            let status = asked.await.unwrap().unwrap_err();
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            refused = status.message().to_owned();
        }
        assert!(refused.contains("does not answer"), "{refused}");
        told(&daemon, &[&app.project(), "its disk does not answer"]).await;
        let pass = rpc.daemon().wakeup(v1::WakeupRequest {}).await;
        pass.expect("a pass goes on with the projects that answer");
        rpc.start_fake(&other.project(), "T3", &["numbers"]).await;
    }

    drop(hung);
    agent.counts(2..=3, 20, Duration::ZERO);
    agent.exits(5);
    eventually("the project to be served again", async || {
        let request = v1::GetRequest {
            project: app.project(),
            id: started.id,
        };
        rpc.invocations().get(request).await.ok()
    })
    .await;
    let ended = rpc.ended(&app.project(), started.id).await;
    assert_eq!(ended.exit_code, Some(5), "{ended:?}");
    well(&daemon).await;
    held(
        146,
        format!(
            "beside {ASKING} requests that wait, another project's agent was started, followed and ended; {refused}; the hung project's agent ended with its own code"
        ),
    );
}

#[tokio::test]
async fn a_disk_that_hung_before_the_start_holds_up_its_own_project_alone() {
    let home = Home::new();
    let Some(disk) = HungDisk::prepare() else {
        return held(146, "not shown: needs root");
    };
    let mut daemon = Daemon::start(&home).await;
    let (app, other) = (daemon.project("app").await, daemon.project("other").await);
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = begun(&app, &rpc, &mut agent).await;
    daemon.kill9().await;
    let hung = disk.mount(app.folder());
    daemon.start_again().await;
    // It is ready, serves the others, and says what is wrong.
    let rpc = daemon.rpc().await;
    let beside = rpc
        .start_fake(&other.project(), "T2", &["numbers", "--count", "3"])
        .await;
    let beside = rpc.ended(&other.project(), beside.id).await;
    assert_eq!(beside.outcome, "success", "{beside:?}");
    told(&daemon, &[&app.project(), "its disk does not answer"]).await;
    // Its agent ends meanwhile, which nobody can write down yet.
    agent.exits(5);

    drop(hung);
    eventually("the project to be served again", async || {
        let request = v1::GetRequest {
            project: app.project(),
            id: started.id,
        };
        rpc.invocations().get(request).await.ok()
    })
    .await;
    let _ = rpc.daemon().wakeup(v1::WakeupRequest {}).await;
    let ended = rpc.ended(&app.project(), started.id).await;
    assert_eq!(ended.exit_code, Some(5), "{ended:?}");
    well(&daemon).await;
}
