//! Other users at the socket, with everything open that should be closed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Uid;
use steroids_tests::faults::held;
use steroids_tests::{Daemon, Home, patience};

const NOBODY: u32 = 65_534;
const SOMEBODY: u32 = 12_345;

#[tokio::test]
async fn another_user_is_closed_unread_and_noted() {
    if !rustix::process::geteuid().is_root() {
        held(65, "not shown: needs root");
        return;
    }
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    open_all(&home);
    let seen = connect_as(NOBODY, home.socket()).await;
    assert_eq!(seen, "", "something was answered");
    let log = home.daemon_log();
    let noted = log
        .lines()
        .find(|line| line.contains("connection of another user refused"));
    let noted = noted.expect("no line about it");
    assert!(noted.contains(&NOBODY.to_string()), "{noted}");
    // And nobody else is.
    daemon.project("app").await.run(["list"]).await.ok();
    let seen = "uid 65534 on a 0666 socket: closed, nothing answered, a line in the log";
    held(65, seen);
}

/// Inside of a user namespace users from outside have no number: they are all 65534 there.
#[tokio::test]
async fn a_user_from_outside_of_the_daemons_user_namespace_is_closed_unread() {
    let unshare = Path::new("/usr/bin/unshare");
    if !rustix::process::geteuid().is_root() || !unshare.exists() {
        held(65, "not shown: needs root and unshare");
        return;
    }
    let home = Home::new();
    let inside = [unshare.to_str().unwrap(), "--user", "--map-root-user", "--"];
    let _daemon = Daemon::try_start_through(&home, &inside, &[])
        .await
        .unwrap();
    open_all(&home);
    let seen = connect_as(SOMEBODY, home.socket()).await;
    assert_eq!(seen, "", "something was answered");
    let log = home.daemon_log();
    let noted = log
        .lines()
        .find(|line| line.contains("connection of another user refused"));
    let noted = noted.expect("no line about it");
    assert!(noted.contains(&NOBODY.to_string()), "{noted}");
    let seen = "a peer from outside shows as 65534: closed, nothing answered, a line in the log";
    held(65, seen);
}

/// Takes down what keeps others from the socket, but for the daemon itself.
fn open_all(home: &Home) {
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    open(home.root(), 0o755);
    open(&home.path("run"), 0o755);
    open(&home.path("run/steroids"), 0o755);
    open(&home.socket(), 0o666);
}

/// Connects as another user and asks something; gives what came back until the end.
async fn connect_as(uid: u32, socket: PathBuf) -> String {
    let asking = move || {
        let uid = Uid::from_raw(uid);
        // This thread alone, which ends with the closure: the system call knows no processes.
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        let mut stream = UnixStream::connect(socket).unwrap();
        let bound: Duration = patience();
        stream.set_read_timeout(Some(bound)).unwrap();
        // It may be closed already.
        let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
        let mut seen = Vec::new();
        match stream.read_to_end(&mut seen) {
            // With what it had said unread, closing is a reset.
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        String::from_utf8_lossy(&seen).into_owned()
    };
    let thread = std::thread::spawn(asking);
    let joined = tokio::task::spawn_blocking(move || thread.join());
    joined.await.unwrap().unwrap()
}
