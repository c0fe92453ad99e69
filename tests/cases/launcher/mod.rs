//! Launcher `systemd`, in a booted systemd: each invocation is a unit of its own, and whatever ends that ends
//! it in order.

use serde_json::Value;
use steroids_tests::lab::{PROGRAMS, User};
use steroids_tests::{Lab, Puppet, eventually};

/// The daemon as a service of the user's, whose end leaves alone what it started.
const DAEMON: [&str; 6] = [
    "systemd-run",
    "--user",
    "--quiet",
    "--unit=daemon",
    "--property=KillMode=process",
    "--property=Delegate=yes",
];

async fn start_daemon(user: &User<'_>, flags: &[&str]) {
    let program = format!("{PROGRAMS}/steroidsd");
    user.run(&[&DAEMON[..], &[&program], flags].concat())
        .await
        .ok();
    eventually("the daemon to answer", async || {
        let answer = user.ctl("", &["status"]).await;
        (answer.code == 0).then_some(())
    })
    .await;
}

async fn kill_daemon(user: &User<'_>) {
    let kill = ["kill", "--signal=SIGKILL", "daemon"];
    user.systemctl(&kill).await.ok();
    gone(user, "daemon").await;
}

async fn gone(user: &User<'_>, unit: &str) {
    eventually("a unit to end", async || {
        let state = user.systemctl(&["is-active", unit]).await.stdout;
        matches!(state.trim(), "inactive" | "failed").then_some(())
    })
    .await;
    // One that failed would keep its name.
    user.systemctl(&["reset-failed"]).await.ok();
}

async fn project(user: &User<'_>) {
    user.run(&["mkdir", "p"]).await.ok();
    user.ctl("p", &["init"]).await.ok();
}

async fn start(user: &User<'_>, task: &str, flags: &[&str], puppet: &Puppet) -> String {
    let program = format!("{PROGRAMS}/fake-provider");
    let command = [&["--", &program][..], &puppet.args()].concat();
    let words = [&["start", "--task", task], flags, &command].concat();
    let id = user.ctl("p", &words).await.ok();
    id.trim().to_owned()
}

async fn show(user: &User<'_>, id: &str) -> Value {
    let shown = user.ctl("p", &["show", id, "--json"]).await.ok();
    serde_json::from_str(&shown).unwrap()
}

async fn unit(user: &User<'_>, id: &str) -> String {
    eventually("its shim to say where it is", async || {
        let shown = show(user, id).await;
        shown["unit"].as_str().map(str::to_owned)
    })
    .await
}

async fn ended(user: &User<'_>, id: &str) -> Value {
    eventually("its row to be final", async || {
        let shown = show(user, id).await;
        (shown["status"] != "running").then_some(shown)
    })
    .await
}

#[tokio::test]
async fn an_agent_has_a_unit_of_its_own_that_outlives_the_daemon_and_not_its_shim() {
    let Some(lab) = Lab::boot().await else {
        return;
    };
    let user = lab.user("dev").await;
    start_daemon(&user, &[]).await;
    project(&user).await;
    let status = user.ctl("", &["status", "--json"]).await.ok();
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["launcher"], "systemd", "{status}");
    assert_eq!(status["warnings"], serde_json::json!([]));

    let mut first = lab.puppet("first");
    let bounds = [
        "--memory-max",
        "64MiB",
        "--cpu-quota=150%",
        "--tasks-max=64",
    ];
    let id = start(&user, "T1", &bounds, &first).await;
    let its = unit(&user, &id).await;
    let shown = user.systemctl(&["status", &its]).await.stdout;
    let home = user.home();
    let said = format!("steroids: task T1, invocation {id} of {home}/p");
    assert!(shown.contains(&said) && shown.contains("─agent"), "{shown}");
    assert!(shown.contains("steroids.slice"), "{shown}");
    for (property, value) in [
        ("MemoryMax", "67108864"),
        ("CPUQuotaPerSecUSec", "1.500000s"),
        ("TasksMax", "64"),
        ("KillMode", "mixed"),
    ] {
        assert_eq!(user.property(&its, property).await, value, "{property}");
    }
    // What the kernel does not hold is said, and nothing else is.
    let group = user
        .systemctl(&["show", "--value", "-p", "ControlGroup"])
        .await;
    let group = group.ok().trim().to_owned();
    let offered = lab.read(&format!("/sys/fs/cgroup{group}/cgroup.controllers"));
    let missing: Vec<&str> = ["memory", "cpu", "pids"]
        .into_iter()
        .filter(|it| !offered.split_whitespace().any(|offered| offered == *it))
        .collect();
    let shown = show(&user, &id).await;
    let told = shown["resources"]["unenforced"].as_array().cloned();
    let told = told.unwrap_or_default();
    assert_eq!(told, missing, "{shown}");

    kill_daemon(&user).await;
    first.prints("while nobody looked");
    start_daemon(&user, &[]).await;
    assert_eq!(
        user.systemctl(&["is-active", &its]).await.stdout,
        "active\n"
    );
    first.exits(0);
    let shown = ended(&user, &id).await;
    assert_eq!(shown["outcome"], "success", "{shown}");
    assert_eq!(shown["response"], "while nobody looked");
    assert!(shown["peakMemoryBytes"].as_u64().unwrap() > 0, "{shown}");
    assert!(shown["cpuMs"].is_u64(), "{shown}");

    let second = lab.puppet("second");
    let id = start(&user, "T2", &[], &second).await;
    let its = unit(&user, &id).await;
    let agent = show(&user, &id).await["pid"].to_string();
    let shim = user.property(&its, "MainPID").await;
    user.run(&["kill", "-KILL", &shim]).await.ok();
    let shown = ended(&user, &id).await;
    assert_eq!(shown["outcome"], "lost", "{shown}");
    gone(&user, &its).await;
    let there = user.run(&["kill", "-0", &agent]).await;
    assert_ne!(there.code, 0, "its agent is alive");
}

#[tokio::test]
async fn who_stops_the_slice_or_logs_out_ends_agents_in_order_with_the_daemon_or_without() {
    let Some(lab) = Lab::boot().await else {
        return;
    };
    let user = lab.user_logged_in("dev").await;
    start_daemon(&user, &[]).await;
    project(&user).await;
    let status = user.ctl("", &["status"]).await.ok();
    assert!(status.contains("lingering is off"), "{status}");

    let sliced = lab.puppet("sliced");
    let id = start(&user, "T1", &[], &sliced).await;
    kill_daemon(&user).await;
    user.systemctl(&["stop", "steroids.slice"]).await.ok();
    start_daemon(&user, &[]).await;
    let shown = ended(&user, &id).await;
    assert_eq!(shown["outcome"], "interrupted", "{shown}");
    let error = shown["error"].as_str().unwrap();
    assert!(
        error.starts_with("told to end by the service manager"),
        "{error}"
    );

    let in_unit = lab.puppet("in-unit");
    let first = start(&user, "T2", &[], &in_unit).await;
    user.systemctl(&["stop", "daemon"]).await.ok();
    start_daemon(&user, &["--launcher=fork"]).await;
    let forked = lab.puppet("forked");
    let second = start(&user, "T3", &[], &forked).await;
    user.log_out().await;

    // Another session, and another daemon, which finds how they ended.
    let unit = format!("user@{}.service", user.uid());
    lab.run(&["systemctl", "start", &unit]).await.ok();
    start_daemon(&user, &[]).await;
    for id in [first, second] {
        let shown = ended(&user, &id).await;
        assert_eq!(shown["outcome"], "interrupted", "{shown}");
        let error = shown["error"].as_str().unwrap();
        assert!(error.contains("the user's session"), "{error}");
    }
}
