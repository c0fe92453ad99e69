//! A project's disk that does not answer: its requests are refused after a while, and nobody else
//! notices.

use std::time::Duration;

use steroids_proto::v1;
use steroids_tests::faults::{held, share};
use steroids_tests::{Daemon, Gateway, Home, HungDisk, Puppet, eventually, processes, rpc, within};
use tokio::net::UnixDatagram;
use tokio::sync::watch;
use tonic::Code;

use super::{begun, told, well};

/// A service manager with a watchdog, in as far as a daemon has to do with one.
struct Manager {
    words: [String; 3],
    fed: watch::Receiver<u64>,
}

impl Manager {
    fn of(home: &Home) -> Manager {
        let path = home.path("manager");
        let socket = UnixDatagram::bind(&path).unwrap();
        let (count, fed) = watch::channel(0);
        tokio::spawn(async move {
            let mut message = [0; 1024];
            while let Ok(length) = socket.recv(&mut message).await {
                if message[..length].starts_with(b"WATCHDOG=1") {
                    count.send_modify(|count| *count += 1);
                }
            }
        });
        let words = [
            "env".to_owned(),
            format!("NOTIFY_SOCKET={}", path.display()),
            "WATCHDOG_USEC=300000".to_owned(),
        ];
        Manager { words, fed }
    }

    fn words(&self) -> [&str; 3] {
        self.words.each_ref().map(String::as_str)
    }

    /// Waits for more of it than can be on its way.
    async fn is_told_that_all_is_well(&self) {
        let mut fed = self.fed.clone();
        let before = *fed.borrow();
        let told = fed.wait_for(|count| *count >= before + 3);
        within("the watchdog to be fed", told).await.unwrap();
    }
}

/// More than the runtime has threads on most machines, and less than the streams of a connection.
const ASKING: usize = 48;

#[tokio::test]
async fn a_disk_that_does_not_answer_holds_up_its_own_project_alone() {
    let home = Home::new();
    let Some(disk) = HungDisk::prepare() else {
        return held(146, "not shown: needs root");
    };
    let manager = Manager::of(&home);
    let daemon = Daemon::start_through(&home, &manager.words()).await;
    let (app, other) = (daemon.project("app").await, daemon.project("other").await);
    let gateway = Gateway::start(&home).await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = begun(&app, &rpc, &mut agent).await;

    let hung = disk.mount(app.folder());
    // The daemon looks in vain before it answers; that it is away nobody is told.
    gateway.bare("GET", "/healthz").send().await.ok();
    let asking: Vec<_> = (0..ASKING)
        .map(|_| {
            let (mut client, project) = (rpc.invocations(), app.project());
            let id = started.id;
            tokio::spawn(async move {
                client
                    .get(v1::GetRequest {
                        project,
                        id,
                        terms: false,
                    })
                    .await
            })
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

    // Nor would another daemon be of any help.
    manager.is_told_that_all_is_well().await;

    drop(hung);
    agent.counts(2..=3, 20, Duration::ZERO);
    agent.exits(5);
    rpc.served_again(&app.project(), started.id).await;
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
    rpc.served_again(&app.project(), started.id).await;
    let _ = rpc.daemon().wakeup(v1::WakeupRequest {}).await;
    let ended = rpc.ended(&app.project(), started.id).await;
    assert_eq!(ended.exit_code, Some(5), "{ended:?}");
    well(&daemon).await;
    held(
        146,
        "hung before the daemon began: ready, told, others served, and its end written down later",
    );
}

#[tokio::test]
async fn a_stop_ends_an_agent_while_its_log_waits_for_the_disk() {
    let home = Home::new();
    let Some(disk) = HungDisk::prepare() else {
        return held(146, "not shown: needs root");
    };
    let daemon = Daemon::start(&home).await;
    let app = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = begun(&app, &rpc, &mut agent).await;
    // Its logs alone: whoever asks for its row has an answer at once.
    let hung = disk.mount(app.log_path(started.id).parent().unwrap());
    agent.counts(2..=3, 20, Duration::ZERO);
    eventually("its job to wait for the disk", async || {
        processes::opens(daemon.pid()).then_some(())
    })
    .await;
    let (mut client, project) = (rpc.invocations(), app.project());
    let stop = v1::StopRequest {
        project: project.clone(),
        id: started.id,
        ..v1::StopRequest::default()
    };
    let stopping = tokio::spawn(async move { client.stop(stop).await });
    home.recorded(&started.uuid).await;
    assert_eq!(processes::marked(&started.uuid), []);
    assert!(!stopping.is_finished(), "its log is not complete");

    drop(hung);
    // In the moment in which it goes it may refuse, and a stop hears at once of what cannot be written down.
    if let Err(refused) = within("the stop", stopping).await.unwrap() {
        assert_eq!(
            refused.code(),
            tonic::Code::FailedPrecondition,
            "{refused:?}"
        );
    }
    let stopped = rpc.ended(&project, started.id).await;
    assert_eq!(stopped.outcome, "cancelled", "{stopped:?}");
    rpc.follow(rpc::invocation(&project, started.id), "", true)
        .await
        .until("n 000003")
        .await;
    well(&daemon).await;
    held(
        146,
        "an agent ended within its grace while its log waited for the disk; log and row followed",
    );
}
