//! Shims of another release. What one of each released protocol left in its folder, and said over its
//! socket, is kept in `daemon/shim/tests/golden`; here it is played to the daemon of today.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use steroids_proto::v1;
use steroids_shim::{lock, state};
use steroids_tests::{
    Ctl, Daemon, Home, Puppet, binaries, eventually, faults, invocation, log, processes, within,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

fn golden() -> PathBuf {
    binaries::workspace().join("daemon/shim/tests/golden/proto-1")
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn write(path: &Path, value: &Value) {
    std::fs::write(path, serde_json::to_vec(value).unwrap()).unwrap();
}

/// A request of the transcript, and what was answered.
struct Turn {
    asked: Value,
    said: Vec<String>,
}

fn transcript() -> Vec<Turn> {
    let text = std::fs::read_to_string(golden().join("transcript")).unwrap();
    let mut turns: Vec<Turn> = Vec::new();
    for line in text.lines() {
        match line.split_at(2) {
            ("> ", asked) => turns.push(Turn {
                asked: serde_json::from_str(asked).unwrap(),
                said: Vec::new(),
            }),
            (_, said) => turns.last_mut().unwrap().said.push(said.to_owned()),
        }
    }
    turns
}

/// How an old folder may differ from one of today.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Variant {
    /// As it was written.
    Plain,
    /// With fields that this release does not know, and without those that may be missing.
    Strange,
}

/// What is put into each file of the strange variant, and taken out.
fn estrange(value: &mut Value) {
    let object = value.as_object_mut().unwrap();
    object.retain(|_, value| !value.is_null());
    object.remove("rusage");
    object.insert(
        "of_another_release".to_owned(),
        json!({"nested": [1, null]}),
    );
}

/// A running invocation of protocol 1 in the state folder of `ctl`'s home: its files, its lock, and
/// one at its socket who says what the transcript says, and ends when it is stopped.
async fn old_shim(ctl: &Ctl, variant: Variant) -> tokio::task::JoinHandle<Vec<String>> {
    let home = ctl.home();
    let mut spec = read(&golden().join("spec.json"));
    let uuid = spec["uuid"].as_str().unwrap().to_owned();
    let folder = home.invocation_dir(&uuid);
    std::fs::create_dir_all(&folder).unwrap();
    let socket = home.path("run/steroids/s").join("golden");
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let mut old_state = read(&golden().join("state.json"));
    let mut exit = read(&golden().join("exit.json"));
    for value in [&mut spec, &mut old_state] {
        value["boot_id"] = json!(state::boot_id().unwrap());
    }
    spec["project"] = json!(ctl.project());
    spec["cwd"] = json!(ctl.project());
    spec["socket"] = json!(socket);
    exit["end"]["ended_by"] = json!("stop");
    if variant == Variant::Strange {
        estrange(&mut spec["limits"]);
        for value in [&mut spec, &mut old_state, &mut exit] {
            estrange(value);
        }
        estrange(&mut exit["end"]);
    }
    std::fs::copy(golden().join("spool"), folder.join("spool")).unwrap();
    write(&folder.join("state.json"), &old_state);
    write(&folder.join("spec.json"), &spec);
    let held = lock::acquire(&folder.join("lock")).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        let mut heard = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap() == 0 {
                // Whoever knocks may have something else to do before a word is said.
                assert!(heard.is_empty(), "{heard:?}");
                stream = BufReader::new(listener.accept().await.unwrap().0);
                continue;
            }
            let asked: Value = serde_json::from_str(&line).unwrap();
            let turns = transcript();
            let turn = turns.iter().find(|turn| turn.asked["op"] == asked["op"]);
            let turn = turn.unwrap_or_else(|| panic!("protocol 1 knows no {line}"));
            for said in &turn.said {
                let mut said: Value = serde_json::from_str(said).unwrap();
                if variant == Variant::Strange {
                    said["of_another_release"] = json!("x");
                }
                let said = format!("{said}\n");
                stream.write_all(said.as_bytes()).await.unwrap();
            }
            heard.push(asked["op"].as_str().unwrap().to_owned());
            if asked["op"] == "stop" {
                write(&folder.join("exit.json.tmp"), &exit);
                std::fs::rename(folder.join("exit.json.tmp"), folder.join("exit.json")).unwrap();
                drop(held);
                return heard;
            }
        }
    })
}

#[tokio::test]
async fn a_shim_of_the_first_protocol_is_adopted_stopped_and_finished() {
    for variant in [Variant::Plain, Variant::Strange] {
        let home = Home::new();
        let mut daemon = Daemon::start(&home).await;
        let ctl = daemon.project("app").await;
        daemon.kill9().await;
        let shim = old_shim(&ctl, variant).await;
        daemon.start_again().await;
        let rpc = daemon.rpc().await;
        let adopted = rpc.get(&ctl.project(), 7).await;
        assert_eq!(
            adopted.state(),
            v1::State::Running,
            "{variant:?}: {adopted:?}"
        );
        let selector = invocation(&ctl.project(), 7);
        rpc.follow(selector, "", true).await.until("start").await;
        let stopped = ctl.run(["--json", "stop", "7"]).await.json();
        assert_eq!(stopped["outcome"], "cancelled", "{variant:?}: {stopped}");
        assert_eq!(stopped["exitCode"], 128 + 15);
        assert_eq!(stopped["durationMs"], 1234);
        let heard = within("the old shim to end", shim).await.unwrap();
        assert_eq!(
            (heard.first(), heard.last()),
            (Some(&"hello".into()), Some(&"stop".into()))
        );
        let lines = log::lines(&ctl.log_path(7));
        log::assert_whole(&lines);
        assert_eq!(lines.last().unwrap()["signal"], "SIGTERM");
        steroids_tests::assert_undisturbed(&ctl, &rpc.get(&ctl.project(), 7).await);
    }
    let seen = "the golden folder and transcript of protocol 1: adopted, stopped, finished";
    faults::held(9, seen);
}

#[tokio::test]
async fn the_shim_of_today_answers_what_a_daemon_of_the_first_protocol_asks() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let started = rpc.start_fake(&ctl.project(), "T1", &["stall"]).await;
    let spec = read(&home.invocation_dir(&started.uuid).join("spec.json"));
    let socket = UnixStream::connect(spec["socket"].as_str().unwrap()).await;
    let mut stream = BufReader::new(socket.unwrap());
    for turn in transcript() {
        let asked = format!("{}\n", turn.asked);
        stream.write_all(asked.as_bytes()).await.unwrap();
        for said in &turn.said {
            let expected: Value = serde_json::from_str(said).unwrap();
            // Hints come when they come.
            if expected.get("op").is_none() {
                continue;
            }
            let answer = loop {
                let mut line = String::new();
                within("an answer", stream.read_line(&mut line))
                    .await
                    .unwrap();
                let answer: Value = serde_json::from_str(&line).unwrap_or_else(|e| {
                    panic!("{e}: `{line}` in the place of {said}");
                });
                if answer["op"] == expected["op"] {
                    break answer;
                }
            };
            let keys = expected.as_object().unwrap().keys();
            let missing: Vec<_> = keys.filter(|key| answer.get(key).is_none()).collect();
            assert!(missing.is_empty(), "{missing:?} are not in {answer}");
        }
    }
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.outcome, "cancelled");
    let seen = "the other way: the shim of today answers each request of the transcript";
    faults::held(9, seen);
}

#[tokio::test]
async fn a_shim_of_a_protocol_to_come_is_shown_as_foreign_and_left_alone() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agents = Vec::new();
    for name in ["readable", "strange"] {
        let mut agent = Puppet::new(&home, name);
        let started = rpc.start_fake(&ctl.project(), name, &agent.args()).await;
        agent.prints("before");
        let selector = invocation(&ctl.project(), started.id);
        rpc.follow(selector, "", true).await.until("before").await;
        agents.push((agent, started));
    }
    daemon.kill9().await;
    let specs: Vec<_> = agents
        .iter()
        .map(|(_, started)| home.invocation_dir(&started.uuid).join("spec.json"))
        .collect();
    let before: Vec<_> = specs.iter().map(|spec| read(spec)).collect();
    let mut readable = before[0].clone();
    readable["proto"] = json!(9);
    write(&specs[0], &readable);
    write(&specs[1], &json!({"proto": 9, "who": "knows"}));
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    for (_, started) in &agents {
        let shown = rpc.get(&ctl.project(), started.id).await;
        assert_eq!(shown.state(), v1::State::Running, "{shown:?}");
        assert!(shown.alarm.contains("foreign shim"), "{shown:?}");
        let id = started.id.to_string();
        let text = ctl.run(["--json", "stream", &id, "--no-follow"]).await.ok();
        assert!(text.contains("before"), "{text}");
        ctl.run(["stop", &id]).await.exits(4).says("protocol 9");
        assert_eq!(processes::marked(&started.uuid).len(), 1);
    }
    let status = ctl.run(["status"]).await.ok();
    assert_eq!(status.matches("protocol 9").count(), 2, "{status}");
    // Neither by the periodic pass.
    ctl.run(["wakeup"]).await.ok();
    assert_eq!(processes::marked(&agents[0].1.uuid).len(), 1);

    // The release that knows them is back.
    daemon.kill9().await;
    for (spec, before) in specs.iter().zip(&before) {
        write(spec, before);
    }
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    for (agent, started) in &mut agents {
        agent.prints("after");
        agent.exits(0);
        let ended = rpc.ended(&ctl.project(), started.id).await;
        assert_eq!(ended.outcome, "success");
        let lines = log::lines(&ctl.log_path(started.id));
        assert_eq!(log::messages(&lines, "output"), ["before", "after"]);
    }
    eventually("no process but the daemon", async || {
        (home.processes().len() == 1).then_some(())
    })
    .await;
    let seen = "running, alarm `foreign shim`, log readable, stop refused, agent alive";
    faults::held(109, seen);
}
