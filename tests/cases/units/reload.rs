//! A new configuration for a daemon that runs, by the service manager's hand; and sockets it may not
//! serve by.

use steroids_tests::Lab;

use super::{SERVICE, is, user_with_socket};

const CONFIG: &str = ".config/steroids/config.toml";

#[tokio::test]
async fn the_service_is_reloaded_and_says_why_if_not() {
    let Some(lab) = Lab::boot().await else {
        return;
    };
    let user = user_with_socket(&lab).await;
    user.ctl("", &["status"]).await.ok();
    let before = user.property(SERVICE, "MainPID").await;

    user.write(CONFIG, "[daemon]\nmax_running = 3\n");
    user.systemctl(&["reload", SERVICE]).await.ok();
    let status = user.ctl("", &["--json", "status"]).await.json();
    assert_eq!(status["maxRunning"], 3, "{status}");

    user.write(CONFIG, "[daemon]\nmax_runing = 4\n");
    let refused = user.systemctl(&["reload", SERVICE]).await;
    assert_ne!(refused.code, 0);
    let text = user.property(SERVICE, "StatusText").await;
    assert!(
        text.contains("config.toml:2: `daemon.max_runing`"),
        "{text}"
    );

    // By signal nobody waits for an answer; how it went is seen by the status.
    user.write(CONFIG, "[daemon]\nmax_running = 5\n");
    user.systemctl(&["kill", "--kill-whom=main", "-s", "HUP", SERVICE])
        .await
        .ok();
    is(&user, "StatusText", "0 running, 0 waiting").await;
    let status = user.ctl("", &["--json", "status"]).await.json();
    assert_eq!(status["maxRunning"], 5, "{status}");
    assert_eq!(user.property(SERVICE, "MainPID").await, before);

    // Two sockets are one too many, and one elsewhere is not the one that clients look for.
    let drop_in = ".config/systemd/user/steroidsd.socket.d/test.conf";
    for (lines, words) in [
        ("ListenStream=%t/steroids/other.sock", "passed on 2 sockets"),
        (
            "ListenStream=\nListenStream=%t/steroids/other.sock",
            "listens on /run/user/",
        ),
    ] {
        user.systemctl(&["stop", "steroidsd.socket", SERVICE]).await;
        user.write(drop_in, &format!("[Socket]\n{lines}\n"));
        user.systemctl(&["daemon-reload"]).await.ok();
        user.systemctl(&["reset-failed"]).await.ok();
        let started = user.systemctl(&["start", SERVICE]).await;
        assert_ne!(started.code, 0);
        let code = user.property(SERVICE, "ExecMainStatus").await;
        assert_eq!(code, "78");
        // Nor is it tried again, which would not mend it.
        assert_eq!(user.property(SERVICE, "ActiveState").await, "failed");
        lab.until_logged(words).await;
    }
}
