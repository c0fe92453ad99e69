//! The daemon is locked up, and agents are not: each lives in a unit of its own. That ends in order when
//! its slice is stopped, and when its user is gone.

use steroids_tests::{Lab, eventually};

use super::{SERVICE, agents_can_work, drop_ins, ended, start_with, user_with_socket};

#[tokio::test]
async fn agents_can_do_what_the_daemon_cannot_and_a_stop_of_the_slice_ends_all() {
    let Some(lab) = Lab::boot().await else {
        return;
    };
    let user = user_with_socket(&lab).await;
    user.ctl("work", &["init"]).await.ok();
    agents_can_work(&user, &["Seccomp:0", "NoNewPrivs:0"]).await;
    assert_eq!(user.read("work/written"), "the project\n");
    // Also where a manager is slow to answer: `auto` would lock them up with the daemon then.
    let status = user.ctl("", &["--json", "status"]).await.json();
    assert_eq!(status["launcherWhy"], "as was asked for", "{status}");
    // While the daemon itself cannot get out of the home it serves.
    let pid = user.property(SERVICE, "MainPID").await;
    let status = lab.read(&format!("/proc/{pid}/status"));
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"));

    let puppets = [lab.puppet("one"), lab.puppet("two")];
    let mut ids = Vec::new();
    for (task, puppet) in ["one", "two"].iter().zip(&puppets) {
        let flags = ["--retry", "interrupted"];
        ids.push(start_with(&user, task, &flags, puppet).await);
    }
    user.systemctl(&["stop", "steroids.slice"]).await.ok();
    for id in ids {
        let ended = ended(&user, id).await;
        assert_eq!(ended["status"], "failed", "{ended}");
        // Somebody stopped it, and does not want it begun anew.
        assert_eq!(ended["outcome"], "interrupted", "{ended}");
        assert!(ended.get("retriedBy").is_none(), "{ended}");
    }
    let status = user.ctl("work", &["--json", "status"]).await.json();
    assert_eq!(
        (&status["running"], &status["queued"]),
        (&0.into(), &0.into())
    );
    // What it cannot see from in there is said.
    let doctor = user.ctl("work", &["--json", "doctor"]).await;
    let said = doctor.stdout.contains("user namespace of its own");
    assert!(said, "{doctor:?}");
    drop_ins::are_what_it_takes(&lab, &user).await;
}

#[tokio::test]
async fn a_logout_without_lingering_ends_agents_in_order() {
    let Some(lab) = Lab::boot().await else {
        return;
    };
    lab.install_units();
    let user = lab.user_logged_in("anna").await;
    let enable = ["enable", "--quiet", "--now", "steroidsd.socket"];
    user.systemctl(&enable).await.ok();
    user.run(&["mkdir", "work"]).await.ok();
    user.ctl("work", &["init"]).await.ok();
    // It says that it was asked, which one that is killed cannot.
    let polite = "trap 'echo asked > asked; exit 0' TERM; echo up > up; sleep 600 & wait";
    let call = ["--json", "start", "--task", "t", "--", "bash", "-c", polite];
    user.ctl("work", &call).await.ok();
    let is_up = async || (user.read("work/up") == "up\n").then_some(());
    eventually("an agent that can be asked", is_up).await;
    user.log_out().await;
    assert_eq!(user.read("work/asked"), "asked\n");
    let records = user.path(".local/state/steroids/inv");
    let record = std::fs::read_dir(records).unwrap().next().unwrap().unwrap();
    let record = std::fs::read_to_string(record.path().join("exit.json")).unwrap();
    assert!(record.contains("shutdown"), "{record}");
}
