//! A database that cannot be written: its file, its folder or its disk is read-only.

use std::fs;
use std::path::Path;

use steroids_tests::faults::held;
use steroids_tests::{Daemon, Home};

/// Mounts a path read-only over itself, for a shell in a mount namespace of its own.
fn read_only(path: &Path) -> String {
    let path = path.display();
    format!("mount --bind {path} {path} && mount -o remount,bind,ro {path}")
}

/// Puts what is there on a disk of its own that is full, and read-only as a CD is.
fn full_and_read_only(path: &Path) -> String {
    let path = path.display();
    format!(
        "cp -a {path} {path}.was && mount -t tmpfs -o size=1m full {path} && cp -a {path}.was/. {path} && \
         {{ cat /dev/zero > {path}/rest 2> /dev/null || true; }} && mount -o remount,ro {path}"
    )
}

#[tokio::test]
async fn a_project_that_cannot_be_written_is_refused_by_name_and_others_are_served() {
    if !rustix::process::geteuid().is_root() {
        return held(44, "not shown: mounting needs root");
    }
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let mut projects = Vec::new();
    for (name, part, why) in [
        ("file", ".steroids/steroids.db", "cannot be written"),
        ("folder", ".steroids", "can only read"),
        ("disk", "", "can only read"),
        ("full-disk", "", "can only read"),
    ] {
        let ctl = daemon.project(name).await;
        let id = ctl.start_fake("T1", &["exit", "0"]).await;
        daemon.rpc().await.ended(&ctl.project(), id).await;
        let path = ctl.folder().join(part);
        projects.push((ctl, path, why));
    }
    let good = daemon.project("good").await;
    assert_eq!(daemon.term().await, 0);
    let mounts: Vec<_> = projects
        .iter()
        .map(|(ctl, path, _)| match ctl.folder().ends_with("full-disk") {
            true => full_and_read_only(ctl.folder()),
            false => read_only(path),
        })
        .collect();
    let shell = format!("{} && exec \"$@\"", mounts.join(" && "));
    let unshare = ["unshare", "--mount", "--propagation", "private"];
    let under = [&unshare[..], &["sh", "-c", &shell, "sh"]].concat();
    let daemon = Daemon::start_through(&home, &under).await;

    let start = ["start", "--task", "T2", "--", "true"];
    for (ctl, path, why) in &projects {
        let before = fs::read(ctl.folder().join(".steroids/steroids.db")).unwrap();
        let refused = ctl.run(start).await.exits(4);
        refused.says(why).says(&ctl.project());
        let after = fs::read(ctl.folder().join(".steroids/steroids.db")).unwrap();
        assert!(before == after, "{} was written to", path.display());
        let lines = daemon.rpc().await.degraded().await;
        let told = lines.iter().any(|line| line.contains(&ctl.project()));
        assert!(told, "{} is not in {lines:?}", ctl.project());
    }
    good.run(start).await.ok();
    assert_eq!(home.daemon_log().matches("panicked").count(), 0);
    let seen = "file, folder, disk read-only: start exits 4 naming the project, status tells, the daemon \
     starts and serves the others";
    held(44, seen);
}
