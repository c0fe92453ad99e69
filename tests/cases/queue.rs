//! More starts than may run: they wait, in order, through the daemon's end, and start once.

mod moved;

use std::os::unix::fs::MetadataExt as _;

use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, FailPoints, Home, Puppet, Rpc, eventually, log, rpc};

/// A start of `fake-provider ARGS` in a task of its own.
fn request(project: &str, name: &str, args: &[&str]) -> v1::StartRequest {
    v1::StartRequest {
        request_id: name.to_owned(),
        ..rpc::command(project, &format!("T-{name}"), rpc::argv(args))
    }
}

fn of_priority(priority: i32, request: v1::StartRequest) -> v1::StartRequest {
    v1::StartRequest {
        priority,
        ..request
    }
}

async fn started(rpc: &Rpc, request: v1::StartRequest) -> i64 {
    rpc.start(request).await.unwrap().id
}

/// The ids of those that wait, by their place.
async fn line(rpc: &Rpc, project: &str) -> Vec<i64> {
    let request = v1::ListRequest {
        project: project.to_owned(),
        states: vec![v1::State::Queued.into()],
        ..Default::default()
    };
    let listed = rpc.invocations().list(request).await.unwrap().into_inner();
    let mut line = listed.invocations;
    line.sort_by_key(|it| it.place);
    line.iter().map(|it| it.id).collect()
}

/// Waits until it was launched: its row says that it runs a moment before.
async fn runs(rpc: &Rpc, project: &str, id: i64) {
    eventually("an invocation to run", async || {
        rpc.get(project, id).await.pid.map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn a_restart_writes_nothing_anew_of_what_waits() {
    let home = Home::with_config("[daemon]\nmax_running = 1");
    let mut daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    started(&rpc, request(&project, "runs", &["stall"])).await;
    let waits = started(&rpc, request(&project, "waits", &["stall"])).await;
    let waits = rpc.get(&project, waits).await;
    let file = home.invocation_dir(&waits.uuid).join("queued.json");
    // What is written anew is another file under the same name.
    let number = || std::fs::metadata(&file).unwrap().ino();
    let before = number();
    daemon.kill9_and_restart().await;
    let rpc = daemon.rpc().await;
    assert_eq!(line(&rpc, &project).await, [waits.id]);
    assert_eq!(number(), before);
}

#[tokio::test]
async fn ten_starts_run_in_order_through_two_kills_of_the_daemon() {
    let home = Home::with_config("[daemon]\nmax_running = 2");
    let mut daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let [mut first, mut second, mut third] = ["a", "b", "c"].map(|name| Puppet::new(&home, name));
    let a = started(&rpc, request(&project, "a", &first.args())).await;
    let b = started(&rpc, request(&project, "b", &second.args())).await;
    let quick = |name: &str| request(&project, name, &["exit", "0"]);
    let plain = started(&rpc, quick("plain")).await;
    let idle = started(&rpc, of_priority(-5, quick("idle"))).await;
    let high = started(&rpc, of_priority(5, quick("high"))).await;
    let after = v1::StartRequest {
        after: vec![plain],
        ..of_priority(9, quick("after"))
    };
    let after = started(&rpc, after).await;
    let top = started(&rpc, of_priority(7, quick("top"))).await;
    let held_up = of_priority(5, request(&project, "c", &third.args()));
    let held_up = started(&rpc, held_up).await;
    let later = started(&rpc, quick("later")).await;
    let last = started(&rpc, of_priority(-5, quick("last"))).await;
    let waiting = [after, top, high, held_up, plain, later, idle, last];
    assert_eq!(line(&rpc, &project).await, waiting);
    let third_one = rpc.get(&project, high).await;
    assert_eq!(
        third_one.waiting,
        "3rd of 8: daemon.max_running = 2 is reached"
    );
    let dependent = rpc.get(&project, after).await;
    let why = format!("1st of 8: waits for invocation {plain} to succeed");
    assert_eq!((dependent.waiting, dependent.after), (why, vec![plain]));

    daemon.kill9_and_restart().await;
    let rpc = daemon.rpc().await;
    assert_eq!(line(&rpc, &project).await, waiting);
    // One place goes from one to the next until the third puppet has it.
    first.exits(0);
    rpc.ended(&project, a).await;
    runs(&rpc, &project, held_up).await;
    assert_eq!(
        line(&rpc, &project).await,
        [after, plain, later, idle, last]
    );

    daemon.kill9_and_restart().await;
    let rpc = daemon.rpc().await;
    assert_eq!(
        line(&rpc, &project).await,
        [after, plain, later, idle, last]
    );
    third.exits(0);
    for id in [last, idle] {
        let ended = rpc.ended(&project, id).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
    }
    second.exits(0);
    rpc.ended(&project, b).await;
    let all = rpc
        .events(&project, |events| rpc::told(events, "finished").len() == 10)
        .await;
    let order = [a, b, top, high, held_up, plain, after, later, idle, last];
    assert_eq!(rpc::told(&all, "started"), order);
    let mut running = 0;
    for event in &all {
        match &*event.kind {
            "started" => running += 1,
            "finished" => running -= 1,
            _ => {}
        }
        assert!(running <= 2, "{all:?}");
    }
    for id in order {
        let path = daemon.ctl(std::path::Path::new(&project)).log_path(id);
        log::assert_whole(&log::lines(&path));
    }
}

/// A daemon with one that runs, and room for no other.
struct Full {
    home: std::sync::Arc<Home>,
    daemon: Daemon,
    ctl: Ctl,
    puppet: Puppet,
    running: i64,
}

impl Full {
    async fn new(more: &str) -> Full {
        let home = Home::with_config(&format!("[daemon]\nmax_running = 1\n{more}"));
        let daemon = Daemon::start(&home).await;
        let ctl = daemon.project("app").await;
        let puppet = Puppet::new(&home, "p");
        let first = request(&ctl.project(), "first", &puppet.args());
        let running = started(&daemon.rpc().await, first).await;
        Full {
            home,
            daemon,
            ctl,
            puppet,
            running,
        }
    }

    fn request(&self, name: &str, args: &[&str]) -> v1::StartRequest {
        request(&self.ctl.project(), name, args)
    }
}

#[tokio::test]
async fn one_that_waits_is_stopped_without_having_been_started() {
    let full = Full::new("").await;
    let (rpc, project) = (full.daemon.rpc().await, full.ctl.project());
    let waits = rpc.start(full.request("w", &["stall"])).await.unwrap();
    assert_eq!(waits.state(), v1::State::Queued);
    let dependent = v1::StartRequest {
        after: vec![waits.id],
        ..full.request("d", &["exit", "0"])
    };
    let dependent = started(&rpc, dependent).await;
    let stop = full
        .ctl
        .run(["--json", "stop", &waits.id.to_string()])
        .await;
    assert_eq!(stop.json()["outcome"], "cancelled");
    let lines = log::lines(&full.ctl.log_path(waits.id));
    log::assert_whole(&lines);
    let end = lines.last().unwrap();
    assert_eq!(
        (&end["type"], &end["outcome"]),
        (&"error".into(), &"cancelled".into())
    );
    let in_vain = rpc.ended(&project, dependent).await;
    assert_eq!(in_vain.outcome, "never_started");
    let named = format!("after invocation {}, which ended as cancelled", waits.id);
    assert!(in_vain.error.contains(&named), "{}", in_vain.error);
    assert!(!full.home.invocation_dir(&waits.uuid).join("spool").exists());
    // The same request later does not start it after all.
    let again = rpc.start(full.request("w", &["stall"])).await.unwrap();
    assert_eq!((again.id, &*again.outcome), (waits.id, "cancelled"));
}

#[tokio::test]
async fn what_may_not_wait_is_told_to_try_again_and_so_is_what_finds_the_line_full() {
    let mut full = Full::new("[queue]\nmax = 1").await;
    let args = ["start", "--task", "T2", "--no-queue", "--", "true"];
    full.ctl.run(args).await.exits(75).says("max_running");
    let waits = full.ctl.run(["start", "--task", "T2", "--", "true"]).await;
    let waits = waits.says("waits: 1st of 1: daemon.max_running = 1 is reached");
    let id: i64 = waits.ok().trim().parse().unwrap();
    let args = ["start", "--task", "T3", "--", "true"];
    full.ctl.run(args).await.exits(75).says("queue.max");
    // One of its task waits, and would do its work.
    let args = ["start", "--task", "T2", "--", "true"];
    full.ctl.run(args).await.exits(4).says("--after");
    let listed = full.ctl.run(["list"]).await.ok();
    let why = format!("{id} waits: 1st of 1: daemon.max_running = 1 is reached");
    assert!(listed.contains(&why), "{listed}");
    let status = full.ctl.run(["status"]).await.ok();
    assert!(status.contains("1 of at most 1"), "{status}");
    let mut followed = full
        .ctl
        .spawn(["stream", &id.to_string(), "--exit-status", "--json"]);
    full.puppet.exits(0);
    assert!(followed.until("\"complete\"").await.len() > 1);
    followed.end().await.exits(0);
}

#[tokio::test]
async fn an_id_that_cannot_be_waited_for_is_refused() {
    let full = Full::new("").await;
    let args = ["start", "--task", "T2", "--after", "77", "--", "true"];
    full.ctl.run(args).await.exits(3).says("77");
    full.ctl.run(["stop", &full.running.to_string()]).await.ok();
    let ended = full.running.to_string();
    let args = ["start", "--task", "T2", "--after", &ended, "--", "true"];
    full.ctl.run(args).await.exits(4).says("cancelled");
}

/// Killed at each step of the way into the line and out of it: started once, or seen not to have been.
#[tokio::test]
async fn a_daemon_killed_on_the_way_through_the_line_starts_it_once() {
    let mut full = Full::new("").await;
    let points = FailPoints::of(&full.home);
    let mut ends = Vec::new();
    for (n, point) in ["file-stored", "row-committed", "written"]
        .iter()
        .enumerate()
    {
        points.set(&[&format!("queue.{point} kill")]);
        let rpc = full.daemon.rpc().await;
        let request = full.request(&format!("in{n}"), &["exit", "0"]);
        let refused = rpc.start(request.clone()).await;
        assert!(refused.is_err(), "{point}: {refused:?}");
        full.daemon.ended().await;
        points.clear();
        full.daemon.start_again().await;
        // Whoever asks again gets the one there is, or one that is started now.
        let again = full.daemon.rpc().await.start(request).await.unwrap();
        assert_eq!(again.state(), v1::State::Queued, "{point}: {again:?}");
        ends.push(again);
    }
    // One that is not started yet would find no strings once they are dropped.
    let mut pulled = Vec::new();
    for point in ["queue.turn-taken", "start.spec-stored"] {
        points.set(&[&format!("{point} kill")]);
        full.puppet.exits(0);
        full.daemon.ended().await;
        points.clear();
        full.daemon.start_again().await;
        let next = Puppet::new(&full.home, point);
        pulled.push(std::mem::replace(&mut full.puppet, next));
        let request = full.request(point, &full.puppet.args());
        let rpc = full.daemon.rpc().await;
        let high = rpc.start(of_priority(9, request)).await.unwrap();
        ends.push(high);
    }
    full.puppet.exits(0);
    let rpc = full.daemon.rpc().await;
    let project = full.ctl.project();
    let mut outcomes = Vec::new();
    for it in &ends {
        let ended = rpc.ended(&project, it.id).await;
        outcomes.push(ended.outcome);
        log::assert_whole(&log::lines(&full.ctl.log_path(it.id)));
    }
    let all = rpc
        .events(&project, |events| {
            rpc::told(events, "finished").len() > ends.len()
        })
        .await;
    for it in &ends {
        let finished = rpc::told(&all, "finished")
            .iter()
            .filter(|id| **id == it.id)
            .count();
        assert_eq!(finished, 1, "{all:?}");
    }
    let lost = outcomes
        .iter()
        .filter(|outcome| *outcome == "never_started")
        .count();
    assert!(lost <= 1, "{outcomes:?}");
}

#[tokio::test]
async fn what_waits_comes_back_from_its_files_when_the_database_is_gone() {
    let mut full = Full::new("").await;
    let rpc = full.daemon.rpc().await;
    let project = full.ctl.project();
    let waits = rpc.start(full.request("w", &["exit", "0"])).await.unwrap();
    let mode = |path: &std::path::Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    let folder = full.home.invocation_dir(&waits.uuid);
    assert_eq!(
        (mode(&folder), mode(&folder.join("queued.json"))),
        (0o700, 0o600)
    );
    full.daemon.kill9().await;
    std::fs::remove_dir_all(full.ctl.folder().join(".steroids")).unwrap();
    full.daemon.start_again().await;
    let rpc = full.daemon.rpc().await;
    let back = rpc.get(&project, waits.id).await;
    assert_eq!(
        (back.state(), &*back.uuid),
        (v1::State::Queued, &*waits.uuid)
    );
    full.puppet.exits(0);
    assert_eq!(rpc.ended(&project, waits.id).await.outcome, "success");
}

#[tokio::test]
async fn who_waits_for_one_that_is_tried_again_is_told_of_the_attempt_that_goes_on() {
    let home = Home::with_config("[retry]\non = [\"failed\"]\nfirst = \"1h\"");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let first = ctl.start_fake("T1", &["exit", "3"]).await;
    let ended = rpc.ended(&ctl.project(), first).await;
    let next = ended.retried_by.expect("it is tried again");
    let waits = v1::StartRequest {
        after: vec![first],
        ..request(&ctl.project(), "waits", &["exit", "0"])
    };
    let waits = started(&rpc, waits).await;
    eventually("the later attempt to be named", async || {
        let row = rpc.get(&ctl.project(), waits).await;
        let words = format!("waits for invocation {next} to succeed");
        row.waiting.ends_with(&words).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_runs_is_seen_however_many_wait_that_came_before_it() {
    let mut full = Full::new("").await;
    let rpc = full.daemon.rpc().await;
    let mut waiting = Vec::new();
    for n in 0..26 {
        let request = full.request(&format!("w{n}"), &["exit", "0"]);
        waiting.push(started(&rpc, of_priority(-1, request)).await);
    }
    let mut stream = full.ctl.spawn(["stream", "--all"]);
    let mut late = Puppet::new(&full.home, "late");
    let args = late.args();
    let id = started(&rpc, full.request("late", &args)).await;
    full.puppet.exits(0);
    late.prints("seen while they wait");
    stream.until("seen while they wait").await;
    assert_eq!(line(&rpc, &full.ctl.project()).await, waiting);
    // And so is each of them, once it begins.
    late.exits(0);
    let request = full.request("last", &["lines", "--count", "1"]);
    let last = started(&rpc, of_priority(-9, request)).await;
    rpc.ended(&full.ctl.project(), last).await;
    let shown = stream.until(&format!("#{last}")).await.join("\n");
    for one in waiting {
        assert!(shown.contains(&format!("#{one}")), "{one} of {id}: {shown}");
    }
}
