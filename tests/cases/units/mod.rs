//! Everything as a service, in a booted systemd.

use steroids_tests::Lab;

#[tokio::test]
async fn a_lab_has_a_user_with_a_manager_and_the_programs() {
    let Some(lab) = Lab::boot().await else {
        return;
    };
    let user = lab.user("dev").await;
    let state = user.systemctl(&["is-system-running"]).await.stdout;
    assert_eq!(state, "running\n");
    let version = user.ctl("", &["--version"]).await.ok();
    assert!(version.starts_with("steroidsctl "), "{version}");
    user.write("a/b", "c");
    assert_eq!(user.run_in("a", &["cat", "b"]).await.ok(), "c");
}
