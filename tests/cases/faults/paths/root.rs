//! Who the daemon runs as, and what its files are like.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use steroids_tests::faults::held;
use steroids_tests::{Daemon, Home};

/// The harness allows it, as machines that test know no other user.
const FORBIDDEN: [&str; 3] = ["env", "-u", "STEROIDS_ALLOW_ROOT"];

#[tokio::test]
async fn root_is_refused_unless_it_is_meant() {
    if !rustix::process::geteuid().is_root() {
        held(68, "not shown: needs root");
        return;
    }
    let home = Home::new();
    let env = program("env");
    let forbidden = [&*env, FORBIDDEN[1], FORBIDDEN[2]];
    let refused = Daemon::try_start_through(&home, &forbidden, &[]).await;
    let refused = refused.expect_err("root was let in");
    assert_eq!(refused.code, 4, "{refused:?}");
    for way in [
        "running as root",
        "--allow-root",
        "STEROIDS_ALLOW_ROOT=1",
        "daemon.allow_root",
    ] {
        assert!(refused.stderr.contains(way), "{way}: {refused:?}");
    }
    assert!(!home.state_dir().exists() && !home.socket().exists());

    drop(
        Daemon::try_start_through(&home, &forbidden, &["--allow-root"])
            .await
            .unwrap(),
    );
    home.configure("[daemon]\nallow_root = true");
    drop(
        Daemon::try_start_through(&home, &forbidden, &[])
            .await
            .unwrap(),
    );
    // The variable is what every other test has.
    let seen = "root: exit 4, nothing made; with --allow-root, the variable or the key it serves";
    held(68, seen);
}

#[tokio::test]
async fn a_umask_of_nothing_opens_nothing_to_others() {
    let home = Home::new();
    let shell = [&*program("sh"), "-c", r#"umask 000; exec "$@""#, "sh"];
    let daemon = Daemon::try_start_through(&home, &shell, &[]).await.unwrap();
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let agent = rpc
        .start_fake(&ctl.project(), "T1", &["numbers", "--count", "3"])
        .await;
    let running = rpc.start_fake(&ctl.project(), "T2", &["stall"]).await;
    rpc.ended(&ctl.project(), agent.id).await;
    assert!(home.invocation_dir(&running.uuid).exists());

    let mut found = Vec::new();
    for folder in [
        home.state_dir(),
        home.path("run/steroids"),
        ctl.folder().join(".steroids"),
    ] {
        walk(&folder, &mut found);
    }
    for path in &found {
        let entry = fs::symlink_metadata(path).unwrap();
        assert_eq!(
            entry.mode() & 0o077,
            0,
            "{} is {:o}",
            path.display(),
            entry.mode()
        );
        assert!(
            !entry.is_file() || entry.mode() & 0o111 == 0,
            "{}",
            path.display()
        );
    }
    assert!(found.len() > 12, "{found:?}");
    let seen = format!(
        "umask 000: {} files and folders, all 0600 or 0700",
        found.len()
    );
    held(68, seen);
}

/// A program of the system, by its path.
fn program(name: &str) -> String {
    let folders = ["/usr/bin", "/bin"].map(Path::new);
    let mut paths = folders.into_iter().map(|folder| folder.join(name));
    let path = paths.find(|path| path.exists()).expect(name);
    path.to_string_lossy().into_owned()
}

fn walk(path: &Path, found: &mut Vec<PathBuf>) {
    found.push(path.to_owned());
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), found);
        }
    }
}
