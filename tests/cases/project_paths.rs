//! Which folders may be projects. A path that could come to mean another folder is refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Daemon, Home};
use tonic::Code;

async fn refused(daemon: &Daemon, path: &str) -> tonic::Status {
    let request = v1::RegisterRequest {
        path: path.to_owned(),
        init: true,
    };
    let answer = daemon.rpc().await.projects().register(request).await;
    let status = answer.expect_err(path);
    assert!(
        matches!(
            status.code(),
            Code::InvalidArgument
                | Code::FailedPrecondition
                | Code::NotFound
                | Code::PermissionDenied
        ),
        "{status:?}"
    );
    status
}

/// A daemon sees a folder read-only that its user can write, as by `ProtectSystem=` of its unit.
#[tokio::test]
async fn what_the_daemon_can_only_read_is_told_with_its_cure() {
    let home = Home::new();
    let (folder, served) = (home.folder("app"), home.folder("served"));
    // Databases are there before: with none in use, SQLite needs to write to read one.
    let mut daemon = Daemon::start(&home).await;
    daemon.project("served").await;
    daemon.term().await;
    let line = format!(
        "for it in {} {}; do mount --bind $it $it && mount -o remount,ro,bind $it; done; exec \"$0\" \"$@\"",
        folder.display(),
        served.display()
    );
    let through = ["unshare", "--mount", "/bin/sh", "-c", &line];
    let daemon = Daemon::start_through(&home, &through).await;
    for folder in [&folder, &served] {
        let ctl = daemon.ctl(folder);
        let refused = ctl.run(["init"]).await.exits(4);
        drop(refused.says("ReadWritePaths="));
        let doctor = ctl.run(["doctor"]).await.exits(4);
        let said = format!("fail  project     {}: steroidsd can only", folder.display());
        assert!(doctor.stdout.contains(&said), "{doctor:?}");
        assert!(!doctor.stdout.contains("steroidsctl init"), "{doctor:?}");
    }
}

#[tokio::test]
async fn a_relative_path_is_refused() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    home.folder("app");
    for path in ["app", "./app", ""] {
        assert_eq!(refused(&daemon, path).await.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_symlink_anywhere_in_the_path_is_refused() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    home.folder("real/app");
    let link = home.path("home/link");
    symlink(home.path("home/real"), &link).unwrap();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    refused(&daemon, &text(&link)).await;
    refused(&daemon, &text(&link.join("app"))).await;
    refused(&daemon, &text(&home.path("home/real/../link"))).await;
    refused(&daemon, &text(&home.path("home/real/../real/app"))).await;
    assert!(!home.path("home/real/.steroids").exists());
    held(62, "`..`, and a symlink, last or not: refused");
}

#[tokio::test]
async fn a_steroids_folder_that_is_a_symlink_is_refused() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = home.folder("app");
    let elsewhere = home.folder("elsewhere");
    symlink(&elsewhere, project.join(".steroids")).unwrap();
    refused(&daemon, project.to_str().unwrap()).await;
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_that_is_missing_or_a_file_is_refused() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let missing = home.path("home/missing");
    let status = refused(&daemon, missing.to_str().unwrap()).await;
    assert!(status.message().contains("missing"), "{status:?}");
    let file = home.path("home/file");
    fs::write(&file, "").unwrap();
    refused(&daemon, file.to_str().unwrap()).await;
}

#[tokio::test]
async fn a_project_that_went_away_is_told_and_the_others_go_on() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let gone = daemon.project("gone").await;
    let stays = daemon.project("stays").await;
    gone.delete_folder().await;
    fs::create_dir_all(gone.folder()).unwrap();
    let output = gone.run(["list"]).await;
    assert_ne!(output.code, 0, "{output:?}");
    stays.run(["list"]).await.ok();
    // Another folder under the old name may be made a project again.
    gone.delete_folder().await;
    let again = daemon.project("gone").await;
    again.run(["start", "--task", "T", "--", "true"]).await.ok();
    held(
        62,
        "deleted and made again: told, and not served before it is registered anew",
    );
}

#[tokio::test]
async fn a_folder_everybody_may_write_to_is_refused() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let open = home.folder("open");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    refused(&daemon, open.to_str().unwrap()).await;
    held(62, "writable by everybody: refused");
}

#[tokio::test]
async fn a_folder_of_another_user_is_refused() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let theirs = if rustix::process::geteuid().is_root() {
        let folder = home.folder("theirs");
        chown(&folder, Some(12_345), Some(12_345)).unwrap();
        folder
    } else {
        "/usr".into()
    };
    refused(&daemon, theirs.to_str().unwrap()).await;
    assert!(!theirs.join(".steroids").exists());
    held(62, "of another user: refused");
}
