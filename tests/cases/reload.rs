//! Another configuration for a daemon that runs.

use std::path::Path;
use std::sync::Arc;

use rustix::process::Signal;
use steroids_tests::{Ctl, Daemon, Home, Puppet, Window, binaries, eventually, processes, served};

#[tokio::test]
async fn what_can_change_does_at_once_and_what_cannot_is_named() {
    let home = Home::with_config("[daemon]\nmax_running = 1\n");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("p").await;
    let (first, second) = (Puppet::new(&home, "1"), Puppet::new(&home, "2"));
    ctl.start_fake("one", &first.args()).await;
    let waits = ctl.start_fake("two", &second.args()).await.to_string();
    let show = ["--json", "show", &waits];
    let running = async || {
        let status = ctl.run(["--json", "status"]).await.json();
        status["running"].as_i64().unwrap()
    };
    assert_eq!(running().await, 1);

    // A file that is no good changes nothing, and is told by its line, also later.
    home.configure("[daemon]\nmax_running = \"2\"\n");
    let refused = ctl.run(["reload"]).await.exits(4);
    let refused = refused.says("config.toml:2: `daemon.max_running`");
    drop(refused.says("the old configuration is kept"));
    let status = ctl.run(["--json", "status"]).await.json();
    assert_eq!(status["maxRunning"], 1);
    let error = status["configError"].as_str().unwrap();
    assert!(error.contains("config.toml:2:"), "{error}");
    assert!(status["degraded"].to_string().contains("config.toml:2:"));

    // One that is: the second has a place now. Who is served, and how much, is decided at start.
    home.configure("[daemon]\nmax_running = 2\nmax_streams = 7\nmax_connections = 9\n");
    let reloaded = ctl.run(["--json", "reload"]).await.json();
    assert_eq!(
        reloaded["changed"],
        serde_json::json!(["daemon.max_running"])
    );
    let pending = serde_json::json!(["daemon.max_connections", "daemon.max_streams"]);
    assert_eq!(reloaded["pending"], pending);
    eventually("the second to run", async || {
        (running().await == 2).then_some(())
    })
    .await;
    let shown = ctl.run(show).await.json();
    assert_eq!(shown["status"], "running", "{shown}");
    let status = ctl.run(["--json", "status"]).await.json();
    assert_eq!(status["configPending"], pending);
    assert!(
        status["degraded"]
            .to_string()
            .contains("daemon.max_streams")
    );
    assert!(status.get("configError").is_none(), "{status}");

    // By signal, too.
    home.configure("[daemon]\nmax_running = 3\n");
    daemon.signal(Signal::HUP);
    eventually("a reload by signal", async || {
        let status = ctl.run(["--json", "status"]).await.json();
        let is_new = status["maxRunning"] == 3 && status.get("configPending").is_none();
        is_new.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_gone_takes_no_bound_away() {
    let home = Home::with_config("[daemon]\nmax_running = 1\n");
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("p").await;
    std::fs::remove_file(home.config()).unwrap();
    let refused = ctl.run(["reload"]).await.exits(4);
    drop(refused.says("config.toml is not there any more; put it back, or restart"));
    let max_running = async || ctl.run(["--json", "status"]).await.json()["maxRunning"].clone();
    assert_eq!(max_running().await, 1);
    daemon.term().await;
    daemon.start_again().await;
    assert_ne!(max_running().await, 1);
}

#[tokio::test]
async fn a_users_first_file_of_his_own_is_found_and_named() {
    let home = Home::new();
    std::fs::remove_file(home.config()).unwrap();
    let of_system = home.folder("xdg/steroids").join("config.toml");
    std::fs::write(&of_system, "[daemon]\nmax_running = 2\n").unwrap();
    let folders = format!("XDG_CONFIG_DIRS={}", home.path("home/xdg").display());
    let daemon = Daemon::start_through(&home, &["env", &folders]).await;
    let ctl = daemon.project("p").await;
    max_running(&ctl, 2).await.unwrap();

    home.configure_exactly("garbage");
    let refused = ctl.run(["reload"]).await.exits(4);
    drop(refused.says(&format!("{}:1", home.config().display())));
    home.configure_exactly("[daemon]\nmax_running = 3\n");
    let shown = ctl.run(["config", "show", "daemon", "--json"]).await.json();
    assert_eq!(shown["file"], serde_json::json!(of_system));
    assert_eq!(shown["fileNow"], serde_json::json!(home.config()));
    let said = ctl.run(["reload"]).await.ok();
    let read = format!("read      {}", home.config().display());
    assert!(said.contains(&read), "{said}");
    max_running(&ctl, 3).await.unwrap();
    let status = ctl.run(["--json", "status"]).await.json();
    assert_eq!(status["config"], serde_json::json!(home.config()));
    let again = ctl.run(["reload"]).await.ok();
    assert_eq!(again, "reloaded  nothing new\n");

    // Of the system's alone others have said what is bounded.
    std::fs::remove_file(home.config()).unwrap();
    let refused = ctl.run(["reload"]).await.exits(4);
    let instead = format!("restart to go on by {}", of_system.display());
    drop(refused.says(&instead));
    max_running(&ctl, 3).await.unwrap();
}

/// A shell at a terminal, which starts a daemon by this line and ends with the terminal.
fn shell(home: &Arc<Home>, line: &str) -> Window {
    let mut command = home.command(Path::new("setsid"));
    let line = format!("{line}\nread line");
    command.args(["--ctty", "/bin/sh", "-c", &line]);
    command.arg(binaries::steroidsd());
    command.arg(home.path("daemon.log"));
    Window::open(command)
}

async fn pid_of_the_daemon(ctl: &Ctl) -> i32 {
    let status = eventually("the daemon to answer", async || {
        let status = ctl.run(["--json", "status"]).await;
        (status.code == 0).then(|| status.json())
    })
    .await;
    let pid = status["pid"].as_i64().unwrap();
    i32::try_from(pid).unwrap()
}

#[tokio::test]
async fn a_daemon_ends_with_its_terminal_and_says_that_this_is_why() {
    let home = Home::new();
    let shell = shell(&home, r#""$0" 2>> "$1" &"#);
    let ctl = Ctl::new(&home, &home.folder("app"));
    let pid = pid_of_the_daemon(&ctl).await;
    // With its terminal there it is told by the same signal to read its configuration.
    home.configure("[daemon]\nmax_running = 3\n");
    processes::signal(pid, Signal::HUP);
    eventually("a reload", async || max_running(&ctl, 3).await).await;
    shell.close().await;
    eventually("the daemon to go", async || {
        (!processes::is_alive(pid)).then_some(())
    })
    .await;
    let log = home.daemon_log();
    assert!(log.contains("its terminal has gone"), "{log}");
    assert!(log.contains("\"stopped\""), "{log}");
}

#[tokio::test]
async fn a_daemon_in_a_session_of_its_own_outlives_the_terminal_that_it_writes_to() {
    let home = Home::new();
    let shell = shell(&home, r#"setsid -f "$0""#);
    let ctl = Ctl::new(&home, &home.folder("app"));
    let pid = pid_of_the_daemon(&ctl).await;
    shell.close().await;
    // What it logs from now on nobody gets to read.
    home.configure("[daemon]\nmax_running = 3\n");
    processes::signal(pid, Signal::HUP);
    eventually("a reload", async || max_running(&ctl, 3).await).await;
    ctl.run(["init"]).await.ok();
    let start = ["start", "--task", "T1", "--follow", "--", "true"];
    ctl.run(start).await.ok();
    assert_eq!(pid_of_the_daemon(&ctl).await, pid);
}

async fn max_running(ctl: &Ctl, wanted: i64) -> Option<()> {
    let status = ctl.run(["--json", "status"]).await.json();
    (status["maxRunning"] == wanted).then_some(())
}

#[tokio::test]
async fn signals_that_mean_nothing_end_neither_daemon_nor_gateway_nor_shim() {
    let (home, daemon, gateway, ctl) = served().await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await.to_string();
    let uuid = ctl.run(["--json", "show", &id]).await.json();
    let shim = home.shim(uuid["uuid"].as_str().unwrap());
    for signal in [Signal::USR1, Signal::USR2] {
        daemon.signal(signal);
        gateway.signal(signal);
        processes::signal(shim, signal);
    }
    // Of which only a gateway without a terminal takes no notice.
    gateway.signal(Signal::HUP);
    let said = ["SIGUSR1 means nothing", "SIGUSR2 means nothing"];
    eventually("a word of each", async || {
        let has = |log: &str| said.iter().all(|words| log.contains(words));
        (has(&home.daemon_log()) && has(&gateway.log())).then_some(())
    })
    .await;
    eventually("a word of the last", async || {
        gateway.log().contains("takes a restart").then_some(())
    })
    .await;
    gateway.get("/api/status").send().await.is(200);
    agent.prints("still here");
    agent.exits(0);
    let ended = ctl.run(["wait", &id]).await;
    ended.ok();
}
