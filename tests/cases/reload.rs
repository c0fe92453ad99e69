//! Another configuration for a daemon that runs.

use rustix::process::Signal;
use steroids_tests::{Daemon, Home, Puppet, eventually};

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
