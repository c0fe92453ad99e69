//! What may stand where the socket should be, and in the place of its folder.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

use rustix::process::Signal;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, eventually};

/// It ends; that somebody answers at the socket meanwhile says nothing, as that may be another.
async fn refused(home: &Arc<Home>, words: &[&str]) {
    let code = Daemon::launch(home, Vec::new()).ended().await;
    let log = home.daemon_log();
    assert_eq!(code, 4, "{log}");
    let last = log.lines().next_back().unwrap_or_default();
    for word in words {
        assert!(last.contains(word), "{word}: {log}");
    }
}

/// The socket's folder, made before the daemon makes it.
fn folder(home: &Home, mode: u32) -> std::path::PathBuf {
    let path = home.path("run/steroids");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[tokio::test]
async fn a_folder_that_others_can_use_is_refused() {
    let home = Home::new();
    let open = folder(&home, 0o777);
    refused(&home, &["mode 777", "chmod 700"]).await;
    fs::set_permissions(&open, fs::Permissions::from_mode(0o750)).unwrap();
    refused(&home, &["mode 750", "chmod 700"]).await;
    fs::remove_dir(&open).unwrap();

    let elsewhere = home.path("elsewhere");
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&elsewhere)
        .unwrap();
    symlink(&elsewhere, &open).unwrap();
    refused(&home, &["symlink"]).await;
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    fs::remove_file(&open).unwrap();

    fs::write(&open, "notes").unwrap();
    refused(&home, &["no folder"]).await;
    assert_eq!(fs::read_to_string(&open).unwrap(), "notes");
    fs::remove_file(&open).unwrap();

    if !rustix::process::geteuid().is_root() {
        let seen =
            "modes 777 and 750, a symlink and a file refused; another owner not shown: needs root";
        held(64, seen);
        return;
    }
    folder(&home, 0o700);
    chown(&open, Some(12_345), None).unwrap();
    refused(&home, &["belongs to user 12345"]).await;
    assert_eq!(fs::read_dir(&open).unwrap().count(), 0);
    let seen =
        "folder: another owner, modes 777 and 750, a symlink and a file: exit 4, nothing touched";
    held(64, seen);
}

#[tokio::test]
async fn what_stands_in_the_sockets_place_is_kept_unless_nobody_listens_there() {
    let home = Home::new();
    folder(&home, 0o700);
    let socket = home.socket();
    fs::write(&socket, "notes").unwrap();
    refused(&home, &["is no socket"]).await;
    assert_eq!(fs::read_to_string(&socket).unwrap(), "notes");
    fs::remove_file(&socket).unwrap();

    fs::create_dir(&socket).unwrap();
    refused(&home, &["is no socket"]).await;
    fs::remove_dir(&socket).unwrap();

    symlink(home.path("anywhere"), &socket).unwrap();
    refused(&home, &["is no socket"]).await;
    fs::remove_file(&socket).unwrap();

    let other = UnixListener::bind(&socket).unwrap();
    refused(&home, &["another process listens"]).await;
    drop(other);

    // Nobody listens there any more, once whoever was forked meanwhile has become another program.
    eventually("nobody to listen", async || {
        UnixStream::connect(&socket).err()
    })
    .await;
    let daemon = Daemon::start(&home).await;
    daemon.project("app").await.run(["list"]).await.ok();
    let seen = "socket: a file, a folder, a symlink and one that answers: exit 4, kept; a stale one replaced";
    held(64, seen);
}

/// The lock decides who may take a stale socket's place, and not who is quicker.
#[tokio::test]
async fn of_two_that_find_a_stale_socket_one_serves() {
    let home = Home::new();
    folder(&home, 0o700);
    drop(UnixListener::bind(home.socket()).unwrap());
    let mut both = [(); 2].map(|()| Daemon::launch(&home, Vec::new()));
    let [first, second] = &mut both;
    let code = tokio::select! {
        code = first.ended() => code,
        code = second.ended() => code,
    };
    assert_eq!(code, 4, "{}", home.daemon_log());
    eventually("the other one to serve", async || {
        home.daemon_log().contains("\"listening\"").then_some(())
    })
    .await;
    let ctl = Ctl::new(&home, &home.folder("app"));
    ctl.run(["init"]).await.ok();
    held(64, "of two at once one serves; the other: exit 4");
}

#[tokio::test]
async fn a_socket_replaced_under_a_running_daemon_is_not_removed_at_its_end() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    fs::remove_file(home.socket()).unwrap();
    fs::write(home.socket(), "notes").unwrap();
    assert_eq!(daemon.term().await, 0);
    assert_eq!(fs::read_to_string(home.socket()).unwrap(), "notes");
    held(64, "what took the socket's place is kept");
}

/// Once it is there again, for another's hand to find.
async fn reached(ctl: &Ctl) {
    eventually("the daemon to be reached", async || {
        (ctl.run(["status"]).await.code == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_daemon_whose_runtime_folder_was_removed_is_reached_again() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let run = home.path("run");
    // As the end of the user's last session does, and the beginning of the next one.
    fs::remove_dir_all(&run).unwrap();
    fs::DirBuilder::new().mode(0o700).create(&run).unwrap();
    reached(&ctl).await;
    // And once more, in the folder that it made.
    fs::remove_file(home.socket()).unwrap();
    reached(&ctl).await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let modes = (mode(&home.socket()), mode(&run.join("steroids")));
    assert_eq!(modes, (0o600, 0o700));
    assert!(run.join("steroids/steroidsd.sock.lock").exists());
    assert_eq!(daemon.term().await, 0);
    assert!(!home.socket().exists());
    held(
        211,
        "runtime folder and socket removed: bound anew, 0600 in 0700",
    );
}

#[tokio::test]
async fn a_daemon_that_cannot_know_that_its_socket_is_gone_is_told_by_hup() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let run = home.path("run");
    // Of a folder above its own the kernel tells nothing.
    fs::rename(&run, home.path("moved")).unwrap();
    fs::DirBuilder::new().mode(0o700).create(&run).unwrap();
    let pid = daemon.pid();
    let refusal = ctl.run(["status"]).await.exits(69);
    let refusal = refusal.says("a daemon runs all the same");
    refusal.says(&format!("kill -HUP {pid}"));
    let doctor = ctl.run(["doctor"]).await.exits(69);
    assert!(doctor.stdout.contains("kill -HUP"), "{doctor:?}");
    refused(&home, &[&format!("pid {pid} with socket"), "SIGHUP"]).await;

    daemon.signal(Signal::HUP);
    reached(&ctl).await;
    let seen = "a folder above moved: steroidsctl and a second daemon say so; HUP binds anew";
    held(211, seen);
}

#[tokio::test]
async fn what_stands_in_the_place_of_a_lost_socket_is_kept_until_it_goes() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    fs::remove_file(home.socket()).unwrap();
    fs::write(home.socket(), "notes").unwrap();
    eventually("the daemon to say so", async || {
        home.daemon_log()
            .contains("is there and is no socket")
            .then_some(())
    })
    .await;
    assert_eq!(fs::read_to_string(home.socket()).unwrap(), "notes");
    fs::remove_file(home.socket()).unwrap();
    reached(&ctl).await;
    held(
        211,
        "a file in its place is kept, and named in the daemon's log",
    );
}
