//! Logs made anew when somebody asks: what changes, what stays, who is told, and what a crash, a
//! retention pass or a folder that is gone do to it.

mod crash;
mod followers;
mod unknown;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use steroids_proto::v1;
use steroids_tests::{
    Ctl, Daemon, FailPoints, Home, Rpc, assert_undisturbed, log, reprojected, rpc,
};

/// An ended run of a recording of claude's that was read as plain text: as by a parser that knew
/// nothing of claude.
async fn misread(daemon: &Daemon, ctl: &Ctl, scenario: &str) -> v1::Invocation {
    let rpc = daemon.rpc().await;
    let recording = crate::recording("claude", scenario);
    let started = rpc
        .start_fake(&ctl.project(), "T1", &["replay", &recording])
        .await;
    let ended = rpc.ended(&ctl.project(), started.id).await;
    // Today's parser does know it.
    let spec = ctl.home().invocation_dir(&ended.uuid).join("spec.json");
    let mut read: Value = serde_json::from_slice(&fs::read(&spec).unwrap()).unwrap();
    read["kind"] = json!("claude");
    read["format"] = json!("json");
    fs::write(spec, read.to_string()).unwrap();
    ended
}

/// The log with one letter changed: what it says is no longer what the agent printed.
fn falsify(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, &bytes).unwrap();
    bytes
}

fn column<'a>(done: &'a Value, field: &str) -> Option<(&'a str, &'a str)> {
    let changes = done["row"].as_array().unwrap();
    let change = changes.iter().find(|change| change["field"] == field)?;
    Some((change["before"].as_str()?, change["after"].as_str()?))
}

/// Told by events of this kind, since the first.
async fn told(rpc: &Rpc, project: &str, kind: &str, count: usize) -> Vec<String> {
    let request = v1::WatchRequest {
        project: project.to_owned(),
        after: Some(0),
        pulse: None,
        since_ms: None,
    };
    let mut events = rpc.projects().watch(request).await.unwrap().into_inner();
    let mut told = Vec::new();
    while told.len() < count {
        let events = events.message().await.unwrap().unwrap().events.into_iter();
        let events = events.filter(|event| event.kind == kind);
        told.extend(events.map(|event| event.message));
    }
    told
}

#[tokio::test]
async fn what_an_older_parser_made_is_read_anew_and_the_row_follows() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let before = misread(&daemon, &ctl, "rate-limit").await;
    let id = before.id.to_string();
    let old = fs::read(ctl.log_path(before.id)).unwrap();

    let dry = ctl
        .run(["--json", "reproject", &id, "--dry-run"])
        .await
        .json();
    assert_eq!(dry["result"], "rebuilt");
    assert_eq!(fs::read(ctl.log_path(before.id)).unwrap(), old);
    assert_eq!(rpc.get(&ctl.project(), before.id).await, before);

    let done = ctl.run(["--json", "reproject", &id]).await.json();
    let same = |key: &str| done[key] == dry[key];
    assert!(same("result") && same("lines") && same("types") && same("row"));
    let after = rpc.get(&ctl.project(), before.id).await;
    assert_undisturbed(&ctl, &after);
    assert_eq!(
        column(&done, "outcome"),
        Some((before.outcome.as_str(), after.outcome.as_str()))
    );
    assert_ne!(before.outcome, after.outcome, "{done}");
    assert_ne!(before.session_id, after.session_id);
    // What is certain stays.
    let certain = |it: &v1::Invocation| {
        let times = (it.started_at_ms, it.completed_at_ms, it.duration_ms);
        (it.exit_code, times, it.uuid.clone(), it.leftovers)
    };
    assert_eq!(certain(&before), certain(&after));
    let lines = log::lines(&ctl.log_path(before.id));
    assert_eq!(lines.last().unwrap()["outcome"], *after.outcome);
    assert_eq!(done["lines"]["after"], lines.len());
    let told = told(&rpc, &ctl.project(), "log_rebuilt", 1).await;
    let outcome = format!("outcome {} is now {}", before.outcome, after.outcome);
    assert!(
        told[0].contains("asked for") && told[0].ends_with(&outcome),
        "{told:?}"
    );

    // Now there is nothing to do, and nothing is done.
    let made = fs::metadata(ctl.log_path(before.id)).unwrap().modified();
    let again = ctl.run(["--json", "reproject", &id]).await.json();
    assert_eq!(again["result"], "unchanged");
    assert_eq!((&again["types"], &again["row"]), (&json!([]), &json!([])));
    let still = fs::metadata(ctl.log_path(before.id)).unwrap().modified();
    assert_eq!(made.unwrap(), still.unwrap());
    let human = ctl.run(["reproject", &id]).await.ok();
    assert_eq!(human, format!("{id}  unchanged, {} lines\n", lines.len()));
}

#[tokio::test]
async fn all_of_a_project_are_made_anew_but_those_whose_transcript_or_log_is_gone() {
    let home = Home::with_config("[daemon]\nmax_running = 10\n");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut all = Vec::new();
    for ten in 0..3 {
        let mut started = Vec::new();
        for one in 0..10 {
            let task = format!("T{ten}-{one}");
            let words = ["numbers", "--count", "3"];
            started.push(rpc.start_fake(&ctl.project(), &task, &words).await);
        }
        for it in started {
            all.push(rpc.ended(&ctl.project(), it.id).await);
        }
    }
    for it in &all[..2] {
        fs::remove_dir_all(home.invocation_dir(&it.uuid)).unwrap();
    }
    // Also of those nothing is known any more but their logs, which stay as they are.
    let kept = falsify(&ctl.log_path(all[0].id));
    for it in &all[2..6] {
        falsify(&ctl.log_path(it.id));
    }
    fs::remove_file(ctl.log_path(all[6].id)).unwrap();
    let running = rpc.start_fake(&ctl.project(), "T", &["stall"]).await;

    let first = ctl.run(["reproject", "--all"]).await.ok();
    let sum = first.lines().last().unwrap();
    let expected = "4 changed, 23 unchanged, 2 skipped (transcript gone), 1 skipped (log deleted)";
    assert_eq!(sum, expected, "{first}");
    assert_eq!(fs::read(ctl.log_path(all[0].id)).unwrap(), kept);
    assert!(!ctl.log_path(all[6].id).exists());

    let task = [
        "--json",
        "reproject",
        "--all",
        "--task",
        "T0-6",
        "--restore",
    ];
    let restored = ctl.run(task).await.json();
    assert_eq!(restored["invocations"][0]["result"], "restored");
    let again = ctl.run(["--json", "reproject", "--all"]).await.json();
    let again = again["invocations"].as_array().unwrap();
    let of = |result: &str| again.iter().filter(|it| it["result"] == result).count();
    assert_eq!((of("unchanged"), of("skipped"), again.len()), (28, 2, 30));
    for it in &all[2..] {
        assert_undisturbed(&ctl, it);
    }

    for (id, exit, says) in [
        (all[0].id, 4, "the transcript of invocation 1 is gone"),
        (running.id, 4, "has not ended"),
        (999, 3, "does not exist"),
    ] {
        let ran = ctl.run(["reproject", &id.to_string()]).await;
        ran.exits(exit).says(says);
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stays_and_says_so() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let id = ctl.start_fake("T1", &["numbers", "--count", "3"]).await;
    let ended = rpc.ended(&ctl.project(), id).await;
    // EACCES, where the new log would take the old one's place.
    let points = FailPoints::of(&home);
    points.set(&["activity_log.replace errno 13"]);
    let false_one = falsify(&ctl.log_path(id));
    let ran = ctl.run(["reproject", "1"]).await;
    ran.exits(4).says("cannot be written");
    assert_eq!(fs::read(ctl.log_path(id)).unwrap(), false_one);
    points.clear();

    // A transcript that lost its end makes no log in the place of one that has it.
    let spool = home.invocation_dir(&ended.uuid).join("spool");
    let whole = fs::read(&spool).unwrap();
    fs::write(&spool, &whole[..whole.len() - 5]).unwrap();
    let ran = ctl.run(["reproject", "1"]).await;
    ran.exits(4).says("damaged");
    assert_eq!(fs::read(ctl.log_path(id)).unwrap(), false_one);
    fs::write(&spool, &whole).unwrap();

    ctl.run(["reproject", "1"]).await.ok();
    assert_undisturbed(&ctl, &ended);
    assert_eq!(
        fs::read(ctl.log_path(id)).unwrap(),
        reprojected(&home.invocation_dir(&ended.uuid))
    );
    // A deleted one is back for who names it.
    fs::remove_file(ctl.log_path(id)).unwrap();
    let back = ctl.run(["reproject", "1"]).await.ok();
    assert!(back.starts_with("1  log is back"), "{back}");
    let selector = rpc::invocation(&ctl.project(), id);
    let events = rpc.follow(selector, "", true).await.rest().await.unwrap();
    assert_eq!(rpc::bytes(&events), fs::read(ctl.log_path(id)).unwrap());
}
