//! Hooks that run a program, `notify-send` among them.

use rustix::process::Signal;
use serde_json::Value;
use steroids_tests::{Daemon, Home, eventually, processes};

use super::{delivered, in_state, insert, lines, shown};

/// The processes that a hook's script has named in a file.
async fn pids(path: &std::path::Path, count: usize) -> Vec<i32> {
    let lines = lines(path, count).await;
    lines.iter().map(|line| line.parse().unwrap()).collect()
}

async fn gone(pids: &[i32]) {
    eventually("processes of a hook to go", async || {
        let living = pids.iter().any(|pid| processes::is_alive(*pid));
        (!living).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_command_gets_the_event_and_no_keys_of_providers() {
    let home = Home::new();
    let out = home.path("out");
    // In one write, so that nobody reads half of it.
    let script = home.script(
        "hook",
        "#!/bin/sh\nbody=$(cat)\nvariables=$(env | sort | tr '\\n' ' ')\n\
         printf '%s\\n%s\\n%s\\n' \"$body\" \"$variables\" \"$PWD $*\" >> \"$OUT\"\necho heard\n",
    );
    home.configure(&format!(
        "[[hooks]]\nname = \"run\"\non = [\"started\", \"finished\"]\n\
         command = [{script:?}, \"one word\"]\nenv = [\"OUT\", \"STEROIDS_*\"]\ntask = [\"T-*\"]\n"
    ));
    let through = [
        "env",
        &format!("OUT={}", out.display()),
        "ANTHROPIC_API_KEY=k3y",
    ];
    let daemon = Daemon::start_through(&home, &through).await;
    let ctl = daemon.project("app").await;
    ctl.start_fake("other", &["exit", "0"]).await;
    let id = ctl.start_fake("T-1", &["exit", "0"]).await;
    let said = lines(&out, 6).await;
    for (at, event, outcome) in [(0, "started", ""), (3, "finished", "success")] {
        let body: Value = serde_json::from_str(&said[at]).unwrap();
        assert_eq!(
            (&body["event"], &body["taskId"]),
            (&event.into(), &"T-1".into())
        );
        let variables = &said[at + 1];
        let delivery = body["id"].as_str().unwrap();
        for set in [
            format!("STEROIDS_EVENT={event} "),
            format!("STEROIDS_OUTCOME={outcome} "),
            format!("STEROIDS_INVOCATION_ID={id} "),
            format!("STEROIDS_PROJECT={} ", ctl.project()),
            format!("STEROIDS_DELIVERY={delivery} "),
            "STEROIDS_TASK=T-1 ".to_owned(),
            "STEROIDS_HOOK=run ".to_owned(),
        ] {
            assert!(variables.contains(&set), "{set} in {variables}");
        }
        for kept in ["k3y", "STEROIDS_FAIL_POINTS"] {
            assert!(!variables.contains(kept), "{kept} in {variables}");
        }
        assert_eq!(said[at + 2], "/ one word");
    }
    delivered(&ctl, "run", 2).await;
    let tested = ctl.run(["hooks", "test", "run", "--json"]).await.json();
    assert_eq!(
        (&tested["delivered"], &tested["message"]),
        (&true.into(), &"heard".into())
    );
}

#[tokio::test]
async fn a_command_that_hangs_is_ended_with_all_it_started_and_one_that_is_missing_is_named() {
    let home = Home::new();
    let out = home.path("out");
    let script = home.script(
        "hook",
        &format!(
            "#!/bin/sh\ntrap '' TERM\n\
             (setsid sh -c 'echo $$ >> {out}; exec sleep 1000' &)\n\
             echo $$ >> {out}\nwhile :; do sleep 1000; done\n",
            out = out.display()
        ),
    );
    // As often as it takes for a busy machine to get the first of them to its sleep.
    let often = "retries = 100\nretry_after = \"10ms\"\non = [\"finished\"]";
    home.configure(&format!(
        "[[hooks]]\nname = \"hangs\"\ncommand = [{script:?}]\ntimeout = \"300ms\"\n{often}\n\
         [[hooks]]\nname = \"missing\"\ncommand = [\"/no/such\"]\n{often}\n"
    ));
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let id = ctl.start_fake("T1", &["exit", "0"]).await;
    assert_eq!(rpc.ended(&ctl.project(), id).await.outcome, "success");
    gone(&pids(&out, 2).await).await;
    let hook = in_state(&ctl, "hangs", "failing").await;
    assert_eq!(hook["lastError"], "did not end within 300ms");
    let hook = in_state(&ctl, "missing", "failing").await;
    let why = hook["lastError"].as_str().unwrap();
    assert!(why.contains("/no/such: No such file"), "{why}");
    let tested = ctl.run(["hooks", "test", "missing"]).await.exits(4);
    assert!(tested.stdout.contains("/no/such"), "{tested:?}");
}

#[tokio::test]
async fn a_command_goes_with_the_daemon_whether_that_ends_or_is_killed() {
    let home = Home::new();
    let out = home.path("out");
    let script = home.script(
        "hook",
        &format!(
            "#!/bin/sh\ntrap '' TERM\n(setsid sh -c 'echo $$ >> {out}; exec sleep 1000' &)\n\
             echo $$ >> {out}\nwhile :; do sleep 1000; done\n",
            out = out.display()
        ),
    );
    home.configure(&format!(
        "[[hooks]]\nname = \"hangs\"\ncommand = [{script:?}]\non = [\"finished\"]\ntimeout = \"5m\"\n"
    ));
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    ctl.start_fake("T1", &["exit", "0"]).await;
    let first = pids(&out, 2).await;
    assert_eq!(daemon.term().await, 0);
    gone(&first).await;
    // It was not delivered, so it is on its way again.
    daemon.start_again().await;
    let both = pids(&out, 4).await;
    daemon.kill9().await;
    gone(&both[2..]).await;
}

#[tokio::test]
async fn what_a_killed_guard_leaves_behind_is_ended() {
    let home = Home::new();
    let (out, above) = (home.path("out"), home.path("above"));
    let script = format!(
        "#!/bin/sh\necho $PPID >> {above}\nsh -c 'echo $$ >> {out}; exec sleep 1000' &\n\
         echo $$ >> {out}\nexec sleep 1000\n",
        above = above.display(),
        out = out.display()
    );
    let script = home.script("hook", &script);
    home.configure(&format!(
        "[[hooks]]\nname = \"hangs\"\ncommand = [{script:?}]\non = [\"finished\"]\ntimeout = \"5m\"\n\
         retry_after = \"1h\"\n"
    ));
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    ctl.start_fake("T1", &["exit", "0"]).await;
    let (guard, left) = (pids(&above, 1).await, pids(&out, 2).await);
    processes::signal(guard[0], Signal::KILL);
    gone(&left).await;
    let hook = in_state(&ctl, "hangs", "failing").await;
    assert_eq!(hook["lastError"], "signal: 9 (SIGKILL)");
}

#[tokio::test]
async fn a_notification_is_shown_where_there_is_a_desktop() {
    let home = Home::new();
    let out = home.path("out");
    home.script(
        "notify-send",
        &format!("#!/bin/sh\n[ -n \"$DBUS_SESSION_BUS_ADDRESS\" ] || exit 1\nprintf '%s|' \"$@\" >> {0}; echo >> {0}\n", out.display()),
    );
    home.configure("[[hooks]]\nname = \"desktop\"\nnotify = true\n");
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    ctl.start_fake("<b>", &["exit", "3"]).await;
    let hook = in_state(&ctl, "desktop", "idle").await;
    let why = hook["note"].as_str().unwrap();
    assert!(why.contains("no desktop session"), "{why}");
    daemon.term().await;
    let bus = "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere";
    let daemon = Daemon::start_through(&home, &["env", bus]).await;
    ctl.start_fake("T1", &["exit", "0"]).await;
    insert(
        &ctl,
        "held",
        std::iter::once("claude: rate limited until 14:00".to_owned()),
    );
    ctl.start_fake("<b>", &["exit", "3"]).await;
    let said = lines(&out, 2).await;
    let fixed = "--app-name=steroids|--|";
    assert_eq!(
        said[0],
        format!("{fixed}steroids: held|app: held: claude: rate limited until 14:00|")
    );
    assert!(
        said[1].starts_with(&format!(
            "{fixed}<b>: failed|app: &lt;b&gt; finished: failed"
        )),
        "{}",
        said[1]
    );
    // A success asks nothing of anybody.
    assert_eq!(shown(&ctl, "desktop").await["skipped"], 0);
    delivered(&ctl, "desktop", 2).await;
    assert!(daemon.rpc().await.degraded().await.is_empty());
}
