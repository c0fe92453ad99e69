//! `steroidsd@.service`, for a user whom nobody logs in as: agents live in the daemon's own unit, and
//! outlive the daemon just so.

use serde_json::Value;
use steroids_tests::lab::User;
use steroids_tests::{Lab, eventually};

use super::{agents_can_work, ended, printed, start};

const UNIT: &str = "steroidsd@alice.service";

/// It says that it was asked, which one that is killed cannot.
// systemd and its shim may both ask it.
const POLITE: &str = "trap '> /lab/asked-$0; exit 0' TERM; echo up >/lab/up; sleep 600 & wait";

#[tokio::test]
async fn a_server_runs_agents_of_a_user_who_never_logs_in() {
    let Some(lab) = Lab::boot().await else {
        return;
    };
    lab.install_units();
    let user = lab.user_of_a_server("alice").await;
    let hurry = "[Service]\nRestartSec=10ms\n";
    lab.write("/etc/systemd/system/steroidsd@.service.d/test.conf", hurry);
    systemctl(&lab, &["start", UNIT]).await;
    user.run(&["mkdir", "work"]).await.ok();
    user.ctl("work", &["init"]).await.ok();
    let status = user.ctl("", &["--json", "status"]).await.json();
    assert_eq!(status["launcher"], "fork", "{status}");
    assert_eq!(status["launcherWhy"], "as was asked for", "{status}");
    // Locked up as the unit is, it leaves them what they live by.
    agents_can_work(&user, &["NoNewPrivs:1"]).await;

    let mut agent = lab.puppet("agent");
    let id = start(&user, "T1", &agent).await;
    let pid = shown(&user, id).await["pid"].to_string();
    let group = lab.read(&format!("/proc/{pid}/cgroup"));
    assert!(group.contains(&format!("/{UNIT}/inv-")), "{group}");
    agent.prints("1");
    let first = lab.property(UNIT, "MainPID").await;
    systemctl(&lab, &["restart", UNIT]).await;
    let second = lab.property(UNIT, "MainPID").await;
    assert_ne!(second, first);
    assert_eq!(
        lab.property(UNIT, "StatusText").await,
        "1 running, 0 waiting"
    );
    agent.prints("2");
    systemctl(&lab, &["kill", "--kill-whom=main", "-s", "KILL", UNIT]).await;
    agent.prints("3");
    eventually("another daemon", async || {
        let pid = lab.property(UNIT, "MainPID").await;
        let state = lab.property(UNIT, "ActiveState").await;
        (pid != second && state == "active").then_some(())
    })
    .await;
    systemctl(&lab, &["reload", UNIT]).await;
    let doctor = user.ctl("", &["doctor"]).await;
    let said = "ok    linger      the system runs the daemon";
    assert!(doctor.stdout.contains(said), "{doctor:?}");
    systemctl(&lab, &["stop", UNIT]).await;
    let away = user.ctl("", &["status"]).await.exits(69);
    drop(away.says("start it with: sudo systemctl start steroidsd@alice"));
    assert_eq!(lab.property(UNIT, "Result").await, "success");
    // By these the next daemon reaches them.
    let sockets = format!("{}/steroids/s", user.runtime());
    assert!(lab.path(&sockets).exists(), "{sockets} is gone");
    agent.prints("4");
    agent.exits(0);
    systemctl(&lab, &["start", UNIT]).await;
    let completed = ended(&user, id).await;
    assert_eq!(completed["status"], "completed", "{completed}");
    assert_eq!(printed(&user, id), ["1", "2", "3", "4"]);

    // Who means the agents says so; and the machine, as it goes down, asks them as well.
    let id = polite(&lab, &user, "T2").await;
    ask_all(&lab).await;
    systemctl(&lab, &["restart", UNIT]).await;
    let interrupted = ended(&user, id).await;
    assert_eq!(interrupted["outcome"], "interrupted", "{interrupted}");
    polite(&lab, &user, "T3").await;
    lab.power_off().await;
    for task in ["T2", "T3"] {
        let asked = lab.shared().join(format!("asked-{task}"));
        assert!(asked.exists(), "{task} was not asked");
    }
}

/// Asks all in the unit to end. systemd gives up at a group that goes while it looks through them, as that
/// of an agent which has ended does: those behind it are asked then.
async fn ask_all(lab: &Lab) {
    eventually("all to be asked", async || {
        let killed = lab
            .run(&["systemctl", "kill", "--kill-whom=all", UNIT])
            .await;
        (!killed.stderr.contains("No such device")).then_some(())
    })
    .await;
}

async fn polite(lab: &Lab, user: &User<'_>, task: &str) -> i64 {
    let up = lab.shared().join("up");
    let call = [
        "--json", "start", "--task", task, "--", "bash", "-c", POLITE, task,
    ];
    let started = user.ctl("work", &call).await.json();
    eventually("an agent that can be asked", async || {
        std::fs::remove_file(&up).ok()
    })
    .await;
    started["id"].as_i64().unwrap()
}

async fn shown(user: &User<'_>, id: i64) -> Value {
    user.ctl("work", &["--json", "show", &id.to_string()])
        .await
        .json()
}

async fn systemctl(lab: &Lab, words: &[&str]) {
    lab.run(&[&["systemctl"], words].concat()).await.ok();
}
