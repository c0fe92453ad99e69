//! The daemon is activated, restarted, killed and aborted, with three agents at work: they notice
//! nothing, and nothing of theirs is lost.

use steroids_tests::{Lab, Puppet};

use super::{SERVICE, changed, ended, is, mode, printed, start, user_with_socket};

/// The watchdog's time is short enough to be waited for, and long enough for a busy machine to feed it.
const HURRY: &str = "[Service]\nWatchdogSec=3\nRestartSec=100ms\n";

#[tokio::test]
async fn agents_and_their_output_survive_whatever_ends_the_daemon() {
    let Some(lab) = Lab::boot().await else {
        return;
    };
    let user = user_with_socket(&lab).await;
    user.write(".config/systemd/user/steroidsd.service.d/test.conf", HURRY);
    user.systemctl(&["daemon-reload"]).await.ok();

    // Nobody has asked for anything: there is a socket, for its owner alone, and no daemon.
    assert_eq!(user.property(SERVICE, "ActiveState").await, "inactive");
    let runtime = format!("{}/steroids", user.runtime());
    let socket = format!("{runtime}/steroidsd.sock");
    assert_eq!(mode(&lab.path(&runtime)), 0o700);
    assert_eq!(mode(&lab.path(&socket)), 0o600);
    user.ctl("work", &["init"]).await.ok();
    is(&user, "ActiveState", "active").await;

    let names = ["one", "two", "three"];
    let mut puppets: Vec<Puppet> = names.iter().map(|name| lab.puppet(name)).collect();
    let mut ids = Vec::new();
    for (name, puppet) in names.iter().zip(&puppets) {
        ids.push(start(&user, name, puppet).await);
    }
    let mut said = 0;
    let mut each_prints = |puppets: &mut [Puppet]| {
        said += 1;
        for puppet in puppets {
            puppet.prints(&said.to_string());
        }
    };
    each_prints(&mut puppets);

    // Restarted: it tells that it is ready when it has taken them up, and not before.
    let before = user.property(SERVICE, "MainPID").await;
    user.systemctl(&["restart", SERVICE]).await.ok();
    let restarted = user.property(SERVICE, "MainPID").await;
    assert_ne!(restarted, before);
    assert_eq!(
        user.property(SERVICE, "StatusText").await,
        "3 running, 0 waiting"
    );
    each_prints(&mut puppets);

    // Killed: who asks meanwhile waits in the socket.
    user.systemctl(&["kill", "--kill-whom=main", "-s", "KILL", SERVICE])
        .await
        .ok();
    each_prints(&mut puppets);
    let running = user.ctl("work", &["--json", "status"]).await.json();
    assert_eq!(running["running"], 3, "{running}");
    let killed = changed(&user, "MainPID", &restarted).await;
    is(&user, "ActiveState", "active").await;

    // Standing still: found out, aborted and started anew.
    user.systemctl(&["kill", "--kill-whom=main", "-s", "STOP", SERVICE])
        .await
        .ok();
    each_prints(&mut puppets);
    changed(&user, "MainPID", &killed).await;
    is(&user, "ActiveState", "active").await;
    lab.until_logged("Watchdog timeout").await;
    each_prints(&mut puppets);

    for puppet in &mut puppets {
        puppet.exits(0);
    }
    for id in ids {
        let ended = ended(&user, id).await;
        assert_eq!(ended["status"], "completed", "{ended}");
        assert_eq!(printed(&user, id), ["1", "2", "3", "4", "5"]);
    }

    // Stopped: nothing of it is left but the socket, which is systemd's.
    user.systemctl(&["stop", SERVICE]).await.ok();
    assert_eq!(user.property(SERVICE, "Result").await, "success");
    assert!(lab.path(&socket).exists());
}
