//! Other users at the socket, with everything open that should be closed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Uid;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, patience};

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

/// As after `su` without `-`: the environment leads to a daemon of somebody else.
#[tokio::test]
async fn nothing_is_sent_to_another_users_daemon_unless_it_is_named() {
    if !rustix::process::geteuid().is_root() {
        held(65, "not shown: needs root");
        return;
    }
    let home = Home::new();
    fs::create_dir_all(home.path("run/steroids")).unwrap();
    open_folders(&home, 0o777);
    let listener = listen_as(NOBODY, home.socket());
    let ctl = Ctl::new(&home, &home.path("home"));
    let refused = ctl.run(["list", "--all"]).await.exits(69);
    refused.says("user 65534").says("--socket");
    assert_eq!(said_to(&listener), 0, "something was sent");

    let socket = home.socket();
    let named = ["--socket", socket.to_str().unwrap(), "list", "--all"];
    let terminal = ctl.spawn(named);
    assert_ne!(said_to(&listener), 0, "who names it means it");
    drop(listener);
    let (_, given_up) = terminal.rest().await;
    given_up.exits(69);
    held(
        65,
        "a stranger's daemon where the environment leads: refused (exit 69), no byte sent",
    );
}

/// Listens as another user.
fn listen_as(uid: u32, socket: PathBuf) -> UnixListener {
    as_another(uid, move || UnixListener::bind(socket).unwrap())
}

/// How many bytes the next one to connect has said, until it goes or has said something.
fn said_to(listener: &UnixListener) -> usize {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(patience())).unwrap();
    stream.read(&mut [0; 4096]).unwrap()
}

/// Takes down what keeps others from the socket, but for the daemon itself.
fn open_all(home: &Home) {
    open_folders(home, 0o755);
    fs::set_permissions(home.socket(), fs::Permissions::from_mode(0o666)).unwrap();
}

/// Lets others come as far as to the socket.
fn open_folders(home: &Home, mode: u32) {
    for folder in ["", "run", "run/steroids"] {
        fs::set_permissions(home.path(folder), fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// Does something as another user, in a thread of its own that ends with it: the system call knows no processes.
fn as_another<T: Send + 'static>(uid: u32, what: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        let uid = Uid::from_raw(uid);
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        what()
    });
    thread.join().unwrap()
}

/// Connects as another user and asks something; gives what came back until the end.
async fn connect_as(uid: u32, socket: PathBuf) -> String {
    let asking = move || {
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
    let asked = tokio::task::spawn_blocking(move || as_another(uid, asking));
    asked.await.unwrap()
}
