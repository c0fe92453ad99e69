//! Compressed logs: who read the plain one reads on, whatever cuts compressing short.

use std::fs::{self, File, FileTimes};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use steroids_proto::v1;
use steroids_tests::gateway::{Gateway, Item, Received, Request, Sse, served_with};
use steroids_tests::{Ctl, Daemon, FailPoints, Home, Rpc, SmallDisk, rpc};

const COMPRESSES: &str = "[retention]\nlog_days = 0\ncompress_after = \"1h\"";

/// As if it had been written two hours ago.
fn rest(ctl: &Ctl, id: i64) {
    let times = FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(7200));
    let file = File::options().append(true).open(ctl.log_path(id)).unwrap();
    file.set_times(times).unwrap();
}

fn packed(ctl: &Ctl, id: i64) -> PathBuf {
    ctl.log_path(id).with_extension("log.zst")
}

async fn ended(ctl: &Ctl, rpc: &Rpc, count: &str) -> i64 {
    let args = ["numbers", "--count", count];
    let id = rpc.start_fake(&ctl.project(), "T1", &args).await.id;
    rpc.ended(&ctl.project(), id).await;
    id
}

/// The log's bytes as server-sent events give them.
async fn streamed(request: &Request, id: i64) -> String {
    let mut received = Received::default();
    let mut stream = Sse::open(request).await.expect("a stream");
    assert_eq!(received.read(&mut stream).await, Item::End);
    String::from_utf8(received.log(id)).unwrap()
}

/// The file in which its log is, as all say alike who tell of it.
async fn named(ctl: &Ctl, gateway: &Gateway, id: i64) -> PathBuf {
    let shown = ctl.run(["show", &id.to_string(), "--json"]).await.json();
    let listed = ctl.run(["list", "--json"]).await.json();
    let encoded = ctl.project().replace('/', "%2F");
    let target = format!("/api/tasks/T1/invocations/{id}?project={encoded}");
    let mut served = gateway.get(&target).send().await.ok().value();
    assert_eq!(listed["invocations"][0]["logPath"], shown["logPath"]);
    let served = served["invocation"].take();
    for what in ["logPath", "peakMemoryBytes", "cpuMs", "resources", "usage"] {
        assert_eq!(served[what], shown[what], "{what}");
    }
    PathBuf::from(shown["logPath"].as_str().unwrap())
}

async fn wakeup(rpc: &Rpc) -> v1::WakeupResponse {
    let pass = rpc.daemon().wakeup(v1::WakeupRequest {}).await;
    pass.unwrap().into_inner()
}

#[tokio::test]
async fn all_who_read_a_log_read_the_compressed_one_alike() {
    let (_home, mut daemon, gateway, ctl) = served_with(COMPRESSES).await;
    let rpc = daemon.rpc().await;
    // Some 300 KB: more than a frame.
    let id = ended(&ctl, &rpc, "4000").await;
    let plain = fs::read(ctl.log_path(id)).unwrap();
    let all = rpc::invocation(&ctl.project(), id);
    let events = rpc.follow(all.clone(), "", false).await.rest().await;
    let middle = events.unwrap()[3000].cursor.clone();
    let number = id.to_string();
    let commands: [&[&str]; 3] = [
        &["stream", &number, "--json", "--no-follow"],
        &[
            "stream",
            &number,
            "--json",
            "--no-follow",
            "--after",
            &middle,
        ],
        &["timeline", "--task", "T1", "--json", "--sample", "500"],
    ];
    let encoded = ctl.project().replace('/', "%2F");
    let poll = format!("/api/tasks/T1/events?project={encoded}&invocation={id}&wait=0");
    let streams = ["", &format!("&after={middle}")].map(|after| {
        let of_it = format!("project={encoded}&invocation={id}{after}");
        gateway.get(&format!("/api/tasks/T1/stream?{of_it}"))
    });
    let outline = v1::OutlineRequest {
        project: ctl.project(),
        id,
        max_places: 50,
        ..Default::default()
    };
    let mut before = Vec::new();
    for command in commands {
        before.push(ctl.run(command).await.ok());
    }
    before.push(gateway.get(&poll).send().await.ok().text());
    for stream in &streams {
        before.push(streamed(stream, id).await);
    }
    assert_eq!(named(&ctl, &gateway, id).await, ctl.log_path(id));
    before.push(format!("{:?}", rpc.outline(outline.clone()).await.unwrap()));

    rest(&ctl, id);
    let pass = wakeup(&rpc).await;
    assert_eq!((pass.logs_compressed, &pass.failures[..]), (1, &[][..]));
    assert!(!ctl.log_path(id).exists());
    let size = fs::metadata(packed(&ctl, id)).unwrap().len();
    assert_eq!(
        pass.bytes_saved,
        i64::try_from(plain.len() as u64 - size).unwrap()
    );

    for again in [false, true] {
        if again {
            daemon.kill9_and_restart().await;
        }
        let rpc = daemon.rpc().await;
        let mut after = Vec::new();
        for command in commands {
            after.push(ctl.run(command).await.ok());
        }
        after.push(gateway.get(&poll).send().await.ok().text());
        for stream in &streams {
            after.push(streamed(stream, id).await);
        }
        assert_eq!(named(&ctl, &gateway, id).await, packed(&ctl, id));
        after.push(format!("{:?}", rpc.outline(outline.clone()).await.unwrap()));
        assert!(before == after, "as before, again: {again}");
        let events = rpc.follow(all.clone(), "", true).await.rest().await;
        assert!(rpc::bytes(&events.unwrap()) == plain);
    }
    // It is what its transcript says, and nothing is made anew.
    let same = ctl.run(["reproject", &number, "--json"]).await.ok();
    assert!(!ctl.log_path(id).exists(), "{same}");
    if let Ok(zstd) = Command::new("zstd")
        .arg("-dcq")
        .arg(packed(&ctl, id))
        .stderr(Stdio::null())
        .output()
    {
        assert!(zstd.stdout == plain);
    }
    let days = ctl.run(["cleanup", "logs", "--days", "0", "--json"]).await;
    assert_eq!(days.json()["items"][0]["reason"], "age");
    assert!(!packed(&ctl, id).exists());
    let next = ctl.start_fake("T2", &["exit", "0"]).await;
    assert!(next > id);
}

#[tokio::test]
async fn a_daemon_killed_at_any_step_of_compressing_leaves_one_whole_log() {
    let home = Home::with_config(COMPRESSES);
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let points = FailPoints::of(&home);
    let id = ended(&ctl, &daemon.rpc().await, "1000").await;
    let plain = fs::read(ctl.log_path(id)).unwrap();
    rest(&ctl, id);
    for point in ["pack.written", "pack.named"] {
        points.set(&[&format!("{point} kill")]);
        let rpc = daemon.rpc().await;
        let pass = rpc.daemon().wakeup(v1::WakeupRequest {}).await;
        pass.expect_err("its daemon was killed");
        assert_eq!(points.hits(point).len(), 1);
        points.clear();
        daemon.ended().await;
        assert!(fs::read(ctl.log_path(id)).unwrap() == plain, "{point}");
        assert_eq!(packed(&ctl, id).exists(), point == "pack.named");
        daemon.start_again().await;
        let events = daemon.rpc().await;
        let all = rpc::invocation(&ctl.project(), id);
        let events = events.follow(all, "", true).await.rest().await.unwrap();
        assert!(rpc::bytes(&events) == plain, "{point}");
    }
    let rpc = daemon.rpc().await;
    let pass = wakeup(&rpc).await;
    assert_eq!((pass.logs_compressed, &pass.failures[..]), (1, &[][..]));
    assert!(!ctl.log_path(id).exists());
    assert!(!packed(&ctl, id).with_extension("zst.new").exists());
    let all = rpc::invocation(&ctl.project(), id);
    let events = rpc.follow(all, "", true).await.rest().await.unwrap();
    assert!(rpc::bytes(&events) == plain);
}

#[tokio::test]
async fn on_a_full_disk_a_log_stays_plain_until_there_is_room() {
    let home = Home::with_config(&format!("{COMPRESSES}\n[daemon]\nmin_free = \"\""));
    let folder = "home/app/.steroids/invocations";
    let Some(disk) = SmallDisk::mount(&home, folder, "4m") else {
        eprintln!("not shown: needs root");
        return;
    };
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let id = ended(&ctl, &rpc, "4000").await;
    let plain = fs::read(ctl.log_path(id)).unwrap();
    rest(&ctl, id);
    disk.fill();
    let pass = wakeup(&rpc).await;
    assert_eq!(pass.logs_compressed, 0);
    let [failure] = &pass.failures[..] else {
        panic!("one failure: {pass:?}");
    };
    assert!(failure.contains(&format!("{id}.log")), "{failure}");
    assert!(fs::read(ctl.log_path(id)).unwrap() == plain);
    assert!(!packed(&ctl, id).with_extension("zst.new").exists());
    disk.free();
    assert_eq!(wakeup(&rpc).await.logs_compressed, 1);
    let all = rpc::invocation(&ctl.project(), id);
    let events = rpc.follow(all, "", true).await.rest().await.unwrap();
    assert!(rpc::bytes(&events) == plain);
}
